//! The proof of what was recorded: a Merkle tree (RFC 6962) over salted commitments, its tiles, signed checkpoints,
//! proofs and receipts. Everything is a function of its arguments, save `keyfile`, which reads and writes one file.
//! It never talks to a database or a network: others fetch what it asks for.

mod bundle;
mod checkpoint;
mod entry;
mod error;
mod hash;
mod key;
mod keyfile;
mod proof;
mod receipt;
mod tile;
mod tree;
mod verify;
mod witness;

pub use bundle::{BUNDLE_FORMAT, CheckpointLine, Content, Manifest, RecordLine, Rotation};
pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use entry::{Entry, Kind, commitment};
pub use error::LedgerError;
pub use hash::{Hash, leaf_hash, node_hash};
pub use key::{KeyPurpose, PublicKey, SigningKey};
pub use keyfile::KeyFile;
#[cfg(feature = "full")]
pub(crate) use keyfile::put_file;
pub use proof::{
    consistency, consistency_tiles, inclusion, inclusion_tiles, root, root_tiles, verify_consistency, verify_inclusion,
};
pub use receipt::{Receipt, ReceiptError};
pub use tile::{TILE_HEIGHT, TILE_WIDTH, Tile, TileRef, TileSet, Tiles};
pub use tree::Tree;
pub use verify::{Explained, Finding, Named, Report, Told, Trust, Unreadable, verify};
pub use witness::{AddCheckpoint, Refusal};
