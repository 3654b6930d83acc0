//! Tenants, for the admins of the tenant `default`, which every database has: whoever runs the service adds the others.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::auth::{FreshKey, Guarded, ManageTenants, Role};
use super::super::error::ApiError;
use super::super::state::AppState;
use super::body::json;
use super::page::{self, Page, PageQuery};
use crate::store::{NewApiKey, TenantId, TenantRow};

/// A tenant to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantRequest {
    /// Its name.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    id: TenantId,
}

/// A tenant just added.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct TenantCreated {
    /// Its name.
    id: String,
    /// The public part of its first key, of the role admin.
    key_id: String,
    /// What goes into `Authorization: Bearer`; it cannot be read again.
    token: String,
}

/// A tenant as it is listed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct TenantListed {
    /// Its name.
    id: String,
    /// When it was added.
    created_at: DateTime<Utc>,
}

impl From<TenantRow> for TenantListed {
    fn from(row: TenantRow) -> Self {
        Self { id: row.tenant, created_at: row.created_at }
    }
}

/// Admins of other tenants manage their own alone.
fn of_default(guard: &Guarded<ManageTenants>) -> Result<(), ApiError> {
    if guard.caller.tenant == TenantId::default() { Ok(()) } else { Err(ApiError::Forbidden) }
}

/// Add a tenant
///
/// With its first key, of the role admin. For admins of the tenant `default` alone.
#[utoipa::path(
    post, path = "/v1/tenants", tag = "tenants", operation_id = "createTenant",
    request_body(content = TenantRequest),
    responses((status = 201, description = "Added; the token is shown this once", body = TenantCreated)),
)]
pub(super) async fn create(
    guard: Guarded<ManageTenants>,
    state: web::Data<AppState>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    of_default(&guard)?;
    let TenantRequest { id } = json(&request, &body)?;
    let fresh = FreshKey::generate()?;
    let key = NewApiKey {
        key_id: fresh.id.clone(),
        role: Role::Admin.as_str().to_owned(),
        secret_sha256: fresh.secret_sha256,
        name: None,
        expires_at: None,
    };
    let act = guard.caller.did("tenant.create", json!({ "tenant": id.as_str(), "key": fresh.id }));
    if !state.store.tenant(&id).found_with(&key, &act).await? {
        return Err(ApiError::conflict("该租户已存在", "the tenant is there already"));
    }
    let token = fresh.token.expose_secret().to_owned();
    Ok(HttpResponse::Created().json(TenantCreated { id: id.into(), key_id: fresh.id, token }))
}

/// List tenants, by name
///
/// For admins of the tenant `default` alone.
#[utoipa::path(
    get, path = "/v1/tenants", tag = "tenants", operation_id = "listTenants",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 200, 50 by default", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[a-z0-9_-]{1,64}$"),
    ),
    responses((status = 200, description = "A page", body = Page<TenantListed>)),
)]
pub(super) async fn list(
    guard: Guarded<ManageTenants>,
    state: web::Data<AppState>,
    query: web::Query<PageQuery>,
) -> Result<web::Json<Page<TenantListed>>, ApiError> {
    of_default(&guard)?;
    let limit = page::limit(query.limit.as_deref())?;
    let after = query.cursor.as_deref().map(str::parse::<TenantId>).transpose().map_err(|_| {
        let given = query.cursor.as_deref().unwrap_or_default();
        ApiError::parameter("cursor", given, "应为上一页的 next_cursor", "is the next_cursor of the page before")
    })?;
    let rows = state.store.tenants_after(after.as_ref(), limit + 1).await?;
    Ok(web::Json(Page::by(rows, limit, |row| row.tenant.clone()).map(TenantListed::from)))
}
