//! What can go wrong in the ledger.

use std::path::PathBuf;

use super::tile::TileRef;

/// Why the ledger cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A proof was asked for that no tree of this size has.
    #[error("there is no leaf {index} in a tree of {size} leaves")]
    NoSuchLeaf {
        /// The leaf, from 0.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// A consistency proof was asked for from a larger to a smaller tree.
    #[error("a tree of {from} leaves is no beginning of one of {to}")]
    NoSuchPrefix {
        /// Leaves of the older tree.
        from: u64,
        /// Leaves of the newer tree.
        to: u64,
    },
    /// A tile is not there or has too few hashes.
    #[error("the tile {} with {} hashes is missing", at.path(), at.width)]
    MissingTile {
        /// Which one.
        at: TileRef,
    },
    /// A proof does not lead to the root it is for.
    #[error("the proof does not lead to the root")]
    ProofFails,
    /// A text is no checkpoint.
    #[error("this is no checkpoint: {reason}")]
    Checkpoint {
        /// What is wrong.
        reason: &'static str,
    },
    /// A checkpoint lacks a valid signature.
    #[error("the checkpoint is not signed by {key}")]
    Unsigned {
        /// Whose signature was expected.
        key: String,
    },
    /// A text is no key.
    #[error("this is no {expected} key in the form of signed notes")]
    Key {
        /// `signing` or `public`.
        expected: &'static str,
    },
    /// The key file cannot be read or written.
    #[error("the key file {} cannot be used: {reason}", path.display())]
    KeyFile {
        /// Which one.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
}
