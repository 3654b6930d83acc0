//! The stored tiles against those that the leaves give. A difference is the tile's fault where the leaves give the signed
//! roots, and the leaves' fault where they do not; then the tile tells which leaf it was.

use std::collections::{BTreeMap, BTreeSet};

use super::super::hash::Hash;
use super::super::tile::{TILE_HEIGHT, TILE_WIDTH};
use super::{Check, Finding, SignedCheckpoint, TileRef, Unreadable};

/// Differences that are kept; a rewritten log has as many as leaves.
const KEPT: usize = 100_000;

/// A hash in a stored tile that is not the one of the leaves.
pub(super) struct Difference {
    tile: TileRef,
    /// Place on the tile's level.
    place: u64,
    given: Hash,
    stored: Hash,
}

impl Difference {
    /// The leaves below it.
    fn leaves(&self) -> (u64, u64) {
        let height = self.tile.level * TILE_HEIGHT;
        (self.place << height, (self.place + 1) << height)
    }
}

impl<C, T> Check<'_, C, T>
where
    C: Iterator<Item = Result<SignedCheckpoint, Unreadable>>,
    T: FnMut(TileRef) -> Option<Vec<Hash>>,
{
    pub(super) fn compare(&mut self, at: TileRef, given: &[Hash]) {
        let Some(stored) = (self.stored_tile)(at).filter(|stored| stored.len() >= given.len()) else {
            return self.report.add(Finding::TileMissing { tile: at.path() });
        };
        let first = at.index * TILE_WIDTH;
        for (place, (given, stored)) in (first..).zip(given.iter().zip(&stored)) {
            if given != stored && self.differences.len() < KEPT {
                self.differences.push(Difference { tile: at, place, given: *given, stored: *stored });
            }
        }
    }

    /// The hash that the tiles have for a leaf.
    pub(super) fn stored_leaf(&mut self, leaf: u64) -> Option<Hash> {
        let (index, within) = (leaf / TILE_WIDTH, leaf % TILE_WIDTH);
        let stored = (self.stored_tile)(TileRef { level: 0, index, width: within + 1 })?;
        stored.get(usize::try_from(within).ok()?).copied()
    }

    pub(super) fn finish_tiles(&mut self) {
        let differences = std::mem::take(&mut self.differences);
        let at_fault = |d: &Difference| self.roots.bad.is_some() && d.leaves().1 > self.roots.good;
        let places: BTreeMap<Hash, u64> =
            differences.iter().filter(|d| d.tile.level == 0).map(|d| (d.stored, d.place)).collect();
        let mut rewritten = BTreeSet::new();
        // Leaves that are known to be wrong: what lies above them differs for their sake.
        let mut known = BTreeSet::new();
        for difference in &differences {
            let (from, to) = difference.leaves();
            if known.range(from..to).next().is_some() {
                continue;
            }
            if !at_fault(difference) {
                if rewritten.insert(difference.tile.path()) {
                    self.report.add(Finding::TileRewritten { tile: difference.tile.path() });
                }
                continue;
            }
            known.insert(from);
            match places.get(&difference.given).filter(|_| difference.tile.level == 0) {
                Some(other) => {
                    known.insert(*other);
                    self.report.add(Finding::LeavesSwapped { leaf: from, other: *other });
                }
                None => self.report.add(Finding::LeavesChanged { from, to }),
            }
        }
    }
}
