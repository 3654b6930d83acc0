//! The ledger as a tenant sees it: proofs about any of its records, proofs that the log only grew, and the records
//! themselves, in the form of a bundle's lines.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::auth::{ExportRecords, Guarded, ReadProofs};
use super::super::error::{ApiError, internal};
use super::super::state::AppState;
use super::page;
use crate::ledger::{Hash, SignedCheckpoint};
use crate::record::line;
use crate::store::{RecordKind, StoredCheckpoint};

/// The longest id of a record, in characters.
const LONGEST_ID: usize = 128;

/// Query of a proof of inclusion.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InclusionQuery {
    kind: Option<String>,
    id: Option<String>,
    leaf: Option<String>,
    size: Option<String>,
}

/// A proof that a leaf is in the log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Inclusion {
    /// The leaf's place, from 0.
    leaf: u64,
    /// What it commits to, in hex; null when it was asked for by its place alone.
    commitment: Option<String>,
    /// Leaves of the tree that it is proved in.
    size: u64,
    /// The root of that tree, in hex.
    root: String,
    /// The hashes of the audit path (RFC 6962), from the leaf upwards, in hex.
    proof: Vec<String>,
    /// The signed checkpoint of that tree; null where none was signed at exactly that size.
    checkpoint: Option<String>,
}

/// Prove that a record is in the ledger
///
/// By `kind` and `id`, or by `leaf`. In the tree of the latest checkpoint, or in that of the first `size` leaves. A record
/// that waits for its place, within a second: 409.
#[utoipa::path(
    get, path = "/v1/audit/inclusion", tag = "proofs", operation_id = "getInclusion",
    params(
        ("kind" = Option<String>, Query, description = "Kind of record; with `id`", pattern = "^(decision|review|appeal|sop_publication|certificate|erasure|access|key_rotation)$"),
        ("id" = Option<String>, Query, description = "The record's id; with `kind`", min_length = 1, max_length = 128),
        ("leaf" = Option<u64>, Query, description = "The leaf's place, from 0; instead of `kind` and `id`", minimum = 0, maximum = 4503599627370496_u64),
        ("size" = Option<u64>, Query, description = "Leaves of the tree; by default those of the latest checkpoint", minimum = 1, maximum = 4503599627370496_u64),
    ),
    responses((status = 200, description = "The proof", body = Inclusion)),
)]
pub(super) async fn inclusion(
    guard: Guarded<ReadProofs>,
    state: web::Data<AppState>,
    query: web::Query<InclusionQuery>,
) -> Result<web::Json<Inclusion>, ApiError> {
    let size = query.size.as_deref().map(|text| number("size", text, 1)).transpose()?;
    let (leaf, commitment) = match (&query.kind, &query.id, &query.leaf) {
        (Some(kind), Some(id), None) => {
            let kind = read_kind(kind)?;
            if !(1..=LONGEST_ID).contains(&id.chars().count()) {
                return Err(ApiError::parameter("id", id, "应为 1 至 128 个字符", "has 1 to 128 characters"));
            }
            let leaf = state.store.tenant(&guard.caller.tenant).leaf(kind, &id.replace('\0', "\u{FFFD}")).await?;
            let leaf = leaf.ok_or(ApiError::NotFound)?;
            let index = leaf.index.ok_or_else(|| {
                ApiError::conflict(
                    "该记录尚未进入账本，请稍后再取",
                    "the record has no place in the ledger yet; ask again",
                )
            })?;
            (index, Some(leaf.commitment.to_string()))
        }
        (None, None, Some(leaf)) => (number("leaf", leaf, 0)?, None),
        _ => {
            let (zh, en) = ("请给出 kind 与 id，或只给出 leaf", "give kind and id, or leaf alone");
            return Err(ApiError::parameter("query", "", zh, en));
        }
    };
    let (size, checkpoint) = tree(&state, size).await?;
    if leaf >= size {
        return Err(ApiError::NotFound);
    }
    let log = state.store.log();
    Ok(web::Json(Inclusion {
        leaf,
        commitment,
        size,
        root: log.root(size).await?.to_string(),
        proof: hex(&log.inclusion(leaf, size).await?),
        checkpoint,
    }))
}

/// Query of a proof of consistency.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsistencyQuery {
    from: Option<String>,
    to: Option<String>,
}

/// A proof that an older state of the log is the beginning of a newer one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Consistency {
    /// Leaves of the older state.
    from: u64,
    /// Its root, in hex.
    from_root: String,
    /// Leaves of the newer state.
    to: u64,
    /// Its root, in hex.
    to_root: String,
    /// The hashes of the proof (RFC 6962), in hex.
    proof: Vec<String>,
    /// The signed checkpoint of the newer state; null where none was signed at exactly that size.
    checkpoint: Option<String>,
}

/// Prove that the ledger only grew
#[utoipa::path(
    get, path = "/v1/audit/consistency", tag = "proofs", operation_id = "getConsistency",
    params(
        ("from" = u64, Query, description = "Leaves of the older state", minimum = 1, maximum = 4503599627370496_u64),
        ("to" = Option<u64>, Query, description = "Leaves of the newer state, no fewer; by default those of the latest checkpoint", minimum = 1, maximum = 4503599627370496_u64),
    ),
    responses((status = 200, description = "The proof; a state that the log has not reached is not found", body = Consistency)),
)]
pub(super) async fn consistency(
    _guard: Guarded<ReadProofs>,
    state: web::Data<AppState>,
    query: web::Query<ConsistencyQuery>,
) -> Result<web::Json<Consistency>, ApiError> {
    let from = number("from", query.from.as_deref().unwrap_or_default(), 1)?;
    let to = query.to.as_deref().map(|text| number("to", text, 1)).transpose()?;
    let (to, checkpoint) = tree(&state, to).await?;
    if from > to {
        return Err(ApiError::NotFound);
    }
    let log = state.store.log();
    Ok(web::Json(Consistency {
        from,
        from_root: log.root(from).await?.to_string(),
        to,
        to_root: log.root(to).await?.to_string(),
        proof: hex(&log.consistency(from, to).await?),
        checkpoint,
    }))
}

/// The tree asked for, or the latest that was signed; with the checkpoint if there is one of exactly that size.
async fn tree(state: &AppState, size: Option<u64>) -> Result<(u64, Option<String>), ApiError> {
    let log = state.store.log();
    let latest = log.latest().await?.ok_or(ApiError::NotFound)?;
    let note = |stored: &StoredCheckpoint| stored.signed().map(|signed: SignedCheckpoint| signed.to_string());
    match size {
        None => Ok((latest.size, Some(note(&latest)?))),
        Some(size) if size > latest.size => Err(ApiError::NotFound),
        Some(size) => {
            let there = log.checkpoints(size - 1, 1).await?.into_iter().find(|stored| stored.size == size);
            Ok((size, there.as_ref().map(note).transpose()?))
        }
    }
}

fn hex(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_string).collect()
}

/// The largest number of leaves that is spoken of: tiles of more cannot be named.
const MOST_LEAVES: u64 = 1 << 52;

fn number(name: &'static str, text: &str, least: u64) -> Result<u64, ApiError> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let read = text.parse().ok().filter(|n| plain && (least..=MOST_LEAVES).contains(n));
    read.ok_or_else(|| {
        let (zh, en) =
            (format!("应为 {least} 至 {MOST_LEAVES} 的整数"), format!("is an integer from {least} to {MOST_LEAVES}"));
        ApiError::parameter(name, text, zh, en)
    })
}

fn read_kind(text: &str) -> Result<RecordKind, ApiError> {
    text.parse().map_err(|_| {
        let all: Vec<&str> = RecordKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let all = all.join(", ");
        ApiError::parameter("kind", text, format!("应为 {all} 之一"), format!("is one of {all}"))
    })
}

/// Records of an exported page at least, unless no more are there: each page adds one, which a later page must not outlast.
const LEAST_EXPORT: u16 = 10;

/// Query of an export.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    kind: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Export records
///
/// The tenant's records in the order of recording, a JSON line each, as in a bundle's `records.ndjson`: leaf, commitment, salt
/// and content, with decisions their traces and cases. `Next-Cursor` says where the next page begins; it is missing on the last.
/// Each page leaves a record of its own (`access`, action `records.export`) before it is given.
#[utoipa::path(
    get, path = "/v1/audit/export", tag = "proofs", operation_id = "exportRecords",
    params(
        ("kind" = Option<String>, Query, description = "Only this kind of record", pattern = "^(decision|review|appeal|sop_publication|certificate|erasure|access|key_rotation)$"),
        ("limit" = Option<u16>, Query, description = "10 to 200, 50 by default", minimum = 10, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`Next-Cursor` of the page before", pattern = "^[0-7][0-9a-f]{15}$"),
    ),
    responses((
        status = 200, description = "Lines of JSON", content_type = "application/x-ndjson", body = String,
        headers(("Next-Cursor" = String, description = "Where the next page begins")),
    )),
)]
pub(super) async fn export(
    guard: Guarded<ExportRecords>,
    state: web::Data<AppState>,
    query: web::Query<ExportQuery>,
) -> Result<HttpResponse, ApiError> {
    let limit = page::limit_from(LEAST_EXPORT, query.limit.as_deref())?;
    let after = query.cursor.as_deref().map(page::read_cursor).transpose()?.unwrap_or(0);
    let kind = query.kind.as_deref().map(read_kind).transpose()?;
    let mut records = state.store.export_of(&guard.caller.tenant, kind, after, limit + 1).await?;
    let more = records.len() > usize::from(limit);
    records.truncate(usize::from(limit));
    let details = json!({ "kind": kind.map(RecordKind::as_str), "after": query.cursor, "records": records.len() });
    let did = guard.caller.did("records.export", details);
    state.store.tenant(&guard.caller.tenant).append_records(RecordKind::Access, &[did]).await?;
    let mut response = HttpResponse::Ok();
    if let Some((seq, _)) = records.last().filter(|_| more) {
        response.insert_header(("next-cursor", page::cursor(*seq)));
    }
    let mut body = Vec::new();
    for (_, record) in records {
        serde_json::to_writer(&mut body, &line(record)).map_err(internal("a record has no JSON form"))?;
        body.push(b'\n');
    }
    Ok(response.insert_header((header::CONTENT_TYPE, "application/x-ndjson")).body(body))
}
