//! `manifest.toml`: which files the models are, what their outputs mean and how sure is sure enough.
//! Parses and validates; opens no model.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::second_pass::MOST_CHARACTERS;
use super::{JudgeError, LEAST_CHARACTERS, Probability, Task};

/// The file's name within the models folder.
pub(super) const FILE_NAME: &str = "manifest.toml";
/// The only format there is.
const FORMAT: u32 = 1;
/// Heads that answer yes or no have exactly these labels.
const BINARY: [(&str, [&str; 2]); 4] = [
    ("settles", ["no", "yes"]),
    ("governs", ["no", "yes"]),
    ("states_problem", ["no", "yes"]),
    ("is_value", ["no", "yes"]),
];

/// A validated manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of the manifest itself.
    pub format: u32,
    /// The tokenizer all models share.
    pub tokenizer: FileEntry,
    /// One model a task, every task present.
    #[serde(rename = "model")]
    pub models: Vec<ModelEntry>,
    /// Probabilities under which a finding is not certain enough to decide by itself.
    pub thresholds: Thresholds,
    /// SHA-256 of the manifest's own text, in hex.
    #[serde(skip)]
    pub sha256: String,
    /// The reward model, where there is one.
    #[serde(default)]
    pub verifier: Option<VerifierEntry>,
}

/// The reward model: a decoder with a tokenizer of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifierEntry {
    /// Version of the text it reads.
    pub format: String,
    /// Path relative to the models folder, inside it.
    pub file: PathBuf,
    /// SHA-256, 64 lower-case hex digits.
    pub sha256: String,
    /// Its tokenizer.
    pub tokenizer: FileEntry,
    /// The most characters of a text it is asked about.
    pub characters: usize,
    /// The most tokens, text and reflection together.
    pub max_tokens: usize,
    /// The most tokens of a reflection.
    pub max_reflection: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Numbers a head.
    pub head_width: usize,
    /// By what its log odds are multiplied to be those of real decisions, in thousandths.
    pub slope_thousandths: i32,
    /// What is added to them then, in thousandths.
    pub bias_thousandths: i32,
    /// The least first verdict that ends the second pass; below it the model reflects.
    pub reflect_below: Probability,
    /// Whether it is asked when the configuration does not say.
    pub enabled: bool,
}

/// A file and what it must hash to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path relative to the models folder, inside it.
    pub file: PathBuf,
    /// SHA-256, 64 lower-case hex digits.
    pub sha256: String,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The task it answers.
    pub id: Task,
    /// Path relative to the models folder, inside it.
    pub file: PathBuf,
    /// SHA-256, 64 lower-case hex digits.
    pub sha256: String,
    /// Longer inputs lose their tail.
    pub max_tokens: usize,
    /// Its outputs.
    #[serde(rename = "head")]
    pub heads: Vec<Head>,
}

/// One output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Name of the ONNX output.
    pub output: String,
    /// What its columns mean, in order.
    pub labels: Arc<[String]>,
}

/// Probabilities under which a finding is not certain enough to decide by itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// For the scene.
    pub scene: Probability,
    /// For the goods type.
    pub goods_type: Probability,
    /// For the message that first reports the problem.
    pub first_report: Probability,
    /// For the verdict on an evidence item.
    pub evidence: Probability,
    /// For a measured value.
    pub measure: Probability,
    /// The data they were chosen on.
    #[serde(default)]
    pub chosen_on: Option<String>,
}

impl Manifest {
    /// Reads and validates `manifest.toml` of a models folder.
    pub fn read(models_dir: &Path) -> Result<Manifest, JudgeError> {
        let path = models_dir.join(FILE_NAME);
        let text = std::fs::read_to_string(&path).map_err(|error| JudgeError::Missing {
            what: "model manifest".to_owned(),
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Manifest::parse(&text).map_err(|reason| JudgeError::Manifest { path, reason })
    }

    /// Parses and validates a manifest's text; the error says what is wrong and where.
    pub fn parse(text: &str) -> Result<Manifest, String> {
        let mut manifest: Manifest = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        manifest.validate()?;
        manifest.sha256 = hex::encode(Sha256::digest(text));
        Ok(manifest)
    }

    /// The outputs of a task's model; those of the reward model are the same for every one.
    pub fn heads(&self, task: Task) -> Option<Cow<'_, [Head]>> {
        match task {
            Task::Verify | Task::Reflect => {
                let labels: Arc<[String]> = super::decoder::LABELS.map(str::to_owned).into();
                let head = |output: &&str| Head { output: (*output).to_owned(), labels: Arc::clone(&labels) };
                Some(task.heads().iter().map(head).collect())
            }
            _ => self.model(task).map(|model| Cow::Borrowed(model.heads.as_slice())),
        }
    }

    /// The model of a task. Validation has made sure there is one.
    pub fn model(&self, task: Task) -> Option<&ModelEntry> {
        self.models.iter().find(|model| model.id == task)
    }

    /// Every file that answers depend on, the manifest itself first.
    pub fn files(&self) -> Vec<FileEntry> {
        let own = FileEntry { file: FILE_NAME.into(), sha256: self.sha256.clone() };
        let models = self.models.iter().map(|m| FileEntry { file: m.file.clone(), sha256: m.sha256.clone() });
        let verifier = self
            .verifier
            .iter()
            .flat_map(|v| [v.tokenizer.clone(), FileEntry { file: v.file.clone(), sha256: v.sha256.clone() }]);
        [own, self.tokenizer.clone()].into_iter().chain(models).chain(verifier).collect()
    }

    fn validate(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("format is {}, this program reads {FORMAT}", self.format));
        }
        check_file("tokenizer", &self.tokenizer.file, &self.tokenizer.sha256)?;
        if let Some(model) = self.models.iter().find(|model| !Task::ALL.contains(&model.id)) {
            return Err(format!("model {}: the reward model stands under [verifier]", model.id));
        }
        for task in Task::ALL {
            match self.models.iter().filter(|model| model.id == task).count() {
                1 => {}
                0 => return Err(format!("there is no [[model]] with id \"{task}\"")),
                n => return Err(format!("there are {n} [[model]] entries with id \"{task}\"")),
            }
        }
        self.models.iter().try_for_each(ModelEntry::validate)?;
        self.verifier.as_ref().map_or(Ok(()), VerifierEntry::validate)
    }
}

impl VerifierEntry {
    fn validate(&self) -> Result<(), String> {
        check_file("verifier", &self.file, &self.sha256)?;
        check_file("verifier's tokenizer", &self.tokenizer.file, &self.tokenizer.sha256)?;
        let bounds = [
            ("layers", self.layers, 1, 128),
            ("heads", self.heads, 1, 256),
            ("head_width", self.head_width, 1, 1_024),
            ("characters", self.characters, LEAST_CHARACTERS, MOST_CHARACTERS),
            ("max_reflection", self.max_reflection, 4, 4_096),
            // A text never has more tokens than characters; what comes after it must fit too.
            ("max_tokens", self.max_tokens, self.characters + self.max_reflection + 1, 131_072),
        ];
        if !(1..=100_000).contains(&self.slope_thousandths) {
            return Err(format!("verifier: slope_thousandths is {}, expected 1 to 100000", self.slope_thousandths));
        }
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(format!("verifier: {name} is {value}, expected {least} to {most}"));
            }
        }
        Ok(())
    }
}

impl ModelEntry {
    fn validate(&self) -> Result<(), String> {
        let what = format!("model {}", self.id);
        check_file(&what, &self.file, &self.sha256)?;
        if !(8..=65_536).contains(&self.max_tokens) {
            return Err(format!("{what}: max_tokens is {}, expected 8 to 65536", self.max_tokens));
        }
        let expected: BTreeSet<&str> = self.id.heads().iter().copied().collect();
        let found: BTreeSet<&str> = self.heads.iter().map(|head| head.output.as_str()).collect();
        if expected != found || self.heads.len() != expected.len() {
            let found: Vec<&str> = self.heads.iter().map(|head| head.output.as_str()).collect();
            return Err(format!("{what}: expected heads {:?}, found {found:?}", self.id.heads()));
        }
        self.heads.iter().try_for_each(|head| head.validate(&what))
    }
}

impl Head {
    fn validate(&self, what: &str) -> Result<(), String> {
        let what = format!("{what}: head {}", self.output);
        let distinct: BTreeSet<&String> = self.labels.iter().collect();
        if self.labels.len() < 2 || distinct.len() != self.labels.len() || self.labels.iter().any(String::is_empty) {
            return Err(format!("{what}: labels must be two or more, distinct and not empty, found {:?}", self.labels));
        }
        for (head, labels) in BINARY {
            if self.output == head && !self.labels.iter().eq(labels.iter()) {
                return Err(format!("{what}: expected labels {labels:?}, found {:?}", self.labels));
            }
        }
        Ok(())
    }
}

fn check_file(what: &str, file: &Path, sha256: &str) -> Result<(), String> {
    let inside = file.components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || file.as_os_str().is_empty() {
        return Err(format!("{what}: file \"{}\" is not a relative path inside the models folder", file.display()));
    }
    let hex = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !hex {
        return Err(format!("{what}: sha256 \"{sha256}\" is not 64 lower-case hex digits"));
    }
    Ok(())
}

/// Reads a file of the models folder and checks its hash. The bytes that were hashed are the bytes that get used.
pub fn read_checked(
    what: &str,
    models_dir: &Path,
    file: &Path,
    expected: &str,
) -> Result<(PathBuf, Vec<u8>), JudgeError> {
    let path = models_dir.join(file);
    let bytes = std::fs::read(&path).map_err(|error| JudgeError::Missing {
        what: what.to_owned(),
        path: path.clone(),
        reason: error.to_string(),
    })?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found != expected {
        return Err(JudgeError::Hash { what: what.to_owned(), path, expected: expected.to_owned(), found });
    }
    Ok((path, bytes))
}
