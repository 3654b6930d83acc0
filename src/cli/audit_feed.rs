//! Reads the log out of the database in the form of a bundle: line by line, at the pace of whoever takes them.

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::ledger::{Hash, RecordLine, Report, SignedCheckpoint, TileRef, Tiles, Trust, Unreadable, verify};
use crate::record::line;
use crate::store::{Log, Store, StoreError};

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
