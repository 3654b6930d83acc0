//! Asks small models atomic questions: tokenizes, batches, runs ONNX sessions, turns logits into probabilities.
//! The only place that knows `ort`. Never decides a case, never reads one: it sees rendered text and gives
//! distributions. The same question gets the same answer whatever else is asked with it.

mod answer;
mod batch;
mod config;
mod error;
mod library;
mod manifest;
mod model;
mod question;
mod session;
mod signature;
pub mod text;
mod tokenizer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use batch::Unique;
use model::Model;
use tokenizer::Tokenizer;

pub use answer::{Answer, Distribution, Probability};
pub use config::{Device, JudgeConfig};
pub use error::{JudgeError, LibraryError};
pub use manifest::{FileEntry, Head, Manifest, ModelEntry, Thresholds, read_checked};
pub use question::{Question, Task, UnknownTask};

/// What an answer depends on besides the question: recorded with every decision, compared at replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// SHA-256 of the manifest, in hex: it says what the models' outputs mean.
    pub manifest: String,
    /// SHA-256 of each model's file, in hex, by task.
    pub models: BTreeMap<Task, String>,
    /// SHA-256 of the tokenizer's file, in hex.
    pub tokenizer: String,
    /// ONNX Runtime's version, the commit it was built from, and the SHA-256 of the library's file.
    pub runtime: String,
    /// Where models compute.
    pub device: Device,
}

/// The opened models. Shared freely between threads; its session threads end when it is dropped.
#[derive(Debug)]
pub struct Judge {
    folder: PathBuf,
    manifest: Manifest,
    pins: Pins,
    models: BTreeMap<Task, Model>,
}

impl Judge {
    /// Opens every model of a folder that holds a `manifest.toml`: checks each file's SHA-256, inputs, outputs and
    /// labels, and asks each model one trial question.
    pub fn open(models_dir: &Path, cfg: &JudgeConfig) -> Result<Judge, JudgeError> {
        cfg.validate()?;
        let manifest = Manifest::read(models_dir)?;
        let file = &manifest.tokenizer;
        let (path, bytes) = manifest::read_checked("tokenizer", models_dir, &file.file, &file.sha256)?;
        let tokenizer = Tokenizer::parse(&path, &bytes)?;
        let runtime = library::load(cfg.library.as_deref())?;
        let mut models = BTreeMap::new();
        for entry in &manifest.models {
            models.insert(entry.id, Model::open(models_dir, &runtime, cfg, &tokenizer, entry)?);
        }
        let pins = Pins {
            manifest: manifest.sha256.clone(),
            models: manifest.models.iter().map(|entry| (entry.id, entry.sha256.clone())).collect(),
            tokenizer: manifest.tokenizer.sha256.clone(),
            runtime: runtime.version,
            device: cfg.device,
        };
        Ok(Judge { folder: models_dir.to_owned(), manifest, pins, models })
    }

    /// Answers questions, in their order. Equal questions are asked once. All or nothing: the first failure is the
    /// result. Blocks; callers on other threads may ask at the same time.
    pub fn answer(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        let unique = Unique::of(questions);
        let model = |task: Task| self.models.get(&task).ok_or(JudgeError::Stopped { task });
        let mut answers: BTreeMap<Task, Vec<Answer>> = BTreeMap::new();
        // Each model has a thread of its own; feeding them from one thread would let one wait for another.
        std::thread::scope(|scope| {
            let mut others = Vec::new();
            let mut texts = unique.texts.iter();
            let first = texts.next();
            for (&task, texts) in texts {
                let model = model(task)?;
                others.push((task, scope.spawn(move || model.answer(texts))));
            }
            if let Some((&task, texts)) = first {
                answers.insert(task, model(task)?.answer(texts)?);
            }
            for (task, other) in others {
                answers.insert(task, other.join().unwrap_or(Err(JudgeError::Stopped { task }))?);
            }
            Ok::<_, JudgeError>(())
        })?;
        let place = |&(task, place): &(Task, usize)| {
            answers.get(&task).and_then(|of_task| of_task.get(place)).cloned().ok_or(JudgeError::Stopped { task })
        };
        unique.places.iter().map(place).collect()
    }

    /// What answers depend on besides the questions.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The folder the models were opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest the models were opened from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

/// What is known of the ONNX Runtime library, for people who set the program up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The library, if it was found.
    pub library: Option<PathBuf>,
    /// Its version, if it loads.
    pub version: Option<String>,
    /// What is missing or wrong, if anything.
    pub problem: Option<LibraryError>,
}

/// Finds and loads the library the way [`Judge::open`] does, and says how that went.
pub fn probe(cfg: &JudgeConfig) -> Probe {
    let library = library::find(cfg.library.as_deref()).ok();
    match library::load(cfg.library.as_deref()) {
        Ok(runtime) => Probe { library: Some(runtime.path), version: Some(runtime.version), problem: None },
        Err(problem) => Probe { library, version: None, problem: Some(problem) },
    }
}
