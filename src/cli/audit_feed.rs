//! Reads the log out of the database in the form of a bundle: line by line, at the pace of whoever takes them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::case::Fen;
use crate::ledger::{Content, RecordLine, SignedCheckpoint, TileRef, Tiles, Trust, Unreadable, verify};
use crate::ledger::{Hash, Report};
use crate::store::{DecisionColumns, LeafContent, LeafRecord, Log, Store, StoreError};

/// Leaves read at once.
const PAGE: u64 = 256;
/// Leaves without a place that are read: beyond them, they are not counted.
const UNPLACED: i64 = 10_000;

/// A checkpoint on its way.
pub(super) type Noted = Result<SignedCheckpoint, Unreadable>;

/// A way for lines that holds few of them.
pub(super) fn way<T>() -> (Sender<T>, Receiver<T>) {
    channel(PAGE as usize)
}

/// The part of the log to look at: what the last checkpoint covers, and, should there be more without a newer checkpoint,
/// that too. What others append meanwhile is left out.
pub(super) async fn extent(store: &Store) -> Result<u64, StoreError> {
    let before = store.log().latest().await?.map_or(0, |last| last.size);
    let beyond = !store.export(before, 1).await?.is_empty();
    let after = store.log().latest().await?.map_or(0, |last| last.size);
    Ok(if beyond && after == before { u64::MAX } else { before })
}

/// All records: leaves in their order, then what has no place. Ends early if nobody takes them any more.
pub(super) async fn records(store: &Store, extent: u64, to: Sender<RecordLine>) -> Result<(), StoreError> {
    let signed = store.log().latest().await?.map_or(0, |last| last.size);
    let mut from = 0;
    while from < extent {
        let page = store.export(from, PAGE.min(extent - from)).await?;
        if page.is_empty() && from >= signed {
            break;
        }
        for leaf in page {
            if to.send(line(leaf)).await.is_err() {
                return Ok(());
            }
        }
        from += PAGE;
    }
    for leaf in store.export_unplaced(UNPLACED).await? {
        if to.send(line(leaf)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// All checkpoints with their cosignatures.
pub(super) async fn checkpoints(log: &Log, extent: u64, to: Sender<Noted>) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let page = log.checkpoints(after, PAGE as i64).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.size;
        for stored in page {
            if stored.size > extent {
                return Ok(());
            }
            let place = format!("checkpoint {}", stored.size);
            let read = stored.signed().map_err(|error| Unreadable { place, reason: error.to_string() });
            if to.send(read).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Verifies the database as a bundle is verified.
pub(super) async fn verify_store(store: &Store, trust: Trust) -> anyhow::Result<Report> {
    let extent = extent(store).await?;
    let (log, runtime) = (store.log(), tokio::runtime::Handle::current());
    let ((to_lines, mut lines), (to_notes, mut notes)) = (way(), way());
    let verified = tokio::task::spawn_blocking(move || {
        let lines = std::iter::from_fn(|| lines.blocking_recv()).map(Ok);
        let notes = std::iter::from_fn(|| notes.blocking_recv());
        verify(lines, notes, |at| runtime.block_on(tile(&log, at)), &trust)
    });
    let log = store.log();
    let (fed, noted, report) =
        tokio::join!(records(store, extent, to_lines), checkpoints(&log, extent, to_notes), verified);
    fed?;
    noted?;
    Ok(report?)
}

/// The stored hashes of a tile; None where they are not there.
pub(super) async fn tile(log: &Log, at: TileRef) -> Option<Vec<Hash>> {
    log.tiles(&[at]).await.ok()?.tile(at).ok()
}

/// A leaf of the store as a line of a bundle.
fn line(leaf: LeafRecord) -> RecordLine {
    let content = match leaf.content {
        LeafContent::Kept(kept) => {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
            let parts = kept.parts.into_iter().map(|(name, bytes)| Some((name.to_owned(), text(bytes)?)));
            match (parts.collect::<Option<_>>(), kept.case.map(text)) {
                (Some(parts), case @ (None | Some(Some(_)))) => Content::Kept {
                    salt: kept.salt.to_vec(),
                    parts,
                    columns: kept.columns.map(|columns| pointers(&leaf.id, columns)).unwrap_or_default(),
                    case: case.flatten(),
                },
                _ => Content::Damaged,
            }
        }
        LeafContent::Erased(erased) => Content::Erased { by: erased.by },
        LeafContent::Expired => Content::Expired,
        LeafContent::Missing => Content::Missing,
        LeafContent::Damaged => Content::Damaged,
    };
    RecordLine {
        leaf: leaf.index,
        commitment: leaf.commitment,
        tenant: leaf.tenant,
        kind: leaf.kind,
        id: leaf.id,
        recorded_at: leaf.recorded_at,
        content,
    }
}

/// Where in a decision's body each column stands, and what must stand there.
fn pointers(id: &str, columns: DecisionColumns) -> BTreeMap<String, Value> {
    let money = |fen: Option<i64>| fen.and_then(Fen::new).map(|fen| fen.to_string());
    [
        ("/id", json!(id)),
        ("/ticket_id", json!(columns.ticket_id)),
        ("/case_hash", json!(hex::encode(columns.case_hash))),
        ("/outcome", json!(columns.outcome)),
        ("/sop/id", json!(columns.sop_id)),
        ("/sop/version", json!(columns.sop_version)),
        ("/remedy/kind", json!(columns.remedy_kind)),
        ("/remedy/refund", json!(money(columns.refund_fen))),
        ("/remedy/compensation", json!(money(columns.compensation_fen))),
    ]
    .into_iter()
    .map(|(pointer, value)| (pointer.to_owned(), value))
    .collect()
}
