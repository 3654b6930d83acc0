//! Whether the service lives, whether it can work, what it counts, and its contract.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::gauges;
use super::super::openapi;
use super::super::state::AppState;

/// Readiness waits no longer for the database.
const PATIENCE: Duration = Duration::from_secs(1);

/// The process lives
#[utoipa::path(
    get, path = "/healthz", tag = "service", operation_id = "alive", security(()),
    responses((status = 200, description = "It does", body = serde_json::Value)),
)]
pub(in super::super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// The service can decide and record
#[utoipa::path(
    get, path = "/readyz", tag = "service", operation_id = "ready", security(()),
    responses(
        (status = 200, description = "It can", body = serde_json::Value),
        (status = 503, description = "It cannot; `checks` says why", body = serde_json::Value),
    ),
)]
pub(super) async fn ready(state: web::Data<AppState>) -> HttpResponse {
    let database = matches!(tokio::time::timeout(PATIENCE, state.store.ping()).await, Ok(Ok(())));
    let judges = state.adjudicator.is_alive();
    let word = |good: bool| if good { "ready" } else { "unavailable" };
    let body = json!({
        "status": word(database && judges),
        "checks": { "database": word(database), "judges": word(judges) },
    });
    if database && judges { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

/// Counts, in Prometheus' text form
#[utoipa::path(
    get, path = "/metrics", tag = "service", operation_id = "metrics", security(()),
    responses((status = 200, description = "Counts and latencies", content_type = "text/plain", body = String)),
)]
pub(super) async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    gauges::inside(state.admission.inside());
    gauges::refresh(&state.store, &state.asked).await;
    HttpResponse::Ok().content_type(gauges::CONTENT_TYPE).body(state.metrics.render())
}

/// This contract
#[utoipa::path(
    get, path = "/openapi.json", tag = "service", operation_id = "contract", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
)]
pub(super) async fn contract() -> HttpResponse {
    HttpResponse::Ok().json(openapi::document())
}

/// This contract, to read
#[utoipa::path(
    get, path = "/docs", tag = "service", operation_id = "docs", security(()),
    responses((status = 200, description = "A page", content_type = "text/html", body = String)),
)]
pub(super) async fn docs() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
        .content_type("text/html; charset=utf-8")
        .body(openapi::page(&openapi::document()))
}
