//! The HTTP service: routes over the same pipeline as the command line, with keys, limits and one form of error.
//! Handlers call the pipeline and the store and nothing deeper; each is a few lines.

mod admission;
mod auth;
mod cors;
mod error;
mod gauges;
mod guard;
mod jwt;
mod middleware;
mod observed;
mod openapi;
mod queue;
mod routes;
mod slow;
mod state;
mod tls;
mod upload;
mod watch;
mod webhooks;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::batch::Foreground;
use crate::config::{ReviewConfig, ServeConfig};
use crate::live::{GateOf, Live, Shadower};
use crate::pipeline::Pipeline;
use crate::store::Store;

pub use crate::batch::MAX_TICKET;
pub use auth::{FreshKey, Role};
pub use error::ApiError;
pub use jwt::JwtError;
pub use observed::Observed;
pub use openapi::document as openapi;
use queue::Adjudicator;
pub use routes::keys::{DEFAULT_GRACE, LONGEST_GRACE};
use state::AppState;
pub use tls::TlsError;
use watch::Watch;
pub use webhooks::Dispatcher;

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
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Tokens of people cannot be taken as configured.
    #[error(transparent)]
    Jwt(#[from] JwtError),
    /// What may call from a browser is no origin.
    #[error("serve.cors_origins: `{0}` is no origin such as https://desk.example")]
    Origin(String),
    /// Threads or the recorder of metrics cannot be started.
    #[error("cannot start the service: {0}")]
    Start(String),
}

/// A service that is bound to its port and ready to run.
pub struct Application {
    server: Server,
    address: SocketAddr,
    state: web::Data<AppState>,
    shadower: Shadower,
    adjudicator: JoinHandle<()>,
    metrics: PrometheusHandle,
    watch: Watch,
    patience: Duration,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Application {
    /// Binds the address and starts the threads; port 0 takes a free one. Tenants begin with the rules of `pipeline`;
    /// `gate_of` says what may be automatic under rules that they publish.
    pub fn build(
        config: &ServeConfig,
        review: &ReviewConfig,
        pipeline: Arc<Pipeline>,
        gate_of: GateOf,
        store: Arc<Store>,
    ) -> Result<Self, ServeError> {
        cors::check(&config.cors_origins).map_err(ServeError::Origin)?;
        let tls = config.tls.as_ref().map(tls::open).transpose()?;
        let listen = |source| ServeError::Listen { address: config.listen.to_string(), source };
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let metrics = gauges::recorder().map_err(ServeError::Start)?;
        let adjudicator = Adjudicator::start(config.queue.get(), config.batch.get());
        let (adjudicator, thread) = adjudicator.map_err(|e| ServeError::Start(e.to_string()))?;
        let (live, shadower) = Live::new(Arc::clone(&store), pipeline, gate_of);
        let state =
            web::Data::new(AppState::new(adjudicator, Arc::new(live), store, config, *review, metrics.clone())?);
        let watch = Watch::default();
        let noted = watch.clone();
        let (shared, origins) = (state.clone(), config.cors_origins.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(MAX_TICKET))
                .wrap(Compress::default())
                .wrap(from_fn(middleware::around))
                .wrap(cors::layer(&origins))
                .configure(routes::configure)
        })
        .on_connect(move |connection, data| noted.note(connection, data))
        .workers(config.workers.get())
        .max_connections(config.connections.get())
        .client_request_timeout(Duration::from_millis(config.read_ms.get()))
        .shutdown_timeout(state.deadline.as_secs() + 5);
        let server = match tls {
            Some(tls) => server.listen_rustls_0_23(listener, tls),
            None => server.listen(listener),
        };
        let server = server.map_err(listen)?.run();
        let patience = state.patience;
        Ok(Self { server, address, state, shadower, adjudicator: thread, metrics, watch, patience })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that wait for an answer, for backlogs to give way to.
    pub fn foreground(&self) -> Foreground {
        Foreground::new(self.state.admission.gauge())
    }

    /// Which rules each tenant is decided by.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.state.live)
    }

    /// Stops it from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until SIGTERM or SIGINT, then answers what it has accepted.
    pub async fn run(self) -> std::io::Result<()> {
        // Nothing is decided before it is known by which rules.
        self.state.live.refresh().await.map_err(std::io::Error::other)?;
        let Self { server, state, shadower, adjudicator, metrics, watch, patience, .. } = self;
        let ending = tokio::spawn(end_streams(state.clone()));
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP).await;
                metrics.run_upkeep();
            }
        };
        let live = Arc::clone(&state.live);
        let follow = async move { live.follow().await };
        let for_shadow = state.clone();
        let shadow = shadower.run(move || for_shadow.admission.inside() > 0);
        let result = tokio::select! {
            result = server => result,
            never = upkeep => never,
            () = follow => Ok(()),
            () = shadow => Ok(()),
            never = watch.run(patience) => match never {},
        };
        ending.abort();
        let _ = ending.await;
        drop(state);
        // The last holder of the state is gone with the workers: the queue closes and its thread ends.
        let _ = tokio::task::spawn_blocking(move || adjudicator.join()).await;
        result
    }
}

/// Ends the streams of progress when the process is told to end: they would keep it waiting.
async fn end_streams(state: web::Data<AppState>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    state.ending.send_replace(true);
}

/// Latencies are put into their buckets this often, also when nobody asks for them.
const UPKEEP: Duration = Duration::from_secs(5);
