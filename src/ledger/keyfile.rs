//! The file with the log's signing key: outside the database, readable by its owner only. The only I/O of the ledger.
//!
//! A rotation goes in three steps, each of which can be repeated after a crash: `begin_rotation` writes the next key
//! into the file, from when on both keys sign; a leaf tells the log of it; `finish_rotation` retires the old key.
//! A writer reads the file after it has taken its leaves and before it signs, so that it never signs the leaf of a
//! rotation without the new key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::LedgerError;
use super::key::{KeyPurpose, PublicKey, SigningKey};

const OPENING: &str = "\
# The log's signing key: whoever has it can sign checkpoints. Keep it secret, and outside the database.
# First the key that signs, then, during a rotation, the next; retired keys follow with their public half alone.
";

/// The keys of a log as its writer has them.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    current: SigningKey,
    next: Option<SigningKey>,
    retired: Vec<PublicKey>,
}

impl KeyFile {
    /// Reads the file, or makes a new key for this origin where there is no file.
    pub fn open(path: &Path, origin: &str) -> Result<Self, LedgerError> {
        Self::open_for(path, origin, KeyPurpose::Log)
    }

    /// As `open`, with a key for another purpose: a witness keeps its key the same way.
    pub fn open_for(path: &Path, name: &str, purpose: KeyPurpose) -> Result<Self, LedgerError> {
        if !path.exists() {
            let current = SigningKey::generate(name, purpose)
                .ok_or_else(|| refused(path, format!("`{name}` is no name of a key: no space and no `+`")))?;
            let file = Self { path: path.to_owned(), current, next: None, retired: Vec::new() };
            match file.write(true) {
                Ok(()) => return Ok(file),
                // Somebody else made it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(path, error.to_string())),
            }
        }
        let file = Self::load(path)?;
        let public = file.current.public();
        if signed_note::Verifier::name(public) != name || public.purpose() != purpose {
            return Err(refused(path, format!("it holds the key {public}, not one named {name}")));
        }
        Ok(file)
    }

    /// Reads the file. Refuses one that others than its owner may read.
    pub fn load(path: &Path) -> Result<Self, LedgerError> {
        let io = |error: io::Error| refused(path, error.to_string());
        let mode = fs::metadata(path).map_err(io)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(refused(path, format!("others may read it; run `chmod 600 {}`", path.display())));
        }
        let text = fs::read_to_string(path).map_err(io)?;
        let (mut secret, mut retired) = (Vec::new(), Vec::new());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            // The line itself is not repeated: it may hold a secret.
            if line.starts_with("PRIVATE+KEY+") {
                secret.push(line.parse().map_err(|e: LedgerError| refused(path, e.to_string()))?);
            } else {
                retired.push(line.parse().map_err(|e: LedgerError| refused(path, e.to_string()))?);
            }
        }
        let mut secret = secret.into_iter();
        let current = secret.next().ok_or_else(|| refused(path, "it holds no signing key".to_owned()))?;
        let file = Self { path: path.to_owned(), current, next: secret.next(), retired };
        match secret.next() {
            None => Ok(file),
            Some(_) => Err(refused(path, "it holds more than two signing keys".to_owned())),
        }
    }

    /// The keys that sign a checkpoint: one, or during a rotation two.
    pub fn signers(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.current).chain(&self.next)
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        signed_note::Verifier::name(self.current.public())
    }

    /// The key that signs; during a rotation, the one that is going.
    pub fn current(&self) -> &SigningKey {
        &self.current
    }

    /// During a rotation, the key that is coming.
    pub fn next(&self) -> Option<&SigningKey> {
        self.next.as_ref()
    }

    /// All public keys, retired ones first.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.retired.iter().chain(self.signers().map(SigningKey::public)).cloned().collect()
    }

    /// Makes the next key and writes it into the file, unless a rotation is under way already.
    pub fn begin_rotation(&mut self) -> Result<(), LedgerError> {
        if self.next.is_none() {
            let public = self.current.public();
            self.next = SigningKey::generate(signed_note::Verifier::name(public), public.purpose());
            self.save()?;
        }
        Ok(())
    }

    /// Retires the current key: its secret leaves the file. To be called once the log holds the leaf of the rotation.
    pub fn finish_rotation(&mut self) -> Result<(), LedgerError> {
        if let Some(next) = self.next.take() {
            let old = std::mem::replace(&mut self.current, next);
            self.retired.push(old.public().clone());
            self.save()?;
        }
        Ok(())
    }

    fn save(&self) -> Result<(), LedgerError> {
        self.write(false).map_err(|error| refused(&self.path, error.to_string()))
    }

    fn write(&self, new: bool) -> io::Result<()> {
        let mut text = OPENING.to_owned();
        text.extend(self.signers().map(|key| key.encode() + "\n"));
        text.extend(self.retired.iter().map(|key| format!("{key}\n")));
        put_file(&self.path, new, text.as_bytes())
    }
}

/// Writes a file beside it, for its owner alone, and puts that in its place; a new one never replaces what is there.
pub(crate) fn put_file(path: &Path, new: bool, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    let placed = if new { fs::hard_link(&beside, path) } else { fs::rename(&beside, path) };
    if new || placed.is_err() {
        fs::remove_file(&beside)?;
    }
    placed?;
    File::open(folder)?.sync_all()
}

fn refused(path: &Path, reason: String) -> LedgerError {
    LedgerError::KeyFile { path: path.to_owned(), reason }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_rotates_without_losing_the_old_public_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/log.key");
        let first = KeyFile::open(&path, "example.org/log").unwrap().current().public().clone();
        let mut file = KeyFile::open(&path, "example.org/log").unwrap();
        assert_eq!(file.current().public(), &first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        file.begin_rotation().unwrap();
        file.begin_rotation().unwrap();
        let between = KeyFile::load(&path).unwrap();
        assert_eq!(between.signers().count(), 2);
        assert_eq!(between.current().public(), &first);

        file.finish_rotation().unwrap();
        file.finish_rotation().unwrap();
        let after = KeyFile::load(&path).unwrap();
        assert_eq!(after.signers().count(), 1);
        assert_eq!(after.public_keys()[0], first);
        assert_eq!(after.public_keys().len(), 2);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("PRIVATE+KEY").count(), 1);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_read_or_of_another_log_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        KeyFile::open(&path, "example.org/log").unwrap();
        assert!(KeyFile::open(&path, "example.org/other").unwrap_err().to_string().contains("not one named"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(KeyFile::load(&path).unwrap_err().to_string().contains("chmod 600"));
        assert!(KeyFile::open(&folder.path().join("b.key"), "a b").is_err());
    }
}
