//! Asks small models atomic questions: tokenizes, batches, runs ONNX sessions, turns logits into probabilities.
//! The only place that knows `ort`. Never decides a case, never reads one: it sees rendered text and gives
//! distributions. The same question gets the same answer whatever else is asked with it.

mod answer;
mod config;
mod error;
mod library;
mod manifest;
mod question;
pub mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use answer::{Answer, Distribution, Probability};
pub use config::{Device, JudgeConfig};
pub use error::{JudgeError, LibraryError};
pub use manifest::{FileEntry, Head, Manifest, ModelEntry, Thresholds};
pub use question::{Question, Task, UnknownTask};

/// What an answer depends on besides the question: recorded with every decision, compared at replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// SHA-256 of each model's file, in hex, by task.
    pub models: BTreeMap<Task, String>,
    /// SHA-256 of the tokenizer's file, in hex.
    pub tokenizer: String,
    /// ONNX Runtime's version and the commit it was built from.
    pub runtime: String,
    /// Where models compute.
    pub device: Device,
}

/// The opened models. Shared freely between threads; its session threads end when it is dropped.
#[derive(Debug)]
pub struct Judge {
    manifest: Manifest,
    pins: Pins,
}

impl Judge {
    /// Opens every model of a folder that holds a `manifest.toml`, checking each file against it.
    pub fn open(_models_dir: &Path, _cfg: &JudgeConfig) -> Result<Judge, JudgeError> {
        Err(JudgeError::Config { reason: "models cannot be opened yet".to_owned() })
    }

    /// Answers questions, in their order. Equal questions are asked once. All or nothing: the first failure is the
    /// result.
    pub fn answer(&self, _questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        Err(JudgeError::Stopped { task: Task::Classify })
    }

    /// What answers depend on besides the questions.
    pub fn pins(&self) -> &Pins {
        &self.pins
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
