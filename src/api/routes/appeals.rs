//! What became of a decision: where it stands, and the appeal against it. The decision's own bytes never change.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use serde::Serialize;
use serde_json::Value;

use super::super::auth::{Appeal as MayAppeal, Guarded, ReadDecisions};
use super::super::error::ApiError;
use super::super::state::AppState;
use super::{body, page};
use crate::review::{Appeal, Standing, appeal as appeal_of};
use crate::store::{Appealed, StoredDecision, TenantStore};

/// Read where a decision stands
///
/// Whether it is automatic, waits for a person, was accepted or overridden, or is under appeal, and the remedy that holds.
#[utoipa::path(
    get, path = "/v1/decisions/{id}/standing", tag = "decisions", operation_id = "getDecisionStanding",
    params(("id" = String, Path, description = "The decision's id", pattern = "^dec_[0-9a-f]{32}$")),
    responses((status = 200, description = "Where it stands", body = Standing)),
)]
pub(super) async fn standing(
    guard: Guarded<ReadDecisions>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<Standing>, ApiError> {
    let records = state.store.tenant(&guard.caller.tenant);
    let (stored, decision) = decision(&records, &id).await?;
    let tasks = records.decision_tasks(&stored.id).await?;
    let resolutions = records.resolutions(&stored.id).await?;
    Ok(web::Json(Standing::of(&stored, &decision, &tasks, &resolutions)))
}

/// An appeal as queued.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct AppealQueued {
    /// The appeal's id, of its record and of its task.
    id: String,
    /// The decision appealed against.
    decision_id: String,
}

/// Appeal against a decision
///
/// The case is reopened for a reviewer who has not judged it. What stood before holds until the appeal is decided.
#[utoipa::path(
    post, path = "/v1/decisions/{id}/appeal", tag = "decisions", operation_id = "appealDecision",
    params(("id" = String, Path, description = "The decision's id", pattern = "^dec_[0-9a-f]{32}$")),
    request_body(content = Appeal),
    responses((status = 201, description = "Queued", body = AppealQueued)),
)]
pub(super) async fn appeal(
    guard: Guarded<MayAppeal>,
    state: web::Data<AppState>,
    id: web::Path<String>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let wanted: Appeal = body::json(&request, &body)?;
    let records = state.store.tenant(&guard.caller.tenant);
    let (stored, decision) = decision(&records, &id).await?;
    let actor = guard.caller.actor();
    let new = appeal_of(&state.review, &decision, &wanted, actor, stored.created_at, Utc::now())?;
    match records.appeal(&new).await? {
        Appealed::Queued => {
            Ok(HttpResponse::Created().json(AppealQueued { id: new.task.id, decision_id: new.decision_id }))
        }
        Appealed::Waits => Err(ApiError::conflict("该决定尚待人工处理", "the decision waits for a person already")),
        Appealed::TooMany => Err(ApiError::conflict("该决定的申诉次数已用完", "the decision admits no further appeal")),
    }
}

async fn decision(records: &TenantStore, id: &str) -> Result<(StoredDecision, Value), ApiError> {
    let stored = records.decision(page::record_id(&["dec_"], id)?).await?.ok_or(ApiError::NotFound)?;
    let body = serde_json::from_slice(stored.body.kept()?).map_err(|_| ApiError::Internal)?;
    Ok((stored, body))
}
