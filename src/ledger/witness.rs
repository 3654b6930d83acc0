//! What a witness does (C2SP tlog-witness): it cosigns a checkpoint only if that continues the last one it has seen.
//! Here is the form of the request and the judgement; who carries them over the network is elsewhere.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::hash::Hash;
use super::key::PublicKey;
use super::proof::verify_consistency;

/// Hashes in a consistency proof: more than any tree needs.
const MOST_HASHES: usize = 63;

/// The request `add-checkpoint`.
#[derive(Debug, Clone, PartialEq)]
pub struct AddCheckpoint {
    /// The size that the witness is believed to have seen last; 0 for a log that is new to it.
    pub old: u64,
    /// That the tree of that size is the beginning of the new one.
    pub proof: Vec<Hash>,
    /// The new checkpoint.
    pub checkpoint: SignedCheckpoint,
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request cannot be read.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The witness does not know the log.
    #[error("this log is not witnessed here")]
    UnknownLog,
    /// The log did not sign.
    #[error("the checkpoint is not signed by the log")]
    Unsigned,
    /// The witness has seen another tree of this size, or a tree of another size than the request says.
    #[error("the last checkpoint seen has {size} leaves")]
    Conflict {
        /// Leaves of the last checkpoint seen.
        size: u64,
    },
    /// The tree does not continue the one seen before.
    #[error("the checkpoint does not continue the one of {size} leaves seen before")]
    Inconsistent {
        /// Leaves of the last checkpoint seen.
        size: u64,
    },
}

impl AddCheckpoint {
    /// Reads the body of a request.
    pub fn parse(body: &str) -> Result<Self, Refusal> {
        let malformed = |what| Refusal::Malformed(what);
        let (head, note) = body.split_once("\n\n").ok_or(malformed("there is no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(malformed("it begins with no size"))?;
        let number = old.parse::<u64>().ok().filter(|number| number.to_string() == old);
        let hash = |line: &str| BASE64_STANDARD.decode(line).ok().and_then(|b| Hash::try_from(b.as_slice()).ok());
        let proof: Vec<Hash> = lines.map(hash).collect::<Option<_>>().ok_or(malformed("a line is no hash"))?;
        if proof.len() > MOST_HASHES {
            return Err(malformed("the proof is too long"));
        }
        Ok(Self {
            old: number.ok_or(malformed("its size is no number"))?,
            proof,
            checkpoint: SignedCheckpoint::parse(note).map_err(|_| malformed("there is no checkpoint"))?,
        })
    }

    /// Whether a witness that knows these keys and saw that checkpoint last may cosign.
    pub fn judge(&self, keys: &[PublicKey], seen: Option<&Checkpoint>) -> Result<(), Refusal> {
        let said = self.checkpoint.unproven();
        if !keys.iter().any(|key| signed_note::Verifier::name(key) == said.origin) {
            return Err(Refusal::UnknownLog);
        }
        self.checkpoint.verify(keys).map_err(|_| Refusal::Unsigned)?;
        if self.old > said.size {
            return Err(Refusal::Malformed("the old size is larger than the new one"));
        }
        let size = seen.map_or(0, |seen| seen.size);
        let root = seen.map_or_else(Hash::empty_root, |seen| seen.root);
        if self.old != size || (size == said.size && root != said.root) {
            return Err(Refusal::Conflict { size });
        }
        verify_consistency(size, &root, said.size, &said.root, &self.proof).map_err(|_| Refusal::Inconsistent { size })
    }
}

impl fmt::Display for AddCheckpoint {
    /// The body of the request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", BASE64_STANDARD.encode(hash.as_bytes())))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{KeyPurpose, SigningKey, TileSet, consistency, leaf_hash};
    use super::*;

    fn tree(leaves: u8) -> (Hash, TileSet) {
        let (tree, tiles) = TileSet::of((0..leaves).map(|n| leaf_hash(&[n])));
        (tree.root(), tiles)
    }

    #[test]
    fn a_witness_cosigns_what_continues_and_nothing_else() {
        let log = SigningKey::generate("example.org/log", KeyPurpose::Log).unwrap();
        let keys = [log.public().clone()];
        let said = |size: u8, root: Hash| Checkpoint { origin: "example.org/log".into(), size: size.into(), root };
        let request = |old: u64, proof: Vec<Hash>, new: &Checkpoint| {
            let asked = AddCheckpoint { old, proof, checkpoint: new.sign([&log]).unwrap() };
            assert_eq!(AddCheckpoint::parse(&asked.to_string()).unwrap(), asked);
            asked
        };
        let (five, eleven) = (said(5, tree(5).0), said(11, tree(11).0));
        let proof = consistency(5, 11, &tree(11).1).unwrap();
        assert_eq!(request(0, vec![], &five).judge(&keys, None), Ok(()));
        assert_eq!(request(5, proof.clone(), &eleven).judge(&keys, Some(&five)), Ok(()));
        assert_eq!(request(5, vec![], &five).judge(&keys, Some(&five)), Ok(()));
        let stale = request(0, vec![], &eleven).judge(&keys, Some(&five));
        assert_eq!(stale, Err(Refusal::Conflict { size: 5 }));
        let other = said(5, Hash::of(b"other"));
        assert_eq!(request(5, vec![], &other).judge(&keys, Some(&five)), Err(Refusal::Conflict { size: 5 }));
        let rebuilt = said(11, Hash::of(b"rebuilt"));
        let judged = request(5, proof.clone(), &rebuilt).judge(&keys, Some(&five));
        assert_eq!(judged, Err(Refusal::Inconsistent { size: 5 }));
        assert_eq!(request(0, vec![], &five).judge(&[], None), Err(Refusal::UnknownLog));
        let thief = SigningKey::generate("example.org/log", KeyPurpose::Log).unwrap();
        assert_eq!(request(0, vec![], &five).judge(&[thief.public().clone()], None), Err(Refusal::Unsigned));
        assert!(matches!(request(11, vec![], &five).judge(&keys, Some(&eleven)), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn malformed_requests_are_refused() {
        for body in ["", "old 0\n", "old x\n\nlog\n0\n", "old 00\n\n", "new 0\n\n", "old 0\nAAAA\n\n"] {
            assert!(matches!(AddCheckpoint::parse(body), Err(Refusal::Malformed(_))), "{body:?}");
        }
    }
}
