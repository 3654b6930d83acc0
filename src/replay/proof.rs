//! That a record is in the log: its leaf leads to the root of a checkpoint that the log signed. What its leaf commits to
//! is checked by the store whenever it reads the record.

use serde::Serialize;

use super::ReplayError;
use crate::ledger::{Checkpoint, Kind, PublicKey, SignedCheckpoint, leaf_hash, verify_inclusion};
use crate::store::{Log, StoreError, TenantStore};

/// Where a record stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inclusion {
    /// The log's name.
    pub log: String,
    /// The leaf's place, from 0.
    pub leaf: u64,
    /// Leaves of the tree that it was proved in.
    pub size: u64,
    /// The root of that tree, in hex.
    pub root: String,
}

/// Whether a record is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proven {
    /// It is.
    Included(Inclusion),
    /// It waits for the next checkpoint.
    Pending,
    /// It is not: why.
    Not(String),
}

/// Proves decisions of one tenant to be in the log.
pub struct Prover {
    records: TenantStore,
    log: Log,
    keys: Vec<PublicKey>,
    /// The last checkpoint seen, its signature checked.
    checkpoint: Option<Checkpoint>,
}

impl std::fmt::Debug for Prover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prover").field("checkpoint", &self.checkpoint).finish_non_exhaustive()
    }
}

impl Prover {
    /// `keys` are the public keys of the log.
    pub fn new(records: TenantStore, log: Log, keys: Vec<PublicKey>) -> Self {
        Self { records, log, keys, checkpoint: None }
    }

    /// Whether the decision of this id is in the log.
    pub async fn prove(&mut self, id: &str) -> Result<Proven, ReplayError> {
        let Some(leaf) = self.records.leaf(Kind::Decision, id).await? else {
            return Ok(Proven::Not("the decision has no leaf".to_owned()));
        };
        let Some(index) = leaf.index else { return Ok(Proven::Pending) };
        if self.checkpoint.as_ref().is_none_or(|c| c.size <= index) {
            let Some(last) = self.log.latest().await? else { return Ok(Proven::Pending) };
            match SignedCheckpoint::parse(&last.note).and_then(|signed| signed.verify(&self.keys).cloned()) {
                Ok(checkpoint) => self.checkpoint = Some(checkpoint),
                Err(error) => return Ok(Proven::Not(error.to_string())),
            }
        }
        let Some(checkpoint) = self.checkpoint.as_ref().filter(|c| c.size > index) else { return Ok(Proven::Pending) };
        let proved = match self.log.inclusion(index, checkpoint.size).await {
            Ok(proof) => {
                let leaf = leaf_hash(leaf.commitment.as_bytes());
                verify_inclusion(&leaf, index, checkpoint.size, &proof, &checkpoint.root)
            }
            // The tiles are not what the log's size says.
            Err(StoreError::Ledger(error)) => Err(error),
            Err(error) => return Err(error.into()),
        };
        Ok(match proved {
            Ok(()) => Proven::Included(Inclusion {
                log: checkpoint.origin.clone(),
                leaf: index,
                size: checkpoint.size,
                root: checkpoint.root.to_string(),
            }),
            Err(error) => Proven::Not(error.to_string()),
        })
    }
}
