//! Tiles: the hashes of a tree in pieces of 256, as C2SP's tlog-tiles lays them out. A tile of level L holds hashes of
//! tree level 8·L; whatever lies between can be computed from one tile.

use std::collections::BTreeMap;

use super::error::LedgerError;
use super::hash::{Hash, node_hash};

/// Levels of the tree within one tile.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// Which tile, and how many of its hashes are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileRef {
    /// 0 holds leaf hashes, 1 the roots of full tiles of level 0, and so on.
    pub level: u32,
    /// From the left, from 0.
    pub index: u64,
    /// 1 to 256; a tile with fewer than 256 hashes is one at the right edge.
    pub width: u64,
}

impl TileRef {
    /// The path of C2SP's tlog-tiles, such as `tile/0/x001/234` or `tile/1/000.p/17`.
    pub fn path(&self) -> String {
        let mut name = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            name = format!("x{:03}/{name}", rest % 1000);
            rest /= 1000;
        }
        match self.width {
            TILE_WIDTH => format!("tile/{}/{name}", self.level),
            width => format!("tile/{}/{name}.p/{width}", self.level),
        }
    }

    /// All tiles of a tree of this size, full ones and those at the right edge, level by level.
    pub fn all(size: u64) -> impl Iterator<Item = TileRef> {
        let levels = (0..).map_while(move |level| match hashes_at(level, size) {
            0 => None,
            hashes => Some((level, hashes)),
        });
        levels.flat_map(|(level, hashes)| {
            (0..hashes.div_ceil(TILE_WIDTH)).map(move |index| TileRef {
                level,
                index,
                width: (hashes - index * TILE_WIDTH).min(TILE_WIDTH),
            })
        })
    }

    /// The tiles at the right edge of a tree of this size, one a level, without full ones.
    pub fn edge(size: u64) -> impl Iterator<Item = TileRef> {
        let levels = (0..).map(move |level| (level, hashes_at(level, size))).take_while(|(_, hashes)| *hashes > 0);
        levels.filter_map(|(level, hashes)| {
            let width = hashes % TILE_WIDTH;
            (width > 0).then_some(TileRef { level, index: hashes / TILE_WIDTH, width })
        })
    }
}

/// Hashes on a level of tiles in a tree of this size.
pub(super) fn hashes_at(level: u32, size: u64) -> u64 {
    size.checked_shr(level * TILE_HEIGHT).unwrap_or(0)
}

/// A full tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Its level.
    pub level: u32,
    /// Its place on that level.
    pub index: u64,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

impl Tile {
    /// Where it belongs.
    pub fn at(&self) -> TileRef {
        TileRef { level: self.level, index: self.index, width: TILE_WIDTH }
    }

    /// The hashes one after another, as the tile is kept: 8,192 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }

    /// The node above its hashes: this is hash `index` of the next level.
    pub fn root(&self) -> Hash {
        subtree(&self.hashes)
    }

    /// Reads the hashes of a tile, full or not. None if the bytes are no whole number of hashes.
    pub fn hashes_of(bytes: &[u8]) -> Option<Vec<Hash>> {
        let (chunks, rest) = bytes.as_chunks::<32>();
        rest.is_empty().then(|| chunks.iter().map(|chunk| Hash::from(*chunk)).collect())
    }
}

/// The root over a power of two of hashes.
pub(super) fn subtree(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Hash::empty_root(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            node_hash(&subtree(left), &subtree(right))
        }
    }
}

/// Where tiles are read.
pub trait Tiles {
    /// The first `width` hashes of a tile; an error if it has fewer.
    fn tile(&self, at: TileRef) -> Result<Vec<Hash>, LedgerError>;
}

/// Tiles in memory: those that the functions named `…_tiles` ask for, once somebody has fetched them.
#[derive(Debug, Clone, Default)]
pub struct TileSet(BTreeMap<(u32, u64), Vec<Hash>>);

impl TileSet {
    /// Adds the hashes of a tile.
    pub fn insert(&mut self, level: u32, index: u64, hashes: Vec<Hash>) {
        self.0.insert((level, index), hashes);
    }
}

impl Tiles for TileSet {
    fn tile(&self, at: TileRef) -> Result<Vec<Hash>, LedgerError> {
        let width = usize::try_from(at.width).unwrap_or(usize::MAX);
        let hashes = self.0.get(&(at.level, at.index)).and_then(|hashes| hashes.get(..width));
        hashes.map(<[Hash]>::to_vec).ok_or(LedgerError::MissingTile { at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_tlog_tiles() {
        for (level, index, width, path) in [
            (0, 0, 256, "tile/0/000"),
            (0, 1_234_067, 256, "tile/0/x001/x234/067"),
            (1, 0, 17, "tile/1/000.p/17"),
            (0, 1000, 1, "tile/0/x001/000.p/1"),
        ] {
            assert_eq!(TileRef { level, index, width }.path(), path);
        }
    }

    #[test]
    fn a_tree_has_the_tiles_that_tlog_tiles_names() {
        let paths: Vec<String> = TileRef::all(70_000).map(|at| at.path()).collect();
        assert_eq!(paths.len(), 274 + 2 + 1);
        for path in ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"] {
            assert!(paths.iter().any(|p| p == path), "{path}");
        }
        let edge: Vec<String> = TileRef::edge(256).map(|at| at.path()).collect();
        assert_eq!(edge, ["tile/1/000.p/1"]);
        assert_eq!(TileRef::all(0).count(), 0);
    }
}
