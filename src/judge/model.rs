//! One model as its callers see it: texts in, answers out. Tokenizes, on all cores, while the session's thread runs
//! the batch before.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::mpsc::channel;

use rayon::prelude::*;

use super::batch::{Encoded, Packer};
use super::library::Runtime;
use super::manifest::read_checked;
use super::session::{Reply, SessionThread};
use super::tokenizer::{Encoder, Tokenizer};
use super::{Answer, JudgeConfig, JudgeError, ModelEntry, Task};

/// Texts tokenized before their exact lengths are sorted, in full batches. More packs tighter, fewer start sooner.
const WINDOW: usize = 4;
/// Asked of every model when it is opened.
const TRIAL: &str = "0";

/// An opened model.
pub(super) struct Model {
    task: Task,
    encoder: Encoder,
    session: SessionThread,
    token_budget: usize,
    max_batch: usize,
    max_tokens: usize,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("task", &self.task).finish_non_exhaustive()
    }
}

impl Model {
    /// Opens a model and tries it.
    pub(super) fn open(
        models_dir: &Path,
        runtime: &Runtime,
        cfg: &JudgeConfig,
        tokenizer: &Tokenizer,
        entry: &ModelEntry,
    ) -> Result<Model, JudgeError> {
        let task = entry.id;
        let (path, bytes) = read_checked(&format!("model {task}"), models_dir, &entry.file, &entry.sha256)?;
        let model = Model {
            task,
            encoder: tokenizer.encoder(task, entry.max_tokens)?,
            session: SessionThread::start(runtime, cfg, entry, &path, &bytes)?,
            token_budget: cfg.token_budget,
            max_batch: cfg.max_batch,
            max_tokens: entry.max_tokens,
        };
        model.trial(tokenizer.highest_id)?;
        Ok(model)
    }

    /// Runs two rows, then the highest token id: finds outputs whose shapes only show when run, and a tokenizer whose
    /// ids go beyond the model's embedding.
    fn trial(&self, highest_id: u32) -> Result<(), JudgeError> {
        let ids = self.encoder.encode(TRIAL)?;
        let run = |rows: &[&[u32]]| {
            let mut packer = Packer::new(usize::MAX, rows.len(), self.max_tokens);
            packer.add(rows.iter().enumerate().map(|(index, ids)| Encoded { index, ids: ids.to_vec() }));
            packer.next(true).map_or(Ok(()), |batch| self.session.run_one(batch).map(drop))
        };
        run(&[&ids, &ids])?;
        match run(&[&[highest_id]]) {
            Err(JudgeError::Run { task, reason, .. }) => Err(JudgeError::Signature {
                task,
                what: "vocabulary".to_owned(),
                expected: format!("token ids up to {highest_id}, the tokenizer's highest, to be taken"),
                found: reason,
            }),
            // Text never gives this token alone; that it has no answer proves nothing.
            Ok(()) | Err(JudgeError::NotFinite { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Answers distinct texts, in their order. The first failure ends it.
    pub(super) fn answer(&self, texts: &[&str]) -> Result<Vec<Answer>, JudgeError> {
        let mut answers: Vec<Option<Answer>> = vec![None; texts.len()];
        let mut place = |reply: Reply| -> Result<(), JudgeError> {
            for (index, answer) in reply? {
                if let Some(slot) = answers.get_mut(index) {
                    *slot = Some(answer);
                }
            }
            Ok(())
        };
        // Bytes foretell tokens well enough to tokenize in windows of similar length, so the first batch need not wait
        // for the last text.
        let mut order: Vec<(usize, &str)> = texts.iter().copied().enumerate().collect();
        order.sort_by_key(|&(_, text)| Reverse(text.len()));
        let mut windows = order.chunks(self.max_batch.saturating_mul(WINDOW)).peekable();
        let mut packer = Packer::new(self.token_budget, self.max_batch, self.max_tokens);
        let (reply, replies) = channel();
        while let Some(window) = windows.next() {
            let encode = |&(index, text): &(usize, &str)| Ok(Encoded { index, ids: self.encoder.encode(text)? });
            packer.add(window.par_iter().map(encode).collect::<Result<Vec<_>, JudgeError>>()?);
            while let Some(batch) = packer.next(windows.peek().is_none()) {
                self.session.run(batch, &reply)?;
                replies.try_iter().try_for_each(&mut place)?;
            }
        }
        drop(reply);
        replies.iter().try_for_each(&mut place)?;
        answers.into_iter().collect::<Option<_>>().ok_or(JudgeError::Stopped { task: self.task })
    }
}
