//! The fingerprint of a case: SHA-256 over its canonical bytes.
//! It is a name for the input, not a secret and not salted.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// SHA-256 over the RFC 8785 form of a whole ticket. Shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseHash([u8; 32]);

impl CaseHash {
    pub(super) fn of(canonical: &[u8]) -> CaseHash {
        CaseHash(Sha256::digest(canonical).into())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for CaseHash {
    /// Takes a hash that was stored.
    fn from(bytes: [u8; 32]) -> CaseHash {
        CaseHash(bytes)
    }
}

impl fmt::Display for CaseHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for CaseHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaseHash({self})")
    }
}

impl Serialize for CaseHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
