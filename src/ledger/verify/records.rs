//! Each record against its leaf: content, columns, time, that none is missing, doubled or without a leaf.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Months, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::bundle::{Content, RecordLine, Rotation};
use super::super::entry::Kind;
use super::super::hash::{Hash, leaf_hash};
use super::{Check, Finding, Named, SignedCheckpoint, TileRef, Unreadable};

/// Records of transactions that ran side by side stand in the log in any order: dates this close prove nothing.
const JITTER: TimeDelta = TimeDelta::hours(1);

/// The shortest time that records are kept (电子商务法 art. 31).
const RETENTION: Months = Months::new(36);

/// Erasures in the log, and what is said to be erased by others: both few beside the records.
#[derive(Default)]
pub(super) struct Erasures {
    logged: BTreeSet<String>,
    /// By the erasure that is named: the first record, and how many.
    claimed: BTreeMap<String, (u64, Named)>,
}

impl<C, T> Check<'_, C, T>
where
    C: Iterator<Item = Result<SignedCheckpoint, Unreadable>>,
    T: FnMut(TileRef) -> Option<Vec<Hash>>,
{
    pub(super) fn record(&mut self, line: &RecordLine) {
        let record = Named { tenant: line.tenant.clone(), kind: line.kind, id: line.id.clone() };
        let Some(commitment) = line.commitment else {
            return self.report.add(Finding::RecordUnlogged { record });
        };
        self.content(line, &commitment, &record);
        let Some(leaf) = line.leaf else {
            self.report.pending += 1;
            return;
        };
        // Whatever stood at a place that is gone, its hash may still stand in the tile.
        while self.tree.size() < leaf {
            let gone = self.tree.size();
            self.report.add(Finding::LeafMissing { leaf: gone });
            let stored = self.stored_leaf(gone).unwrap_or_else(Hash::empty_root);
            self.append(stored);
        }
        if leaf < self.tree.size() {
            return self.report.add(Finding::LeafDoubled { leaf, other: leaf });
        }
        *self.report.leaves.entry(line.kind.as_str()).or_default() += 1;
        self.seen.push((fingerprint(&record), leaf));
        self.time(line.recorded_at, leaf, &record);
        match line.kind {
            Kind::Erasure => _ = self.erasures.logged.insert(line.id.clone()),
            Kind::KeyRotation => self.rotation(line, leaf, record),
            _ => {}
        }
        self.append(leaf_hash(commitment.as_bytes()));
    }

    fn content(&mut self, line: &RecordLine, commitment: &Hash, record: &Named) {
        let (leaf, record) = (line.leaf, record.clone());
        match &line.content {
            Content::Kept { salt, parts, columns, case } => {
                if line.entry().map(|entry| entry.commitment(salt)) != Some(*commitment) {
                    return self.report.add(Finding::PayloadEdited { leaf, record });
                }
                let body = parts.get("body").and_then(|text| serde_json::from_str::<Value>(text).ok());
                let in_body = |pointer: &str| body.as_ref().and_then(|b| b.pointer(pointer)).unwrap_or(&Value::Null);
                for (column, value) in columns {
                    if in_body(column) != value {
                        let (record, column) = (record.clone(), column.clone());
                        self.report.add(Finding::ColumnEdited { leaf, record, column });
                    }
                }
                if let Some(case) = case
                    && in_body("/case_hash").as_str() != Some(Hash::of(case.as_bytes()).to_string().as_str())
                {
                    self.report.add(Finding::CaseEdited { leaf, record });
                }
            }
            Content::Erased { by } => {
                self.report.erased += 1;
                self.erasures.claimed.entry(by.clone()).or_insert((leaf.unwrap_or(0), record));
            }
            Content::Expired => {
                self.report.expired += 1;
                // All share one limit, so only the youngest matters.
                if self.expired.as_ref().is_none_or(|(at, ..)| line.recorded_at > *at) {
                    self.expired = Some((line.recorded_at, leaf.unwrap_or(0), record));
                }
            }
            Content::Missing => self.report.add(Finding::RecordMissing { leaf, record }),
            Content::Damaged => self.report.add(Finding::PayloadEdited { leaf, record }),
        }
    }

    fn time(&mut self, at: DateTime<Utc>, leaf: u64, record: &Named) {
        match self.newest {
            Some(newest) if at < newest - JITTER => {
                self.report.add(Finding::Backdated { leaf, record: record.clone(), at, after: newest });
            }
            Some(newest) if at <= newest => {}
            _ => self.newest = Some(at),
        }
    }

    fn rotation(&mut self, line: &RecordLine, leaf: u64, record: Named) {
        let body = match &line.content {
            Content::Kept { parts, .. } => parts.get("body").and_then(|t| serde_json::from_str::<Rotation>(t).ok()),
            _ => None,
        };
        if !body.is_some_and(|rotation| self.signing.rotate(&rotation)) {
            self.report.add(Finding::RotationFalse { leaf, record });
        }
    }

    pub(super) fn finish_records(&mut self) {
        let unproven: Vec<_> =
            self.erasures.claimed.iter().filter(|(by, _)| !self.erasures.logged.contains(*by)).collect();
        for (by, (leaf, record)) in unproven {
            let (record, by) = (record.clone(), by.clone());
            self.report.add(Finding::ErasureUnproven { leaf: *leaf, record, by });
        }
        if let (Some((at, leaf, record)), Some(newest)) = (self.expired.take(), self.newest)
            && at.checked_add_months(RETENTION).is_none_or(|until| until > newest)
        {
            self.report.add(Finding::ExpiryUnproven { leaf, record });
        }
        self.seen.sort_unstable();
        for pair in self.seen.windows(2) {
            if let [(a, leaf), (b, other)] = pair
                && a == b
            {
                self.report.add(Finding::LeafDoubled { leaf: *leaf, other: *other });
            }
        }
    }
}

/// Eight bytes that two different records share with a likelihood of about 1 in 10^19.
fn fingerprint(record: &Named) -> u64 {
    let digest = Sha256::new()
        .chain_update(record.tenant.as_bytes())
        .chain_update([0])
        .chain_update(record.kind.as_str())
        .chain_update([0])
        .chain_update(record.id.as_bytes())
        .finalize();
    digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
