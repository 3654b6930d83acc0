//! What a bundle's files hold: the records line by line in the order of their leaves, the checkpoints, the keys.
//! Only the forms: who reads and writes the files is elsewhere.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{Entry, Kind, micros};
use super::hash::Hash;
use super::receipt::hexadecimal;

/// The form of the bundle that this program writes.
pub const BUNDLE_FORMAT: &str = "praetor-bundle/1";

/// A line of `records.ndjson`: first all leaves in the order of the log, then what has no place in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordLine {
    /// Place in the log, from 0. None for a record that waits for its place, or that nobody ever gave a leaf.
    pub leaf: Option<u64>,
    /// What the leaf commits to. None for a record without a leaf.
    pub commitment: Option<Hash>,
    /// Whose record it is.
    pub tenant: String,
    /// What kind of record.
    pub kind: Kind,
    /// The record's id.
    pub id: String,
    /// When it was recorded.
    #[serde(with = "micros")]
    pub recorded_at: DateTime<Utc>,
    /// The record.
    pub content: Content,
}

/// What is there of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// All of it.
    Kept {
        /// The salt of its commitment.
        #[serde(with = "hexadecimal")]
        salt: Vec<u8>,
        /// Its parts as they were recorded, by name.
        parts: BTreeMap<String, String>,
        /// What the database repeats of the body to search by: the place in the body (a JSON pointer) and the value.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        columns: BTreeMap<String, Value>,
        /// The case file that the body names by its hash.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        case: Option<String>,
    },
    /// The subject's key was destroyed. Neither content nor salt can be had again.
    Erased {
        /// The record of kind `erasure` that says why.
        by: String,
    },
    /// Set aside after the time for which records must be kept.
    Expired,
    /// There is a leaf but no record.
    Missing,
    /// The record cannot be read, for it was changed.
    Damaged,
}

impl RecordLine {
    /// The entry that the leaf must commit to, if the record can be read.
    pub fn entry(&self) -> Option<Entry> {
        let Content::Kept { parts, .. } = &self.content else { return None };
        Some(Entry {
            tenant: self.tenant.clone(),
            kind: self.kind,
            id: self.id.clone(),
            recorded_at: self.recorded_at,
            parts: parts.iter().map(|(name, text)| (name.clone(), Hash::of(text.as_bytes()))).collect(),
        })
    }
}

/// The body of a record of kind `key_rotation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The public key that goes.
    pub old: String,
    /// The public key that comes.
    pub new: String,
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `praetor-bundle/1`.
    pub format: String,
    /// The log's name.
    pub origin: String,
    /// When the bundle was made.
    #[serde(with = "micros")]
    pub exported_at: DateTime<Utc>,
    /// The program that made it.
    pub program: String,
    /// Leaves of the log.
    pub size: u64,
    /// Lines of `records.ndjson`.
    pub records: u64,
    /// Lines of `checkpoints.ndjson`.
    pub checkpoints: u64,
    /// Public keys of the log, oldest first.
    pub log_keys: Vec<String>,
    /// Public keys of its witnesses.
    pub witness_keys: Vec<String>,
}

/// A line of `checkpoints.ndjson`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointLine {
    /// The signed note.
    pub note: String,
}
