//! A log made up for a test: records, leaves, checkpoints, tiles, keys. What is in it can be tampered with.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use praetor::audit::{Bundle, BundleWriter};
use praetor::ledger::{
    BUNDLE_FORMAT, Checkpoint, Content, Hash, KeyPurpose, Kind, Manifest, PublicKey, RecordLine, Report, Rotation,
    SignedCheckpoint, SigningKey, TileRef, TileSet, Tree, leaf_hash,
};
use serde_json::json;

pub(crate) const ORIGIN: &str = "example.org/log";

pub(crate) struct Log {
    /// The keys that sign, oldest first; the last is in force.
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) witness: SigningKey,
    pub(crate) records: Vec<RecordLine>,
    pub(crate) checkpoints: Vec<SignedCheckpoint>,
    pub(crate) tiles: BTreeMap<TileRef, Vec<Hash>>,
    tree: Tree,
    set: TileSet,
}

pub(crate) fn time(second: i64) -> DateTime<Utc> {
    "2026-05-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(second)
}

pub(crate) fn line(kind: Kind, id: &str, at: i64, body: String) -> RecordLine {
    let case = format!(r#"{{"ticket_id":"{id}"}}"#);
    let mut parts = BTreeMap::from([("body".to_owned(), body)]);
    if kind == Kind::Decision {
        parts.insert("trace".into(), "[]".into());
    }
    let decision = kind == Kind::Decision;
    let columns = if decision { BTreeMap::from([("/id".to_owned(), json!(id))]) } else { BTreeMap::new() };
    let content = Content::Kept { salt: vec![9; 32], parts, columns, case: decision.then_some(case) };
    let (tenant, id) = ("default".into(), id.into());
    let mut line = RecordLine { leaf: None, commitment: None, tenant, kind, id, recorded_at: time(at), content };
    line.commitment = commitment(&line);
    line
}

pub(crate) fn commitment(line: &RecordLine) -> Option<Hash> {
    let Content::Kept { salt, .. } = &line.content else { return line.commitment };
    Some(line.entry().unwrap().commitment(salt))
}

pub(crate) fn decision(n: u64) -> RecordLine {
    let id = format!("dec_{n:08}");
    let case_hash = Hash::of(format!(r#"{{"ticket_id":"{id}"}}"#).as_bytes());
    line(Kind::Decision, &id, n as i64, json!({"id": id, "case_hash": case_hash.to_string(), "n": n}).to_string())
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            keys: vec![SigningKey::generate(ORIGIN, KeyPurpose::Log).unwrap()],
            witness: SigningKey::generate("witness.example", KeyPurpose::Witness).unwrap(),
            records: Vec::new(),
            checkpoints: Vec::new(),
            tiles: BTreeMap::new(),
            tree: Tree::default(),
            set: TileSet::default(),
        }
    }

    /// A log of so many decisions, with a cosigned checkpoint after every hundred.
    pub(crate) fn of(decisions: u64) -> Self {
        let mut log = Self::new();
        for n in 0..decisions {
            log.append(decision(n));
            if n % 100 == 99 {
                log.checkpoint();
            }
        }
        log.checkpoint();
        log
    }

    pub(crate) fn append(&mut self, mut line: RecordLine) {
        line.leaf = Some(self.tree.size());
        for tile in self.tree.append(leaf_hash(line.commitment.unwrap().as_bytes())) {
            self.set.insert(tile.level, tile.index, tile.hashes.clone());
            self.tiles.insert(tile.at(), tile.hashes);
        }
        self.records.push(line);
    }

    /// Signs what is there, with the key in force and the witness.
    pub(crate) fn checkpoint(&mut self) {
        if self.checkpoints.last().is_some_and(|last| last.unproven().size == self.tree.size()) {
            return;
        }
        let signers = [self.keys.last().unwrap()];
        let signed = self.signed(&signers);
        self.checkpoints.push(signed);
    }

    pub(crate) fn signed(&self, signers: &[&SigningKey]) -> SignedCheckpoint {
        let said = Checkpoint { origin: ORIGIN.into(), size: self.tree.size(), root: self.tree.root() };
        let mut signed = said.sign(signers.iter().copied()).unwrap();
        let cosignature = signed.cosign(&self.witness, 1_780_000_000).unwrap();
        signed.add(&cosignature, self.witness.public()).unwrap();
        signed
    }

    /// Appends the leaf of a rotation and puts the new key in force, with a checkpoint that both sign.
    pub(crate) fn rotate(&mut self) {
        let (old, new) = (self.keys.last().unwrap().clone(), SigningKey::generate(ORIGIN, KeyPurpose::Log).unwrap());
        let body = Rotation { old: old.public().to_string(), new: new.public().to_string() };
        let at = self.records.len() as i64;
        self.append(line(Kind::KeyRotation, "rotation-1", at, serde_json::to_string(&body).unwrap()));
        self.checkpoints.push(self.signed(&[&old, &new]));
        self.keys.push(new);
    }

    pub(crate) fn log_key(&self) -> PublicKey {
        self.keys[0].public().clone()
    }

    /// All tiles: the full ones, and those at the edge as the tree has them.
    fn all_tiles(&self) -> BTreeMap<TileRef, Vec<Hash>> {
        let edge = self.tree.edge().map(|(at, hashes)| (at, hashes.to_vec()));
        edge.chain(self.tiles.iter().map(|(at, hashes)| (*at, hashes.clone()))).collect()
    }

    pub(crate) fn write(&self, dir: &Path) {
        let mut writer = BundleWriter::create(dir).unwrap();
        for line in &self.records {
            writer.record(line).unwrap();
        }
        for signed in &self.checkpoints {
            writer.checkpoint(signed).unwrap();
        }
        for (at, hashes) in self.all_tiles() {
            writer.tile(at, &hashes).unwrap();
        }
        let manifest = Manifest {
            format: BUNDLE_FORMAT.into(),
            origin: ORIGIN.into(),
            exported_at: time(1_000_000),
            program: "test".into(),
            size: self.tree.size(),
            records: 0,
            checkpoints: 0,
            log_keys: vec![self.log_key().to_string()],
            witness_keys: vec![self.witness.public().to_string()],
        };
        writer.finish(manifest).unwrap();
    }

    /// Writes a bundle and verifies it, trusting the first key of the log and the witness.
    pub(crate) fn verify(&self) -> Report {
        self.verify_against(vec![self.log_key(), self.witness.public().clone()], vec![])
    }

    pub(crate) fn verify_against(&self, keys: Vec<PublicKey>, witnessed: Vec<SignedCheckpoint>) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("bundle");
        self.write(&dir);
        Bundle::open(&dir).unwrap().verify(keys, witnessed).unwrap()
    }

    /// Gives every record the leaf of its content and builds tree, tiles and checkpoints anew, signed with the true key:
    /// what somebody can do who has the key and the database.
    pub(crate) fn rebuild(&mut self) {
        let records = std::mem::take(&mut self.records);
        let sizes: Vec<u64> = self.checkpoints.drain(..).map(|signed| signed.unproven().size).collect();
        (self.tree, self.set) = (Tree::default(), TileSet::default());
        self.tiles.clear();
        for mut line in records {
            line.commitment = commitment(&line);
            self.append(line);
            if sizes.contains(&self.tree.size()) {
                let signers = [self.keys.last().unwrap()];
                let said = Checkpoint { origin: ORIGIN.into(), size: self.tree.size(), root: self.tree.root() };
                self.checkpoints.push(said.sign(signers).unwrap());
            }
        }
    }
}
