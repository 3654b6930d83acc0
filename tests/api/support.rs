//! A running service with a database of its own, and a client for it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use praetor::api::{Application, FreshKey, Role};
use praetor::batch::{Foreground, Worker};
use praetor::config::{BatchConfig, ReviewConfig, ServeConfig};
use praetor::decision::Gate;
use praetor::judge::{Judge, JudgeConfig};
use praetor::ledger::{KeyFile, PublicKey};
use praetor::live::Live;
use praetor::pipeline::Pipeline;
use praetor::record::{Actor, access};
use praetor::store::{NewApiKey, Store, StoreConfig, TenantId};
use reqwest::{Client, Method, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::pipeline::{BOOK, repo};
use crate::store::support::Database;

/// The shipped rules and models, opened once.
pub(super) static PIPELINE: LazyLock<Arc<Pipeline>> = LazyLock::new(|| {
    let judge = Judge::open(&repo("models"), &JudgeConfig::default()).unwrap();
    Arc::new(Pipeline::new(BOOK.clone(), judge).unwrap().gated(Gate::Open))
});

/// A running service.
pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) client: Client,
    pub(super) base: String,
    database: Database,
    handle: actix_web::dev::ServerHandle,
    running: JoinHandle<std::io::Result<()>>,
}

impl Service {
    pub(super) async fn start() -> Self {
        Self::with(ServeConfig::default()).await
    }

    pub(super) async fn with(config: ServeConfig) -> Self {
        let pipeline = tokio::task::spawn_blocking(|| Arc::clone(&PIPELINE)).await.unwrap();
        Self::deciding(config, pipeline, Gate::Open).await
    }

    /// With these bounds of backlogs.
    pub(super) async fn with_batch(batch: &BatchConfig) -> Self {
        Self::with(ServeConfig { backlogs: batch.clone(), ..ServeConfig::default() }).await
    }

    /// With this pipeline, and this gate under rules that are published.
    pub(super) async fn deciding(config: ServeConfig, pipeline: Arc<Pipeline>, gate: Gate) -> Self {
        Self::on(config, ReviewConfig::default(), pipeline, gate).await
    }

    /// With reviews ordered like this.
    pub(super) async fn reviewing(review: ReviewConfig) -> Self {
        let pipeline = tokio::task::spawn_blocking(|| Arc::clone(&PIPELINE)).await.unwrap();
        Self::on(ServeConfig::default(), review, pipeline, Gate::Open).await
    }

    async fn on(mut config: ServeConfig, review: ReviewConfig, pipeline: Arc<Pipeline>, gate: Gate) -> Self {
        config.listen = ([127, 0, 0, 1], 0).into();
        let (database, store) = Database::migrated().await;
        let store = Arc::new(store);
        let gate_of = Arc::new(move |_: &_| gate.clone());
        let application = Application::build(&config, &review, pipeline, gate_of, Arc::clone(&store)).unwrap();
        let base = format!("http://{}", application.address());
        let handle = application.handle();
        let running = tokio::spawn(application.run());
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The server closes a connection that was idle for five seconds: none of nearly that age is used again.
        let client = Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(2)).build().unwrap();
        Self { store, client, base, database, handle, running }
    }

    pub(super) async fn stop(self) {
        self.handle.stop(true).await;
        self.running.await.unwrap().unwrap();
        Arc::into_inner(self.store).unwrap().close().await.unwrap();
        self.database.drop().await;
    }

    /// Works on batches, in this process, until the sender says so.
    pub(super) fn work(&self, batch: &BatchConfig) -> (watch::Sender<bool>, JoinHandle<()>) {
        let (stop, stopped) = watch::channel(false);
        (stop, tokio::spawn(worker(&self.store, batch).run(stopped)))
    }

    /// What no role of the service could ask: a count over all tenants.
    pub(super) async fn count(&self, query: &'static str) -> i64 {
        let mut admin = self.database.session("postgres", &self.database.name).await;
        sqlx::query_scalar(query).fetch_one(&mut admin).await.unwrap()
    }

    /// How another process opens the store.
    pub(super) fn store_config(&self) -> StoreConfig {
        self.database.config("postgres")
    }

    /// The program itself on the service's database, in English.
    pub(super) fn praetor(&self, args: &[&str]) -> std::process::Output {
        let config = self.database.config("postgres");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_praetor"));
        command.current_dir(repo("")).env("DATABASE_URL", config.database_url.unwrap());
        command.env("PRAETOR_MASTER_KEY", config.master_key.unwrap()).env("PRAETOR_LOG_KEY", config.log_key.unwrap());
        command.args(["--lang", "en"]).args(args).output().unwrap()
    }

    /// The public keys of the log.
    pub(super) fn log_keys(&self) -> Vec<PublicKey> {
        let config = self.database.config("postgres");
        KeyFile::open(&config.log_key(), config.origin()).unwrap().public_keys()
    }

    /// A key of a tenant, which is made if need be.
    pub(super) async fn key(&self, role: Role, tenant: &str) -> String {
        self.key_until(role, tenant, None).await
    }

    pub(super) async fn key_until(&self, role: Role, tenant: &str, expires_at: Option<DateTime<Utc>>) -> String {
        key_in(&self.store, role, tenant, expires_at).await
    }

    pub(super) fn request(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        if key.is_empty() { request } else { request.bearer_auth(key) }
    }

    pub(super) async fn get(&self, path: &str, key: &str) -> Response {
        self.request(Method::GET, path, key).send().await.unwrap()
    }

    pub(super) fn post(&self, path: &str, key: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, path, key).header("content-type", "application/json").body(body)
    }

    pub(super) async fn decide(&self, key: &str, ticket: &str) -> Response {
        self.post("/v1/decisions", key, ticket.to_owned()).send().await.unwrap()
    }
}

/// A key of a tenant, which is made if need be.
pub(super) async fn key_in(store: &Store, role: Role, tenant: &str, expires_at: Option<DateTime<Utc>>) -> String {
    let fresh = FreshKey::generate().unwrap();
    let new = NewApiKey {
        key_id: fresh.id.clone(),
        role: role.as_str().to_owned(),
        secret_sha256: fresh.secret_sha256,
        name: None,
        expires_at,
    };
    let tenant: TenantId = tenant.parse().unwrap();
    let act = access(Actor::System { uid: 0 }, "key.create", json!({ "key": fresh.id }));
    store.tenant(&tenant).put_api_key(&new, &act).await.unwrap();
    fresh.token.expose_secret().to_owned()
}

/// A worker by the shipped rules and models.
pub(super) fn worker(store: &Arc<Store>, batch: &BatchConfig) -> Worker {
    let (live, _) = Live::new(Arc::clone(store), Arc::clone(&PIPELINE), Arc::new(|_: &_| Gate::Open));
    Worker::new(Arc::clone(store), Arc::new(live), batch.clone(), ReviewConfig::default(), Foreground::default())
}

/// The n-th example ticket, from 1.
pub(super) fn example(n: usize) -> String {
    std::fs::read_to_string(repo("examples/tickets.jsonl")).unwrap().lines().nth(n - 1).unwrap().to_owned()
}

/// The problem document of a refusal, whose status must be this.
pub(super) async fn problem(response: Response, status: u16) -> Value {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["status"], status);
    assert_eq!(body["request_id"], id);
    body
}
