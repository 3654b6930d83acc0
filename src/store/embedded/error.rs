//! What can go wrong between "no database given" and a running private server. Every message says what to do about it.

use std::path::{Path, PathBuf};

/// Why the private PostgreSQL server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No folder holds initdb, pg_ctl and postgres.
    #[error(
        "no PostgreSQL 15 or newer found; install one, set PRAETOR_PG_BIN to its bin folder, or set DATABASE_URL (looked in: {searched})"
    )]
    NoBinaries {
        /// The places looked at, comma separated.
        searched: String,
    },
    /// PRAETOR_PG_BIN does not point at usable binaries.
    #[error("PRAETOR_PG_BIN={path} is not usable: {reason}", path = path.display())]
    BadBinaries {
        /// The folder named by the variable.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The data folder was made by another major version.
    #[error("{data} was created by PostgreSQL {cluster}, but only {found} is installed; install PostgreSQL {cluster}, or move the folder with pg_upgrade or pg_dump", data = data.display())]
    VersionMismatch {
        /// The cluster's data folder.
        data: PathBuf,
        /// Major version in its PG_VERSION.
        cluster: String,
        /// Major versions that were found.
        found: String,
    },
    /// Running as root, and nobody to become.
    #[error(
        "PostgreSQL does not run as root, and neither a `postgres` nor a `nobody` user exists to run it; create one or set DATABASE_URL"
    )]
    NoAccount,
    /// Running as root, and the unprivileged user cannot get at something.
    #[error("the user `{user}` who runs PostgreSQL cannot reach {path}; choose another place or open its parent folders", path = path.display())]
    Unreachable {
        /// The path out of reach.
        path: PathBuf,
        /// The unprivileged user.
        user: String,
    },
    /// A file or folder operation failed.
    #[error("cannot {what} {path}", path = path.display())]
    Io {
        /// The operation, as a verb.
        what: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A PostgreSQL program failed.
    #[error("{program} failed: {output}")]
    Program {
        /// initdb, pg_ctl or postgres.
        program: &'static str,
        /// The end of what it said.
        output: String,
    },
    /// Another process holds the start lock for too long.
    #[error("another praetor process has been starting or stopping the server for {seconds} s (lock {lock})", lock = lock.display())]
    Busy {
        /// The lock file.
        lock: PathBuf,
        /// How long this process waited.
        seconds: u64,
    },
    /// The folder for the socket belongs to somebody else.
    #[error("{path} is not a private folder of the user who runs PostgreSQL; remove it", path = path.display())]
    ForeignFolder {
        /// The folder in question.
        path: PathBuf,
    },
    /// A stop was asked for while others use the server.
    #[error("other praetor processes are using the server")]
    InUse,
}

impl EmbeddedError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
