//! Keys of the caller's tenant: make, list, revoke. A secret is shown once, when it is made.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::super::auth::{FreshKey, Guarded, ManageKeys, Role};
use super::super::error::{ApiError, shown};
use super::super::state::AppState;
use super::decisions::json_only;
use crate::store::{ApiKeyRow, NewApiKey};

/// A key to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    /// What it may do.
    role: Role,
    /// What people call it.
    #[schema(max_length = 100)]
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
    json_only(&request)?;
    let wanted: KeyRequest = serde_json::from_slice(&body).map_err(|error| ApiError::Body(error.to_string()))?;
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
    state.store.tenant(&guard.caller.tenant).put_api_key(&new).await?;
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
    match state.store.tenant(&guard.caller.tenant).revoke_api_key(&id).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::NotFound),
    }
}
