//! Checkpoints against the leaves, and their signatures: the log's, through rotations, and the witnesses'. Every
//! checkpoint whose root the first leaves give is the beginning of every later one: nothing else need be proven.

use signed_note::Verifier;

use super::super::bundle::Rotation;
use super::super::hash::Hash;
use super::super::key::{KeyPurpose, PublicKey};
use super::{Check, Finding, SignedCheckpoint, TileRef, Trust, Unreadable};

/// Which roots the leaves gave.
#[derive(Default)]
pub(super) struct Roots {
    /// The largest size whose signed root the leaves give.
    pub(super) good: u64,
    /// The first size whose signed root they do not give, what was good before it, and how many bad ones came after.
    pub(super) bad: Option<(u64, u64, u64)>,
    /// The last checkpoint's size.
    last: Option<u64>,
}

/// Who signs.
pub(super) struct Signing {
    /// Every key of the log that has signed, oldest first. The last is the one in force.
    chain: Vec<PublicKey>,
    /// After a rotation, until the next checkpoint: that one the old key must sign too.
    leaving: Option<PublicKey>,
    witnesses: Vec<PublicKey>,
    witnessed: Vec<bool>,
}

impl Signing {
    pub(super) fn new(trust: &Trust) -> Self {
        let of = |purpose| move |key: &&PublicKey| key.purpose() == purpose;
        let first = trust.claimed.iter().chain(&trust.keys).find(of(KeyPurpose::Log)).cloned();
        let mut witnesses: Vec<PublicKey> = Vec::new();
        for key in trust.keys.iter().chain(&trust.claimed).filter(of(KeyPurpose::Witness)) {
            if !witnesses.contains(key) {
                witnesses.push(key.clone());
            }
        }
        let witnessed = vec![false; witnesses.len()];
        Self { chain: first.into_iter().collect(), leaving: None, witnesses, witnessed }
    }

    /// Puts a new key in force. False if the rotation does not start from the one that was.
    pub(super) fn rotate(&mut self, rotation: &Rotation) -> bool {
        let new = rotation.new.parse::<PublicKey>().ok();
        match (self.chain.last(), new) {
            (Some(old), Some(new)) if old.to_string() == rotation.old && new.name() == old.name() => {
                self.leaving = Some(old.clone());
                self.chain.push(new);
                true
            }
            _ => false,
        }
    }
}

impl<C, T> Check<'_, C, T>
where
    C: Iterator<Item = Result<SignedCheckpoint, Unreadable>>,
    T: FnMut(TileRef) -> Option<Vec<Hash>>,
{
    /// Checks everything that is said of the tree of the present size.
    pub(super) fn at_this_size(&mut self) {
        let size = self.tree.size();
        while let Some((_, root)) = self.witnessed.next_if(|(seen, _)| *seen <= size) {
            if root != self.tree.root() {
                self.report.add(Finding::WitnessConflict { size });
            }
        }
        let due = |next: &C::Item| next.as_ref().map_or(true, |signed| signed.unproven().size <= size);
        while let Some(next) = self.checkpoints.next_if(due) {
            match next {
                Ok(signed) => self.checkpoint(&signed),
                Err(Unreadable { place, reason }) => self.report.add(Finding::Unreadable { place, reason }),
            }
        }
    }

    fn checkpoint(&mut self, signed: &SignedCheckpoint) {
        self.report.checkpoints += 1;
        let said = signed.unproven();
        let size = said.size;
        if self.roots.last.is_some_and(|last| size <= last) {
            return self.report.add(Finding::CheckpointsUnordered { size });
        }
        self.roots.last = Some(size);
        self.signatures(signed);
        if size > self.tree.size() {
            return;
        }
        if said.root == self.tree.root() {
            self.roots.good = size;
        } else {
            match &mut self.roots.bad {
                None => self.roots.bad = Some((size, self.roots.good, 0)),
                Some((.., later)) => *later += 1,
            }
        }
    }

    fn signatures(&mut self, signed: &SignedCheckpoint) {
        let said = signed.unproven();
        let (size, leaving) = (said.size, self.signing.leaving.take());
        let Some(key) = self.signing.chain.last() else {
            return self.report.add(Finding::CheckpointUnsigned { size, key: said.origin.clone() });
        };
        if self.report.origin.is_empty() {
            self.report.origin = key.name().to_owned();
        }
        if said.origin != key.name() {
            self.report.add(Finding::CheckpointForeign { size, origin: said.origin.clone() });
        }
        for key in [Some(key), leaving.as_ref()].into_iter().flatten() {
            if !signed.is_signed_by(key) {
                self.report.add(Finding::CheckpointUnsigned { size, key: key.to_string() });
            }
        }
        for (witness, seen) in self.signing.witnesses.iter().zip(&mut self.signing.witnessed) {
            if signed.cosigned_at(witness).is_some() {
                *seen = true;
                self.report.witnessed = self.report.witnessed.max(Some(size));
            } else if signed.names(witness) {
                self.report.add(Finding::CosignatureFalse { size, witness: witness.to_string() });
            }
        }
    }

    /// What is left when the leaves are at an end.
    pub(super) fn finish_checkpoints(&mut self) {
        let leaves = self.tree.size();
        if let Some(witnessed) = self.witnessed.by_ref().map(|(size, _)| size).last() {
            self.report.add(Finding::BehindWitness { leaves, witnessed });
        }
        let mut promised = 0;
        while let Some(next) = self.checkpoints.next() {
            match next {
                Ok(signed) => {
                    promised = promised.max(signed.unproven().size);
                    self.checkpoint(&signed);
                }
                Err(Unreadable { place, reason }) => self.report.add(Finding::Unreadable { place, reason }),
            }
        }
        if promised > leaves {
            self.report.add(Finding::TailTruncated { leaves, promised });
        }
        if let Some((size, good, later)) = self.roots.bad {
            self.report.add(Finding::RootDiffers { good, size, later });
        }
        let signed = self.roots.last.unwrap_or(0);
        if leaves > signed {
            self.report.add(Finding::TailUnsigned { leaves, signed });
        }
        let pinned: Vec<&PublicKey> = self.trust.keys.iter().filter(|key| key.purpose() == KeyPurpose::Log).collect();
        self.report.pinned = !pinned.is_empty();
        self.report.keys = self.signing.chain.iter().map(PublicKey::to_string).collect();
        if let Some(key) = self.signing.chain.last()
            && !pinned.is_empty()
            && !self.signing.chain.iter().any(|key| pinned.contains(&key))
        {
            self.report.add(Finding::KeyUnknown { key: key.to_string() });
        }
        for (witness, seen) in self.signing.witnesses.iter().zip(&self.signing.witnessed) {
            if !seen && self.trust.keys.contains(witness) {
                self.report.add(Finding::NotWitnessed { witness: witness.to_string() });
            }
        }
    }
}
