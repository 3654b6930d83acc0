//! What can be asked: one task a model, and the rendered text that goes in.
//! Holds no text templates; those belong to the nodes that ask.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of question. Each has one model of its own; its name is the model's `id` in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Of a case: its scene, its goods type, whether the buyer withdraws the claim.
    Classify,
    /// Of a case and an SOP: does the SOP govern, as far as times, evidence and claim tell?
    Relevant,
    /// Of a buyer's message: does it state the problem?
    FirstReport,
    /// Of an evidence item and a requirement: does the item meet it, and if not, what is wrong?
    Supports,
    /// Of a number in a text: is it the value the measure asks for?
    Measure,
    /// Of a rendered decision: is it right? Answered by the reward model's first token.
    Verify,
    /// The same, after reflecting on it.
    Reflect,
}

impl Task {
    /// Every task that has a model of its own and is always there, in the order models are opened and reported. The other
    /// two are the reward model's.
    pub const ALL: [Task; 5] = [Task::Classify, Task::Relevant, Task::FirstReport, Task::Supports, Task::Measure];

    /// The name used in the manifest, in traces and in messages.
    pub fn id(self) -> &'static str {
        match self {
            Task::Classify => "classify",
            Task::Relevant => "relevant",
            Task::FirstReport => "first_report",
            Task::Supports => "supports",
            Task::Measure => "measure",
            Task::Verify => "verify",
            Task::Reflect => "reflect",
        }
    }

    /// The outputs its model must have: what the nodes read.
    pub fn heads(self) -> &'static [&'static str] {
        match self {
            Task::Classify => &["scene", "goods_type", "settles"],
            Task::Relevant => &["governs"],
            Task::FirstReport => &["states_problem"],
            Task::Supports => &["verdict"],
            Task::Measure => &["is_value"],
            Task::Verify => &["first_token"],
            Task::Reflect => &["second"],
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A name that is no task's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a task; the tasks are classify, relevant, first_report, supports and measure")]
pub struct UnknownTask(
    /// The name as given.
    pub String,
);

impl FromStr for Task {
    type Err = UnknownTask;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Task::ALL.into_iter().find(|task| task.id() == name).ok_or_else(|| UnknownTask(name.to_owned()))
    }
}

/// One question to one model. Equal questions are asked once and share their answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Question {
    /// Which model answers.
    pub task: Task,
    /// The rendered model input, marker tokens such as `[TITLE]` included. Data between the markers must have gone
    /// through [`sanitise`](crate::judge::text::sanitise).
    pub text: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_round_trip() {
        for task in Task::ALL {
            assert_eq!(task.to_string().parse::<Task>().unwrap(), task);
            assert_eq!(serde_json::to_value(task).unwrap(), task.id());
        }
        assert!("verify".parse::<Task>().unwrap_err().to_string().contains("`verify`"));
    }
}
