//! What decisions pin, kept by content: rule books and the files of models. Written once when a pipeline that records
//! decisions starts, read back to decide again years later.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::ReplayError;
use crate::calibrate::recorded_gate;
use crate::decision::{Certified, Gate};
use crate::judge::{FileEntry, Judge, JudgeConfig, Manifest, read_checked};
use crate::pipeline::Pipeline;
use crate::sop::{self, RuleBook};
use crate::store::{Hash, NewArtifact, Store};

/// The kind of a rule book's canonical bytes.
const RULEBOOK: &str = "rulebook";
/// The kind of a file of the models' folder.
const MODEL: &str = "model";
/// The kind of a certificate's canonical bytes.
const CERTIFICATE: &str = "certificate";

/// Keeps everything that decisions of this pipeline pin. `models` is the folder its models were opened from. What is
/// kept already is not read.
pub async fn keep(store: &Store, pipeline: &Pipeline, models: &Path) -> Result<(), ReplayError> {
    keep_book(store, pipeline.book()).await?;
    if let Gate::Certified(certified) = pipeline.gate() {
        keep_certificate(store, certified).await?;
    }
    let manifest = Manifest::read(models)?;
    // The folder may have changed since the models were opened: then it is not what decisions pin.
    if manifest.sha256 != pipeline.pins().manifest {
        return Err(ReplayError::NotKept { kind: MODEL, hash: pipeline.pins().manifest.clone() });
    }
    let mut files = manifest.files();
    let hashes = files.iter().map(|f| hash(&f.sha256)).collect::<Result<Vec<_>, _>>()?;
    let missing = store.missing_artifacts(&hashes).await?;
    // The manifest comes last: where it is, the others are.
    files.reverse();
    for FileEntry { file, sha256 } in files {
        let hash = hash(&sha256)?;
        if missing.contains(&hash) {
            let (_, bytes) = read_checked("model file", models, &file, &sha256)?;
            store.put_artifact(&NewArtifact { hash, kind: MODEL, bytes }).await?;
        }
    }
    Ok(())
}

/// Keeps a rule book.
pub async fn keep_book(store: &Store, book: &RuleBook) -> Result<(), ReplayError> {
    if !store.missing_artifacts(&[book.hash().0]).await?.is_empty() {
        let bytes = book.canonical().to_vec();
        store.put_artifact(&NewArtifact { hash: book.hash().0, kind: RULEBOOK, bytes }).await?;
    }
    Ok(())
}

/// Keeps a certificate.
pub async fn keep_certificate(store: &Store, certified: &Certified) -> Result<(), ReplayError> {
    let bytes = certified.certificate.clone();
    store.put_artifact(&NewArtifact { hash: hash(&certified.hash())?, kind: CERTIFICATE, bytes }).await?;
    Ok(())
}

fn hash(hex: &str) -> Result<Hash, ReplayError> {
    let bytes = hex::decode(hex).ok().and_then(|b| Hash::try_from(b).ok());
    bytes.ok_or_else(|| ReplayError::NotKept { kind: "artifact", hash: hex.to_owned() })
}

/// The rule book that a recorded decision pins.
pub async fn pinned_book(store: &Store, decision: &serde_json::Value) -> Result<RuleBook, ReplayError> {
    let hex = decision.pointer("/pins/rulebook").and_then(serde_json::Value::as_str).unwrap_or_default();
    kept_book(store, hex).await
}

/// The kept rule book of this hash.
pub async fn kept_book(store: &Store, hex: &str) -> Result<RuleBook, ReplayError> {
    Ok(sop::decode(&bytes(store, "rule book", hex).await?)?)
}

async fn bytes(store: &Store, kind: &'static str, hex: &str) -> Result<Vec<u8>, ReplayError> {
    let found = match hash(hex) {
        Ok(hash) => store.artifact(&hash).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| ReplayError::NotKept { kind, hash: hex.to_owned() })
}

/// Artifacts read back: rule books compiled, models opened. Keeps a few of each, the last used.
pub(super) struct Shelf<'a> {
    store: &'a Store,
    judge: JudgeConfig,
    /// Where the files of models are laid out.
    folder: PathBuf,
    books: Vec<(String, Arc<RuleBook>)>,
    judges: Vec<(String, Arc<Judge>)>,
}

/// A rule book is small; open models are not.
const BOOKS: usize = 8;
const JUDGES: usize = 2;

impl<'a> Shelf<'a> {
    pub(super) fn new(store: &'a Store, judge: JudgeConfig, folder: PathBuf) -> Self {
        Self { store, judge, folder, books: Vec::new(), judges: Vec::new() }
    }

    /// The rule book of this hash.
    pub(super) async fn book(&mut self, hash: &str) -> Result<Arc<RuleBook>, ReplayError> {
        if let Some(book) = recent(&mut self.books, hash) {
            return Ok(book);
        }
        let book = Arc::new(kept_book(self.store, hash).await?);
        remember(&mut self.books, BOOKS, hash, book.clone());
        Ok(book)
    }

    /// The gate that decisions with this pin went through.
    pub(super) async fn gate(&self, pin: &str) -> Result<Gate, ReplayError> {
        match [Gate::Open, Gate::Shut].into_iter().find(|gate| gate.pin() == pin) {
            Some(gate) => Ok(gate),
            None => Ok(recorded_gate(&bytes(self.store, "certificate", pin).await?)?),
        }
    }

    /// The manifest of this hash, without opening its models.
    pub(super) async fn manifest(&self, hash: &str) -> Result<Manifest, ReplayError> {
        let bytes = bytes(self.store, "models' manifest", hash).await?;
        let path = PathBuf::from(hash);
        let bad = |reason: String| crate::judge::JudgeError::Manifest { path: path.clone(), reason };
        let text = std::str::from_utf8(&bytes).map_err(|e| bad(e.to_string()))?;
        Ok(Manifest::parse(text).map_err(bad)?)
    }

    /// The models of the manifest of this hash.
    pub(super) async fn judge(&mut self, hash: &str) -> Result<Arc<Judge>, ReplayError> {
        if let Some(judge) = recent(&mut self.judges, hash) {
            return Ok(judge);
        }
        let folder = self.folder.join(hash);
        for FileEntry { file, sha256 } in self.manifest(hash).await?.files() {
            if read_checked("model file", &folder, &file, &sha256).is_err() {
                let bytes = bytes(self.store, "model file", &sha256).await?;
                write(&folder.join(&file), &bytes)?;
            }
        }
        let judge = Arc::new(Judge::open(&folder, &self.judge)?);
        remember(&mut self.judges, JUDGES, hash, judge.clone());
        Ok(judge)
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ReplayError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| ReplayError::File { path, source }
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail(folder))?;
    }
    let part = path.with_extension(format!("part{}", std::process::id()));
    std::fs::write(&part, bytes).map_err(fail(&part))?;
    std::fs::rename(&part, path).map_err(fail(path))
}

fn recent<T: Clone>(list: &mut Vec<(String, T)>, hash: &str) -> Option<T> {
    let at = list.iter().position(|(key, _)| key == hash)?;
    let found = list.remove(at);
    let value = found.1.clone();
    list.push(found);
    Some(value)
}

fn remember<T>(list: &mut Vec<(String, T)>, most: usize, hash: &str, value: T) {
    if list.len() >= most {
        list.remove(0);
    }
    list.push((hash.to_owned(), value));
}

/// Lower-case hex SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
