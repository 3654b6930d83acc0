//! The rules in force for the caller's tenant.

use actix_web::{HttpRequest, web};
use serde::Serialize;
use serde_json::Value;

use super::super::auth::{Guarded, ReadRules};
use super::super::error::ApiError;
use super::super::middleware::lang_of;
use super::super::state::AppState;

/// The rules in force.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct RuleList {
    /// Pack and version.
    pack: String,
    /// Hash of the compiled rules, as decisions pin it.
    rulebook: String,
    /// The publication they come from; null for the rules that the tenant began with.
    publication: Option<String>,
    /// Every SOP of the pack.
    items: Vec<SopListed>,
}

/// An SOP in the list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SopListed {
    /// Its id.
    id: String,
    /// Its version.
    version: u32,
    /// Its title, after `Accept-Language`.
    title: String,
}

/// List the SOPs in force
#[utoipa::path(
    get, path = "/v1/sops", tag = "sops", operation_id = "listSops",
    responses((status = 200, description = "Every SOP of the pack", body = RuleList)),
)]
pub(super) async fn list(
    guard: Guarded<ReadRules>,
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<web::Json<RuleList>, ApiError> {
    let lang = lang_of(&request);
    let ruling = state.live.ruling(&guard.caller.tenant);
    let pipeline = ruling.pipeline.ok_or(ApiError::Internal)?;
    let book = pipeline.book();
    let listed = book.sops.iter().map(|sop| SopListed {
        id: sop.id.0.clone(),
        version: sop.version,
        title: lang.pick(&sop.title.zh, &sop.title.en).clone(),
    });
    Ok(web::Json(RuleList {
        pack: format!("{}@{}", book.head.id, book.head.version),
        rulebook: book.hash().to_string(),
        publication: ruling.publication,
        items: listed.collect(),
    }))
}

/// Read an SOP
#[utoipa::path(
    get, path = "/v1/sops/{id}", tag = "sops", operation_id = "getSop",
    params(("id" = String, Path, description = "The SOP's id", max_length = 64)),
    responses((status = 200, description = "The compiled SOP, in every version the pack holds", body = Vec<serde_json::Value>)),
)]
pub(super) async fn show(
    guard: Guarded<ReadRules>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<Vec<Value>>, ApiError> {
    let book: Value = serde_json::from_slice(state.pipeline(&guard.caller.tenant)?.book().canonical())
        .map_err(|_| ApiError::Internal)?;
    let all = book["sops"].as_array().cloned().unwrap_or_default();
    let found: Vec<Value> = all.into_iter().filter(|sop| sop["id"] == id.as_str()).collect();
    if found.is_empty() { Err(ApiError::NotFound) } else { Ok(web::Json(found)) }
}
