//! How long a batch of cases is in a node: a span for whoever traces, a figure for whoever counts. Costs next to nothing
//! when nobody does either, and tells nothing of a case.

use std::time::{Duration, Instant};

use tracing::Span;

use crate::nodes::NodeId;

/// A batch in a node. Its time is what the node computes and, if it asks anything, the wait for the models, which it
/// shares with the other nodes of its wave.
pub(super) struct Stay {
    node: NodeId,
    span: Span,
    spent: Duration,
}

impl Stay {
    /// A batch of so many cases comes to a node.
    pub(super) fn begin(node: NodeId, cases: usize) -> Self {
        let name = node.as_str();
        let span = tracing::info_span!("node", otel.name = name, node = name, cases, questions = tracing::field::Empty);
        Self { node, span, spent: Duration::ZERO }
    }

    /// The node computes.
    pub(super) fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = self.span.in_scope(work);
        self.spent += started.elapsed();
        done
    }

    /// It asked so many questions, which took so long.
    pub(super) fn asked(&mut self, questions: usize, waited: Duration) {
        self.span.record("questions", questions);
        if questions > 0 {
            self.spent += waited;
        }
    }

    /// The batch leaves.
    pub(super) fn end(self) {
        metrics::histogram!("praetor_node_seconds", "node" => self.node.as_str()).record(self.spent.as_secs_f64());
    }
}

/// Has questions answered, in a span, and says how long that took.
pub(super) fn asking<T>(questions: usize, ask: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let answers = tracing::info_span!("judge", questions).in_scope(ask);
    let waited = started.elapsed();
    if questions > 0 {
        metrics::histogram!("praetor_judge_seconds").record(waited.as_secs_f64());
    }
    (answers, waited)
}
