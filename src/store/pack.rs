//! Packing of what is stored compressed, and its hash.

use sha2::{Digest, Sha256};

use super::error::StoreError;
use super::model::{Body, Hash};

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

/// The text, if it is what its hash says.
pub(super) fn proven(what: &'static str, id: &str, body: Body, hash: &[u8]) -> Result<Body, StoreError> {
    match body {
        Body::Kept(bytes) if sha256(&bytes) != hash => {
            Err(StoreError::Damaged { what, id: id.to_owned(), source: None })
        }
        body => Ok(body),
    }
}
