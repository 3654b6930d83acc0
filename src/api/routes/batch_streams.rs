//! What is read of a batch as a stream: its results, line by line, and its progress, as it goes. Neither is ever in memory as
//! a whole.

use std::time::Duration;

use actix_web::http::header::{self, ContentEncoding};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::super::auth::{Guarded, ReadBatches};
use super::super::error::ApiError;
use super::super::state::AppState;
use super::batch_parquet;
use super::batches::Batch;
use crate::store::{BatchLine, Body, TenantStore};

/// Query of a batch's results.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResultsQuery {
    after: Option<String>,
    limit: Option<String>,
}

/// What became of a line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in super::super) struct ResultLine {
    /// The line's number in the upload, from 1; blank lines count.
    pub(super) line: i64,
    /// `auto`, `review` or `rejected`; null where the decision's month was set aside.
    pub(super) outcome: Option<String>,
    /// The ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ticket_id: Option<String>,
    /// The decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decision_id: Option<String>,
    /// The governing SOP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sop_id: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sop_version: Option<i32>,
    /// The remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    /// Refund in fen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refund_fen: Option<i64>,
    /// Compensation in fen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compensation_fen: Option<i64>,
    /// Why the line was refused: path, value and rule of each error. Absent once the line's subject was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errors: Option<serde_json::Value>,
}

impl From<BatchLine> for ResultLine {
    fn from(row: BatchLine) -> Self {
        let errors = match &row.errors {
            Some(Body::Kept(errors)) => serde_json::from_slice(errors).ok(),
            Some(Body::Erased(_)) | None => None,
        };
        let refused = row.decision_id.is_none().then(|| "rejected".to_owned());
        Self {
            line: row.line,
            outcome: refused.or(row.outcome),
            ticket_id: row.ticket_id,
            decision_id: row.decision_id,
            sop_id: row.sop_id,
            sop_version: row.sop_version,
            remedy: row.remedy_kind,
            refund_fen: row.refund_fen,
            compensation_fen: row.compensation_fen,
            errors,
        }
    }
}

/// A reader of results.
pub(super) struct Results {
    records: TenantStore,
    id: String,
    after: i64,
    left: i64,
    /// Nothing is added any more: what is missing was not decided.
    ended: bool,
}

impl Results {
    /// The lines of the next chunk; none when the stream ends.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<ResultLine>>, ApiError> {
        if self.left == 0 {
            return Ok(None);
        }
        let Some(mut chunk) = self.records.batch_lines(&self.id, self.after).await? else { return Ok(None) };
        if !chunk.in_order && !self.ended {
            return Ok(None);
        }
        chunk.lines.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= i64::try_from(chunk.lines.len()).unwrap_or(self.left);
        self.after = chunk.lines.last().map_or(self.after, |line| line.line);
        Ok(Some(chunk.lines.into_iter().map(ResultLine::from).collect()))
    }
}

/// Read what came of a batch
///
/// One JSON object a line (schema `ResultLine`), or with `Accept: application/vnd.apache.parquet` a Parquet file whose columns
/// are the object's fields (`errors` as JSON), in the order of the upload. While the batch runs the stream ends with the
/// last line up to which all are decided; go on later with `after`. Of a batch that was cancelled or failed, lines that
/// were not decided are missing. `Batch-State` says where the batch stood when the stream began.
#[utoipa::path(
    get, path = "/v1/batches/{id}/results", tag = "batches", operation_id = "getBatchResults",
    params(
        ("id" = String, Path, description = "The batch's id", pattern = "^bat_[0-9a-f]{32}$"),
        ("after" = Option<i64>, Query, description = "Only lines after this number; 0 by default", minimum = 0),
        ("limit" = Option<i64>, Query, description = "At most so many lines; all by default", minimum = 1, maximum = 1_000_000),
    ),
    responses((status = 200, description = "The results",
               content((String = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.parquet")),
               headers(("Batch-State" = String, description = "`received`, `running`, `done`, `cancelled` or `failed`")))),
)]
pub(super) async fn results(
    guard: Guarded<ReadBatches>,
    state: web::Data<AppState>,
    id: web::Path<String>,
    query: web::Query<ResultsQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let after = number("after", query.after.as_deref(), 0, i64::MAX)?.unwrap_or(0);
    let left = number("limit", query.limit.as_deref(), 1, 1_000_000)?.unwrap_or(i64::MAX);
    let records = state.store.tenant(&guard.caller.tenant);
    let batch = records.batch(&id).await?.ok_or(ApiError::NotFound)?;
    let reader = Results { records, id: id.into_inner(), after, left, ended: batch.ended_at.is_some() };
    let mut response = HttpResponse::Ok();
    response.insert_header(("batch-state", batch.state)).insert_header((header::VARY, "Accept"));
    if batch_parquet::wanted(&request) {
        // Its columns are packed already.
        response.insert_header(ContentEncoding::Identity).content_type(batch_parquet::CONTENT_TYPE);
        return Ok(response.streaming(batch_parquet::file(reader)));
    }
    Ok(response.content_type("application/x-ndjson").streaming(stream::try_unfold(reader, next_lines)))
}

/// The lines of the next chunk, as text.
async fn next_lines(mut reader: Results) -> Result<Option<(Bytes, Results)>, ApiError> {
    let Some(lines) = reader.next().await? else { return Ok(None) };
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, &line).map_err(|_| ApiError::Internal)?;
        text.push(b'\n');
    }
    Ok(Some((text.into(), reader)))
}

fn number(name: &'static str, text: Option<&str>, least: i64, most: i64) -> Result<Option<i64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let read = text.parse().ok().filter(|n| (least..=most).contains(n));
    let rule = || {
        let (zh, en) = (format!("应为 {least} 至 {most} 的整数"), format!("is an integer from {least} to {most}"));
        ApiError::parameter(name, text, zh, en)
    };
    read.map(Some).ok_or_else(rule)
}

/// How often the database is asked how far a batch is.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A stream without news says so, lest somebody between takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// No stream is longer; a client comes back by itself.
const LONGEST: Duration = Duration::from_secs(3600);

/// A reader of progress.
struct Progress {
    records: TenantStore,
    id: String,
    last: Option<Batch>,
    began: Instant,
    told: Instant,
    over: bool,
    ending: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
}

/// Follow a batch
///
/// Server-sent events: `progress` with the batch as JSON, at once and whenever it has changed, and `end` with it when it is
/// done, cancelled or failed; then the stream ends. A comment comes every 15 seconds without news. 503 when too many are
/// open.
#[utoipa::path(
    get, path = "/v1/batches/{id}/events", tag = "batches", operation_id = "followBatch",
    params(("id" = String, Path, description = "The batch's id", pattern = "^bat_[0-9a-f]{32}$")),
    responses((status = 200, description = "The events", content_type = "text/event-stream", body = String)),
)]
pub(super) async fn events(
    guard: Guarded<ReadBatches>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let records = state.store.tenant(&guard.caller.tenant);
    records.batch(&id).await?.ok_or(ApiError::NotFound)?;
    let slot = state.streams.clone().try_acquire_owned().map_err(|_| ApiError::Overloaded { retry_after: 5 })?;
    let now = Instant::now();
    let reader = Progress {
        records,
        id: id.into_inner(),
        last: None,
        began: now,
        told: now,
        over: false,
        ending: state.ending.subscribe(),
        _slot: slot,
    };
    // Packed, an event would wait for those after it.
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(ContentEncoding::Identity)
        .streaming(stream::try_unfold(reader, next_event)))
}

async fn next_event(mut reader: Progress) -> Result<Option<(Bytes, Progress)>, ApiError> {
    while !reader.over && reader.began.elapsed() < LONGEST {
        if reader.last.is_some() {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = reader.ending.wait_for(|ending| *ending) => return Ok(None),
            }
        }
        let row = reader.records.batch(&reader.id).await?.ok_or(ApiError::NotFound)?;
        reader.over = row.ended_at.is_some();
        let batch = Batch::from(row);
        let text = if reader.last.as_ref() != Some(&batch) {
            let event = if reader.over { "end" } else { "progress" };
            let data = serde_json::to_string(&batch).map_err(|_| ApiError::Internal)?;
            reader.last = Some(batch);
            format!("event: {event}\ndata: {data}\n\n")
        } else if reader.told.elapsed() >= HEARTBEAT {
            ": no news\n\n".to_owned()
        } else {
            continue;
        };
        reader.told = Instant::now();
        return Ok(Some((text.into(), reader)));
    }
    Ok(None)
}
