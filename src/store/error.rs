//! What can go wrong in the store. Messages speak of the store; what the driver said is only in `source`.

use super::embedded::EmbeddedError;
use super::kms::KmsError;
use crate::ledger::LedgerError;

/// The cause kept behind a store error.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The private server cannot be used.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The database URL makes no sense. The URL is not repeated: it may hold a password.
    #[error("the database URL is not a valid postgres:// URL")]
    Url {
        /// The driver's reason.
        source: Source,
    },
    /// There is no talking to the database.
    #[error("the database at {endpoint} cannot be reached: {reason}")]
    Connect {
        /// The place, without any password.
        endpoint: String,
        /// In a few words.
        reason: String,
        /// The driver's reason.
        source: Source,
    },
    /// The schema is missing or older than this program.
    #[error("the database has not been migrated; run `praetor db migrate`")]
    NotMigrated {
        /// The driver's reason.
        source: Source,
    },
    /// The database user lacks a privilege.
    #[error("the database user lacks a privilege: {reason}")]
    Privilege {
        /// Which one.
        reason: String,
        /// The driver's reason.
        source: Source,
    },
    /// A change to what is recorded was refused.
    #[error("the records are append-only: {reason}")]
    AppendOnly {
        /// Which change.
        reason: String,
        /// The driver's reason.
        source: Source,
    },
    /// A migration cannot be applied or undone.
    #[error("the database cannot be migrated: {reason}")]
    Migration {
        /// What stands in the way.
        reason: String,
        /// The driver's reason.
        source: Source,
    },
    /// Something is recorded under the same id with other bytes.
    #[error("recorded already with other content: {}", ids.join(", "))]
    Conflict {
        /// The ids, at most 20.
        ids: Vec<String>,
    },
    /// A record does not match its own hash.
    #[error("the stored {what} {id} is damaged")]
    Damaged {
        /// Kind of record.
        what: &'static str,
        /// Its id.
        id: String,
        /// What showed it, if not the hash.
        source: Option<Source>,
    },
    /// The master key cannot be used.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The ledger's key or tree cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log was signed by another key.
    #[error("the ledger was signed by a key that is not in {}: records stay pending until its owner sequences them", path.display())]
    ForeignLogKey {
        /// Where the key was looked for.
        path: std::path::PathBuf,
    },
    /// The tenant is not known.
    #[error("there is no such tenant; add it with `praetor db tenants --add`")]
    NoTenant {
        /// The driver's reason.
        source: Source,
    },
    /// Nothing is recorded of that subject or ticket, or it was erased already.
    #[error("nothing is recorded of that subject or ticket, or it was erased already")]
    NoSubject,
    /// The subject is under legal hold.
    #[error("the subject is under legal hold: nothing was erased")]
    Held {
        /// The driver's reason.
        source: Source,
    },
    /// Some of a month is under legal hold.
    #[error("{month} holds records under legal hold: it was not set aside")]
    MonthHeld {
        /// Year and month.
        month: String,
    },
    /// The key of a record was destroyed.
    #[error("erased on {at} by {by}")]
    Erased {
        /// The record that says why.
        by: String,
        /// When.
        at: chrono::DateTime<chrono::Utc>,
    },
    /// The database answered something else than it was asked.
    #[error("the database gave a row that nobody asked for")]
    Raced,
    /// An argument the database cannot hold.
    #[error("{what} cannot be stored")]
    Argument {
        /// Which one.
        what: &'static str,
        /// Why.
        source: Source,
    },
    /// Any other failure of a statement.
    #[error("the database failed to {what}")]
    Query {
        /// What was being done.
        what: &'static str,
        /// The driver's reason.
        source: Source,
    },
}

impl StoreError {
    /// True if the database does not answer at present: the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        let source = match self {
            Self::Connect { .. } => return true,
            Self::Query { source, .. } => source.downcast_ref::<sqlx::Error>(),
            _ => None,
        };
        match source {
            Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_)) => {
                true
            }
            // operator intervention (57P01 to 57P03), connection exceptions, too many connections
            Some(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "53300")
            }
            _ => false,
        }
    }

    /// Sorts a driver error that came up while doing `what`.
    pub(super) fn query(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| {
            let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned();
            let constraint = error.as_database_error().and_then(|e| e.constraint()).unwrap_or_default();
            let reason = || error.as_database_error().map(|e| e.message().to_owned()).unwrap_or_default();
            match code.as_str() {
                // undefined table, schema or role
                "42P01" | "3F000" | "22023" => Self::NotMigrated { source: error.into() },
                "42501" => Self::Privilege { reason: reason(), source: error.into() },
                "23503" if constraint.ends_with("_tenant_fkey") => Self::NoTenant { source: error.into() },
                "55006" => Self::Held { source: error.into() },
                "23001" => Self::AppendOnly { reason: reason(), source: error.into() },
                _ => Self::Query { what, source: error.into() },
            }
        }
    }

    pub(super) fn migration(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        let reason = match &error {
            MigrateError::VersionMissing(version) => {
                format!("it knows migration {version}, which this program does not; use a newer praetor")
            }
            MigrateError::VersionMismatch(version) => format!("migration {version} was applied in another form"),
            MigrateError::Dirty(version) => format!("migration {version} was applied only in part"),
            MigrateError::ExecuteMigration(cause, version) => {
                let said = cause.as_database_error().map_or_else(String::new, |e| format!(": {}", e.message()));
                format!("migration {version} failed{said}")
            }
            MigrateError::Execute(cause) => {
                cause.as_database_error().map_or_else(|| "a statement failed".to_owned(), |e| e.message().to_owned())
            }
            _ => "a migration failed".to_owned(),
        };
        Self::Migration { reason, source: error.into() }
    }
}
