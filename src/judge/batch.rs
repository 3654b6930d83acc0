//! Plans what runs together: equal questions once, similar lengths side by side, no batch over its token budget.
//! Only speed depends on the plan; answers do not.

use std::collections::{BTreeMap, HashMap};

use ndarray::Array2;

use super::tokenizer::PAD;
use super::{Question, Task};

/// Rows are padded to a multiple of this, as far as the model takes that many tokens. Few distinct shapes keep the runtime's memory arena small, and no matrix
/// product over tokens shrinks to a single row, for which the runtime has other kernels with other rounding.
const PAD_TO: usize = 8;

/// Questions with duplicates folded together.
pub(super) struct Unique<'q> {
    /// The distinct texts of each task, in order of first appearance.
    pub(super) texts: BTreeMap<Task, Vec<&'q str>>,
    /// For each question asked, where its text is in `texts`.
    pub(super) places: Vec<(Task, usize)>,
}

impl<'q> Unique<'q> {
    /// Folds equal questions together.
    pub(super) fn of(questions: &'q [Question]) -> Unique<'q> {
        let mut texts: BTreeMap<Task, Vec<&str>> = BTreeMap::new();
        let mut seen: HashMap<&Question, usize> = HashMap::with_capacity(questions.len());
        let places = questions
            .iter()
            .map(|question| {
                let place = *seen.entry(question).or_insert_with(|| {
                    let of_task = texts.entry(question.task).or_default();
                    of_task.push(&question.text);
                    of_task.len() - 1
                });
                (question.task, place)
            })
            .collect();
        Unique { texts, places }
    }
}

/// A tokenized question; `index` says which one it is to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) index: usize,
    pub(super) ids: Vec<u32>,
}

/// What one run of a session takes.
#[derive(Debug)]
pub(super) struct Batch {
    /// The questions' indexes, one a row.
    pub(super) indexes: Vec<usize>,
    /// Token ids, `[rows, padded length]`.
    pub(super) ids: Array2<i64>,
}

impl Batch {
    fn of(rows: &[Encoded], width: usize) -> Batch {
        let mut ids = Array2::from_elem((rows.len(), width), PAD);
        for (mut line, row) in ids.rows_mut().into_iter().zip(rows) {
            for (cell, &id) in line.iter_mut().zip(&row.ids) {
                *cell = i64::from(id);
            }
        }
        Batch { indexes: rows.iter().map(|row| row.index).collect(), ids }
    }
}

/// Collects tokenized questions and hands out full batches, longest first.
pub(super) struct Packer {
    token_budget: usize,
    max_batch: usize,
    /// The most tokens the model takes.
    max_tokens: usize,
    /// Longest first.
    pending: Vec<Encoded>,
}

impl Packer {
    pub(super) fn new(token_budget: usize, max_batch: usize, max_tokens: usize) -> Packer {
        Packer { token_budget, max_batch, max_tokens, pending: Vec::new() }
    }

    /// Adds questions, in any order.
    pub(super) fn add(&mut self, questions: impl IntoIterator<Item = Encoded>) {
        self.pending.extend(questions);
        self.pending.sort_by(|a, b| b.ids.len().cmp(&a.ids.len()).then(a.index.cmp(&b.index)));
    }

    /// The next batch. Unless `no_more` come, one that is not full is held back.
    pub(super) fn next(&mut self, no_more: bool) -> Option<Batch> {
        let longest = self.pending.first()?.ids.len().max(1);
        let width = longest.next_multiple_of(PAD_TO).min(self.max_tokens).max(longest);
        let room = (self.token_budget / width).clamp(1, self.max_batch);
        if room > self.pending.len() && !no_more {
            return None;
        }
        let rows: Vec<Encoded> = self.pending.drain(..room.min(self.pending.len())).collect();
        Some(Batch::of(&rows, width))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(lengths: &[usize]) -> Vec<Encoded> {
        lengths.iter().enumerate().map(|(index, &n)| Encoded { index, ids: vec![7; n] }).collect()
    }

    #[test]
    fn equal_questions_share_a_place() {
        let ask = |task, text: &str| Question { task, text: text.to_owned() };
        let questions =
            [ask(Task::Supports, "a"), ask(Task::Classify, "a"), ask(Task::Supports, "b"), ask(Task::Supports, "a")];
        let unique = Unique::of(&questions);
        assert_eq!(unique.texts[&Task::Supports], ["a", "b"]);
        assert_eq!(unique.texts[&Task::Classify], ["a"]);
        let supports = |place| (Task::Supports, place);
        assert_eq!(unique.places, [supports(0), (Task::Classify, 0), supports(1), supports(0)]);
    }

    #[test]
    fn longest_first_and_padded_to_eight() {
        let mut packer = Packer::new(32, 8, 100);
        packer.add(encoded(&[3, 17, 8, 9]));
        let first = packer.next(true).map(|batch| (batch.indexes, batch.ids.dim()));
        assert_eq!(first, Some((vec![1], (1, 24))));
        let second = packer.next(true).map(|batch| (batch.indexes, batch.ids.dim()));
        assert_eq!(second, Some((vec![3, 2], (2, 16))));
        let third = packer.next(true).map(|batch| batch.ids);
        assert_eq!(third.map(|ids| ids.into_raw_vec_and_offset().0), Some(vec![7, 7, 7, 0, 0, 0, 0, 0]));
        assert!(packer.next(true).is_none());
    }

    #[test]
    fn a_batch_with_room_waits_for_more() {
        let mut packer = Packer::new(16, 8, 102);
        packer.add(encoded(&[8]));
        assert!(packer.next(false).is_none());
        packer.add([Encoded { index: 1, ids: vec![7; 4] }]);
        assert_eq!(packer.next(false).map(|batch| batch.indexes), Some(vec![0, 1]));
    }

    #[test]
    fn a_question_over_the_budget_runs_alone_no_wider_than_the_model_takes() {
        let mut packer = Packer::new(16, 8, 102);
        packer.add(encoded(&[100, 100]));
        assert_eq!(packer.next(false).map(|batch| batch.ids.dim()), Some((1, 102)));
    }

    proptest! {
        #[test]
        fn every_question_runs_once_within_the_limits(
            windows in prop::collection::vec(prop::collection::vec(1usize..200, 0..20), 1..5),
            budget in 1usize..2000,
            max_batch in 1usize..20,
        ) {
            let mut packer = Packer::new(budget, max_batch, 200);
            let (mut asked, mut run) = (0, Vec::new());
            for (number, window) in windows.iter().enumerate() {
                packer.add(window.iter().enumerate().map(|(i, &n)| Encoded { index: asked + i, ids: vec![7; n] }));
                asked += window.len();
                while let Some(batch) = packer.next(number + 1 == windows.len()) {
                    let (rows, width) = batch.ids.dim();
                    prop_assert_eq!(rows, batch.indexes.len());
                    prop_assert!(rows <= max_batch && (rows == 1 || rows * width <= budget));
                    run.extend(batch.indexes);
                }
            }
            run.sort_unstable();
            prop_assert_eq!(run, (0..asked).collect::<Vec<_>>());
        }
    }
}
