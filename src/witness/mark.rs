//! A file with the last checkpoint that was seen: the memory of a witness, and what the log's own side keeps outside the
//! database so that an older state of it is noticed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ledger::{LedgerError, SignedCheckpoint, put_file};

/// Where a checkpoint is remembered.
#[derive(Debug, Clone)]
pub struct Mark(PathBuf);

/// Why a mark cannot be read or set.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The file cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no checkpoint.
    #[error("{} holds no checkpoint", path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: LedgerError,
    },
}

impl Mark {
    /// The mark in this file, which need not be there yet.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// What is remembered.
    pub fn read(&self) -> Result<Option<SignedCheckpoint>, MarkError> {
        match fs::read_to_string(&self.0) {
            Ok(note) => SignedCheckpoint::parse(&note)
                .map(Some)
                .map_err(|source| MarkError::Content { path: self.0.clone(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MarkError::Io { path: self.0.clone(), source }),
        }
    }

    /// Remembers a checkpoint. It is on the disk when this returns.
    pub fn write(&self, signed: &SignedCheckpoint) -> Result<(), MarkError> {
        put_file(&self.0, false, signed.to_string().as_bytes())
            .map_err(|source| MarkError::Io { path: self.0.clone(), source })
    }
}
