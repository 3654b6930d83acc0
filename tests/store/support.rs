//! The shared cluster, fresh databases in it, and records to put into them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use praetor::store::embedded::{Binaries, Cluster};
use praetor::store::{NewArtifact, NewDecision, Store, StoreConfig, TenantId, TenantStore};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database of its own for one test.
pub(crate) struct Database {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) name: String,
}

/// The cluster of this run; it lives as long as some test uses it.
fn shared() -> Arc<Cluster> {
    let mut slot = SHARED.lock().unwrap();
    if let Some(cluster) = slot.upgrade() {
        return cluster;
    }
    // A cluster belongs to one major version and one user; another one found tomorrow gets its own.
    let (major, user) = (Binaries::find_all().unwrap()[0].major, rustix::process::geteuid().as_raw());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{major}-{user}"));
    let cluster = Arc::new(Cluster::attach(&folder).unwrap());
    *slot = Arc::downgrade(&cluster);
    cluster
}

impl Database {
    pub(crate) async fn create() -> Self {
        let cluster = tokio::task::spawn_blocking(shared).await.unwrap();
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let database = Self { cluster, name };
        let mut admin = database.session("postgres", "postgres").await;
        // What an interrupted run left behind goes first, should its process id come back.
        for statement in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
            admin.execute(AssertSqlSafe(format!("{statement} {}", database.name))).await.unwrap();
        }
        admin.close().await.unwrap();
        database
    }

    /// A fresh database with the schema in it, and the store on it.
    pub(crate) async fn migrated() -> (Self, Store) {
        let database = Self::create().await;
        let store = Store::open(&database.config("postgres")).await.unwrap();
        store.migrate().await.unwrap();
        (database, store)
    }

    pub(crate) fn config(&self, user: &str) -> StoreConfig {
        let url = url(self.cluster.socket_dir(), user, &self.name);
        // The same keys for all databases of the run.
        let key = |name| Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        let (master_key, log_key) = (key("master.key"), key("log.key"));
        StoreConfig {
            database_url: Some(url),
            data_dir: PathBuf::from("/nonexistent"),
            master_key,
            log_key,
            origin: None,
        }
    }

    pub(crate) async fn session(&self, user: &str, database: &str) -> PgConnection {
        session(self.cluster.socket_dir(), user, database).await
    }

    pub(crate) async fn drop(self) {
        let mut admin = self.session("postgres", "postgres").await;
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        admin.execute(AssertSqlSafe(statement)).await.unwrap();
        admin.close().await.unwrap();
        // Stopping the server blocks.
        tokio::task::spawn_blocking(move || drop(self.cluster)).await.unwrap();
    }
}

pub(crate) fn url(socket_dir: &Path, user: &str, database: &str) -> String {
    format!("postgres:///{database}?host={}&user={user}", socket_dir.display())
}

pub(crate) async fn session(socket_dir: &Path, user: &str, database: &str) -> PgConnection {
    let options = url(socket_dir, user, database).parse::<PgConnectOptions>().unwrap();
    options.application_name("praetor").connect().await.unwrap()
}

/// A private store's configuration.
pub(crate) fn private(data_dir: &Path) -> StoreConfig {
    StoreConfig { database_url: None, data_dir: data_dir.to_owned(), ..StoreConfig::default() }
}

/// The records of the default tenant.
pub(crate) fn own(store: &Store) -> TenantStore {
    store.tenant(&TenantId::default())
}

pub(crate) async fn close(store: Store, database: Database) {
    store.close().await.unwrap();
    database.drop().await;
}

/// An artifact of these bytes.
pub(crate) fn artifact(bytes: &[u8]) -> NewArtifact {
    NewArtifact { hash: Sha256::digest(bytes).into(), kind: "rulebook", bytes: bytes.to_vec() }
}

/// The n-th sample decision.
pub(crate) fn decision(n: u32) -> NewDecision {
    let case = format!(r#"{{"ticket_id":"T{n}","说明":"坏果"}}"#).into_bytes();
    let case_hash = Sha256::digest(&case).into();
    NewDecision {
        id: format!("dec_{n:08}"),
        subject: format!("buyer-{n}"),
        ticket_id: format!("T{n}"),
        case_hash,
        case,
        outcome: "auto".into(),
        sop_id: Some("fresh_spoiled.produce".into()),
        sop_version: Some(1),
        remedy_kind: Some("partial_refund".into()),
        refund_fen: Some(6145),
        compensation_fen: Some(0),
        body: format!(r#"{{"id":"dec_{n:08}"}}"#).into_bytes(),
        trace: br#"{"nodes":[]}"#.repeat(50),
        task: None,
    }
}
