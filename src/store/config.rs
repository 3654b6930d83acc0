//! Which database to use, and how its address is shown: with everything but the password.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::embedded::{self, Cluster};
use super::error::StoreError;

/// Which database to use, and where the keys lie.
#[derive(Clone, Default)]
pub struct StoreConfig {
    /// A `postgres://` URL; without one a private server below `data_dir` is used.
    pub database_url: Option<String>,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The file of the master key; by default `master.key` below `data_dir`.
    pub master_key: Option<PathBuf>,
    /// The file of the key that signs the ledger; by default `log.key` below `data_dir`.
    pub log_key: Option<PathBuf>,
    /// The ledger's name, which its checkpoints bear; by default `praetor`.
    pub origin: Option<String>,
}

impl StoreConfig {
    /// The file of the key that signs the ledger.
    pub fn log_key(&self) -> PathBuf {
        self.log_key.clone().unwrap_or_else(|| self.data_dir.join("log.key"))
    }

    /// The ledger's name.
    pub fn origin(&self) -> &str {
        self.origin.as_deref().unwrap_or("praetor")
    }

    pub(super) fn master_key(&self) -> PathBuf {
        self.master_key.clone().unwrap_or_else(|| self.data_dir.join("master.key"))
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.database_url.as_ref().map(|_| "<hidden>");
        f.debug_struct("StoreConfig").field("database_url", &url).field("data_dir", &self.data_dir).finish()
    }
}

/// The data folder if none is given: `$XDG_DATA_HOME/praetor`, else `~/.local/share/praetor`; for root, whose home no
/// other user can enter, `/var/lib/praetor/data`.
pub fn default_data_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(base) = set("XDG_DATA_HOME") {
        return base.join("praetor");
    }
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/praetor/data");
    }
    set("HOME").map_or_else(|| PathBuf::from(".praetor"), |home| home.join(".local/share/praetor"))
}

/// The role to act as on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// Whoever the address says.
    Itself,
    /// The owner, for migrations.
    Owner,
    /// The runtime role, for everything else.
    App,
}

/// How to reach the database.
#[derive(Clone)]
pub(super) enum Address {
    Server(Box<PgConnectOptions>),
    Private { socket_dir: PathBuf, port: u16 },
}

impl Address {
    pub(super) fn from_url(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Url { source: error.into() })?;
        Ok(Self::Server(Box::new(options.application_name("praetor"))))
    }

    pub(super) fn from_cluster(cluster: &Cluster) -> Self {
        Self::Private { socket_dir: cluster.socket_dir().to_owned(), port: cluster.port() }
    }

    pub(super) fn options(&self, role: As) -> PgConnectOptions {
        match (self, role) {
            (Self::Server(options), As::Itself) => (**options).clone(),
            // Given at connect, the role is the session's default: not even RESET ROLE gets behind it unnoticed.
            (Self::Server(options), As::Owner) => options.as_ref().clone().options([("role", embedded::OWNER)]),
            (Self::Server(options), As::App) => options.as_ref().clone().options([("role", embedded::APP)]),
            (Self::Private { .. }, As::Itself | As::Owner) => self.private(embedded::OWNER),
            (Self::Private { .. }, As::App) => self.private(embedded::APP),
        }
    }

    /// The private server's superuser, to look at other sessions.
    pub(super) fn superuser(&self) -> PgConnectOptions {
        self.private(embedded::SUPERUSER)
    }

    fn private(&self, user: &str) -> PgConnectOptions {
        let Self::Private { socket_dir, port } = self else { return self.options(As::Itself) };
        PgConnectOptions::new_without_pgpass()
            .socket(socket_dir)
            .port(*port)
            .username(user)
            .database(embedded::DATABASE)
            .ssl_mode(PgSslMode::Disable)
            .application_name("praetor")
    }

    /// The address for people and for psql, without password. `role` matters for a private server only.
    pub(super) fn url(&self, role: As) -> String {
        let options = self.options(role);
        let database = encode(options.get_database().unwrap_or(options.get_username()));
        let user = encode(options.get_username());
        match options.get_socket() {
            Some(socket) => {
                let folder = encode(&socket.to_string_lossy());
                format!("postgres:///{database}?host={folder}&port={}&user={user}", options.get_port())
            }
            None => format!("postgres://{user}@{}:{}/{database}", options.get_host(), options.get_port()),
        }
    }
}

/// Percent-encodes all that is not plainly harmless in a URL.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
