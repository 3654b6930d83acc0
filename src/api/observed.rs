//! What a process that serves no requests tells of itself: `/healthz` and `/metrics`, and nothing else.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpResponse, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;

use super::ServeError;
use super::gauges::{self, Asked};
use super::routes::health::alive;
use crate::store::Store;

/// How often the figures of the moment are renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(5);

/// Connections at a time.
const CONNECTIONS: usize = 64;

/// A process that can be watched.
pub struct Observed {
    server: Server,
    address: SocketAddr,
    metrics: PrometheusHandle,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Observed {
    /// Listens.
    pub fn build(address: SocketAddr) -> Result<Self, ServeError> {
        let listen = |source| ServeError::Listen { address: address.to_string(), source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let at = listener.local_addr().map_err(listen)?;
        let metrics = gauges::recorder().map_err(ServeError::Start)?;
        let rendered = metrics.clone();
        let server = HttpServer::new(move || {
            let plain = DefaultHeaders::new()
                .add((header::CACHE_CONTROL, "no-store"))
                .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
            App::new()
                .app_data(web::Data::new(rendered.clone()))
                .wrap(plain)
                .route("/healthz", web::get().to(alive))
                .route("/metrics", web::get().to(figures))
        });
        let server =
            server.workers(1).max_connections(CONNECTIONS).disable_signals().listen(listener).map_err(listen)?;
        Ok(Self { server: server.run(), address: at, metrics })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for as long as it is asked to. The database is asked from here: a connection belongs to the thread that
    /// opened it.
    pub async fn run(self, store: Arc<Store>) -> std::io::Result<()> {
        let asked = Asked::default();
        let renew = async {
            loop {
                gauges::refresh(&store, &asked).await;
                self.metrics.run_upkeep();
                tokio::time::sleep(RENEWED_EVERY).await;
            }
        };
        tokio::select! {
            served = self.server => served,
            never = renew => never,
        }
    }
}

async fn figures(metrics: web::Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok().content_type(gauges::CONTENT_TYPE).body(metrics.render())
}
