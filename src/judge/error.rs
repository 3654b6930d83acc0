//! Everything that can go wrong between a folder of models and an answer. Each message names the model, what was
//! expected and what was found, so that it can be acted on without reading code.

use std::path::PathBuf;

use super::{Device, Task};

/// Why models could not be opened, or a question not answered.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The ONNX Runtime library is not there or cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A file the judge needs cannot be read.
    #[error("{what}: cannot read {}: {reason}", path.display())]
    Missing {
        /// Whose file it is: `model classify`, `tokenizer`, `model manifest`.
        what: String,
        /// Where it should be.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The manifest is not one.
    #[error("model manifest {}: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is not the one the manifest names.
    #[error("{what}: {} has SHA-256 {found}, the manifest expects {expected}", path.display())]
    Hash {
        /// Whose file it is.
        what: String,
        /// The file.
        path: PathBuf,
        /// The manifest's SHA-256, in hex.
        expected: String,
        /// The file's SHA-256, in hex.
        found: String,
    },
    /// The tokenizer file is unusable.
    #[error("tokenizer {}: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration cannot work.
    #[error("judge configuration: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
    /// ONNX Runtime does not accept a model file.
    #[error("model {task}: ONNX Runtime cannot load {}: {reason}", path.display())]
    Load {
        /// The model.
        task: Task,
        /// Its file.
        path: PathBuf,
        /// ONNX Runtime's reason.
        reason: String,
    },
    /// The configured device cannot be used. There is no fall-back to another.
    #[error("model {task}: device {device} cannot be used: {reason}")]
    Device {
        /// The model being opened.
        task: Task,
        /// The device.
        device: Device,
        /// ONNX Runtime's reason.
        reason: String,
    },
    /// A model's inputs or outputs are not what the manifest says.
    #[error("model {task}: {what}: expected {expected}, found {found}")]
    Signature {
        /// The model.
        task: Task,
        /// Which part: `input input_ids`, `output scene`.
        what: String,
        /// What the manifest, or the contract of all models, says.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A question could not be turned into tokens.
    #[error("question to {task}: {reason}")]
    Encode {
        /// The model asked.
        task: Task,
        /// Why.
        reason: String,
    },
    /// A batch failed while it ran.
    #[error("model {task}: a batch of {rows} questions of up to {tokens} tokens failed: {reason}")]
    Run {
        /// The model.
        task: Task,
        /// Questions in the batch.
        rows: usize,
        /// Padded length of each.
        tokens: usize,
        /// ONNX Runtime's reason.
        reason: String,
    },
    /// A model gave NaN or infinity. That is a broken model or input, not an answer.
    #[error("model {task}: output {head} is not a finite number")]
    NotFinite {
        /// The model.
        task: Task,
        /// The output.
        head: String,
    },
    /// The reward model's server gives no usable answer.
    #[error("the reward model's server: {reason}")]
    Server {
        /// Why not.
        reason: String,
    },
    /// A model's thread has ended, so it can answer nothing more.
    #[error("model {task}: its session thread has stopped")]
    Stopped {
        /// The model.
        task: Task,
    },
    /// Answers are taken from records, and none is recorded for this question.
    #[error("no answer to a question for {task} was recorded")]
    NotRecorded {
        /// The model it would go to.
        task: Task,
    },
}

/// Why the ONNX Runtime library cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// The path that was asked for is no file.
    #[error("ONNX Runtime library: {} (from {source_name}) is not a file", path.display())]
    NotThere {
        /// The path asked for.
        path: PathBuf,
        /// Who asked: `the configuration` or the variable's name.
        source_name: &'static str,
    },
    /// It was in none of the usual places.
    #[error(
        "ONNX Runtime library not found; looked for{}\nset `library` in the configuration or {} to its path",
        looked_for.iter().map(|path| format!("\n  {}", path.display())).collect::<String>(),
        super::library::VARIABLE
    )]
    NotFound {
        /// Every path tried, in order.
        looked_for: Vec<PathBuf>,
    },
    /// It is there but does not load.
    #[error("ONNX Runtime library {}: {reason}", path.display())]
    Unusable {
        /// The library.
        path: PathBuf,
        /// The loader's reason.
        reason: String,
    },
    /// Another one is in use already; a process can load only one.
    #[error(
        "ONNX Runtime library {} cannot be loaded: this process already uses {}",
        asked.display(),
        loaded.display()
    )]
    AnotherLoaded {
        /// The library asked for.
        asked: PathBuf,
        /// The library in use.
        loaded: PathBuf,
    },
}
