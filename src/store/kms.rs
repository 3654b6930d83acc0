//! The master key, which wraps the subjects' keys. It lies outside the database: in a file, or with a key management
//! service behind the same trait. Nothing here reads or writes a record.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::seal::Key;

/// Why a master key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// The file cannot be read or written.
    #[error("the master key file {} cannot be used: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{} is no master key file: each line is a key of 64 hexadecimal digits", path.display())]
    Shape {
        /// Which one.
        path: PathBuf,
    },
    /// Keys are wrapped by a master key that is not there.
    #[error("the master key {master} is not in {place}; put its file there or name it with PRAETOR_MASTER_KEY")]
    Missing {
        /// Its id.
        master: String,
        /// Where it was looked for.
        place: String,
    },
    /// A wrapped key was not made by this master key for this subject.
    #[error("a wrapped key is damaged")]
    Damaged,
}

/// A key as it is kept: wrapped, and by which master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The master key's id.
    pub master: String,
    /// The wrapped key.
    pub bytes: Vec<u8>,
}

/// Whatever holds master keys and never gives them away. A call may take as long as a disk or a network does.
pub trait Kms: Send + Sync {
    /// The id of the master key that wraps now; None if there is none yet.
    fn current(&self) -> Result<Option<String>, KmsError>;

    /// Wraps a key for one place alone. Makes the first master key if there is none.
    fn wrap(&self, key: &[u8; 32], place: &[u8]) -> Result<Wrapped, KmsError>;

    /// Unwraps a key that was wrapped for this place, by the present master key or a former one.
    fn unwrap(&self, wrapped: &Wrapped, place: &[u8]) -> Result<Zeroizing<[u8; 32]>, KmsError>;

    /// Makes a new master key, which wraps from now on. Former ones still unwrap.
    fn rotate(&self) -> Result<String, KmsError>;
}

/// Master keys in a file that only its owner reads: one a line, the last one wraps.
pub struct FileKms {
    path: PathBuf,
    keys: Mutex<Vec<(String, Key)>>,
}

impl FileKms {
    /// The keys of this file, which need not exist yet.
    pub fn open(path: &Path) -> Result<Self, KmsError> {
        let kms = Self { path: path.to_owned(), keys: Mutex::default() };
        kms.reload()?;
        Ok(kms)
    }

    fn reload(&self) -> Result<(), KmsError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(self.file(source)),
        };
        let keys: Option<Vec<_>> = text.lines().map(parse).collect();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or_else(|| KmsError::Shape { path: self.path.clone() })?;
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Adds a key. Where `first`, only to a file that is not there: of several processes one makes it, all use it.
    fn add(&self, first: bool) -> Result<(), KmsError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| self.file(source))?;
        let lines = || -> std::io::Result<Zeroizing<String>> {
            let mut lines = if first { String::new() } else { fs::read_to_string(&self.path)? };
            if !lines.is_empty() && !lines.ends_with('\n') {
                lines.push('\n');
            }
            lines += &hex::encode(Key::random().bytes());
            lines.push('\n');
            Ok(Zeroizing::new(lines))
        };
        let draft = self.path.with_extension(format!("{:016x}", rand::random::<u64>()));
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(lines()?.as_bytes())?;
            file.sync_all()?;
            if first { fs::hard_link(&draft, &self.path) } else { fs::rename(&draft, &self.path) }
        };
        let written = write();
        let _ = fs::remove_file(&draft); // gone already after a rename
        match written {
            Err(error) if !(first && error.kind() == ErrorKind::AlreadyExists) => Err(self.file(error)),
            _ => self.reload(),
        }
    }

    fn file(&self, source: std::io::Error) -> KmsError {
        KmsError::File { path: self.path.clone(), source }
    }

    fn with<T>(&self, find: impl Fn(&[(String, Key)]) -> Option<T>) -> Option<T> {
        find(&self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kms for FileKms {
    fn current(&self) -> Result<Option<String>, KmsError> {
        Ok(self.with(|keys| keys.last().map(|(id, _)| id.clone())))
    }

    fn wrap(&self, key: &[u8; 32], place: &[u8]) -> Result<Wrapped, KmsError> {
        let wrap = |keys: &[(String, Key)]| {
            keys.last().map(|(id, master)| Wrapped { master: id.clone(), bytes: master.seal(place, key) })
        };
        if let Some(wrapped) = self.with(wrap) {
            return Ok(wrapped);
        }
        self.add(true)?;
        self.with(wrap).ok_or_else(|| KmsError::Shape { path: self.path.clone() })
    }

    fn unwrap(&self, wrapped: &Wrapped, place: &[u8]) -> Result<Zeroizing<[u8; 32]>, KmsError> {
        let open = |keys: &[(String, Key)]| {
            let (_, master) = keys.iter().find(|(id, _)| *id == wrapped.master)?;
            Some(master.open(place, &wrapped.bytes).and_then(|key| <[u8; 32]>::try_from(key.as_slice()).ok()))
        };
        let mut found = self.with(open);
        if found.is_none() {
            self.reload()?; // another process may have rotated
            found = self.with(open);
        }
        let missing = || KmsError::Missing { master: wrapped.master.clone(), place: self.path.display().to_string() };
        found.ok_or_else(missing)?.map(Zeroizing::new).ok_or(KmsError::Damaged)
    }

    fn rotate(&self) -> Result<String, KmsError> {
        self.add(!self.path.exists())?;
        self.current()?.ok_or_else(|| KmsError::Shape { path: self.path.clone() })
    }
}

/// A key of the file with its id: the beginning of its SHA-256.
fn parse(line: &str) -> Option<(String, Key)> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(line.trim(), bytes.as_mut_slice()).ok()?;
    Some((hex::encode(&Sha256::digest(bytes.as_slice())[..8]), Key::new(bytes)))
}
