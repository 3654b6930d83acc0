//! The HTTP service: routes over the same pipeline as the command line, with keys, limits and one form of error.
//! Handlers call the pipeline and the store and nothing deeper; each is a few lines.

mod auth;
mod error;
mod guard;
mod middleware;
mod openapi;
mod queue;
mod routes;
mod state;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpServer, web};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::config::ServeConfig;
use crate::pipeline::Pipeline;
use crate::store::Store;

pub use auth::{FreshKey, Role};
pub use error::ApiError;
pub use openapi::document as openapi;
use queue::{Adjudicator, QueueConfig};
pub use routes::keys::{DEFAULT_GRACE, LONGEST_GRACE};
use state::{AppState, RateLimits};

/// The longest ticket, in bytes after decompression.
pub const MAX_TICKET: usize = 1 << 20;

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// Threads or the recorder of metrics cannot be started.
    #[error("cannot start the service: {0}")]
    Start(String),
}

/// A service that is bound to its port and ready to run.
pub struct Application {
    server: Server,
    address: SocketAddr,
    state: web::Data<AppState>,
    adjudicator: JoinHandle<()>,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Application {
    /// Binds the address and starts the threads; port 0 takes a free one.
    pub fn build(config: &ServeConfig, pipeline: Arc<Pipeline>, store: Arc<Store>) -> Result<Self, ServeError> {
        let listen = |source| ServeError::Listen { address: config.listen.to_string(), source };
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let metrics = recorder()?;
        let queue = QueueConfig { waiting: config.queue.get(), batch: config.batch.get() };
        let (adjudicator, thread) =
            Adjudicator::start(Arc::clone(&pipeline), queue).map_err(|e| ServeError::Start(e.to_string()))?;
        let limits = RateLimits::new(config.rate_per_key, config.rate_per_tenant);
        let deadline = Duration::from_millis(config.deadline_ms);
        let state = web::Data::new(AppState::new(adjudicator, pipeline, store, limits, deadline, metrics));
        let shared = state.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(MAX_TICKET))
                .wrap(Compress::default())
                .wrap(from_fn(middleware::around))
                .configure(routes::configure)
        })
        .workers(config.workers.get())
        .max_connections(config.connections.get())
        .client_request_timeout(Duration::from_secs(10))
        .shutdown_timeout(deadline.as_secs() + 5)
        .listen(listener)
        .map_err(listen)?
        .run();
        Ok(Self { server, address, state, adjudicator: thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until SIGTERM or SIGINT, then answers what it has accepted.
    pub async fn run(self) -> std::io::Result<()> {
        let result = self.server.await;
        drop(self.state);
        // The last holder of the state is gone with the workers: the queue closes and its thread ends.
        let _ = tokio::task::spawn_blocking(move || self.adjudicator.join()).await;
        result
    }
}

/// Bounds in seconds of the buckets that latencies are counted in.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds of the buckets that batch sizes are counted in.
const CASES: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// The process's recorder of metrics; the first caller installs it.
fn recorder() -> Result<PrometheusHandle, ServeError> {
    static HANDLE: std::sync::OnceLock<Result<PrometheusHandle, String>> = std::sync::OnceLock::new();
    let install = || {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), &SECONDS)
            .and_then(|b| b.set_buckets_for_metric(Matcher::Full("praetor_batch_cases".to_owned()), &CASES))
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(|error| error.to_string())
    };
    HANDLE.get_or_init(install).clone().map_err(ServeError::Start)
}
