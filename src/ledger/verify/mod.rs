//! Verification of a whole log: every leaf against its record, every checkpoint against the leaves, the tiles, the
//! signatures. One pass over records and checkpoints in the order of the log; what is held in memory is the edge of the
//! tree and 16 bytes a leaf. It trusts nothing but the keys and the witness's checkpoints that it is given.

mod checkpoints;
mod finding;
mod records;
mod report;
mod tiles;

use chrono::{DateTime, Utc};

use super::bundle::RecordLine;
use super::checkpoint::SignedCheckpoint;
use super::hash::Hash;
use super::key::PublicKey;
use super::tile::TileRef;
use super::tree::Tree;

pub use finding::{Explained, Finding, Named};
pub use report::{Report, Told};

/// What whoever verifies brings along, and what the data says of itself.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Keys of the log and of witnesses known from elsewhere.
    pub keys: Vec<PublicKey>,
    /// Keys that come with the data, the log's oldest first.
    pub claimed: Vec<PublicKey>,
    /// Checkpoints that a witness, or an earlier visit, has seen.
    pub witnessed: Vec<SignedCheckpoint>,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// File and line.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// Verifies a log. Records come in the order of their leaves, those without a place last; checkpoints by size. `tiles`
/// gives the stored hashes of a tile, None where there is none.
pub fn verify(
    records: impl IntoIterator<Item = Result<RecordLine, Unreadable>>,
    checkpoints: impl IntoIterator<Item = Result<SignedCheckpoint, Unreadable>>,
    tiles: impl FnMut(TileRef) -> Option<Vec<Hash>>,
    trust: &Trust,
) -> Report {
    let mut check = Check::new(trust, checkpoints.into_iter().peekable(), tiles);
    for line in records {
        match line {
            Ok(line) => check.record(&line),
            Err(Unreadable { place, reason }) => check.report.add(Finding::Unreadable { place, reason }),
        }
    }
    check.finish()
}

/// A verification under way.
struct Check<'a, C: Iterator, T> {
    trust: &'a Trust,
    report: Report,
    tree: Tree,
    checkpoints: std::iter::Peekable<C>,
    stored_tile: T,
    signing: checkpoints::Signing,
    /// What witnesses saw, by size.
    witnessed: std::iter::Peekable<std::vec::IntoIter<(u64, Hash)>>,
    roots: checkpoints::Roots,
    differences: Vec<tiles::Difference>,
    /// Fingerprint of each leaf's record, and the leaf.
    seen: Vec<(u64, u64)>,
    erasures: records::Erasures,
    /// The youngest record that is said to be past its time.
    expired: Option<(DateTime<Utc>, u64, Named)>,
    newest: Option<DateTime<Utc>>,
}

impl<'a, C, T> Check<'a, C, T>
where
    C: Iterator<Item = Result<SignedCheckpoint, Unreadable>>,
    T: FnMut(TileRef) -> Option<Vec<Hash>>,
{
    fn new(trust: &'a Trust, checkpoints: std::iter::Peekable<C>, stored_tile: T) -> Self {
        let mut witnessed: Vec<(u64, Hash)> =
            trust.witnessed.iter().map(|seen| (seen.unproven().size, seen.unproven().root)).collect();
        witnessed.sort_unstable();
        let mut check = Self {
            trust,
            report: Report::default(),
            tree: Tree::default(),
            checkpoints,
            stored_tile,
            signing: checkpoints::Signing::new(trust),
            witnessed: witnessed.into_iter().peekable(),
            roots: checkpoints::Roots::default(),
            differences: Vec::new(),
            seen: Vec::new(),
            erasures: records::Erasures::default(),
            expired: None,
            newest: None,
        };
        check.at_this_size();
        check
    }

    /// Appends a leaf and checks what the tree must now agree with.
    fn append(&mut self, leaf: Hash) {
        for tile in self.tree.append(leaf) {
            self.compare(tile.at(), &tile.hashes);
        }
        self.at_this_size();
    }

    fn finish(mut self) -> Report {
        let edge: Vec<(TileRef, Vec<Hash>)> = self.tree.edge().map(|(at, hashes)| (at, hashes.to_vec())).collect();
        for (at, hashes) in edge {
            self.compare(at, &hashes);
        }
        self.finish_checkpoints();
        self.finish_tiles();
        self.finish_records();
        self.report.size = self.tree.size();
        self.report.root = Some(self.tree.root());
        self.report.ok = self.report.findings.is_empty();
        self.report
    }
}
