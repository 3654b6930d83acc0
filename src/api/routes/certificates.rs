//! Certificates: what lets decisions of the tenant be automatic, now and before.

use actix_web::web;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::super::auth::{Guarded, ReadCertificates};
use super::super::error::{ApiError, internal};
use super::super::state::AppState;
use super::page::{Page, PageQuery};
use crate::decision::{Certified, Gate};
use crate::store::{RecordKind, StoredRecord, TenantId};

/// A certificate.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct CertificateListed {
    /// SHA-256 of its canonical bytes, as decisions pin it.
    id: String,
    /// Whether new decisions are made under it.
    in_force: bool,
    /// When it was entered among the tenant's records; null until then.
    recorded_at: Option<DateTime<Utc>>,
    /// What it says: thresholds and figures by stratum, what it binds, what it rests on.
    certificate: Value,
    #[serde(skip)]
    seq: i64,
}

/// The certificate in force for a tenant, if there is one.
fn in_force(state: &AppState, tenant: &TenantId) -> Option<Certified> {
    let pipeline = state.live.of(tenant)?;
    match pipeline.gate() {
        Gate::Certified(certified) => Some((**certified).clone()),
        Gate::Open | Gate::Reflecting | Gate::Shut => None,
    }
}

fn listed(record: &StoredRecord, in_force: Option<&str>) -> Result<CertificateListed, ApiError> {
    let body = record.body.kept()?;
    Ok(CertificateListed {
        id: record.id.clone(),
        in_force: in_force == Some(record.id.as_str()),
        recorded_at: Some(record.created_at),
        certificate: serde_json::from_slice(body).map_err(internal("a certificate cannot be read"))?,
        seq: record.seq,
    })
}

/// List certificates, oldest first
#[utoipa::path(
    get, path = "/v1/certificates", tag = "certificates", operation_id = "listCertificates",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 200, 50 by default", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[0-7][0-9a-f]{15}$"),
    ),
    responses((status = 200, description = "A page", body = Page<CertificateListed>)),
)]
pub(super) async fn list(
    guard: Guarded<ReadCertificates>,
    state: web::Data<AppState>,
    query: web::Query<PageQuery>,
) -> Result<web::Json<Page<CertificateListed>>, ApiError> {
    let (limit, after) = query.bounds()?;
    let tenant = &guard.caller.tenant;
    let now = in_force(&state, tenant).map(|certified| certified.hash());
    let records = state
        .store
        .tenant(tenant)
        .list_records(RecordKind::Certificate, after.unwrap_or(0), i64::from(limit) + 1)
        .await?;
    let items = records.iter().map(|record| listed(record, now.as_deref())).collect::<Result<Vec<_>, _>>()?;
    Ok(web::Json(Page::of(items, limit, |item| item.seq)))
}

/// Read a certificate
#[utoipa::path(
    get, path = "/v1/certificates/{id}", tag = "certificates", operation_id = "getCertificate",
    params(("id" = String, Path, description = "SHA-256 of its canonical bytes, or `current` for the one in force", pattern = "^([0-9a-f]{64}|current)$")),
    responses((status = 200, description = "The certificate", body = CertificateListed)),
)]
pub(super) async fn show(
    guard: Guarded<ReadCertificates>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<CertificateListed>, ApiError> {
    let tenant = &guard.caller.tenant;
    let now = in_force(&state, tenant);
    let hash = now.as_ref().map(Certified::hash);
    let id = match (id.as_str(), &hash) {
        ("current", Some(hash)) => hash.clone(),
        ("current", None) => return Err(ApiError::NotFound),
        (id, _) => id.to_owned(),
    };
    if let Some(record) = state.store.tenant(tenant).get_record(RecordKind::Certificate, &id).await? {
        return listed(&record, hash.as_deref()).map(web::Json);
    }
    // In force, and about to be entered.
    let certified = now.filter(|certified| certified.hash() == id).ok_or(ApiError::NotFound)?;
    let certificate =
        serde_json::from_slice(&certified.certificate).map_err(internal("a certificate cannot be read"))?;
    Ok(web::Json(CertificateListed { id, in_force: true, recorded_at: None, certificate, seq: 0 }))
}
