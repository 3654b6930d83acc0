//! Webhooks of the caller's tenant: make, list, test, give a new secret, end. A secret is shown once. What is done to a
//! webhook leaves a record that names who did it.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::auth::{Guarded, ManageWebhooks};
use super::super::error::ApiError;
use super::super::state::AppState;
use super::super::webhooks::{Attempt, Event, Message, Secret, paused};
use super::body::json;
use super::page::{Page, PageQuery};
use crate::config::WebhookConfig;
use crate::store::{NewWebhook, WebhookRow};

/// Webhooks of a tenant at most.
const MOST: i64 = 20;

/// A webhook to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookRequest {
    /// Where events go: an https URL at a public address, without user, password or fragment; or one of a host that the
    /// service's configuration names.
    #[schema(max_length = 2047)]
    url: String,
    /// Which events; each once.
    #[schema(min_items = 1, max_items = 4)]
    events: Vec<Event>,
}

/// A secret just made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct WebhookSecret {
    /// The webhook's id.
    id: String,
    /// What verifies the signatures (Standard Webhooks); it cannot be read again.
    secret: String,
}

/// A webhook as it stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Webhook {
    /// Its id.
    id: String,
    /// Where events go.
    url: String,
    /// Which events.
    events: Vec<String>,
    /// `active`; `retrying` while the receiver fails; `paused` when it has for too long, until a test succeeds.
    state: &'static str,
    /// When something was last delivered.
    delivered_at: Option<DateTime<Utc>>,
    /// Attempts that failed since then.
    failures: i64,
    /// The first of them.
    failing_since: Option<DateTime<Utc>>,
    /// The key that made it.
    created_by: String,
    /// When.
    created_at: DateTime<Utc>,
}

impl Webhook {
    fn of(row: WebhookRow, config: &WebhookConfig) -> Self {
        let state = match row.failures {
            _ if paused(&row, config) => "paused",
            0 => "active",
            _ => "retrying",
        };
        Self {
            id: row.id,
            url: row.url,
            events: row.events,
            state,
            delivered_at: row.delivered_at,
            failures: row.failures,
            failing_since: row.failing_since,
            created_by: row.created_by,
            created_at: row.created_at,
        }
    }
}

/// An attempt to deliver.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DeliveryListed {
    /// The message's id, the same for every attempt.
    message_id: String,
    /// The event.
    event: String,
    /// The record it is about.
    record_id: String,
    /// Whether the receiver took it.
    delivered: bool,
    /// The receiver's HTTP status, if it answered.
    status: Option<i16>,
    /// Why it was not delivered.
    problem: Option<String>,
    /// How long it took, in milliseconds.
    took_ms: i32,
    /// When.
    at: DateTime<Utc>,
}

impl From<Attempt> for DeliveryListed {
    fn from(attempt: Attempt) -> Self {
        Self {
            message_id: attempt.message_id,
            event: attempt.event,
            record_id: attempt.record_id,
            delivered: attempt.delivered,
            status: attempt.status,
            problem: attempt.problem,
            took_ms: attempt.took_ms,
            at: attempt.created_at,
        }
    }
}

/// Make a webhook
///
/// It is told of what is recorded from now on, at least once and in order. The secret is shown this once.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks", operation_id = "createWebhook",
    request_body(content = WebhookRequest),
    responses((status = 201, description = "Made; the secret is shown this once", body = WebhookSecret)),
)]
pub(super) async fn create(
    guard: Guarded<ManageWebhooks>,
    state: web::Data<AppState>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let wanted: WebhookRequest = json(&request, &body)?;
    let url = state.targets.check(&wanted.url).map_err(|(zh, en)| ApiError::parameter("url", &wanted.url, zh, en))?;
    let mut events: Vec<String> = wanted.events.iter().map(|event| event.as_str().to_owned()).collect();
    events.sort_unstable();
    events.dedup();
    if events.is_empty() || events.len() != wanted.events.len() {
        let given = events.join(", ");
        return Err(ApiError::parameter("events", &given, "至少一个，且不重复", "has at least one, and none twice"));
    }
    let secret = Secret::generate()?;
    let id = format!("whk_{:032x}", rand::random::<u128>());
    let act = guard.caller.did("webhook.create", json!({ "webhook": id, "url": url.as_str(), "events": events }));
    let new = NewWebhook {
        id: id.clone(),
        url: url.into(),
        events,
        secret: secret.bytes().to_vec(),
        created_by: guard.caller.key_id.clone(),
    };
    match state.store.tenant(&guard.caller.tenant).put_webhook(&new, MOST, &act).await? {
        true => Ok(HttpResponse::Created().json(shown(id, &secret))),
        false => {
            Err(ApiError::conflict(format!("每个租户至多 {MOST} 个"), format!("a tenant has at most {MOST} webhooks")))
        }
    }
}

fn shown(id: String, secret: &Secret) -> WebhookSecret {
    WebhookSecret { id, secret: secret.shown().expose_secret().to_owned() }
}

/// List webhooks, newest first
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks", operation_id = "listWebhooks",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 200, 50 by default", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[0-7][0-9a-f]{15}$"),
    ),
    responses((status = 200, description = "A page", body = Page<Webhook>)),
)]
pub(super) async fn list(
    guard: Guarded<ManageWebhooks>,
    state: web::Data<AppState>,
    query: web::Query<PageQuery>,
) -> Result<web::Json<Page<Webhook>>, ApiError> {
    let (limit, before) = query.bounds()?;
    let rows = state.store.tenant(&guard.caller.tenant).webhooks(before, limit + 1).await?;
    Ok(web::Json(Page::of(rows, limit, |row| row.seq).map(|row| Webhook::of(row, &state.webhooks))))
}

/// Read a webhook
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", tag = "webhooks", operation_id = "getWebhook",
    params(("id" = String, Path, description = "The webhook's id", pattern = "^whk_[0-9a-f]{32}$")),
    responses((status = 200, description = "As it stands", body = Webhook)),
)]
pub(super) async fn show(
    guard: Guarded<ManageWebhooks>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<Webhook>, ApiError> {
    Ok(web::Json(Webhook::of(find(&guard, &state, &id).await?, &state.webhooks)))
}

async fn find(guard: &Guarded<ManageWebhooks>, state: &AppState, id: &str) -> Result<WebhookRow, ApiError> {
    state.store.tenant(&guard.caller.tenant).webhook(id).await?.ok_or(ApiError::NotFound)
}

/// End a webhook
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", tag = "webhooks", operation_id = "deleteWebhook",
    params(("id" = String, Path, description = "The webhook's id", pattern = "^whk_[0-9a-f]{32}$")),
    responses((status = 204, description = "Nothing is sent from now on")),
)]
pub(super) async fn delete(
    guard: Guarded<ManageWebhooks>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let act = guard.caller.did("webhook.delete", json!({ "webhook": *id }));
    match state.store.tenant(&guard.caller.tenant).revoke_webhook(&id, &act).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::NotFound),
    }
}

/// Give a webhook a new secret
///
/// Messages bear two signatures for a day, by the new secret and by the one before, so that the receiver has time to change.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/secret", tag = "webhooks", operation_id = "rotateWebhookSecret",
    params(("id" = String, Path, description = "The webhook's id", pattern = "^whk_[0-9a-f]{32}$")),
    responses((status = 201, description = "Made; the secret is shown this once", body = WebhookSecret)),
)]
pub(super) async fn rotate(
    guard: Guarded<ManageWebhooks>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let secret = Secret::generate()?;
    let act = guard.caller.did("webhook.rotate", json!({ "webhook": *id }));
    match state.store.tenant(&guard.caller.tenant).add_webhook_secret(&id, secret.bytes(), &act).await? {
        true => Ok(HttpResponse::Created().json(shown(id.into_inner(), &secret))),
        false => Err(ApiError::NotFound),
    }
}

/// Send a test message
///
/// One attempt, at once. A test that is delivered wakes a paused webhook.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/test", tag = "webhooks", operation_id = "testWebhook",
    params(("id" = String, Path, description = "The webhook's id", pattern = "^whk_[0-9a-f]{32}$")),
    responses((status = 200, description = "What became of it", body = DeliveryListed)),
)]
pub(super) async fn test(
    guard: Guarded<ManageWebhooks>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<DeliveryListed>, ApiError> {
    let webhook = find(&guard, &state, &id).await?;
    let records = state.store.tenant(&guard.caller.tenant);
    let secrets = records.webhook_secrets(&id).await?;
    let attempt = state.targets.send(&webhook.url, &secrets, &Message::test(&id)).await;
    records.put_delivery(&id, &attempt).await?;
    Ok(web::Json(attempt.into()))
}

/// List attempts to deliver, newest first
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks", operation_id = "listWebhookDeliveries",
    params(
        ("id" = String, Path, description = "The webhook's id", pattern = "^whk_[0-9a-f]{32}$"),
        ("limit" = Option<u16>, Query, description = "1 to 200, 50 by default", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[0-7][0-9a-f]{15}$"),
    ),
    responses((status = 200, description = "A page", body = Page<DeliveryListed>)),
)]
pub(super) async fn deliveries(
    guard: Guarded<ManageWebhooks>,
    state: web::Data<AppState>,
    id: web::Path<String>,
    query: web::Query<PageQuery>,
) -> Result<web::Json<Page<DeliveryListed>>, ApiError> {
    let (limit, before) = query.bounds()?;
    find(&guard, &state, &id).await?;
    let rows = state.store.tenant(&guard.caller.tenant).deliveries(&id, before, limit + 1).await?;
    Ok(web::Json(Page::of(rows, limit, |row| row.seq).map(DeliveryListed::from)))
}
