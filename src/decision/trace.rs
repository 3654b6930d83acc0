//! The record of how a decision came about: each node's inputs, questions, answers and finding.
//!
//! Times of execution are not part of it: the same case under the same pins gives the same bytes.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::judge::{Answer, Probability, Question, Said, Task};
use crate::nodes::{Finding, NodeId};

/// One question asked and what was answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Asked {
    /// Which model.
    pub task: Task,
    /// SHA-256 of the question's text.
    pub text_sha256: String,
    /// Each head's labels with a probability above zero.
    pub answer: BTreeMap<String, BTreeMap<String, Probability>>,
    /// The words behind it, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

impl Asked {
    /// Records a question with its answer.
    pub fn new(question: &Question, answer: &Answer) -> Self {
        let heads = answer.heads.iter().map(|(head, d)| {
            let likely = d.labels.iter().zip(&d.p).filter(|(_, p)| **p > Probability::ZERO);
            (head.clone(), likely.map(|(l, p)| (l.clone(), *p)).collect())
        });
        Self {
            task: question.task,
            text_sha256: sha256(question.text.as_bytes()),
            answer: heads.collect(),
            said: answer.said.clone(),
        }
    }
}

/// One node's record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeRecord {
    /// The node.
    pub node: NodeId,
    /// SHA-256 over the case and all findings before this node.
    pub inputs_sha256: String,
    /// What it asked.
    pub asked: Vec<Asked>,
    /// What it found.
    pub finding: Finding,
}

/// All records, in the order the nodes ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    /// Version of this form.
    pub format: &'static str,
    /// The case.
    pub case_hash: String,
    /// One record a node.
    pub nodes: Vec<NodeRecord>,
}

impl Trace {
    /// An empty trace of a case.
    pub fn new(case_hash: String) -> Self {
        Self { format: "praetor.trace/1", case_hash, nodes: Vec::new() }
    }

    /// Hash of what a node about to run can see.
    pub fn inputs_sha256(&self) -> Result<String, serde_json::Error> {
        let seen: Vec<(&NodeId, &Finding)> = self.nodes.iter().map(|n| (&n.node, &n.finding)).collect();
        Ok(sha256(&serde_json_canonicalizer::to_vec(&(&self.case_hash, seen))?))
    }

    /// RFC 8785 bytes.
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json_canonicalizer::to_vec(self)
    }
}

/// Lower-case hex SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
