//! Ed25519 keys of certificates as PEM files, which other tools read and write too: the private one readable by its owner
//! alone, the public ones that are trusted one after another in a file. Never prints a private key.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use ed25519_dalek::{SigningKey, VerifyingKey};

const END: &str = "-----END PUBLIC KEY-----";

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or written.
    #[error("cannot open the key file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner may read it.
    #[error("the private key {} may be read by others: chmod 600 it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// It holds no key of that kind.
    #[error("{} holds no Ed25519 {kind} key in PEM form", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// `private` or `public`.
        kind: &'static str,
    },
}

/// Reads a private key.
pub fn read_private(path: &Path) -> Result<SigningKey, KeyError> {
    let file = |source| KeyError::File { path: path.to_owned(), source };
    if fs::metadata(path).map_err(file)?.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Open { path: path.to_owned() });
    }
    let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(file)?);
    SigningKey::from_pkcs8_pem(&text).map_err(|_| KeyError::Shape { path: path.to_owned(), kind: "private" })
}

/// Makes a private key and writes it where there is nothing yet.
pub fn create_private(path: &Path) -> Result<SigningKey, KeyError> {
    let file = |source| KeyError::File { path: path.to_owned(), source };
    let key = SigningKey::generate(&mut rand::rng());
    // Without the public half in it, so that older tools read it too.
    let pair = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    let pem = pair.to_pkcs8_pem(LineEnding::LF);
    let pem = pem.map_err(|_| KeyError::Shape { path: path.to_owned(), kind: "private" })?;
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(file)?;
    }
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(file)?;
    out.write_all(pem.as_bytes()).and_then(|()| out.sync_all()).map_err(file)?;
    Ok(key)
}

/// Reads the public keys that are trusted, one PEM block after another.
pub fn read_trusted(path: &Path) -> Result<Vec<VerifyingKey>, KeyError> {
    let text = fs::read_to_string(path).map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    let blocks = text.split_inclusive(END).filter(|block| block.contains(END));
    let keys = blocks.map(|block| VerifyingKey::from_public_key_pem(block.trim()));
    let keys: Vec<VerifyingKey> =
        keys.collect::<Result<_, _>>().map_err(|_| KeyError::Shape { path: path.to_owned(), kind: "public" })?;
    if keys.is_empty() {
        return Err(KeyError::Shape { path: path.to_owned(), kind: "public" });
    }
    Ok(keys)
}

/// Writes one public key, in place of what was trusted there.
pub fn write_trusted(path: &Path, key: &VerifyingKey) -> Result<(), KeyError> {
    let pem = key.to_public_key_pem(LineEnding::LF);
    let pem = pem.map_err(|_| KeyError::Shape { path: path.to_owned(), kind: "public" })?;
    fs::write(path, pem).map_err(|source| KeyError::File { path: path.to_owned(), source })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_is_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/private.pem");
        let key = create_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_private(&path).unwrap().to_bytes(), key.to_bytes());
        assert!(matches!(create_private(&path), Err(KeyError::File { .. })), "a key is never written over");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_private(&path), Err(KeyError::Open { .. })));

        let trusted = folder.path().join("trusted.pem");
        write_trusted(&trusted, &key.verifying_key()).unwrap();
        let other = create_private(&folder.path().join("other.pem")).unwrap().verifying_key();
        let both = fs::read_to_string(&trusted).unwrap() + "\n" + &other.to_public_key_pem(LineEnding::LF).unwrap();
        fs::write(&trusted, both).unwrap();
        assert_eq!(read_trusted(&trusted).unwrap(), [key.verifying_key(), other]);
        fs::write(&trusted, "nothing").unwrap();
        assert!(matches!(read_trusted(&trusted), Err(KeyError::Shape { .. })));
    }
}
