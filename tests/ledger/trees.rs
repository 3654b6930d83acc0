//! Trees, tiles and proofs against ct-merkle, an implementation by others, on random trees.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use praetor::ledger::{
    Hash, LedgerError, TileRef, TileSet, Tiles, Tree, consistency, consistency_tiles, inclusion, inclusion_tiles,
    leaf_hash, root, root_tiles, verify_consistency, verify_inclusion,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sha2::Sha256;

/// Trees that are tried. Most are small; one in a thousand reaches the third level of tiles.
const TREES: u64 = 10_000;

type Oracle = MemoryBackedTree<Sha256, [u8; 32]>;

fn random_tree(rng: &mut StdRng, size: u64) -> (Oracle, Tree, TileSet) {
    let mut oracle = Oracle::new();
    let data: Vec<[u8; 32]> = (0..size).map(|_| rng.random()).collect();
    data.iter().for_each(|leaf| oracle.push(*leaf));
    let (tree, tiles) = TileSet::of(data.iter().map(|leaf| leaf_hash(leaf)));
    (oracle, tree, tiles)
}

fn bytes(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The tiles that were announced, and nothing else.
fn only(tiles: &TileSet, announced: &[TileRef]) -> TileSet {
    let mut some = TileSet::default();
    for at in announced {
        some.insert(at.level, at.index, tiles.tile(*at).unwrap());
    }
    some
}

#[test]
fn roots_and_proofs_are_those_of_ct_merkle_on_ten_thousand_trees() {
    let mut rng = StdRng::seed_from_u64(0x6962);
    for round in 0..TREES {
        let size = if round % 1000 == 999 { rng.random_range(65_000..66_500) } else { rng.random_range(1..=200) };
        let (oracle, tree, tiles) = random_tree(&mut rng, size);
        let whole = tree.root();
        assert_eq!(whole.as_bytes(), oracle.root().as_bytes().as_slice(), "root of {size}");
        assert_eq!(root(size, &only(&tiles, &root_tiles(size))).unwrap(), whole);
        assert_eq!(Tree::load(size, &tiles).unwrap(), tree, "loaded from tiles at {size}");

        let index = rng.random_range(0..size);
        let announced = inclusion_tiles(index, size).unwrap();
        assert!(announced.len() <= 4, "{} tiles for one proof in a tree of {size}", announced.len());
        let proof = inclusion(index, size, &only(&tiles, &announced)).unwrap();
        let leaf = leaf_hash(oracle.get(usize::try_from(index).unwrap()).unwrap());
        assert_eq!(bytes(&proof), oracle.prove_inclusion(usize::try_from(index).unwrap()).as_bytes());
        verify_inclusion(&leaf, index, size, &proof, &whole).unwrap();
        let other = (index + 1) % size;
        assert!(size == 1 || verify_inclusion(&leaf, other, size, &proof, &whole).is_err());

        // ct-merkle proves no consistency with a tree of no leaves, for there is nothing to prove.
        let from = rng.random_range(1..=size);
        let announced = consistency_tiles(from, size).unwrap();
        let proof = consistency(from, size, &only(&tiles, &announced)).unwrap();
        assert_eq!(bytes(&proof), oracle.prove_consistency(usize::try_from(size - from).unwrap()).as_bytes());
        let before = root(from, &truncated(&tiles, from)).unwrap();
        verify_consistency(from, &before, size, &whole, &proof).unwrap();
        let false_root = Hash::of(before.as_bytes());
        assert!(verify_consistency(from, &false_root, size, &whole, &proof).is_err());
        assert!(verify_consistency(from, &before, size, &false_root, &proof).is_err());
    }
}

/// A tree's edge at an older size, from the tiles of the newer one: each is the beginning of a tile.
fn truncated(tiles: &TileSet, size: u64) -> TileSet {
    only(tiles, &root_tiles(size))
}

#[test]
fn trees_of_every_small_size_agree_with_themselves() {
    let leaves: Vec<Hash> = (0..70u8).map(|n| leaf_hash(&[n])).collect();
    for size in 1..=70 {
        let (tree, tiles) = TileSet::of(leaves[..size].iter().copied());
        let size = size as u64;
        for index in 0..size {
            let proof = inclusion(index, size, &tiles).unwrap();
            verify_inclusion(&leaves[index as usize], index, size, &proof, &tree.root()).unwrap();
        }
        for from in 0..=size {
            let before = TileSet::of(leaves[..from as usize].iter().copied()).0.root();
            let proof = consistency(from, size, &tiles).unwrap();
            verify_consistency(from, &before, size, &tree.root(), &proof).unwrap();
            for longer in [Hash::empty_root(), tree.root()] {
                let proof = [proof.as_slice(), &[longer]].concat();
                assert!(verify_consistency(from, &before, size, &tree.root(), &proof).is_err());
            }
        }
    }
}

#[test]
fn what_no_tree_has_is_refused() {
    let (_, tiles) = TileSet::of((0..5u8).map(|n| leaf_hash(&[n])));
    assert!(matches!(inclusion(5, 5, &tiles), Err(LedgerError::NoSuchLeaf { index: 5, size: 5 })));
    assert!(matches!(consistency(6, 5, &tiles), Err(LedgerError::NoSuchPrefix { from: 6, to: 5 })));
    assert!(matches!(inclusion(0, 6, &tiles), Err(LedgerError::MissingTile { .. })));
    assert!(verify_inclusion(&Hash::empty_root(), 0, 0, &[], &Hash::empty_root()).is_err());
    assert_eq!(root(0, &tiles).unwrap(), Tree::default().root());
    // The well-known root of nothing.
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Hash::empty_root().to_string(), nothing);
}
