//! Decides cases under two rule books and compares: recorded cases from the answers recorded with them, others by asking.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::artifacts::Shelf;
use super::diverge::{Divergence, Sides, diverge};
use super::rerun::Record;
use super::transition::Change;
use super::{RecordedAnswers, ReplayError};
use crate::case::{Case, Timestamp};
use crate::decision::Gate;
use crate::judge::{Judge, JudgeConfig};
use crate::pipeline::{Ask, Pipeline};
use crate::sop::RuleBook;
use crate::store::Store;

/// One case under both rule books.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The ticket.
    pub ticket_id: String,
    /// The recorded decision, for a case from the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Before and after.
    pub change: Change,
    /// The first node that flipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
}

/// Two rule books over the same answers.
pub struct Packs {
    old: Pipeline,
    new: Pipeline,
    recorded: Option<Arc<RecordedAnswers>>,
}

impl std::fmt::Debug for Packs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packs").field("old", &self.old).field("new", &self.new).finish_non_exhaustive()
    }
}

impl Packs {
    /// Over these models.
    pub fn over(old: &RuleBook, new: &RuleBook, judge: Arc<Judge>) -> Result<Self, ReplayError> {
        Self::with(old, new, &judge, judge.clone(), None)
    }

    /// Two pipelines that are there already, for cases that are to be asked about anew.
    pub fn between(old: Pipeline, new: Pipeline) -> Self {
        Self { old: old.gated(Gate::Open), new: new.gated(Gate::Open), recorded: None }
    }

    /// Over the answers recorded by the models of this manifest; what was never asked goes to those models.
    pub async fn recorded(
        (old, new): (&RuleBook, &RuleBook),
        store: &Store,
        judge: JudgeConfig,
        folder: PathBuf,
        manifest: &str,
    ) -> Result<Self, ReplayError> {
        let judge = Shelf::new(store, judge, folder).judge(manifest).await?;
        let answers = Arc::new(RecordedAnswers::new(judge.manifest().clone(), Some(judge.clone())));
        Self::with(old, new, &judge, answers.clone(), Some(answers))
    }

    fn with(
        old: &RuleBook,
        new: &RuleBook,
        judge: &Judge,
        ask: Arc<dyn Ask>,
        recorded: Option<Arc<RecordedAnswers>>,
    ) -> Result<Self, ReplayError> {
        // No certificate is for both packs: what is certain counts as automatic.
        let pipeline = |book: &RuleBook| {
            Pipeline::with(book.clone(), Box::new(ask.clone()), judge.pins(), judge.manifest().thresholds.clone())
                .map(|pipeline| pipeline.gated(Gate::Open))
        };
        Ok(Self { old: pipeline(old)?, new: pipeline(new)?, recorded })
    }

    /// Recorded cases, each as of the time it was decided. What was erased is left out.
    pub fn records(&self, records: &[Record]) -> Result<Vec<Compared>, ReplayError> {
        if let Some(recorded) = &self.recorded {
            recorded.take(records.iter().filter_map(|record| record.trace.as_deref()))?;
        }
        let mut cases = Vec::new();
        for record in records {
            let Some(decision) = &record.decision else { continue };
            let decision: Value = serde_json::from_slice(decision)?;
            let as_of = decision.get("decided_as_of").and_then(Value::as_str).and_then(|at| at.parse().ok());
            if let Some(case) = record.case.as_deref().and_then(|bytes| Case::parse(bytes).ok()) {
                cases.push((case, as_of, Some(record.id.clone())));
            }
        }
        self.compare(&cases)
    }

    /// Cases that were never decided.
    pub fn cases(&self, cases: Vec<Case>) -> Result<Vec<Compared>, ReplayError> {
        self.compare(&cases.into_iter().map(|case| (case, None, None)).collect::<Vec<_>>())
    }

    fn compare(&self, cases: &[(Case, Option<Timestamp>, Option<String>)]) -> Result<Vec<Compared>, ReplayError> {
        let given: Vec<_> = cases.iter().map(|(case, as_of, _)| (case, *as_of)).collect();
        let (old, new) = (self.old.decide_each(&given, &[])?, self.new.decide_each(&given, &[])?);
        let each = old.iter().zip(&new).zip(cases).map(|((old, new), (case, _, id))| {
            let (old, new) = (Sides::of(old)?, Sides::of(new)?);
            Ok(Compared {
                ticket_id: case.ticket_id.as_str().to_owned(),
                id: id.clone(),
                change: Change::between(&old.decision, &new.decision),
                divergence: diverge(&old, &new, false),
            })
        });
        each.collect()
    }
}
