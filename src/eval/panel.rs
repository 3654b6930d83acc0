//! Who decides the cases that are measured: the shipped models, or, cross-validated, the fold models that were trained
//! without the case. The whole pipeline runs either way; only the models differ.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::case::{Case, TicketId};
use crate::decision::{Gate, Pins};
use crate::judge::{Judge, JudgeConfig, JudgeError};
use crate::pipeline::{Decided, Pipeline, PipelineError};
use crate::sop::RuleBook;

/// Folds of the cross-validation, as the training splits the data.
pub const FOLDS: usize = 5;

/// The fold of a ticket, from 0: the same rule as in training, where models of a fold never see its tickets.
pub fn fold_of(ticket: &TicketId) -> usize {
    let digest = Sha256::digest(ticket.as_str().as_bytes());
    let first = digest.iter().take(4).fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
    first as usize % FOLDS
}

/// The models cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    /// One fold's models cannot.
    #[error("fold {fold}")]
    Fold {
        /// From 0.
        fold: usize,
        /// Why not.
        source: JudgeError,
    },
    /// The shipped models cannot.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// The pipeline cannot be built.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

/// One pipeline for all cases, or one a fold.
#[derive(Debug)]
pub struct Panel {
    pipelines: Vec<Pipeline>,
}

impl Panel {
    /// Decides every case with the models of one folder.
    pub fn open(book: RuleBook, models: &Path, judge: &JudgeConfig) -> Result<Panel, PanelError> {
        let judge = Judge::open(models, judge)?;
        Ok(Panel { pipelines: vec![Pipeline::new(book, judge)?] })
    }

    /// Decides each case with the models in `fold0` … `fold4` of a folder that have not seen it.
    pub fn open_folds(book: &RuleBook, folder: &Path, judge: &JudgeConfig) -> Result<Panel, PanelError> {
        let open = |fold: usize| -> Result<Pipeline, PanelError> {
            let judge = Judge::open(&folder.join(format!("fold{fold}")), judge)
                .map_err(|source| PanelError::Fold { fold, source })?;
            Ok(Pipeline::new(book.clone(), judge)?)
        };
        Ok(Panel { pipelines: (0..FOLDS).map(open).collect::<Result<_, _>>()? })
    }

    /// The same with this gate before every pipeline's automatic decisions.
    pub fn gated(self, gate: &Gate) -> Panel {
        Panel { pipelines: self.pipelines.into_iter().map(|p| p.gated(gate.clone())).collect() }
    }

    /// What the decisions pin; in a cross-validation, those of the first fold.
    pub fn pins(&self) -> Option<&Pins> {
        self.pipelines.first().map(Pipeline::pins)
    }

    /// Whether each case is decided by models that have not seen it.
    pub fn is_cross_validated(&self) -> bool {
        self.pipelines.len() > 1
    }

    /// Decides cases, `batch` of them together; the results are in the cases' order. `done` is told after each batch
    /// how many cases it held.
    pub fn decide(
        &self,
        cases: &[Case],
        batch: usize,
        mut done: impl FnMut(usize),
    ) -> Result<Vec<Decided>, PipelineError> {
        let mut out: Vec<Option<Decided>> = cases.iter().map(|_| None).collect();
        for (fold, pipeline) in self.pipelines.iter().enumerate() {
            let own = |i: &usize| !self.is_cross_validated() || fold_of(&cases[*i].ticket_id) == fold;
            let own: Vec<usize> = (0..cases.len()).filter(own).collect();
            for places in own.chunks(batch.max(1)) {
                let group: Vec<Case> = places.iter().map(|&i| cases[i].clone()).collect();
                for (&place, decided) in places.iter().zip(pipeline.decide(&group, None)?) {
                    out[place] = Some(decided);
                }
                done(places.len());
            }
        }
        Ok(out.into_iter().flatten().collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_those_of_the_training() {
        // python3 -c "import hashlib; print(int(hashlib.sha256(b'AB70000').hexdigest()[:8], 16) % 5)"
        for (ticket, fold) in [("AB70000", 0), ("AB70001", 2), ("AB70002", 0), ("AB110165", 0)] {
            assert_eq!(fold_of(&ticket.parse().unwrap()), fold, "{ticket}");
        }
    }
}
