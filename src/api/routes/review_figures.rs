//! What reviews add up to: the taxonomy of corrections, how far reviewers agree, what they say about the pipeline.

use actix_web::web;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::auth::{Guarded, ReadReviewFigures, ReadReviews};
use super::super::error::ApiError;
use super::super::state::AppState;
use super::decisions::time;
use crate::review::{Agreement, Diagnosis, Reason, ReasonListed};

/// Since when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SinceQuery {
    since: Option<String>,
}

impl SinceQuery {
    fn read(&self) -> Result<Option<DateTime<Utc>>, ApiError> {
        Ok(self.since.as_deref().map(time("since")).transpose()?.map(|at| at.datetime().to_utc()))
    }
}

/// The taxonomy of corrections.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Reasons {
    /// Every reason; those of findings in the order of the pipeline.
    items: Vec<ReasonListed>,
}

/// List the reasons of overrides
#[utoipa::path(
    get, path = "/v1/reviews/reasons", tag = "reviews", operation_id = "listReviewReasons",
    responses((status = 200, description = "Every reason, with what it is about and the form of its value", body = Reasons)),
)]
pub(super) async fn reasons(_guard: Guarded<ReadReviews>) -> web::Json<Reasons> {
    web::Json(Reasons { items: Reason::ALL.iter().map(|reason| reason.listed()).collect() })
}

/// Read how far reviewers agree
#[utoipa::path(
    get, path = "/v1/reviews/agreement", tag = "reviews", operation_id = "getReviewAgreement",
    params(("since" = Option<String>, Query, description = "Queued at or after, RFC 3339", format = DateTime)),
    responses((status = 200, description = "Over the decisions that two judged without seeing each other's", body = Agreement)),
)]
pub(super) async fn agreement(
    guard: Guarded<ReadReviewFigures>,
    state: web::Data<AppState>,
    query: web::Query<SinceQuery>,
) -> Result<web::Json<Agreement>, ApiError> {
    let twice = state.store.tenant(&guard.caller.tenant).judged_twice(query.read()?).await?;
    Ok(web::Json(Agreement::of(&twice)))
}

/// Diagnose the pipeline by its reviews
///
/// Scene by scene and node by node, how often people let a finding stand, and the weakest node.
#[utoipa::path(
    get, path = "/v1/reviews/diagnosis", tag = "reviews", operation_id = "getReviewDiagnosis",
    params(("since" = Option<String>, Query, description = "Queued at or after, RFC 3339", format = DateTime)),
    responses((status = 200, description = "Shares with exact intervals", body = Diagnosis)),
)]
pub(super) async fn diagnosis(
    guard: Guarded<ReadReviewFigures>,
    state: web::Data<AppState>,
    query: web::Query<SinceQuery>,
) -> Result<web::Json<Diagnosis>, ApiError> {
    let (records, since) = (state.store.tenant(&guard.caller.tenant), query.read()?);
    let judged = records.judged(since).await?;
    Ok(web::Json(Diagnosis::of(&judged, records.automatic(since).await?)))
}
