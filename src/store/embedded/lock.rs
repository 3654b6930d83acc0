//! Two advisory locks beside the cluster. `start` is held for moments by whoever starts or stops the server; `users` is
//! held shared by every process as long as it uses the server, so the last one out is the one that can take it alone.
//! The kernel drops both when a process dies, so there is no such thing as a stale lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::EmbeddedError;

const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(25);

/// Holds the start lock until dropped.
#[derive(Debug)]
pub(super) struct StartLock {
    file: File,
}

impl StartLock {
    /// Waits for the lock, for as long as a slow machine may need to create a cluster.
    pub(super) fn take(path: &Path) -> Result<Self, EmbeddedError> {
        let file = open(path)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(EmbeddedError::Busy { lock: path.to_owned(), seconds: PATIENCE.as_secs() });
                }
                Err(TryLockError::Error(source)) => return Err(EmbeddedError::io("lock", path)(source)),
            }
        }
    }
}

/// One process's share in the running server.
#[derive(Debug)]
pub(super) struct UserLock {
    file: File,
    path: PathBuf,
}

impl UserLock {
    /// Joins. Only to be called under the start lock: nobody else then holds it alone, so this does not block.
    pub(super) fn join(path: &Path, _start: &StartLock) -> Result<Self, EmbeddedError> {
        let file = open(path)?;
        file.lock_shared().map_err(EmbeddedError::io("lock", path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// True if nobody else uses the server. Only to be called under the start lock, so that nobody joins meanwhile.
    pub(super) fn alone(&self, _start: &StartLock) -> Result<bool, EmbeddedError> {
        match self.file.try_lock() {
            Ok(()) => {}
            // A failed conversion may have given up our share: take it again.
            Err(TryLockError::WouldBlock) => {
                self.file.lock_shared().map_err(EmbeddedError::io("lock", &self.path))?;
                return Ok(false);
            }
            Err(TryLockError::Error(source)) => return Err(EmbeddedError::io("lock", &self.path)(source)),
        }
        self.file.lock_shared().map_err(EmbeddedError::io("lock", &self.path))?;
        Ok(true)
    }
}

/// Closing the file is not enough: a child process between fork and exec holds a copy of it for a moment, and with it the lock.
impl Drop for StartLock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Drop for UserLock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> Result<File, EmbeddedError> {
    // Never truncated or removed: other processes hold locks on this very file.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(EmbeddedError::io("open the lock file", path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_given_back_is_free_though_a_child_has_a_copy_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (start, users) = (folder.path().join("start"), folder.path().join("users"));
        let started = StartLock::take(&start).unwrap();
        let copy = started.file.try_clone().unwrap();
        drop(started);
        let started = StartLock::take(&start).unwrap();
        let [first, second] = [(); 2].map(|()| UserLock::join(&users, &started).unwrap());
        let another = first.file.try_clone().unwrap();
        assert!(!second.alone(&started).unwrap());
        drop(first);
        assert!(second.alone(&started).unwrap());
        drop((copy, another));
    }
}
