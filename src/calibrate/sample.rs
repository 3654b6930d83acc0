//! Decisions and labels as calibration and monitoring read them: JSON in, a few fields out. Joins what was decided to
//! what is known to be right; decides nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::decision::Score;
use crate::eval::{GoldRemedy, exact_remedy};
use crate::judge::Probability;

/// What is known about a ticket.
#[derive(Debug, Clone, PartialEq)]
enum Truth {
    /// The remedy that is right.
    Remedy(GoldRemedy),
    /// A reviewer's word on the remedy that was proposed, and in which decision where that is told.
    Right(bool, Option<String>),
}

/// A line of a labels file: gold, of which only the remedy counts here, or the outcome of a review.
#[derive(Debug, Deserialize)]
struct Line {
    ticket_id: String,
    remedy: Option<GoldRemedy>,
    right: Option<bool>,
    decision_id: Option<String>,
    /// Of a recorded review: whether it was the last word on its task, or another reviewer was still to be heard.
    #[serde(rename = "final", default = "yes")]
    closes: bool,
}

fn yes() -> bool {
    true
}

/// A labels file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// A line is no label.
    #[error("labels line {line}: {source}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A line has not exactly one of the two.
    #[error("labels line {line}: expected either `remedy`, what is right, or `right`, whether the proposal was")]
    Shape {
        /// From 1.
        line: usize,
    },
    /// Two lines speak of one ticket.
    #[error("labels line {line}: ticket {ticket} has been given before")]
    Twice {
        /// From 1.
        line: usize,
        /// The ticket.
        ticket: String,
    },
}

/// What is known to be right, by ticket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels(BTreeMap<String, Truth>);

impl Labels {
    /// Adds a file's labels, one JSON object a line: gold (`ticket_id`, `remedy`) or outcomes of reviews (`ticket_id`,
    /// `right`). Other fields are not read.
    pub fn read(&mut self, text: &str) -> Result<(), LabelError> {
        for (index, json) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line = index + 1;
            let read: Line = serde_json::from_str(json).map_err(|source| LabelError::Line { line, source })?;
            let truth = match (read.remedy, read.right) {
                (Some(remedy), None) => Truth::Remedy(remedy),
                (None, Some(right)) => Truth::Right(right, read.decision_id),
                _ => return Err(LabelError::Shape { line }),
            };
            if self.0.insert(read.ticket_id.clone(), truth).is_some() {
                return Err(LabelError::Twice { line, ticket: read.ticket_id });
            }
        }
        Ok(())
    }

    /// Adds what a recorded review says, if it says either and is the last word on its task; a later one
    /// on the same ticket wins.
    pub fn review(&mut self, body: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line>(body) else { return };
        let right = line.right.map(|right| Truth::Right(right, line.decision_id));
        let truth = line.remedy.map(Truth::Remedy).or(right);
        if let Some(truth) = truth.filter(|_| line.closes) {
            self.0.insert(line.ticket_id, truth);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether people's reviews are among them, and whether gold is.
    pub fn source(&self) -> &'static str {
        match self.reviewed() {
            0 => "gold",
            n if n == self.0.len() => "review",
            _ => "gold and review",
        }
    }

    /// How many are people's reviews: they speak of a decision that was made, not of what is right.
    pub fn reviewed(&self) -> usize {
        self.0.values().filter(|t| matches!(t, Truth::Right(..))).count()
    }

    /// Whether the decision is right. A review of another decision on the ticket says nothing of this one.
    fn right(&self, ticket: &str, decision: &Value) -> Option<bool> {
        match self.0.get(ticket)? {
            Truth::Remedy(remedy) => Some(exact_remedy(decision, remedy)),
            Truth::Right(right, of) => of.as_ref().is_none_or(|id| decision["id"] == **id).then_some(*right),
        }
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The ticket.
    pub ticket: String,
    /// The scene it was decided as.
    pub scene: String,
    /// The remedy's kind.
    pub remedy: String,
    /// Hash of the rules.
    pub rulebook: String,
    /// Whether every fact that matters was certain: only such decisions can be automatic.
    pub certain: bool,
    /// Whether it was automatic.
    pub auto: bool,
    /// Whether it was automatic and drawn for the audit.
    pub audit: bool,
    /// The score.
    pub score: Option<Probability>,
    /// The second verdict of the reward model.
    pub second: Option<Probability>,
    /// Whether the remedy is right; none where nobody knows.
    pub right: Option<bool>,
}

impl Sample {
    /// Reads a decision; `None` when it is none, such as a refused input.
    pub fn read(decision: &Value, score: Score, labels: &Labels) -> Option<Sample> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let ticket = text(&decision["ticket_id"])?;
        let number = match score {
            Score::Confidence => &decision["confidence"],
            Score::FirstToken => &decision["verification"]["first_token"],
        };
        let auto = decision["outcome"] == "auto";
        Some(Sample {
            scene: text(&decision["labels"]["scene"]["id"])?,
            remedy: text(&decision["remedy"]["kind"])?,
            rulebook: text(&decision["pins"]["rulebook"])?,
            certain: decision["certain"].as_bool()?,
            auto,
            audit: auto && decision["audit"] == true,
            score: number.as_f64().and_then(Probability::from_fraction),
            second: decision["verification"]["second"].as_f64().and_then(Probability::from_fraction),
            right: labels.right(&ticket, decision),
            ticket,
        })
    }
}

/// Whether a ticket belongs to the split that thresholds are chosen on, a third by hash; the rest tests them.
pub fn tunes(ticket: &str) -> bool {
    let digest = Sha256::new().chain_update(b"praetor tuning split\n").chain_update(ticket.as_bytes()).finalize();
    digest.iter().take(4).fold(0_u32, |n, byte| n << 8 | u32::from(*byte)) % 3 == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_are_gold_or_reviews() {
        let mut labels = Labels::default();
        labels
            .read("{\"ticket_id\":\"A\",\"right\":true,\"by\":\"x\"}\n\n{\"ticket_id\":\"B\",\"right\":false}")
            .unwrap();
        assert_eq!((labels.len(), labels.source()), (2, "review"));
        let remedy =
            r#"{"kind":"refund_only","refund":"1.00","compensation":"0.00","freight_by":"none","return_goods":false}"#;
        labels.read(&format!("{{\"ticket_id\":\"C\",\"remedy\":{remedy}}}")).unwrap();
        assert_eq!(labels.source(), "gold and review");
        for (text, error) in [
            ("{\"ticket_id\":\"A\",\"right\":true}", "labels line 1: ticket A has been given before"),
            (
                "\n{\"ticket_id\":\"D\"}",
                "labels line 2: expected either `remedy`, what is right, or `right`, whether the proposal was",
            ),
        ] {
            assert_eq!(labels.read(text).unwrap_err().to_string(), error);
        }
        assert!(matches!(labels.read("[]"), Err(LabelError::Line { line: 1, .. })));

        let mut reviewed = labels.clone();
        for body in [
            "{\"ticket_id\":\"B\",\"right\":true,\"decision_id\":\"dec_1\"}",
            "{\"ticket_id\":\"B\",\"right\":false,\"final\":false}",
            "{\"ticket_id\":\"F\"}",
            "nothing",
        ] {
            reviewed.review(body.as_bytes());
        }
        assert_eq!((reviewed.len(), reviewed.0["B"].clone()), (3, Truth::Right(true, Some("dec_1".to_owned()))));

        let decision = |ticket: &str, refund: &str| {
            json!({ "ticket_id": ticket, "outcome": "auto", "certain": true, "audit": true, "confidence": 0.5,
                "labels": { "scene": { "id": "invoice" } }, "pins": { "rulebook": "r" },
                "remedy": { "kind": "refund_only", "refund": refund, "compensation": "0.00", "freight_by": "none", "return_goods": false } })
        };
        let right = |ticket, refund| Sample::read(&decision(ticket, refund), Score::Confidence, &labels).unwrap().right;
        assert_eq!(
            [right("A", "9"), right("B", "1.00"), right("C", "1.00"), right("C", "1.02"), right("E", "1")],
            [Some(true), Some(false), Some(true), Some(false), None]
        );
        let of = |id: &str| {
            let mut decision = decision("B", "1.00");
            decision["id"] = id.into();
            Sample::read(&decision, Score::Confidence, &reviewed).unwrap().right
        };
        assert_eq!([of("dec_1"), of("dec_2")], [Some(true), None]);
        let read = Sample::read(&decision("A", "1.00"), Score::FirstToken, &labels).unwrap();
        assert!(read.audit && read.score.is_none());
        assert_eq!(
            Sample::read(&json!({ "ticket_id": "A", "outcome": "rejected_input" }), Score::Confidence, &labels),
            None
        );
    }

    #[test]
    fn a_third_tunes() {
        let tuning = (0..3_000).filter(|n| tunes(&format!("AB{n}"))).count();
        assert!(tuning.abs_diff(1_000) < 100, "{tuning}");
    }
}
