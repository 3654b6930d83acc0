//! Who answers the second pass: the decoder that ships with the models, or a server. And what both have in common: how
//! much they read, from when on they reflect, and what must be pinned.

use serde::{Deserialize, Serialize};

use super::decoder::Decoder;
use super::endpoint::Endpoint;
use super::{Answer, JudgeError, Probability, Task};

/// The fewest characters a reader may be limited to: room for what a text never leaves out, in any case but a freak.
pub const LEAST_CHARACTERS: usize = 1_120;
/// The most.
pub(super) const MOST_CHARACTERS: usize = 65_536;

/// Whether the second pass runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondPassMode {
    /// As the models' manifest says.
    #[default]
    Auto,
    /// Always; an error where there is no reward model.
    On,
    /// Never.
    Off,
}

/// How a reward model is asked, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecondPass {
    /// Version of the text it reads.
    pub format: String,
    /// The most characters of a text.
    pub characters: usize,
    /// The first verdict below which it reflects; `None` when it never does.
    pub reflect_below: Option<Probability>,
    /// What it is: the SHA-256 of the model's file, or a server's model with the hash of its prompt.
    pub model: String,
}

/// The reward model.
#[derive(Debug)]
pub(super) enum Verifier {
    /// Ships with the models.
    Decoder(Box<Decoder>),
    /// A server.
    Endpoint(Endpoint),
}

impl Verifier {
    pub(super) fn answer(&self, task: Task, texts: &[&str]) -> Result<Vec<Answer>, JudgeError> {
        match self {
            Verifier::Decoder(decoder) => decoder.answer(task, texts),
            Verifier::Endpoint(endpoint) => endpoint.answer(texts),
        }
    }
}
