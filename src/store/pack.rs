//! Packing of what is stored compressed, and the hashes that guard it.

use sha2::{Digest, Sha256};

use super::error::StoreError;
use super::model::Hash;

/// zstd's default: beyond it the cost grows faster than the gain on a few kilobytes of JSON.
const LEVEL: i32 = 3;

pub(super) fn pack(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    zstd::bulk::compress(bytes, LEVEL).map_err(|error| StoreError::Argument { what: "a record", source: error.into() })
}

pub(super) fn unpack(what: &'static str, id: &str, packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    zstd::stream::decode_all(packed).map_err(|error| StoreError::Damaged {
        what,
        id: id.to_owned(),
        source: Some(error.into()),
    })
}

pub(super) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The bytes, if they are what their hash says.
pub(super) fn proven(what: &'static str, id: &str, bytes: Vec<u8>, hash: &[u8]) -> Result<Vec<u8>, StoreError> {
    if sha256(&bytes) == hash { Ok(bytes) } else { Err(StoreError::Damaged { what, id: id.to_owned(), source: None }) }
}
