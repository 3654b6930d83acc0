//! Receipts: all that somebody outside needs to prove that a record is in the log, save the log's public key.
//! A receipt has one written form (RFC 8785); whatever else parses to the same values is refused, so that no bit of it
//! is without meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::entry::Entry;
use super::error::LedgerError;
use super::hash::{Hash, leaf_hash};
use super::key::{KeyPurpose, PublicKey};
use super::proof::verify_inclusion;

/// The form this program writes.
const FORMAT: &str = "praetor-receipt/1";

/// That a record is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// `praetor-receipt/1`.
    pub format: String,
    /// What the leaf says.
    pub entry: Entry,
    /// The salt of the commitment, in hexadecimal digits.
    #[serde(with = "hexadecimal")]
    pub salt: Vec<u8>,
    /// The leaf's place, from 0.
    pub leaf: u64,
    /// The inclusion proof.
    pub proof: Vec<Hash>,
    /// The signed checkpoint that the proof leads to.
    pub checkpoint: String,
    /// Parts of the record as they were recorded, such as the decision; any of them may be left out.
    pub content: BTreeMap<String, String>,
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It cannot be read.
    #[error("this is no receipt: {0}")]
    Malformed(String),
    /// It is not in the form in which receipts are written.
    #[error("the receipt was rewritten: its bytes are not those that its content gives")]
    NotCanonical,
    /// The checkpoint is broken or not signed by the log.
    #[error(transparent)]
    Checkpoint(LedgerError),
    /// The checkpoint bears a signature that nobody can check.
    #[error("the checkpoint bears a signature of {0}, whose public key was not given")]
    Stranger(String),
    /// A witness did not sign.
    #[error("the checkpoint bears no valid cosignature of {0}")]
    Witness(String),
    /// The leaf is not in the log.
    #[error("the record, as the receipt has it, is not leaf {0} of the log")]
    NotIncluded(u64),
    /// A part is not the one recorded.
    #[error("the {0} in the receipt is not the one that was recorded")]
    Content(String),
}

impl ReceiptError {
    /// A short stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NotCanonical => "not-canonical",
            Self::Checkpoint(_) => "checkpoint-unproven",
            Self::Stranger(_) => "unknown-signer",
            Self::Witness(_) => "not-witnessed",
            Self::NotIncluded(_) => "not-included",
            Self::Content(_) => "content-differs",
        }
    }
}

impl Receipt {
    /// Puts a receipt together. It is as true as its parts: `verify` tells.
    pub fn new(
        entry: Entry,
        salt: Vec<u8>,
        leaf: u64,
        proof: Vec<Hash>,
        checkpoint: &SignedCheckpoint,
        content: BTreeMap<String, String>,
    ) -> Self {
        Self { format: FORMAT.to_owned(), entry, salt, leaf, proof, checkpoint: checkpoint.to_string(), content }
    }

    /// The written form, without a line's end.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and maps of strings always serialise.
        serde_json_canonicalizer::to_vec(self).unwrap_or_default()
    }

    /// Reads the written form; one line's end after it is allowed.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let receipt: Self = serde_json::from_slice(bytes).map_err(|e| ReceiptError::Malformed(e.to_string()))?;
        if receipt.format != FORMAT {
            return Err(ReceiptError::Malformed(format!("its format is `{}`, not `{FORMAT}`", receipt.format)));
        }
        if receipt.to_bytes() != bytes { Err(ReceiptError::NotCanonical) } else { Ok(receipt) }
    }

    /// Checks everything that the receipt says against public keys of the log and its witnesses. Each given witness
    /// must have cosigned, and nobody else may have signed. Gives the checkpoint.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<Checkpoint, ReceiptError> {
        let signed = SignedCheckpoint::parse(&self.checkpoint).map_err(ReceiptError::Checkpoint)?;
        let checkpoint = signed.verify(keys).map_err(ReceiptError::Checkpoint)?;
        if let Some(stranger) = signed.strangers(keys).next() {
            return Err(ReceiptError::Stranger(stranger));
        }
        for witness in keys.iter().filter(|key| key.purpose() == KeyPurpose::Witness) {
            if signed.cosigned_at(witness).is_none() {
                return Err(ReceiptError::Witness(witness.to_string()));
            }
        }
        let leaf = leaf_hash(self.entry.commitment(&self.salt).as_bytes());
        verify_inclusion(&leaf, self.leaf, checkpoint.size, &self.proof, &checkpoint.root)
            .map_err(|_| ReceiptError::NotIncluded(self.leaf))?;
        for (name, text) in &self.content {
            if self.entry.parts.get(name) != Some(&Hash::of(text.as_bytes())) {
                return Err(ReceiptError::Content(name.clone()));
            }
        }
        Ok(checkpoint.clone())
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
