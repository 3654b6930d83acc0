//! Receipts and proofs of the log as it stands, for whoever asks for one record's.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::export::LeafContent;
use super::log::{Log, StoredCheckpoint};
use super::model::Erased;
use super::tenant::TenantId;
use super::{Leaf, Store};
use crate::ledger::{
    Entry, Hash, Kind, Receipt, SignedCheckpoint, consistency, consistency_tiles, inclusion, inclusion_tiles, root,
    root_tiles,
};

/// What there is to say when a receipt is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipted {
    /// The receipt.
    Receipt(Box<Receipt>),
    /// There is no such record.
    Unknown,
    /// The record waits for its place in the log.
    Pending,
    /// The salt is gone with the content; only that the leaf is there can still be proved.
    Erased(Erased),
    /// The record is gone or damaged.
    Lost,
}

impl Store {
    /// The receipt of a record, with all of its parts, at the last checkpoint.
    pub async fn receipt(&self, tenant: &TenantId, kind: Kind, id: &str) -> Result<Receipted, StoreError> {
        let Some(leaf) = self.tenant(tenant).leaf(kind, id).await? else { return Ok(Receipted::Unknown) };
        let log = self.log();
        let (Some(index), Some(last)) = (leaf.index, log.latest().await?) else { return Ok(Receipted::Pending) };
        let Some(record) = self.export(index, 1).await?.pop() else { return Ok(Receipted::Lost) };
        let kept = match record.content {
            LeafContent::Kept(kept) => kept,
            LeafContent::Erased(erased) => return Ok(Receipted::Erased(erased)),
            LeafContent::Expired | LeafContent::Missing | LeafContent::Damaged => return Ok(Receipted::Lost),
        };
        let parts = kept.parts.iter().map(|(name, bytes)| ((*name).to_owned(), Hash::of(bytes))).collect();
        let Leaf { recorded_at, .. } = leaf;
        let entry = Entry { tenant: record.tenant, kind: record.kind, id: record.id, recorded_at, parts };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        let content: Option<BTreeMap<String, String>> =
            kept.parts.into_iter().map(|(name, bytes)| Some((name.to_owned(), text(bytes)?))).collect();
        let proof = log.inclusion(index, last.size).await?;
        let receipt =
            Receipt::new(entry, kept.salt.to_vec(), index, proof, &last.signed()?, content.unwrap_or_default());
        Ok(Receipted::Receipt(Box::new(receipt)))
    }
}

impl Log {
    /// The proof that leaf `index` is in the tree of the first `size` leaves.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        Ok(inclusion(index, size, &self.tiles(&inclusion_tiles(index, size)?).await?)?)
    }

    /// The proof that the tree of the first `from` leaves is the beginning of that of the first `to`.
    pub async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, StoreError> {
        Ok(consistency(from, to, &self.tiles(&consistency_tiles(from, to)?).await?)?)
    }

    /// The root of the first `size` leaves, as the tiles have it.
    pub async fn root(&self, size: u64) -> Result<Hash, StoreError> {
        Ok(root(size, &self.tiles(&root_tiles(size)).await?)?)
    }
}

impl StoredCheckpoint {
    /// The note with its cosignatures.
    pub fn signed(&self) -> Result<SignedCheckpoint, StoreError> {
        let mut signed = SignedCheckpoint::parse(&self.note)?;
        self.cosignatures.iter().try_for_each(|line| signed.add_unproven(line))?;
        Ok(signed)
    }
}
