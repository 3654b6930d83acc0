//! Inclusion and consistency proofs (RFC 6962, 2.1.1 and 2.1.2; verification after RFC 9162, 2.1.3.2 and 2.1.4.2).
//! Proofs are made from O(log n) tiles. Each maker has a partner that names those tiles, so that whoever must wait for
//! a database fetches them first.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::error::LedgerError;
use super::hash::{Hash, node_hash};
use super::tile::{TILE_HEIGHT, TILE_WIDTH, TileRef, TileSet, Tiles, hashes_at, subtree};

/// The proof that leaf `index` is in the tree of the first `size` leaves: the hashes from the bottom to the top.
pub fn inclusion(index: u64, size: u64, tiles: &impl Tiles) -> Result<Vec<Hash>, LedgerError> {
    if index >= size {
        return Err(LedgerError::NoSuchLeaf { index, size });
    }
    ranges_to_leaf(index, size).into_iter().map(|(from, to)| range_root(from, to, size, tiles)).collect()
}

/// The proof that the tree of the first `from` leaves is the beginning of that of the first `to`.
pub fn consistency(from: u64, to: u64, tiles: &impl Tiles) -> Result<Vec<Hash>, LedgerError> {
    if from > to {
        return Err(LedgerError::NoSuchPrefix { from, to });
    }
    ranges_to_prefix(from, to).into_iter().map(|(start, end)| range_root(start, end, to, tiles)).collect()
}

/// The root of the first `size` leaves.
pub fn root(size: u64, tiles: &impl Tiles) -> Result<Hash, LedgerError> {
    if size == 0 { Ok(Hash::empty_root()) } else { range_root(0, size, size, tiles) }
}

/// The tiles that `inclusion` reads.
pub fn inclusion_tiles(index: u64, size: u64) -> Result<Vec<TileRef>, LedgerError> {
    asked(|tiles| inclusion(index, size, tiles).map(drop))
}

/// The tiles that `consistency` reads.
pub fn consistency_tiles(from: u64, to: u64) -> Result<Vec<TileRef>, LedgerError> {
    asked(|tiles| consistency(from, to, tiles).map(drop))
}

/// The tiles that `root` reads.
pub fn root_tiles(size: u64) -> Vec<TileRef> {
    TileRef::edge(size).collect()
}

/// Answers with empty tiles and remembers what was asked.
#[derive(Default)]
struct Asked(RefCell<BTreeSet<TileRef>>);

impl Tiles for Asked {
    fn tile(&self, at: TileRef) -> Result<Vec<Hash>, LedgerError> {
        self.0.borrow_mut().insert(at);
        let width = usize::try_from(at.width).unwrap_or(0);
        Ok(vec![Hash::from([0; 32]); width])
    }
}

fn asked(make: impl FnOnce(&Asked) -> Result<(), LedgerError>) -> Result<Vec<TileRef>, LedgerError> {
    let asked = Asked::default();
    make(&asked)?;
    Ok(asked.0.into_inner().into_iter().collect())
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The ranges of leaves whose roots are the proof, from the bottom to the top.
fn ranges_to_leaf(index: u64, size: u64) -> Vec<(u64, u64)> {
    let (mut from, mut to) = (0, size);
    let mut ranges = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            ranges.push((middle, to));
            to = middle;
        } else {
            ranges.push((from, middle));
            from = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// SUBPROOF of RFC 6962: the ranges of leaves whose roots are the proof, from the bottom to the top.
fn ranges_to_prefix(prefix: u64, size: u64) -> Vec<(u64, u64)> {
    if prefix == 0 || prefix == size {
        return Vec::new();
    }
    let (mut from, mut to) = (0, size);
    let mut ranges = Vec::new();
    while to != prefix {
        let middle = from + split(to - from);
        if prefix <= middle {
            ranges.push((middle, to));
            to = middle;
        } else {
            ranges.push((from, middle));
            from = middle;
        }
    }
    if from > 0 {
        // The verifier has the root of the older tree only if that is one full subtree.
        ranges.push((from, to));
    }
    ranges.reverse();
    ranges
}

/// The root over the leaves [from, to) of a tree of `size`, where `from` is a multiple of the range's first subtree.
fn range_root(from: u64, to: u64, size: u64, tiles: &impl Tiles) -> Result<Hash, LedgerError> {
    let mut parts = Vec::new();
    let mut at = from;
    while at < to {
        let height = (to - at).ilog2();
        parts.push(node(height, at >> height, size, tiles)?);
        at += 1 << height;
    }
    let mut parts = parts.into_iter().rev();
    let last = parts.next().unwrap_or_else(Hash::empty_root);
    Ok(parts.fold(last, |right, left| node_hash(&left, &right)))
}

/// The node `index` of a level, which is the root of a full subtree.
fn node(height: u32, index: u64, size: u64, tiles: &impl Tiles) -> Result<Hash, LedgerError> {
    let level = height / TILE_HEIGHT;
    let within = height % TILE_HEIGHT;
    let first = index << within;
    let tile = first / TILE_WIDTH;
    let width = (hashes_at(level, size) - tile * TILE_WIDTH).min(TILE_WIDTH);
    let at = TileRef { level, index: tile, width };
    let hashes = tiles.tile(at)?;
    let start = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
    let nodes = hashes.get(start..).and_then(|rest| rest.get(..1 << within));
    nodes.map(subtree).ok_or(LedgerError::MissingTile { at })
}

/// Checks that a leaf hash is at `index` in the tree of `size` leaves with this root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), LedgerError> {
    if index >= size {
        return Err(LedgerError::NoSuchLeaf { index, size });
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(LedgerError::ProofFails);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(LedgerError::ProofFails) }
}

/// Checks that the tree of `from` leaves with one root is the beginning of that of `to` leaves with the other.
pub fn verify_consistency(
    from: u64,
    from_root: &Hash,
    to: u64,
    to_root: &Hash,
    proof: &[Hash],
) -> Result<(), LedgerError> {
    let holds = |holds: bool| if holds { Ok(()) } else { Err(LedgerError::ProofFails) };
    if from > to {
        return Err(LedgerError::NoSuchPrefix { from, to });
    }
    if from == to {
        return holds(proof.is_empty() && from_root == to_root);
    }
    if from == 0 {
        return holds(proof.is_empty() && *from_root == Hash::empty_root());
    }
    let mut proof = proof.iter();
    let first = if from.is_power_of_two() { Some(from_root) } else { proof.next() };
    let Some(first) = first else { return Err(LedgerError::ProofFails) };
    let shift = (from - 1).trailing_ones();
    let (mut node, mut last) = ((from - 1) >> shift, (to - 1) >> shift);
    let (mut old, mut new) = (*first, *first);
    for sibling in proof {
        if last == 0 {
            return Err(LedgerError::ProofFails);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    holds(last == 0 && old == *from_root && new == *to_root)
}

impl TileSet {
    /// The tiles of a tree built from its leaf hashes, for small trees and tests.
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> (super::Tree, Self) {
        let (mut tree, mut tiles) = (super::Tree::default(), Self::default());
        for leaf in leaves {
            for tile in tree.append(leaf) {
                tiles.insert(tile.level, tile.index, tile.hashes);
            }
        }
        let edge: Vec<_> = tree.edge().map(|(at, hashes)| (at, hashes.to_vec())).collect();
        for (at, hashes) in edge {
            tiles.insert(at.level, at.index, hashes);
        }
        (tree, tiles)
    }
}
