//! Everything that is kept, in PostgreSQL: decisions with their traces and cases, rule books, quarantined inputs, and the
//! ledger over them. The only module with SQL. It appends and reads; it never changes or removes a record, and its runtime
//! role could not. What can go is a subject's key, and with it what was sealed. It deals in strings and bytes and knows
//! nothing of what they mean.
//!
//! Queries are checked at compile time against the committed `.sqlx` folder (`.cargo/config.toml` sets SQLX_OFFLINE, so
//! a DATABASE_URL in the environment never reaches the compiler). After a change to a query or a migration,
//! `cargo xtask sqlx` renews that folder:
//!
//! 1. start a throw-away private cluster (`embedded`, which depends on nothing else, so this works while a query does
//!    not compile), and with its psql apply, as `praetor_owner`: `bootstrap.sql`,
//!    `CREATE TABLE praetor.migrations (version bigint PRIMARY KEY)`, and every `migrations/*.up.sql` in order;
//! 2. touch this file, then run `cargo check --lib` with `DATABASE_URL` set to that cluster, `SQLX_OFFLINE=false` and
//!    `SQLX_OFFLINE_DIR` set to an empty folder that exists: the macros write one file per query into it;
//! 3. that folder is the new `.sqlx`; the committed one is current if and only if both hold the same files;
//! 4. touch this file again: cargo does not track those variables.

mod answers;
mod api_keys;
mod artifacts;
mod batch_chunks;
mod batches;
mod config;
pub mod embedded;
mod erase;
mod error;
mod export;
mod jobs;
mod keys;
mod kms;
mod leaves;
mod list;
mod log;
mod migrate;
mod model;
mod pack;
mod publications;
mod read;
mod receipt;
mod records;
mod resolutions;
mod retain;
mod reviewed;
mod reviews;
mod seal;
mod sequence;
mod shadow;
mod tenant;
mod webhooks;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions, Connection, PgPool};

use crate::ledger::{KeyFile, PublicKey};
use config::{Address, As};
use embedded::{Cluster, EmbeddedError, Left};

pub use crate::ledger::Kind as RecordKind;
pub use answers::{Answered, Once};
pub use api_keys::{ApiKeyRow, FoundApiKey, NewApiKey, Rotated, Successor};
pub use artifacts::NewArtifact;
pub use batch_chunks::{BatchChunk, BatchLine, ChunkLines, DoneChunk};
pub use batches::{BatchCursor, BatchEnd, BatchRow, Ended, NewBatch};
pub use config::{StoreConfig, default_data_dir};
pub use erase::{Hold, Whose};
pub use error::{Source, StoreError};
pub use export::{DecisionColumns, KeptRecord, LeafContent, LeafRecord};
pub use jobs::{CHUNK_TASK, ChunkJob};
pub use kms::{FileKms, Kms, KmsError, Wrapped};
pub use list::{DecisionFilter, DecisionRow};
pub use log::{Lag, Leaf, Log, StoredCheckpoint};
pub use model::{
    Body, Erased, Hash, MigrationStatus, NewDecision, NewRecord, NewRejection, NewTask, Recorded, Rows, Status,
    StoredDecision, StoredRecord, StoredRejection,
};
pub use publications::{InForce, NewPublication, PublicationRow, Step, StepRow, Stepped};
pub use receipt::Receipted;
pub use resolutions::{Appealed, NewAppeal, NewResolution, RemedyColumns, ResolutionRow};
pub use retain::{PastMonth, RetentionYears, TooShort};
pub use reviewed::{Judged, Outcome, Twice, Waiting};
pub use reviews::{Claim, TaskFilter, TaskRow};
pub use sequence::Sequencer;
pub use shadow::{ShadowCase, ShadowRow, ShadowSums};
pub use tenant::{NotATenant, TenantId, TenantRow, TenantStore};
pub use webhooks::{Delivery, DispatchLock, LedgerEvent, NewWebhook, SECRET_OVERLAP_HOURS, WebhookRow};

/// The PostgreSQL programs that a private server would use.
pub fn postgres_found() -> Result<String, StoreError> {
    let found = embedded::Binaries::find_all()?;
    let best = found.first().map(|b| format!("PostgreSQL {} ({})", b.version, b.bin.display()));
    Ok(best.unwrap_or_default())
}

const CONNECTIONS: u32 = 8;

/// Connections of the job queue: one listens, the others fetch jobs, say that the worker lives and look for dead ones.
const JOB_CONNECTIONS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(30);

/// The open store. Close it when done: the last user of a private server stops it.
pub struct Store {
    pool: PgPool,
    jobs: PgPool,
    kms: Arc<dyn Kms>,
    month: Arc<AtomicI32>,
    log_key: PathBuf,
    origin: String,
    address: Address,
    cluster: Option<Cluster>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database of a URL, or the private one, which is created and started if need be. Does not migrate.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let (address, cluster) = match config.database_url.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => (Address::from_url(url)?, None),
            None => {
                let data_dir = config.data_dir.clone();
                let cluster = blocking(move || Cluster::attach(&data_dir)).await?;
                (Address::from_cluster(&cluster), Some(cluster))
            }
        };
        let pool_of = |most| {
            let options = PgPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE);
            options.connect_lazy_with(address.options(As::App))
        };
        let (pool, jobs) = (pool_of(CONNECTIONS), pool_of(JOB_CONNECTIONS));
        let kms = Arc::new(FileKms::open(&config.master_key())?);
        let (log_key, origin) = (config.log_key(), config.origin().to_owned());
        let store = Self { pool, jobs, kms, month: Arc::default(), log_key, origin, address, cluster };
        // The runtime role may not exist yet: only see that somebody is there.
        store.connect(As::Itself).await?.close().await.map_err(StoreError::query("close"))?;
        Ok(store)
    }

    /// The store as a tenant sees it.
    pub fn tenant(&self, tenant: &TenantId) -> TenantStore {
        TenantStore {
            pool: self.pool.clone(),
            kms: Arc::clone(&self.kms),
            tenant: tenant.clone(),
            month: Arc::clone(&self.month),
        }
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query!("SELECT 1 AS one").fetch_one(&self.pool).await.map_err(StoreError::query("answer"))?;
        Ok(())
    }

    /// Connections that are open, those of them that are idle, and tasks of this process that wait for one to begin.
    pub fn connections(&self) -> (u32, u32, u32) {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        (self.pool.size(), idle, tenant::waiting())
    }

    /// All tenants.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let mut tx = tenant::begin_for_all(&self.pool).await?;
        let names = sqlx::query_scalar!("SELECT tenant FROM praetor.tenants ORDER BY tenant")
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::query("list the tenants"))?;
        let damaged = |id: String| move |_| StoreError::Damaged { what: "tenant", id, source: None };
        names.into_iter().map(|name| name.parse().map_err(damaged(name))).collect()
    }

    /// Tenants by name after one (None: from the first), at most `limit`.
    pub async fn tenants_after(&self, after: Option<&TenantId>, limit: u16) -> Result<Vec<TenantRow>, StoreError> {
        let mut tx = tenant::begin_for_all(&self.pool).await?;
        sqlx::query_as!(
            TenantRow,
            r#"SELECT tenant, created_at FROM praetor.tenants WHERE tenant COLLATE "C" > $1 ORDER BY tenant COLLATE "C" LIMIT $2"#,
            after.map_or("", TenantId::as_str),
            i64::from(limit),
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("list the tenants"))
    }

    /// The log's public keys, from its key file.
    pub fn log_keys(&self) -> Result<Vec<PublicKey>, StoreError> {
        Ok(KeyFile::load(&self.log_key)?.public_keys())
    }

    /// The address, without password; for a private server, as the runtime role.
    pub fn url(&self) -> String {
        self.address.url(As::App)
    }

    /// The address as the owner of the tables, for a private server; the same as `url` for any other.
    pub fn owner_url(&self) -> String {
        self.address.url(As::Owner)
    }

    /// True if this is praetor's own private server.
    pub fn is_private(&self) -> bool {
        self.cluster.is_some()
    }

    /// Closes all connections. The last user of a private server stops it, unless somebody else, such as psql, is
    /// connected.
    pub async fn close(self) -> Result<Left, StoreError> {
        self.finish(false).await
    }

    /// Closes all connections and lets a private server run, for psql to use.
    pub async fn leave_running(self) -> Result<Left, StoreError> {
        self.finish(true).await
    }

    /// Stops the private server of a data folder, unless praetor processes use it.
    pub async fn stop(config: &StoreConfig) -> Result<(), StoreError> {
        let data_dir = config.data_dir.clone();
        Ok(blocking(move || Cluster::stop(&data_dir)).await?)
    }

    async fn finish(mut self, keep_running: bool) -> Result<Left, StoreError> {
        self.jobs.close().await;
        self.pool.close().await;
        let Some(cluster) = self.cluster.take() else { return Ok(Left::Running) };
        let keep = keep_running || self.visitors().await.unwrap_or(0) > 0;
        Ok(blocking(move || cluster.detach(keep)).await?)
    }

    /// Sessions on the private server that are not praetor's.
    async fn visitors(&self) -> Result<i64, StoreError> {
        let what = "look at other sessions";
        let mut connection = self.address.superuser().connect().await.map_err(StoreError::query(what))?;
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM pg_catalog.pg_stat_activity
               WHERE backend_type = 'client backend' AND application_name <> 'praetor'"#
        )
        .fetch_one(&mut connection)
        .await
        .map_err(StoreError::query(what))?;
        connection.close().await.map_err(StoreError::query(what))?;
        Ok(count)
    }

    fn connect_error(&self, error: sqlx::Error) -> StoreError {
        let said =
            error.as_database_error().map(|e| (e.code().unwrap_or_default().into_owned(), e.message().to_owned()));
        match said {
            Some((code, _)) if code == "22023" => StoreError::NotMigrated { source: error.into() },
            Some((_, reason)) => StoreError::Connect { endpoint: self.url(), reason, source: error.into() },
            None => {
                let reason = match &error {
                    sqlx::Error::Io(cause) => cause.to_string(),
                    sqlx::Error::Tls(_) => "no TLS connection".to_owned(),
                    _ => "it does not answer".to_owned(),
                };
                StoreError::Connect { endpoint: self.url(), reason, source: error.into() }
            }
        }
    }
}

/// Runs what waits for locks and child processes off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbeddedError> + Send + 'static,
) -> Result<T, EmbeddedError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(EmbeddedError::Program { program: "praetor", output: error.to_string() }),
    }
}
