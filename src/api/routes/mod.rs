//! The routes: which path is served by which handler.

pub(super) mod appeals;
pub(super) mod audit;
mod batch_parquet;
pub(super) mod batch_streams;
pub(super) mod batches;
mod body;
pub(super) mod certificates;
pub(super) mod decisions;
pub(super) mod health;
pub(super) mod keys;
pub(super) mod packs;
mod page;
pub(super) mod proofs;
pub(super) mod publications;
pub(super) mod replay;
pub(super) mod review_figures;
pub(super) mod reviews;
pub(super) mod rules;
pub(super) mod tenants;
pub(super) mod webhooks;

use actix_web::{HttpResponse, web};

use super::error::ApiError;
use super::guard::{delete, get, open, post};
pub(super) use body::BodyLimit;

/// Registers everything.
pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/healthz", "GET").route(open(health::alive)))
        .service(resource("/readyz", "GET").route(open(health::ready)))
        .service(resource("/metrics", "GET").route(open(health::metrics)))
        .service(resource("/openapi.json", "GET").route(open(health::contract)))
        .service(resource("/docs", "GET").route(open(health::docs)))
        .service(
            web::scope("/v1")
                .service(resource("/decisions", "GET, POST").route(post(decisions::create)).route(get(decisions::list)))
                .service(resource("/decisions/{id}", "GET").route(get(decisions::show)))
                .service(resource("/decisions/{id}/trace", "GET").route(get(decisions::trace)))
                .service(resource("/decisions/{id}/explanation", "GET").route(get(decisions::explanation)))
                .service(resource("/decisions/{id}/receipt", "GET").route(get(proofs::receipt)))
                .service(resource("/decisions/{id}/replay", "POST").route(post(replay::replay)))
                .service(resource("/decisions/{id}/standing", "GET").route(get(appeals::standing)))
                .service(resource("/decisions/{id}/appeal", "POST").route(post(appeals::appeal)))
                .service(resource("/reviews", "GET").route(get(reviews::list)))
                .service(resource("/reviews/claim", "POST").route(post(reviews::claim_next)))
                .service(resource("/reviews/reasons", "GET").route(get(review_figures::reasons)))
                .service(resource("/reviews/agreement", "GET").route(get(review_figures::agreement)))
                .service(resource("/reviews/diagnosis", "GET").route(get(review_figures::diagnosis)))
                .service(resource("/reviews/{id}", "GET").route(get(reviews::show)))
                .service(resource("/reviews/{id}/claim", "POST").route(post(reviews::claim)))
                .service(resource("/reviews/{id}/release", "POST").route(post(reviews::release)))
                .service(resource("/reviews/{id}/resolve", "POST").route(post(reviews::resolve)))
                .service(resource("/batches", "GET, POST").route(post(batches::create)).route(get(batches::list)))
                .service(resource("/batches/{id}", "GET").route(get(batches::show)))
                .service(resource("/batches/{id}/results", "GET").route(get(batch_streams::results)))
                .service(resource("/batches/{id}/events", "GET").route(get(batch_streams::events)))
                .service(resource("/batches/{id}/cancel", "POST").route(post(batches::cancel)))
                .service(resource("/audit/checkpoint", "GET").route(get(proofs::checkpoint)))
                .service(resource("/audit/inclusion", "GET").route(get(audit::inclusion)))
                .service(resource("/audit/consistency", "GET").route(get(audit::consistency)))
                .service(resource("/audit/export", "GET").route(get(audit::export)))
                .service(resource("/certificates", "GET").route(get(certificates::list)))
                .service(resource("/certificates/{id}", "GET").route(get(certificates::show)))
                .service(resource("/tenants", "GET, POST").route(post(tenants::create)).route(get(tenants::list)))
                .service(resource("/keys", "GET, POST").route(post(keys::create)).route(get(keys::list)))
                .service(resource("/keys/{id}", "DELETE").route(delete(keys::revoke)))
                .service(resource("/keys/{id}/rotate", "POST").route(post(keys::rotate)))
                .service(resource("/webhooks", "GET, POST").route(post(webhooks::create)).route(get(webhooks::list)))
                .service(
                    resource("/webhooks/{id}", "GET, DELETE")
                        .route(get(webhooks::show))
                        .route(delete(webhooks::delete)),
                )
                .service(resource("/webhooks/{id}/secret", "POST").route(post(webhooks::rotate)))
                .service(resource("/webhooks/{id}/test", "POST").route(post(webhooks::test)))
                .service(resource("/webhooks/{id}/deliveries", "GET").route(get(webhooks::deliveries)))
                .service(resource("/sops", "GET").route(get(rules::list)))
                .service(with_body(resource("/sops/check", "POST").route(post(packs::check)), packs::MAX_PACK))
                .service(with_body(resource("/sops/diff", "POST").route(post(packs::differences)), packs::MAX_PACK))
                .service(with_body(
                    resource("/sops/publications", "GET, POST")
                        .route(post(publications::create))
                        .route(get(publications::list)),
                    packs::MAX_PACK,
                ))
                .service(resource("/sops/publications/{id}", "GET").route(get(publications::show)))
                .service(
                    resource("/sops/publications/{id}/shadow", "GET, POST")
                        .route(post(publications::shadow))
                        .route(get(publications::report)),
                )
                .service(resource("/sops/publications/{id}/approve", "POST").route(post(publications::approve)))
                .service(resource("/sops/rollback", "POST").route(post(publications::rollback)))
                .service(resource("/sops/{id}", "GET").route(get(rules::show))),
        )
        .default_service(web::to(|| async { Err::<HttpResponse, _>(ApiError::NotFound) }));
}

/// A path whose bodies are longer than tickets.
fn with_body(resource: actix_web::Resource, limit: usize) -> actix_web::Resource {
    resource.app_data(web::PayloadConfig::new(limit)).app_data(BodyLimit(limit))
}

/// A path; methods it does not serve are told apart from a missing path.
fn resource(path: &str, allow: &'static str) -> actix_web::Resource {
    let other = move || async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed { allow }) };
    web::resource(path.to_owned()).default_service(web::to(other))
}
