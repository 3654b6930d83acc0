//! Whether the parties are about to agree by themselves.

use serde::Serialize;

use super::{Finding, Findings, Node, NodeError, NodeId, Rules, head, text};
use crate::case::Case;
use crate::judge::{Answer, Probability, Question, Task};

/// The finding of the settlement node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettlementFinding {
    /// That the parties are about to agree.
    pub probability: Probability,
}

/// The node. It asks the label node's question, which is then asked once.
pub(super) struct Settlement;

impl Node for Settlement {
    fn id(&self) -> NodeId {
        NodeId::Settlement
    }

    fn needs(&self, case: &Case, _: &Findings, _: Rules<'_>) -> Result<Vec<Question>, NodeError> {
        Ok(vec![Question { task: Task::Classify, text: text::classify(case) }])
    }

    fn judge(&self, _: &Case, _: &Findings, answers: &[Answer], _: Rules<'_>) -> Result<Finding, NodeError> {
        let probability = head(answers.first(), "settles")?.get("yes");
        Ok(Finding::Settlement(SettlementFinding { probability }))
    }
}
