//! Batches: hand a backlog in, see how far it is, cancel it. What it came to is read in `batch_streams`.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::auth::{Guarded, ReadBatches, RunBatches};
use super::super::error::{ApiError, shown};
use super::super::state::AppState;
use super::super::upload::Upload;
use super::decisions::{idempotency_key, time};
use super::page::{Page, PageQuery};
use crate::batch::{Chunk, MAX_TICKET, Splitter};
use crate::config::BatchConfig;
use crate::store::{BatchRow, Ended, NewBatch, TenantStore};

/// Query of a new batch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateQuery {
    as_of: Option<String>,
    name: Option<String>,
}

/// A batch and how far it is.
#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(super) struct Batch {
    /// Its id, `bat_…`.
    id: String,
    /// What people call it.
    name: Option<String>,
    /// The time of its decisions, as given.
    as_of: Option<String>,
    /// `received` (waits for a worker), `running`, `done`, `cancelled` or `failed`.
    state: String,
    /// Tickets in it: lines that are not blank.
    lines: i64,
    /// Of these: decided automatically.
    auto: i64,
    /// Of these: left to a person.
    review: i64,
    /// Of these: refused, with reasons.
    rejected: i64,
    /// Pieces of work it was cut into.
    chunks: i32,
    /// Of these: done.
    chunks_done: i64,
    /// When it was received, RFC 3339.
    received_at: DateTime<Utc>,
    /// When a worker began.
    started_at: Option<DateTime<Utc>>,
    /// When it was done, cancelled or failed.
    ended_at: Option<DateTime<Utc>>,
}

impl From<BatchRow> for Batch {
    fn from(row: BatchRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            as_of: row.as_of,
            state: row.state,
            lines: row.lines,
            auto: row.auto,
            review: row.review,
            rejected: row.rejected,
            chunks: row.chunks,
            chunks_done: row.chunks_done,
            received_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
        }
    }
}

/// Hand a backlog in
///
/// One ticket a line (NDJSON), plain, gzip or zstd. Each is decided as `POST /v1/decisions` decides it; a line that is no
/// ticket is refused with reasons and stops nothing. The answer comes when all of it is stored; workers then decide it. An
/// upload that breaks off leaves nothing.
#[utoipa::path(
    post, path = "/v1/batches", tag = "batches", operation_id = "createBatch",
    params(
        ("as_of" = Option<String>, Query, description = "Time of the decisions, RFC 3339 with offset; by default the latest moment of which each case file speaks", format = DateTime),
        ("name" = Option<String>, Query, description = "What people call it; no personal data", min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters", pattern = "^[!-~]{1,255}$"),
    ),
    request_body(content = String, content_type = "application/x-ndjson", description = "Tickets, one a line"),
    responses((status = 202, description = "Received; it runs from here on", body = Batch)),
)]
pub(super) async fn create(
    guard: Guarded<RunBatches>,
    state: web::Data<AppState>,
    query: web::Query<CreateQuery>,
    body: web::Payload,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    query.as_of.as_deref().map(time("as_of")).transpose()?;
    let name = query.name.as_deref().map(readable).transpose()?;
    ndjson_only(&request)?;
    let key_sha256 = idempotency_key(&request)?.map(|key| Sha256::digest(key).into());
    let _slot = state.uploads.try_acquire().map_err(|_| ApiError::Overloaded { retry_after: 5 })?;
    let upload = Upload::open(&request, body, state.batch.max_bytes)?;
    let mut of_request = Sha256::new();
    for part in [query.as_of.as_deref(), name] {
        of_request.update(part.unwrap_or_default());
        of_request.update(b"\n");
    }
    let records = state.store.tenant(&guard.caller.tenant);
    if let Some(key) = &key_sha256
        && let Some(before) = records.batch_by_key(key).await?
    {
        return replayed(before, &read(upload, of_request).await?);
    }
    let draft =
        Draft { records: records.clone(), id: format!("bat_{:032x}", rand::rng().random::<u128>()), kept: false };
    let received = receive(upload, of_request, &draft, &state.batch).await?;
    let new = NewBatch {
        id: draft.id.clone(),
        name: name.map(str::to_owned),
        as_of: query.as_of.clone(),
        lines: received.tickets,
        chunks: received.chunks,
        key_sha256,
        request_sha256: received.sha256,
        created_by: guard.caller.key_id.clone(),
        attempts: i16::from(state.batch.attempts.get()),
    };
    if let Some(before) = records.receive_batch(&new).await? {
        return replayed(before, &received.sha256);
    }
    draft.keep();
    let batch = records.batch(&new.id).await?.ok_or(ApiError::Internal)?;
    Ok(accepted(batch.into(), false))
}

/// Chunks in the database that belong to no batch: they go unless the batch is made, even if the client goes first.
struct Draft {
    records: TenantStore,
    id: String,
    kept: bool,
}

impl Draft {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (records, id) = (self.records.clone(), std::mem::take(&mut self.id));
        actix_web::rt::spawn(async move {
            // What stays for now is removed by a worker a day later.
            if let Err(error) = records.drop_batch_inputs(Some(&id)).await {
                tracing::warn!(%error, "chunks of an upload that broke off stay for now");
            }
        });
    }
}

/// An upload that is stored.
struct Received {
    tickets: i64,
    chunks: i32,
    sha256: [u8; 32],
}

async fn receive(
    mut upload: Upload,
    mut of_request: Sha256,
    draft: &Draft,
    bounds: &BatchConfig,
) -> Result<Received, ApiError> {
    let mut splitter = Splitter::new(bounds.chunk_lines.get(), MAX_TICKET);
    let (mut tickets, mut chunks) = (0, 0);
    let mut put = async |chunk: Chunk| {
        tickets += chunk.tickets;
        chunks += 1;
        if u64::try_from(tickets).is_ok_and(|n| n > bounds.max_lines) {
            return Err(ApiError::TooManyLines { limit: bounds.max_lines });
        }
        Ok(draft.records.put_batch_input(&draft.id, chunk.number, chunk.first_line, &chunk.text).await?)
    };
    while let Some(piece) = upload.next().await? {
        of_request.update(&piece);
        for chunk in splitter.push(&piece) {
            put(chunk).await?;
        }
    }
    if let Some(last) = splitter.finish() {
        put(last).await?;
    }
    if tickets == 0 {
        return Err(ApiError::Body("there is no ticket in it".to_owned()));
    }
    Ok(Received { tickets, chunks, sha256: of_request.finalize().into() })
}

/// The hash of an upload that is stored already.
async fn read(mut upload: Upload, mut of_request: Sha256) -> Result<[u8; 32], ApiError> {
    while let Some(piece) = upload.next().await? {
        of_request.update(&piece);
    }
    Ok(of_request.finalize().into())
}

fn replayed(before: BatchRow, request_sha256: &[u8; 32]) -> Result<HttpResponse, ApiError> {
    match before.request_sha256 == request_sha256 {
        true => Ok(accepted(before.into(), true)),
        false => Err(ApiError::IdempotencyConflict),
    }
}

fn accepted(batch: Batch, replayed: bool) -> HttpResponse {
    let mut response = HttpResponse::Accepted();
    response.insert_header((header::LOCATION, format!("/v1/batches/{}", batch.id)));
    if replayed {
        response.insert_header(("idempotent-replayed", "true"));
    }
    response.json(batch)
}

/// Refuses a body that is declared as something else than NDJSON.
fn ndjson_only(request: &HttpRequest) -> Result<(), ApiError> {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-ndjson") { Ok(()) } else { Err(ApiError::MediaType) }
}

fn readable(name: &str) -> Result<&str, ApiError> {
    if (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    let (zh, en) = ("应为 1 至 100 个字符，不含控制字符", "has 1 to 100 characters and no control characters");
    Err(ApiError::parameter("name", &shown(name), zh, en))
}

/// List batches, newest first
#[utoipa::path(
    get, path = "/v1/batches", tag = "batches", operation_id = "listBatches",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 200, 50 by default", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[0-7][0-9a-f]{15}$"),
    ),
    responses((status = 200, description = "A page", body = Page<Batch>)),
)]
pub(super) async fn list(
    guard: Guarded<ReadBatches>,
    state: web::Data<AppState>,
    query: web::Query<PageQuery>,
) -> Result<web::Json<Page<Batch>>, ApiError> {
    let (limit, before) = query.bounds()?;
    let rows = state.store.tenant(&guard.caller.tenant).batches(before, limit + 1).await?;
    Ok(web::Json(Page::of(rows, limit, |row| row.seq).map(Batch::from)))
}

/// Read how far a batch is
#[utoipa::path(
    get, path = "/v1/batches/{id}", tag = "batches", operation_id = "getBatch",
    params(("id" = String, Path, description = "The batch's id", pattern = "^bat_[0-9a-f]{32}$")),
    responses((status = 200, description = "The batch", body = Batch)),
)]
pub(super) async fn show(
    guard: Guarded<ReadBatches>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<Batch>, ApiError> {
    let row = state.store.tenant(&guard.caller.tenant).batch(&id).await?.ok_or(ApiError::NotFound)?;
    Ok(web::Json(row.into()))
}

/// Cancel a batch
///
/// Nothing of it is recorded after the answer; what is recorded stays. A batch that is cancelled already stays so (200); one
/// that is done or failed cannot be cancelled (409).
#[utoipa::path(
    post, path = "/v1/batches/{id}/cancel", tag = "batches", operation_id = "cancelBatch",
    params(("id" = String, Path, description = "The batch's id", pattern = "^bat_[0-9a-f]{32}$")),
    responses((status = 200, description = "It is cancelled", body = Batch)),
)]
pub(super) async fn cancel(
    guard: Guarded<RunBatches>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<Batch>, ApiError> {
    let records = state.store.tenant(&guard.caller.tenant);
    let act = guard.caller.did("batch.cancel", json!({ "batch": id.as_str() }));
    match records.end_batch(&id, "cancelled", Some(act)).await? {
        Ended::Now | Ended::Already => {}
        Ended::Unknown => return Err(ApiError::NotFound),
        Ended::Otherwise => {
            let why = ("该批次已结束".to_owned(), "the batch has ended".to_owned());
            return Err(ApiError::Conflict { why });
        }
    }
    let row = records.batch(&id).await?.ok_or(ApiError::NotFound)?;
    Ok(web::Json(row.into()))
}
