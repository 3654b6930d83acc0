//! Proofs: what the ledger says of a decision, for clients that keep it.

use actix_web::{HttpResponse, web};

use super::super::auth::{Guarded, ReadProofs};
use super::super::error::ApiError;
use super::super::state::AppState;
use crate::store::{Receipted, RecordKind};

/// Read a decision's receipt
///
/// The decision, its salt, the proof that it is a leaf of the ledger, and the signed checkpoint: all that
/// `praetor-audit verify-receipt` needs. Within a second of the decision the leaf may still be pending: 409.
#[utoipa::path(
    get, path = "/v1/decisions/{id}/receipt", tag = "proofs", operation_id = "getReceipt",
    params(("id" = String, Path, description = "The decision's id", pattern = "^dec_[0-9a-f]{32}$")),
    responses((status = 200, description = "The receipt", content_type = "application/json", body = serde_json::Value)),
)]
pub(in super::super) async fn receipt(
    guard: Guarded<ReadProofs>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    match state.store.receipt(&guard.caller.tenant, RecordKind::Decision, &id).await? {
        Receipted::Receipt(receipt) => Ok(HttpResponse::Ok().content_type("application/json").body(receipt.to_bytes())),
        Receipted::Unknown => Err(ApiError::NotFound),
        Receipted::Erased(_) => Err(ApiError::Erased),
        Receipted::Pending => Err(ApiError::conflict(
            "该决定尚未进入账本，请稍后再取",
            "the decision has no place in the ledger yet; ask again",
        )),
        Receipted::Lost => {
            tracing::error!(decision = %id, "a record is gone or damaged: run `praetor audit verify`");
            Err(ApiError::Internal)
        }
    }
}

/// Read the latest checkpoint
#[utoipa::path(
    get, path = "/v1/audit/checkpoint", tag = "proofs", operation_id = "getCheckpoint",
    responses((status = 200, description = "A signed note (C2SP): origin, size, root, signatures", content_type = "text/plain", body = String)),
)]
pub(in super::super) async fn checkpoint(
    _guard: Guarded<ReadProofs>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let latest = state.store.log().latest().await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(latest.note))
}
