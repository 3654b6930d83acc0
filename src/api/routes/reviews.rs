//! The review queue over HTTP: what waits, whose turn it is, what they decide.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::auth::{Guarded, ReadReviews, Review, Role};
use super::super::error::ApiError;
use super::super::state::AppState;
use super::body;
use super::page::{self, Page};
use crate::review::{Refused, Resolution, resolve as resolution_of};
use crate::store::{Claim, RecordKind, TaskFilter, TaskRow};

/// Query of the queue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    kind: Option<String>,
    scene: Option<String>,
    mine: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Which task comes next.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NextQuery {
    kind: Option<String>,
    scene: Option<String>,
}

/// A task of the review queue.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ReviewTask {
    /// Its id.
    id: String,
    /// The decision it is about.
    decision_id: String,
    /// `review`: it waits for a person; `audit`: an automatic one drawn to be checked; `appeal`.
    kind: String,
    /// The scene decided for.
    scene: String,
    /// From 0, which comes first, to 100.
    priority: i16,
    /// What the proposal costs, refund and compensation together, in fen.
    amount_fen: i64,
    /// When it is due.
    due_at: DateTime<Utc>,
    /// Whether it is due and not resolved.
    overdue: bool,
    /// `open`, `claimed` or `resolved`.
    state: String,
    /// The public part of the key whose claim holds.
    holder: Option<String>,
    /// Until when it holds.
    held_until: Option<DateTime<Utc>>,
    /// Resolutions so far; large amounts take two or three.
    resolutions: i16,
    /// When it was queued.
    queued_at: DateTime<Utc>,
}

impl From<TaskRow> for ReviewTask {
    fn from(row: TaskRow) -> Self {
        Self {
            id: row.id,
            decision_id: row.decision_id,
            kind: row.kind,
            scene: row.scene,
            priority: row.priority,
            amount_fen: row.amount_fen,
            due_at: row.due_at,
            overdue: row.overdue,
            state: row.state,
            holder: row.holder,
            held_until: row.held_until,
            resolutions: row.given,
            queued_at: row.created_at,
        }
    }
}

/// List the review queue
///
/// The most urgent first. `overdue` is a state for this purpose: due and not resolved.
#[utoipa::path(
    get, path = "/v1/reviews", tag = "reviews", operation_id = "listReviews",
    params(
        ("state" = Option<String>, Query, description = "`open`, `claimed`, `resolved` or `overdue`", pattern = "^(open|claimed|resolved|overdue)$"),
        ("kind" = Option<String>, Query, description = "`review`, `audit` or `appeal`", pattern = "^(review|audit|appeal)$"),
        ("scene" = Option<String>, Query, description = "Only of this scene", pattern = "^[a-z0-9_]{1,64}$"),
        ("mine" = Option<bool>, Query, description = "`true`: only those that the caller's key holds"),
        ("limit" = Option<u16>, Query, description = "1 to 200, 50 by default", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[0-7][0-9a-f]{15}$"),
    ),
    responses((status = 200, description = "A page", body = Page<ReviewTask>)),
)]
pub(super) async fn list(
    guard: Guarded<ReadReviews>,
    state: web::Data<AppState>,
    query: web::Query<ListQuery>,
) -> Result<web::Json<Page<ReviewTask>>, ApiError> {
    let limit = page::limit(query.limit.as_deref())?;
    let wanted = one_of("state", query.state.as_deref(), &["open", "claimed", "resolved", "overdue"])?;
    let mine = one_of("mine", query.mine.as_deref(), &["true", "false"])? == Some("true");
    let overdue = wanted == Some("overdue");
    let filter = TaskFilter {
        state: wanted.filter(|_| !overdue).map(str::to_owned),
        overdue,
        kind: kind(query.kind.as_deref())?.map(str::to_owned),
        scene: scene(query.scene.as_deref())?.map(str::to_owned),
        holder: mine.then(|| guard.caller.key_id.clone()),
        after: query.cursor.as_deref().map(page::read_cursor).transpose()?,
    };
    let rows = state.store.tenant(&guard.caller.tenant).tasks(&filter, limit + 1).await?;
    Ok(web::Json(Page::of(rows, limit, |row| row.seq).map(ReviewTask::from)))
}

/// A task with what it is about and what was decided.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ReviewDetail {
    /// The task.
    task: ReviewTask,
    /// The decision as recorded; null once it was erased.
    #[schema(value_type = Option<Object>)]
    decision: Option<Value>,
    /// The resolutions of this task as recorded. Until it is resolved a reviewer sees his own alone, so that two judge
    /// independently; what was erased is left out.
    #[schema(value_type = Vec<Object>)]
    resolutions: Vec<Value>,
}

/// Read a task
#[utoipa::path(
    get, path = "/v1/reviews/{id}", tag = "reviews", operation_id = "getReview",
    params(("id" = String, Path, description = "The task's id", pattern = "^(rev|app)_[0-9a-f]{32}$")),
    responses((status = 200, description = "The task, its decision, its resolutions", body = ReviewDetail)),
)]
pub(super) async fn show(
    guard: Guarded<ReadReviews>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<ReviewDetail>, ApiError> {
    let records = state.store.tenant(&guard.caller.tenant);
    let task = records.task(plain(&id)?).await?.ok_or(ApiError::NotFound)?;
    let decision = records.decision(&task.decision_id).await?.ok_or(ApiError::Internal)?;
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|_| ApiError::Internal);
    let decision = decision.body.kept().ok().map(read).transpose()?;
    let open_to_all = task.state == "resolved" || guard.caller.role != Role::Reviewer;
    let mut resolutions = Vec::new();
    for given in records.resolutions(&task.decision_id).await? {
        if given.task_id != task.id || !(open_to_all || given.key_id == guard.caller.key_id) {
            continue;
        }
        let record = records.get_record(RecordKind::Review, &given.record_id).await?.ok_or(ApiError::Internal)?;
        if let Ok(bytes) = record.body.kept() {
            resolutions.push(read(bytes)?);
        }
    }
    Ok(web::Json(ReviewDetail { task: task.into(), decision, resolutions }))
}

/// Claim the next task
///
/// The most urgent open one that the caller may judge: not one of a decision that it has judged before.
#[utoipa::path(
    post, path = "/v1/reviews/claim", tag = "reviews", operation_id = "claimNextReview",
    params(
        ("kind" = Option<String>, Query, description = "Only `review`, `audit` or `appeal`", pattern = "^(review|audit|appeal)$"),
        ("scene" = Option<String>, Query, description = "Only of this scene", pattern = "^[a-z0-9_]{1,64}$"),
    ),
    responses(
        (status = 200, description = "Claimed", body = ReviewTask),
        (status = 204, description = "Nothing waits that the caller may judge"),
    ),
)]
pub(super) async fn claim_next(
    guard: Guarded<Review>,
    state: web::Data<AppState>,
    query: web::Query<NextQuery>,
) -> Result<HttpResponse, ApiError> {
    let (kind, scene) = (kind(query.kind.as_deref())?, scene(query.scene.as_deref())?);
    let records = state.store.tenant(&guard.caller.tenant);
    let claimed = records.claim_next(&guard.caller.key_id, kind, scene, claim_seconds(&state)).await?;
    Ok(match claimed {
        Some(task) => HttpResponse::Ok().json(ReviewTask::from(task)),
        None => HttpResponse::NoContent().finish(),
    })
}

/// Claim a task
///
/// Nobody else may resolve it until the claim is over. Claiming again prolongs it.
#[utoipa::path(
    post, path = "/v1/reviews/{id}/claim", tag = "reviews", operation_id = "claimReview",
    params(("id" = String, Path, description = "The task's id", pattern = "^(rev|app)_[0-9a-f]{32}$")),
    responses((status = 200, description = "Claimed", body = ReviewTask)),
)]
pub(super) async fn claim(
    guard: Guarded<Review>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<ReviewTask>, ApiError> {
    let records = state.store.tenant(&guard.caller.tenant);
    match records.claim(plain(&id)?, &guard.caller.key_id, claim_seconds(&state)).await? {
        Claim::Taken(task) => Ok(web::Json((*task).into())),
        Claim::Unknown => Err(ApiError::NotFound),
        Claim::Resolved => Err(ApiError::conflict("该任务已有结论", "the task is resolved")),
        Claim::Held => Err(ApiError::conflict("该任务已被他人领取", "another holds the task")),
        Claim::Judged => {
            Err(ApiError::conflict("您已复核过该决定，须由他人复核", "this key has judged the decision before"))
        }
    }
}

/// Give a task back
#[utoipa::path(
    post, path = "/v1/reviews/{id}/release", tag = "reviews", operation_id = "releaseReview",
    params(("id" = String, Path, description = "The task's id", pattern = "^(rev|app)_[0-9a-f]{32}$")),
    responses((status = 204, description = "Open again")),
)]
pub(super) async fn release(
    guard: Guarded<Review>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let records = state.store.tenant(&guard.caller.tenant);
    let task = records.task(plain(&id)?).await?.ok_or(ApiError::NotFound)?;
    match records.release_task(&task.id, &guard.caller.key_id).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(not_held()),
    }
}

/// A resolution as recorded.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Resolved {
    /// The record's id.
    id: String,
    /// The task after it: `open` where another reviewer is needed, else `resolved`.
    state: &'static str,
}

/// Resolve a task
///
/// Only the holder of its claim may. An override names the findings that are corrected and the remedy that is ordered
/// instead. Of large amounts the task stays open for a second reviewer, and for a third if they differ.
#[utoipa::path(
    post, path = "/v1/reviews/{id}/resolve", tag = "reviews", operation_id = "resolveReview",
    params(("id" = String, Path, description = "The task's id", pattern = "^(rev|app)_[0-9a-f]{32}$")),
    request_body(content = Resolution),
    responses((status = 201, description = "Recorded", body = Resolved)),
)]
pub(super) async fn resolve(
    guard: Guarded<Review>,
    state: web::Data<AppState>,
    id: web::Path<String>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let wanted: Resolution = body::json(&request, &body)?;
    let records = state.store.tenant(&guard.caller.tenant);
    let task = records.task(plain(&id)?).await?.ok_or(ApiError::NotFound)?;
    let caller = &guard.caller;
    if task.holder.as_ref() != Some(&caller.key_id) {
        return Err(not_held());
    }
    let decision = records.decision(&task.decision_id).await?.ok_or(ApiError::Internal)?;
    let decision: Value = serde_json::from_slice(decision.body.kept()?).map_err(|_| ApiError::Internal)?;
    if let Resolution::Override { remedy, .. } = &wanted
        && !state.pipeline(&caller.tenant)?.book().taxonomy.remedies.iter().any(|known| known.id == remedy.kind)
    {
        let (zh, en) = ("应为规则包中的处理方式", "is a remedy of the rule pack");
        return Err(ApiError::parameter("remedy.kind", &remedy.kind, zh, en));
    }
    let mut earlier = records.resolutions(&task.decision_id).await?;
    earlier.retain(|given| given.task_id == task.id);
    let reviewer = (caller.key_id.as_str(), caller.role.as_str());
    let new = resolution_of(&state.review, &task, &earlier, &decision, &wanted, reviewer)?;
    if !records.resolve(&new).await? {
        return Err(not_held());
    }
    if let Some(since) = task.held_since {
        let seconds = (Utc::now() - since).as_seconds_f64();
        metrics::histogram!("praetor_review_seconds", "kind" => task.kind).record(seconds);
    }
    if let Some(reason) = new.reason.filter(|_| new.closes) {
        metrics::counter!("praetor_review_overrides_total", "reason" => reason).increment(1);
    }
    let after = if new.closes { "resolved" } else { "open" };
    Ok(HttpResponse::Created().json(Resolved { id: new.record_id, state: after }))
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        Self::parameter(refused.name, &refused.value, refused.rule.0, refused.rule.1)
    }
}

fn not_held() -> ApiError {
    ApiError::conflict(
        "该任务不在您手中：未领取、领取已过期或已有结论",
        "this key does not hold the task: it is not claimed, the claim is over, or it is resolved",
    )
}

fn claim_seconds(state: &AppState) -> i64 {
    i64::from(state.review.claim_minutes.get()) * 60
}

/// A task's id.
fn plain(id: &str) -> Result<&str, ApiError> {
    page::record_id(&["rev_", "app_"], id)
}

fn kind(text: Option<&str>) -> Result<Option<&str>, ApiError> {
    one_of("kind", text, &["review", "audit", "appeal"])
}

fn scene(text: Option<&str>) -> Result<Option<&str>, ApiError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    match text {
        Some(bad) if !(1..=64).contains(&bad.len()) || !bad.bytes().all(plain) => {
            Err(ApiError::parameter("scene", bad, "应为场景 id", "is the id of a scene"))
        }
        good => Ok(good),
    }
}

/// A parameter that has one of a few values.
fn one_of<'a>(name: &'static str, text: Option<&'a str>, values: &[&str]) -> Result<Option<&'a str>, ApiError> {
    match text {
        Some(other) if !values.contains(&other) => {
            let (zh, en) = (format!("应为 {} 之一", values.join("、")), format!("is one of {}", values.join(", ")));
            Err(ApiError::parameter(name, other, zh, en))
        }
        good => Ok(good),
    }
}
