//! The fingerprint of a case: SHA-256 over its canonical bytes.
//! It is a name for the input, not a secret and not salted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256 over the RFC 8785 form of a whole ticket. Shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl FromStr for CaseHash {
    type Err = hex::FromHexError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(CaseHash(bytes))
    }
}

impl TryFrom<String> for CaseHash {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        text.parse()
    }
}

impl From<CaseHash> for String {
    fn from(hash: CaseHash) -> String {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_survives_its_text() {
        let hash = CaseHash::of(b"{}");
        // SHA-256 of the two bytes, as any other tool computes it.
        assert_eq!(hash.to_string(), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("44".parse::<CaseHash>().is_err());
    }
}
