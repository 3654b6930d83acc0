//! What a leaf says: that a record of some kind, with this id and these parts, was recorded at that time.
//! The log holds only a salted hash of it, so that destroying the salt leaves a leaf that tells nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hash::Hash;

/// What can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A decision, with its trace.
    Decision,
    /// What a person made of a decision.
    Review,
    /// A party's objection.
    Appeal,
    /// A rule pack that came into force.
    SopPublication,
    /// A calibration that lets decisions stand without a person.
    Certificate,
    /// The destruction of a subject's key.
    Erasure,
    /// A privileged action on the records.
    Access,
    /// A new signing key of the log.
    KeyRotation,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 8] = [
        Kind::Decision,
        Kind::Review,
        Kind::Appeal,
        Kind::SopPublication,
        Kind::Certificate,
        Kind::Erasure,
        Kind::Access,
        Kind::KeyRotation,
    ];

    /// The name in leaves, files and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Decision => "decision",
            Kind::Review => "review",
            Kind::Appeal => "appeal",
            Kind::SopPublication => "sop_publication",
            Kind::Certificate => "certificate",
            Kind::Erasure => "erasure",
            Kind::Access => "access",
            Kind::KeyRotation => "key_rotation",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no kind of record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind of record `{0}`")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// What a leaf commits to. The bytes of the parts stay where they are kept; the entry holds their hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Whose record it is.
    pub tenant: String,
    /// What kind of record.
    pub kind: Kind,
    /// The record's id, unique within tenant and kind.
    pub id: String,
    /// When it was recorded, to the microsecond; what is finer is not kept.
    #[serde(with = "micros")]
    pub recorded_at: DateTime<Utc>,
    /// SHA-256 of the bytes of each part, such as `body` and `trace` of a decision.
    pub parts: BTreeMap<String, Hash>,
}

impl Entry {
    /// The bytes that are committed to: RFC 8785 JSON.
    pub fn canonical(&self) -> Vec<u8> {
        // A struct of strings, a map of strings and an enum always serialises.
        serde_json_canonicalizer::to_vec(self).unwrap_or_default()
    }

    /// The commitment under a salt.
    pub fn commitment(&self, salt: &[u8]) -> Hash {
        commitment(salt, &self.canonical())
    }
}

/// SHA-256(salt ‖ content). Its `leaf_hash` is the leaf. Salts have one length (32 bytes), so that nothing of the
/// content passes for salt.
pub fn commitment(salt: &[u8], content: &[u8]) -> Hash {
    let digest: [u8; 32] = Sha256::new().chain_update(salt).chain_update(content).finalize().into();
    Hash::from(digest)
}

/// Times as the entry writes them: `2026-05-01T12:00:00.000000Z`.
pub(super) mod micros {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.trunc_subsecs(6).to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?.with_timezone(&Utc);
        let exact = time.to_rfc3339_opts(SecondsFormat::Micros, true) == text;
        exact.then_some(time).ok_or_else(|| D::Error::custom("not a UTC time with six decimals of a second"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            tenant: "default".into(),
            kind: Kind::Decision,
            id: "dec_1".into(),
            recorded_at: "2026-05-01T12:00:00.1234567Z".parse().unwrap(),
            parts: BTreeMap::from([("body".into(), Hash::of(b"{}"))]),
        }
    }

    #[test]
    fn an_entry_has_one_written_form() {
        let text = String::from_utf8(entry().canonical()).unwrap();
        let body = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let expected = format!(
            r#"{{"id":"dec_1","kind":"decision","parts":{{"body":"{body}"}},"recorded_at":"2026-05-01T12:00:00.123456Z","tenant":"default"}}"#
        );
        assert_eq!(text, expected);
        let again: Entry = serde_json::from_str(&text).unwrap();
        assert_eq!(again.canonical(), text.as_bytes());
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn other_salt_other_commitment() {
        assert_ne!(entry().commitment(&[0; 32]), entry().commitment(&[1; 32]));
    }
}
