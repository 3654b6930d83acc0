//! The growing edge of the tree: all that is needed to append, at most 255 hashes a level of tiles.

use super::error::LedgerError;
use super::hash::{Hash, node_hash};
use super::tile::{TILE_HEIGHT, TILE_WIDTH, Tile, TileRef, Tiles, hashes_at, subtree};

/// A tree as its writer holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Roots of the full subtrees, from the largest, at the left, to the smallest.
    frontier: Vec<Hash>,
    /// The hashes of each level's last tile, which is not full.
    open: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree of this size whose tiles are there. Reads one tile a level: those of `TileRef::edge(size)`.
    pub fn load(size: u64, tiles: &impl Tiles) -> Result<Self, LedgerError> {
        let levels = (0..).take_while(|level| hashes_at(*level, size) > 0);
        let mut open: Vec<Vec<Hash>> = levels.map(|_| Vec::new()).collect();
        for at in TileRef::edge(size) {
            if let Some(level) = open.get_mut(usize::try_from(at.level).unwrap_or(usize::MAX)) {
                *level = tiles.tile(at)?;
            }
        }
        let mut frontier = Vec::new();
        for level in open.iter().rev() {
            let mut rest = level.as_slice();
            while !rest.is_empty() {
                let (whole, after) = rest.split_at(1 << rest.len().ilog2());
                frontier.push(subtree(whole));
                rest = after;
            }
        }
        Ok(Self { size, frontier, open })
    }

    /// Leaves in it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash (`leaf_hash`). Gives the tiles that it completes, from level 0 up; mostly none.
    pub fn append(&mut self, leaf: Hash) -> Vec<Tile> {
        let mut full = Vec::new();
        self.put(0, leaf);
        let (mut hash, mut index, mut height) = (leaf, self.size, 0);
        while index & 1 == 1
            && let Some(left) = self.frontier.pop()
        {
            hash = node_hash(&left, &hash);
            index >>= 1;
            height += 1;
            if height % TILE_HEIGHT == 0 {
                let level = height / TILE_HEIGHT - 1;
                full.push(Tile { level, index, hashes: self.take(level) });
                self.put(level + 1, hash);
            }
        }
        self.frontier.push(hash);
        self.size += 1;
        full
    }

    /// The root. Computed from at most 64 hashes.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.frontier.iter().rev();
        let Some(last) = subtrees.next() else { return Hash::empty_root() };
        subtrees.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The tiles at the right edge that are not full, for whoever keeps or publishes them: those of `TileRef::edge`.
    pub fn edge(&self) -> impl Iterator<Item = (TileRef, &[Hash])> {
        TileRef::edge(self.size).filter_map(|at| {
            let hashes = self.open.get(usize::try_from(at.level).ok()?)?;
            Some((at, hashes.as_slice()))
        })
    }

    fn put(&mut self, level: u32, hash: Hash) {
        let level = level as usize;
        if self.open.len() <= level {
            self.open.push(Vec::with_capacity(TILE_WIDTH as usize));
        }
        self.open[level].push(hash);
    }

    fn take(&mut self, level: u32) -> Vec<Hash> {
        std::mem::replace(&mut self.open[level as usize], Vec::with_capacity(TILE_WIDTH as usize))
    }
}
