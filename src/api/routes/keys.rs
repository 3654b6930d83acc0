//! Keys of the caller's tenant: make, list, rotate, revoke. A secret is shown once, when it is made. What is done to a key
//! leaves a record that names who did it.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::auth::{FreshKey, Guarded, ManageKeys, Role};
use super::super::error::{ApiError, shown};
use super::super::state::AppState;
use super::body::json;
use crate::store::{ApiKeyRow, NewApiKey, Rotated, Successor};

/// A key to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    /// What it may do.
    role: Role,
    /// What people call it.
    #[schema(max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    name: Option<String>,
    /// From when on it is refused.
    expires_at: Option<DateTime<Utc>>,
}

/// A key just made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct KeyCreated {
    /// Its public part.
    id: String,
    /// What goes into `Authorization: Bearer`; it cannot be read again.
    token: String,
}

/// A key as it is listed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct KeyListed {
    /// Its public part.
    id: String,
    /// What it may do.
    role: String,
    /// What people call it.
    name: Option<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// From when on it is refused.
    expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    last_used_at: Option<DateTime<Utc>>,
    /// True once it is revoked.
    revoked: bool,
    /// The key that takes its place; this one serves until `expires_at`.
    successor: Option<String>,
}

impl From<ApiKeyRow> for KeyListed {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.key_id,
            role: row.role,
            name: row.name,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked: row.revoked,
            successor: row.successor,
        }
    }
}

/// The longest name of a key, in characters.
const LONGEST_NAME: usize = 100;

/// Make a key
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys", operation_id = "createKey",
    request_body(content = KeyRequest),
    responses((status = 201, description = "Made; the token is shown this once", body = KeyCreated)),
)]
pub(super) async fn create(
    guard: Guarded<ManageKeys>,
    state: web::Data<AppState>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let wanted: KeyRequest = json(&request, &body)?;
    if let Some(name) = &wanted.name
        && (name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control))
    {
        let (zh, en) = ("至多 100 个字符，不含控制字符", "has at most 100 characters and no control characters");
        return Err(ApiError::parameter("name", &shown(name), zh, en));
    }
    let fresh = FreshKey::generate()?;
    let new = NewApiKey {
        key_id: fresh.id.clone(),
        role: wanted.role.as_str().to_owned(),
        secret_sha256: fresh.secret_sha256,
        name: wanted.name,
        expires_at: wanted.expires_at,
    };
    let act = guard.caller.did("key.create", json!({ "key": fresh.id, "role": new.role }));
    state.store.tenant(&guard.caller.tenant).put_api_key(&new, &act).await?;
    let made = KeyCreated { id: fresh.id, token: fresh.token.expose_secret().to_owned() };
    Ok(HttpResponse::Created().json(made))
}

/// The keys of the tenant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct KeyList {
    /// Newest first, at most 1,000.
    items: Vec<KeyListed>,
}

/// List keys
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys", operation_id = "listKeys",
    responses((status = 200, description = "The tenant's keys, without secrets", body = KeyList)),
)]
pub(super) async fn list(
    guard: Guarded<ManageKeys>,
    state: web::Data<AppState>,
) -> Result<web::Json<KeyList>, ApiError> {
    let rows = state.store.tenant(&guard.caller.tenant).api_keys().await?;
    Ok(web::Json(KeyList { items: rows.into_iter().map(KeyListed::from).collect() }))
}

/// Revoke a key
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "keys", operation_id = "revokeKey",
    params(("id" = String, Path, description = "The key's public part", pattern = "^[0-9a-f]{12}$")),
    responses((status = 204, description = "Refused from now on")),
)]
pub(super) async fn revoke(
    guard: Guarded<ManageKeys>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    if *id == guard.caller.key_id {
        // Whoever locks himself out by mistake would have nobody to let him in again.
        return Err(ApiError::conflict("密钥不能吊销自身", "a key does not revoke itself"));
    }
    let act = guard.caller.did("key.revoke", json!({ "key": *id }));
    match state.store.tenant(&guard.caller.tenant).revoke_api_key(&id, &act).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::NotFound),
    }
}

/// How long an old key still serves, in seconds, unless the client says otherwise: a day.
pub const DEFAULT_GRACE: u32 = 86_400;

/// How long an old key may still serve, in seconds: thirty days.
pub const LONGEST_GRACE: u32 = 30 * 86_400;

/// How a key is to be rotated.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateRequest {
    /// How long the old key still serves, in seconds; a day by default.
    #[schema(maximum = 2_592_000)]
    grace_seconds: Option<u32>,
}

/// A key that takes another's place.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct KeyRotated {
    /// Its public part.
    id: String,
    /// What goes into `Authorization: Bearer`; it cannot be read again.
    token: String,
    /// Until when the old key serves.
    old_expires_at: DateTime<Utc>,
}

/// Rotate a key
///
/// A new key of the same role and name. The old one serves for the grace period, so that its clients have time to change.
#[utoipa::path(
    post, path = "/v1/keys/{id}/rotate", tag = "keys", operation_id = "rotateKey",
    params(("id" = String, Path, description = "The old key's public part", pattern = "^[0-9a-f]{12}$")),
    request_body(content = RotateRequest),
    responses((status = 201, description = "Made; the token is shown this once", body = KeyRotated)),
)]
pub(super) async fn rotate(
    guard: Guarded<ManageKeys>,
    state: web::Data<AppState>,
    id: web::Path<String>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let wanted: RotateRequest = json(&request, &body)?;
    let grace_seconds = wanted.grace_seconds.unwrap_or(DEFAULT_GRACE);
    if grace_seconds > LONGEST_GRACE {
        let (zh, en) = (format!("至多 {LONGEST_GRACE} 秒"), format!("is at most {LONGEST_GRACE} seconds"));
        return Err(ApiError::parameter("grace_seconds", &grace_seconds.to_string(), zh, en));
    }
    let fresh = FreshKey::generate()?;
    let new = Successor { key_id: fresh.id.clone(), secret_sha256: fresh.secret_sha256, grace_seconds };
    let details = json!({ "key": *id, "successor": fresh.id, "grace_seconds": grace_seconds });
    let act = guard.caller.did("key.rotate", details);
    match state.store.tenant(&guard.caller.tenant).rotate_api_key(&id, &new, &act).await? {
        Rotated::Until(old_expires_at) => {
            let token = fresh.token.expose_secret().to_owned();
            Ok(HttpResponse::Created().json(KeyRotated { id: fresh.id, token, old_expires_at }))
        }
        Rotated::Unknown => Err(ApiError::NotFound),
        Rotated::Ended => Err(ApiError::conflict(
            "该密钥已吊销、已过期或已有后继",
            "the key is revoked, expired or has a successor already",
        )),
    }
}
