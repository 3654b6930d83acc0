//! A bundle on disk: `manifest.json`, `records.ndjson`, `checkpoints.ndjson`, `keys.txt` and the tiles. Written once and
//! read line by line; the manifest is written last, so that a bundle without one is an unfinished one.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ledger::{
    BUNDLE_FORMAT, CheckpointLine, Hash, LedgerError, Manifest, PublicKey, RecordLine, Report, SignedCheckpoint, Tile,
    TileRef, Trust, Unreadable, verify,
};

const MANIFEST: &str = "manifest.json";
const RECORDS: &str = "records.ndjson";
const CHECKPOINTS: &str = "checkpoints.ndjson";
const KEYS: &str = "keys.txt";

/// Why a bundle cannot be written or opened.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder for a new bundle is not empty.
    #[error("{} is not empty: a bundle is written into a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// There is no manifest that can be read.
    #[error("{} is no bundle, or one that was not finished: {reason}", path.display())]
    NoBundle {
        /// The folder.
        path: PathBuf,
        /// What is wrong with the manifest.
        reason: String,
    },
    /// The manifest names a key that is none.
    #[error(transparent)]
    Key(#[from] LedgerError),
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BundleError {
    move |source| BundleError::Io { path: path.to_owned(), source }
}

/// A bundle that is being written.
pub struct BundleWriter {
    dir: PathBuf,
    records: Lines,
    checkpoints: Lines,
}

impl BundleWriter {
    /// Makes the folder. Refuses one that holds something.
    pub fn create(dir: &Path) -> Result<Self, BundleError> {
        fs::create_dir_all(dir).map_err(io_error(dir))?;
        if fs::read_dir(dir).map_err(io_error(dir))?.next().is_some() {
            return Err(BundleError::NotEmpty(dir.to_owned()));
        }
        let (records, checkpoints) = (Lines::create(dir.join(RECORDS))?, Lines::create(dir.join(CHECKPOINTS))?);
        Ok(Self { dir: dir.to_owned(), records, checkpoints })
    }

    /// Appends a record.
    pub fn record(&mut self, line: &RecordLine) -> Result<(), BundleError> {
        self.records.write(line)
    }

    /// Appends a checkpoint.
    pub fn checkpoint(&mut self, signed: &SignedCheckpoint) -> Result<(), BundleError> {
        self.checkpoints.write(&CheckpointLine { note: signed.to_string() })
    }

    /// Writes a tile.
    pub fn tile(&mut self, at: TileRef, hashes: &[Hash]) -> Result<(), BundleError> {
        let path = self.dir.join(at.path());
        fs::create_dir_all(path.parent().unwrap_or(&self.dir)).map_err(io_error(&path))?;
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        fs::write(&path, bytes).map_err(io_error(&path))
    }

    /// Completes the bundle. The manifest's counts of lines are filled in.
    pub fn finish(self, mut manifest: Manifest) -> Result<Manifest, BundleError> {
        manifest.records = self.records.finish()?;
        manifest.checkpoints = self.checkpoints.finish()?;
        let path = self.dir.join(KEYS);
        let keys: String =
            manifest.log_keys.iter().chain(&manifest.witness_keys).map(|key| format!("{key}\n")).collect();
        fs::write(&path, keys).map_err(io_error(&path))?;
        let path = self.dir.join(MANIFEST);
        let text = serde_json::to_vec_pretty(&manifest).map_err(|e| io_error(&path)(e.into()))?;
        fs::write(&path, text).map_err(io_error(&path))?;
        Ok(manifest)
    }
}

/// A file of JSON lines that is being written.
struct Lines {
    path: PathBuf,
    out: BufWriter<File>,
    count: u64,
}

impl Lines {
    fn create(path: PathBuf) -> Result<Self, BundleError> {
        let out = BufWriter::new(File::create_new(&path).map_err(io_error(&path))?);
        Ok(Self { path, out, count: 0 })
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), BundleError> {
        self.count += 1;
        let written = serde_json::to_writer(&mut self.out, line).map_err(io::Error::from);
        written.and_then(|()| self.out.write_all(b"\n")).map_err(io_error(&self.path))
    }

    fn finish(mut self) -> Result<u64, BundleError> {
        self.out.flush().map_err(io_error(&self.path))?;
        Ok(self.count)
    }
}

/// A bundle to verify.
pub struct Bundle {
    dir: PathBuf,
    manifest: Manifest,
}

impl Bundle {
    /// Opens a bundle by its manifest.
    pub fn open(dir: &Path) -> Result<Self, BundleError> {
        let none = |reason: String| BundleError::NoBundle { path: dir.to_owned(), reason };
        let text = fs::read(dir.join(MANIFEST)).map_err(|error| none(error.to_string()))?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| none(error.to_string()))?;
        if manifest.format != BUNDLE_FORMAT {
            return Err(none(format!("its form is `{}`, this program reads `{BUNDLE_FORMAT}`", manifest.format)));
        }
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Verifies the whole bundle against keys and checkpoints known from elsewhere.
    pub fn verify(&self, keys: Vec<PublicKey>, witnessed: Vec<SignedCheckpoint>) -> Result<Report, BundleError> {
        let claimed = self.manifest.log_keys.iter().chain(&self.manifest.witness_keys);
        let claimed = claimed.map(|key| key.parse()).collect::<Result<_, _>>()?;
        let trust = Trust { keys, claimed, witnessed };
        let records = self.lines::<RecordLine>(RECORDS, self.manifest.records)?;
        let checkpoints = self.lines::<CheckpointLine>(CHECKPOINTS, self.manifest.checkpoints)?;
        let checkpoints = checkpoints.zip(1..).map(|(line, number): (_, u64)| {
            SignedCheckpoint::parse(&line?.note)
                .map_err(|e| Unreadable { place: format!("{CHECKPOINTS}:{number}"), reason: e.to_string() })
        });
        Ok(verify(records, checkpoints, |at| self.tile(at), &trust))
    }

    fn tile(&self, at: TileRef) -> Option<Vec<Hash>> {
        let read = |at: TileRef| fs::read(self.dir.join(at.path())).ok().and_then(|bytes| Tile::hashes_of(&bytes));
        // A leaf in the middle may be asked for: any width that is there will do.
        let wider = || {
            let edge = TileRef::edge(self.manifest.size).find(|edge| (edge.level, edge.index) == (at.level, at.index));
            read(edge.unwrap_or(TileRef { width: crate::ledger::TILE_WIDTH, ..at }))
        };
        read(at).or_else(wider)
    }

    /// The lines of a file, and at its end, if they are not as many as the manifest says, an error in place of a line.
    fn lines<T: DeserializeOwned>(
        &self,
        name: &'static str,
        promised: u64,
    ) -> Result<impl Iterator<Item = Result<T, Unreadable>> + use<T>, BundleError> {
        let path = self.dir.join(name);
        let mut file = BufReader::new(File::open(&path).map_err(io_error(&path))?);
        let (mut count, mut ended) = (0u64, false);
        let unreadable = move |line: u64, reason: String| Unreadable { place: format!("{name}:{line}"), reason };
        Ok(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let mut line = Vec::new();
            match file.read_until(b'\n', &mut line) {
                Ok(0) => {
                    ended = true;
                    let said = format!("it has {count} lines, the manifest says {promised}");
                    (count != promised).then(|| Err(unreadable(count + 1, said)))
                }
                Ok(_) => {
                    count += 1;
                    Some(serde_json::from_slice(&line).map_err(|error| unreadable(count, error.to_string())))
                }
                Err(error) => {
                    ended = true;
                    Some(Err(unreadable(count + 1, error.to_string())))
                }
            }
        }))
    }
}
