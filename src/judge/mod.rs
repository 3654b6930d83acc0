//! Asks small models atomic questions: tokenizes, batches, runs ONNX sessions, turns logits into probabilities.
//! The only place that knows `ort`. Never decides a case, never reads one: it sees rendered text and gives
//! distributions. The same question gets the same answer whatever else is asked with it.

mod answer;
mod batch;
mod config;
mod decoder;
mod endpoint;
mod error;
mod library;
mod manifest;
mod model;
mod question;
mod second_pass;
mod session;
mod signature;
pub mod text;
mod tokenizer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use batch::Unique;
use decoder::Decoder;
use endpoint::Endpoint;
use model::Model;
use second_pass::Verifier;
use tokenizer::Tokenizer;

pub use answer::{Answer, Distribution, Probability, Said};
pub use config::{Device, JudgeConfig};
pub use endpoint::EndpointConfig;
pub use error::{JudgeError, LibraryError};
pub use manifest::{FileEntry, Head, Manifest, ModelEntry, Thresholds, VerifierEntry, read_checked};
pub use question::{Question, Task, UnknownTask};
pub use second_pass::{LEAST_CHARACTERS, SecondPass, SecondPassMode};

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
    verifier: Option<(SecondPass, Verifier)>,
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
        let verifier = Self::verifier(models_dir, &runtime, cfg, &manifest)?;
        let pins = Pins {
            manifest: manifest.sha256.clone(),
            models: manifest.models.iter().map(|entry| (entry.id, entry.sha256.clone())).collect(),
            tokenizer: manifest.tokenizer.sha256.clone(),
            runtime: runtime.version,
            device: cfg.device,
        };
        Ok(Judge { folder: models_dir.to_owned(), manifest, pins, models, verifier })
    }

    /// The reward model, if there is one and it is wanted.
    fn verifier(
        models_dir: &Path,
        runtime: &library::Runtime,
        cfg: &JudgeConfig,
        manifest: &Manifest,
    ) -> Result<Option<(SecondPass, Verifier)>, JudgeError> {
        if let (Some(config), SecondPassMode::Auto | SecondPassMode::On) = (&cfg.endpoint, cfg.second_pass) {
            return Ok(Some((Endpoint::second_pass(config), Verifier::Endpoint(Endpoint::open(config)?))));
        }
        let entry = match (&manifest.verifier, cfg.second_pass) {
            (Some(entry), SecondPassMode::On) => entry,
            (Some(entry), SecondPassMode::Auto) if entry.enabled => entry,
            (None, SecondPassMode::On) => {
                let reason =
                    "the second pass is on, but there is neither a verifier in the manifest nor an endpoint".to_owned();
                return Err(JudgeError::Config { reason });
            }
            _ => return Ok(None),
        };
        let second_pass = SecondPass {
            format: entry.format.clone(),
            characters: entry.characters,
            reflect_below: Some(entry.reflect_below),
            model: entry.sha256.clone(),
        };
        let decoder = Decoder::open(models_dir, runtime, cfg, entry)?;
        Ok(Some((second_pass, Verifier::Decoder(Box::new(decoder)))))
    }

    /// Answers questions, in their order. Equal questions are asked once. All or nothing: the first failure is the
    /// result. Blocks; callers on other threads may ask at the same time.
    pub fn answer(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        let unique = Unique::of(questions);
        let ask = |task: Task, texts: &[&str]| match (task, &self.verifier) {
            (Task::Verify | Task::Reflect, Some((_, verifier))) => verifier.answer(task, texts),
            _ => self.models.get(&task).ok_or(JudgeError::Stopped { task })?.answer(texts),
        };
        let mut answers: BTreeMap<Task, Vec<Answer>> = BTreeMap::new();
        // Each model has a thread of its own; feeding them from one thread would let one wait for another.
        std::thread::scope(|scope| {
            let mut others = Vec::new();
            let mut texts = unique.texts.iter();
            let first = texts.next();
            for (&task, texts) in texts {
                others.push((task, scope.spawn(move || ask(task, texts))));
            }
            if let Some((&task, texts)) = first {
                answers.insert(task, ask(task, texts)?);
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

    /// How the reward model is asked, if there is one and it is wanted.
    pub fn second_pass(&self) -> Option<&SecondPass> {
        self.verifier.as_ref().map(|(second_pass, _)| second_pass)
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
