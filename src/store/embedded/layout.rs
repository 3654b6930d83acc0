//! Where the private cluster lives: `<data folder>/postgres/{data,run,server.log}` with the locks beside it. Chooses
//! other places only where the system leaves no choice: a socket path over the limit, a folder out of the server's reach.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::account::Account;
use super::error::EmbeddedError;

/// `sun_path` holds 108 bytes with its final zero; the server adds `/.s.PGSQL.5432.lock`.
const LONGEST_SOCKET_FOLDER: usize = 107 - "/.s.PGSQL.5432.lock".len();
/// The data folder's name in the cluster's home.
pub(super) const DATA: &str = "data";
/// The log's name in the cluster's home.
pub(super) const LOG: &str = "server.log";
/// Where root keeps what the server's user could not reach in root's own folders.
const SYSTEM_FOLDER: &str = "/var/lib/praetor";

/// The paths of one cluster.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Private to the account: everything below is the server's.
    pub(super) home: PathBuf,
    pub(super) data: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) log: PathBuf,
    /// Copies of programs that the account could not reach.
    pub(super) shelf: PathBuf,
    pub(super) start_lock: PathBuf,
    pub(super) user_lock: PathBuf,
}

impl Layout {
    /// Plans the cluster of a data folder and picks who runs it. Creates the data folder, nothing else.
    pub(super) fn plan(data_dir: &Path) -> Result<(Self, Account), EmbeddedError> {
        if rustix::process::geteuid().is_root() {
            public_folder(data_dir)?;
        } else {
            std::fs::create_dir_all(data_dir).map_err(EmbeddedError::io("create", data_dir))?;
        }
        let data_dir = data_dir.canonicalize().map_err(EmbeddedError::io("resolve", data_dir))?;
        let tag = hex::encode(Sha256::digest(data_dir.as_os_str().as_encoded_bytes()))[..12].to_owned();
        let mut home = data_dir.join("postgres");
        let mut account = Account::choose(&home)?;
        if account.switch && !account.passes(&data_dir) && data_dir.parent().is_some_and(|up| account.reaches(up)) {
            open_passage(&data_dir)?;
        }
        if !account.reaches(&data_dir) {
            home = Path::new(SYSTEM_FOLDER).join(&tag);
            account = Account::choose(&home)?;
        }
        let mut socket_dir = home.join("run");
        if socket_dir.as_os_str().len() > LONGEST_SOCKET_FOLDER {
            socket_dir = PathBuf::from(format!("/tmp/praetor-{tag}"));
        }
        let layout = Self {
            data: home.join(DATA),
            log: home.join(LOG),
            shelf: PathBuf::from(SYSTEM_FOLDER),
            start_lock: data_dir.join("postgres.start.lock"),
            user_lock: data_dir.join("postgres.users.lock"),
            home,
            socket_dir,
        };
        Ok((layout, account))
    }

    /// Creates the account's private folders.
    pub(super) fn prepare(&self, account: &Account) -> Result<(), EmbeddedError> {
        if let Some(parent) = self.home.parent() {
            public_folder(parent)?;
            if !account.reaches(parent) {
                return Err(EmbeddedError::Unreachable { path: parent.to_owned(), user: account.name.clone() });
            }
        }
        private_folder(&self.home, account)?;
        private_folder(&self.socket_dir, account)
    }
}

/// Lets others pass through (not list) the data folder itself; what lies in it stays private by its own mode.
fn open_passage(dir: &Path) -> Result<(), EmbeddedError> {
    let mode = std::fs::metadata(dir).map_err(EmbeddedError::io("read", dir))?.permissions().mode();
    std::fs::set_permissions(dir, PermissionsExt::from_mode(mode | 0o011)).map_err(EmbeddedError::io("open", dir))
}

/// Creates a folder and its missing parents so that all may pass, whatever the umask. Existing ones stay as they are.
pub(super) fn public_folder(dir: &Path) -> Result<(), EmbeddedError> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        public_folder(parent)?;
    }
    match std::fs::create_dir(dir) {
        // Another process may be as far as we are.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
        result => result.map_err(EmbeddedError::io("create", dir))?,
    }
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).map_err(EmbeddedError::io("open", dir))
}

fn private_folder(dir: &Path, account: &Account) -> Result<(), EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return account.own(dir),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(EmbeddedError::io("create", dir)(error)),
    }
    // In a folder like /tmp somebody else may have been here first: a link or a folder of theirs is not ours to use.
    let meta = std::fs::symlink_metadata(dir).map_err(EmbeddedError::io("read", dir))?;
    if meta.is_dir() && meta.uid() == 0 && account.switch {
        return account.own(dir);
    }
    if !meta.is_dir() || meta.uid() != account.uid || meta.permissions().mode() & 0o077 != 0 {
        return Err(EmbeddedError::ForeignFolder { path: dir.to_owned() });
    }
    Ok(())
}
