//! Decisions: hand a ticket in, read what was decided and why.

use std::time::Instant;

use actix_web::http::header::{self, EntityTag, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::super::auth::{Adjudicate, Guarded, ReadDecisions, ReadTraces};
use super::super::error::{ApiError, shown};
use super::super::middleware::lang_of;
use super::super::state::AppState;
use super::body::json_only;
use super::page::{self, Page};
use crate::case::{Case, CaseErrors, Rule, Timestamp};
use crate::lang::Lang;
use crate::store::{DecisionFilter, NewRejection, Once, StoredDecision, TenantId};

/// Query of a new decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateQuery {
    as_of: Option<String>,
}

/// Decide a ticket
///
/// The ticket is decided and recorded before the answer. The same ticket under the same rules and models gives the same
/// bytes. With an `Idempotency-Key`, a repeated request gets the first answer again, whatever has changed since.
#[utoipa::path(
    post, path = "/v1/decisions", tag = "decisions", operation_id = "createDecision",
    params(
        ("as_of" = Option<String>, Query, description = "Time of the decision, RFC 3339 with offset; by default the latest moment of which the case file speaks", format = DateTime),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters", pattern = "^[!-~]{1,255}$"),
    ),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 201, description = "Decided and recorded", content_type = "application/json", body = serde_json::Value)),
)]
pub(super) async fn create(
    guard: Guarded<Adjudicate>,
    state: web::Data<AppState>,
    query: web::Query<CreateQuery>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let deadline = Instant::now() + state.deadline;
    let as_of = query.as_of.as_deref().map(time("as_of")).transpose()?;
    json_only(&request)?;
    let once = once(&request, &body, query.as_of.as_deref())?;
    let records = state.store.tenant(&guard.caller.tenant);
    if let Some(once) = &once
        && let Some(before) = records.answered(once).await?
    {
        return replayed(before.request_sha256 == once.request_sha256, before.decision);
    }
    let admitted = state.admission.admit()?;
    let case = match Case::parse(&body) {
        Ok(case) => case,
        Err(errors) => return Err(quarantine(&state, &guard.caller.tenant, &body, errors).await?),
    };
    let pipeline = state.pipeline(&guard.caller.tenant)?;
    let (case, decided) = state.adjudicator.decide(pipeline, case, as_of, deadline).await?;
    let task = crate::review::task(&state.review, &case, &decided.decision);
    let new = crate::record::stored(&case, &decided, task).map_err(|error| {
        tracing::error!(%error, "a decision has no stored form");
        ApiError::Internal
    })?;
    let answer = created(&new.id, new.body.clone(), false);
    let recording = async {
        match &once {
            Some(once) => records.record_once(new, once).await,
            None => records.record(&[new]).await.map(|_| None),
        }
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let recording = recording.instrument(tracing::info_span!("record"));
    let raced = tokio::time::timeout(left, recording).await.map_err(|_| ApiError::DeadlineExceeded)??;
    admitted.done();
    crate::record::count(&decided);
    match (raced, &once) {
        (Some(before), Some(once)) => replayed(before.request_sha256 == once.request_sha256, before.decision),
        _ => {
            state.live.observe(&guard.caller.tenant, &case, as_of, &decided);
            Ok(answer)
        }
    }
}

/// List decisions, newest first
#[utoipa::path(
    get, path = "/v1/decisions", tag = "decisions", operation_id = "listDecisions",
    params(
        ("ticket_id" = Option<String>, Query, description = "Only this ticket's", min_length = 1, max_length = 64),
        ("outcome" = Option<String>, Query, description = "`auto` or `review`", pattern = "^(auto|review)$"),
        ("sop_id" = Option<String>, Query, description = "Only of this SOP", min_length = 1, max_length = 64),
        ("from" = Option<String>, Query, description = "Recorded at or after, RFC 3339", format = DateTime),
        ("to" = Option<String>, Query, description = "Recorded before, RFC 3339", format = DateTime),
        ("limit" = Option<u16>, Query, description = "1 to 200, 50 by default", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[0-7][0-9a-f]{15}$"),
    ),
    responses((status = 200, description = "A page", body = Page<Summary>)),
)]
pub(super) async fn list(
    guard: Guarded<ReadDecisions>,
    state: web::Data<AppState>,
    query: web::Query<ListQuery>,
) -> Result<web::Json<Page<Summary>>, ApiError> {
    let query = query.into_inner();
    let limit = page::limit(query.limit.as_deref())?;
    let outcome = match query.outcome.as_deref() {
        None | Some("auto" | "review") => query.outcome.clone(),
        Some(other) => return Err(ApiError::parameter("outcome", other, "应为 auto 或 review", "is auto or review")),
    };
    let filter = DecisionFilter {
        ticket_id: page::id("ticket_id", query.ticket_id)?,
        outcome,
        sop_id: page::id("sop_id", query.sop_id)?,
        from: query.from.as_deref().map(time("from")).transpose()?.map(|t| t.datetime().to_utc()),
        to: query.to.as_deref().map(time("to")).transpose()?.map(|t| t.datetime().to_utc()),
        before: query.cursor.as_deref().map(page::read_cursor).transpose()?,
    };
    let rows = state.store.tenant(&guard.caller.tenant).decisions(&filter, limit + 1).await?;
    Ok(web::Json(Page::of(rows, limit, |row| row.seq).map(Summary::from)))
}

/// Query of a list of decisions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    ticket_id: Option<String>,
    outcome: Option<String>,
    sop_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// A decision in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Summary {
    /// The decision's id.
    id: String,
    /// The ticket decided upon.
    ticket_id: String,
    /// `auto` or `review`.
    outcome: String,
    /// The governing SOP.
    sop_id: Option<String>,
    /// Its version.
    sop_version: Option<i32>,
    /// The remedy.
    remedy: Option<String>,
    /// Refund in fen.
    refund_fen: Option<i64>,
    /// Compensation in fen.
    compensation_fen: Option<i64>,
    /// When it was recorded, RFC 3339.
    recorded_at: chrono::DateTime<chrono::Utc>,
}

impl From<crate::store::DecisionRow> for Summary {
    fn from(row: crate::store::DecisionRow) -> Self {
        Self {
            id: row.id,
            ticket_id: row.ticket_id,
            outcome: row.outcome,
            sop_id: row.sop_id,
            sop_version: row.sop_version,
            remedy: row.remedy_kind,
            refund_fen: row.refund_fen,
            compensation_fen: row.compensation_fen,
            recorded_at: row.created_at,
        }
    }
}

/// Read a decision
#[utoipa::path(
    get, path = "/v1/decisions/{id}", tag = "decisions", operation_id = "getDecision",
    params(("id" = String, Path, description = "The decision's id", pattern = "^dec_[0-9a-f]{32}$")),
    responses(
        (status = 200, description = "The recorded bytes", content_type = "application/json", body = serde_json::Value),
        (status = 304, description = "The client has it already"),
    ),
)]
pub(super) async fn show(
    guard: Guarded<ReadDecisions>,
    state: web::Data<AppState>,
    id: web::Path<String>,
    seen: web::Header<IfNoneMatch>,
) -> Result<HttpResponse, ApiError> {
    let found = find(&state, &guard.caller.tenant, &id).await?;
    let tag = EntityTag::new_strong(found.id.clone());
    let known = match &seen.0 {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|t| t.weak_eq(&tag)),
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(header::ETag(tag)).insert_header((header::CACHE_CONTROL, "private, no-cache"));
    Ok(if known {
        response.finish()
    } else {
        response.content_type("application/json").body(found.body.kept()?.to_vec())
    })
}

/// Read what led to a decision
#[utoipa::path(
    get, path = "/v1/decisions/{id}/trace", tag = "decisions", operation_id = "getDecisionTrace",
    params(("id" = String, Path, description = "The decision's id", pattern = "^dec_[0-9a-f]{32}$")),
    responses((status = 200, description = "Node by node: questions, answers, findings", content_type = "application/json", body = serde_json::Value)),
)]
pub(super) async fn trace(
    guard: Guarded<ReadTraces>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let trace = state.store.tenant(&guard.caller.tenant).trace(&id).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(trace.kept()?.to_vec()))
}

/// A decision in words.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Words {
    /// The decision's id.
    id: String,
    /// `zh` or `en`, after `Accept-Language`.
    lang: &'static str,
    /// What was found and why, a line a finding.
    explanation: serde_json::Value,
    /// What would have changed it.
    flips: Vec<serde_json::Value>,
    /// The clauses it rests on, with their sources.
    clauses: serde_json::Value,
    /// Why a person must look, empty when none must.
    reasons: Vec<serde_json::Value>,
}

/// Read a decision in words
#[utoipa::path(
    get, path = "/v1/decisions/{id}/explanation", tag = "decisions", operation_id = "getDecisionExplanation",
    params(
        ("id" = String, Path, description = "The decision's id", pattern = "^dec_[0-9a-f]{32}$"),
        ("Accept-Language" = Option<String>, Header, description = "`zh` (default) or `en`"),
    ),
    responses((status = 200, description = "What was found, which rule decided, what would have changed it", body = Words)),
)]
pub(super) async fn explanation(
    guard: Guarded<ReadDecisions>,
    state: web::Data<AppState>,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<web::Json<Words>, ApiError> {
    let lang = lang_of(&request);
    let found = find(&state, &guard.caller.tenant, &id).await?;
    let body: serde_json::Value = serde_json::from_slice(found.body.kept()?).map_err(|_| ApiError::Internal)?;
    let of_lang = |list: &serde_json::Value| -> Vec<serde_json::Value> {
        list.as_array().into_iter().flatten().map(|each| each[lang.as_str()].clone()).collect()
    };
    Ok(web::Json(Words {
        id: found.id,
        lang: lang.as_str(),
        explanation: body["explanation"][lang.as_str()].clone(),
        flips: of_lang(&body["flips"]),
        clauses: body["sop"]["clauses"].clone(),
        reasons: of_lang(&body["reasons"]),
    }))
}

async fn find(state: &AppState, tenant: &TenantId, id: &str) -> Result<StoredDecision, ApiError> {
    state.store.tenant(tenant).decision(id).await?.ok_or(ApiError::NotFound)
}

/// Reads a time from a query.
pub(super) fn time(name: &'static str) -> impl Fn(&str) -> Result<Timestamp, ApiError> {
    move |text| {
        text.parse().map_err(|rule: Rule| ApiError::parameter(name, text, rule.text(Lang::Zh), rule.text(Lang::En)))
    }
}

/// The idempotency key of a request, if it has one.
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<&str>, ApiError> {
    let Some(header) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = header.to_str().unwrap_or_default();
    if !(1..=255).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
        let (zh, en) = ("应为 1 至 255 个可见 ASCII 字符", "is 1 to 255 visible ASCII characters");
        return Err(ApiError::parameter("Idempotency-Key", &shown(key), zh, en));
    }
    Ok(Some(key))
}

fn once(request: &HttpRequest, body: &[u8], as_of: Option<&str>) -> Result<Option<Once>, ApiError> {
    let Some(key) = idempotency_key(request)? else { return Ok(None) };
    let mut of_request = Sha256::new();
    of_request.update(as_of.unwrap_or_default());
    of_request.update(b"\n");
    of_request.update(body);
    Ok(Some(Once { key_sha256: Sha256::digest(key.as_bytes()).into(), request_sha256: of_request.finalize().into() }))
}

fn created(id: &str, body: Vec<u8>, replayed: bool) -> HttpResponse {
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/v1/decisions/{id}")));
    response.insert_header(header::ETag(EntityTag::new_strong(id.to_owned())));
    if replayed {
        response.insert_header(("idempotent-replayed", "true"));
    }
    response.content_type("application/json").body(body)
}

fn replayed(same_request: bool, decision: StoredDecision) -> Result<HttpResponse, ApiError> {
    match same_request {
        true => Ok(created(&decision.id, decision.body.kept()?.to_vec(), true)),
        false => Err(ApiError::IdempotencyConflict),
    }
}

/// Keeps what is no case file, and says what is wrong with it.
async fn quarantine(
    state: &AppState,
    tenant: &TenantId,
    body: &[u8],
    errors: CaseErrors,
) -> Result<ApiError, ApiError> {
    let kept = NewRejection {
        source: "api".to_owned(),
        line: 1,
        errors: serde_json::to_string(&errors).map_err(|_| ApiError::Internal)?,
        subject: Case::subject_of(body),
        input: body.to_vec(),
    };
    state.store.tenant(tenant).reject(&[kept]).await?;
    metrics::counter!("praetor_decisions_total", "outcome" => "rejected_input", "scene" => "").increment(1);
    Ok(ApiError::Ticket(errors))
}
