//! The reward model: a small decoder that reads a rendered decision. Its first token, one pass and no decoding, says
//! whether the decision is right; asked to, it reflects in words and gives a second verdict. Never sees a case.
//!
//! The same text gets the same answer in whatever batch: rows are computed apart, padded to fixed widths, and decoding
//! always runs [`step::ROWS`] rows, since a product of one row has other kernels with other rounding. A rule is always read by
//! itself, before the texts that begin with it.

mod rules;
mod state;
mod step;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::answer::{Answer, Distribution, Said};
use super::library::Runtime;
use super::manifest::{VerifierEntry, read_checked};
use super::tokenizer::{Encoder, Tokenizer};
use super::{JudgeConfig, JudgeError, Task, session};
use state::{Reflection, Rule};
use step::{Network, ROWS};

/// The labels of both verdicts.
pub(super) const LABELS: [&str; 2] = ["wrong", "right"];
/// Texts are padded to a multiple of this: few distinct shapes.
const PAD_TO: usize = 64;
/// No text has so many tokens.
const LONGEST: usize = 1 << 17;

/// An opened reward model.
pub(super) struct Decoder {
    tokenizer: Tokenizer,
    encoder: Encoder,
    /// One caller at a time: a session is never shared.
    network: Mutex<Network>,
    tokens: Marks,
    entry: VerifierEntry,
    labels: Arc<[String]>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("entry", &self.entry).finish_non_exhaustive()
    }
}

/// The ids of the tokens with a meaning.
#[derive(Debug, Clone)]
struct Marks {
    right: u32,
    wrong: u32,
    final_verdict: u32,
    operators: Vec<u32>,
    /// Ends the rule that a text begins with.
    problem: u32,
}

impl Marks {
    const OPERATORS: [&str; 6] = ["[规划]", "[提取]", "[比较]", "[假设]", "[反思]", "[总结]"];

    fn of(tokenizer: &Tokenizer) -> Result<Marks, String> {
        let id = |token: &str| tokenizer.id(token).ok_or_else(|| format!("there is no token {token}"));
        Ok(Marks {
            right: id("[对]")?,
            wrong: id("[错]")?,
            final_verdict: id("[终]")?,
            operators: Self::OPERATORS.into_iter().map(id).collect::<Result<_, _>>()?,
            problem: id("[P]")?,
        })
    }
}

/// A text in tokens.
struct Row {
    index: usize,
    ids: Vec<u32>,
    /// How many of them, from the first on, are the rule's and shared with other texts.
    shared: usize,
}

impl Row {
    /// The tokens that are shared.
    fn rule(&self) -> &[u32] {
        &self.ids[..self.shared]
    }

    /// What was said of it.
    fn said(&self, text: String, decoded: usize) -> Said {
        Said { text, read: self.ids.len(), shared: self.shared, decoded, response_sha256: None }
    }

    /// The tokens that are not.
    fn own(&self) -> &[u32] {
        &self.ids[self.shared..]
    }
}

impl Decoder {
    /// Opens the model, checks its files, and asks it one trial question.
    pub(super) fn open(
        models_dir: &Path,
        runtime: &Runtime,
        cfg: &JudgeConfig,
        entry: &VerifierEntry,
    ) -> Result<Decoder, JudgeError> {
        let file = &entry.tokenizer;
        let (path, bytes) = read_checked("verifier's tokenizer", models_dir, &file.file, &file.sha256)?;
        let tokenizer = Tokenizer::parse(&path, &bytes)?;
        let tokens = Marks::of(&tokenizer).map_err(|reason| JudgeError::Tokenizer { path, reason })?;
        let (path, bytes) = read_checked("model verify", models_dir, &entry.file, &entry.sha256)?;
        let network = session::builder(runtime, cfg, Task::Verify)?
            .commit_from_memory(&bytes)
            .and_then(|session| Network::new(session, entry))
            .map_err(|error| JudgeError::Load { task: Task::Verify, path, reason: error.message().to_owned() })?;
        let decoder = Decoder {
            encoder: tokenizer.encoder(Task::Verify, LONGEST)?,
            network: Mutex::new(network),
            tokens,
            tokenizer,
            entry: entry.clone(),
            labels: LABELS.map(str::to_owned).into(),
        };
        decoder.answer(Task::Reflect, &["[判]"])?;
        Ok(decoder)
    }

    /// Answers texts, in their order: [`Task::Verify`] by the first token, [`Task::Reflect`] after reflecting.
    pub(super) fn answer(&self, task: Task, texts: &[&str]) -> Result<Vec<Answer>, JudgeError> {
        let mut rows = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let ids = self.encoder.encode(text)?;
            // Nothing is cut here: the hash is of the whole text, and its beginning is the order.
            let most = self.entry.max_tokens - self.entry.max_reflection - 1;
            if ids.len() > most {
                let reason = format!("the text has {} tokens, the reward model reads at most {most}", ids.len());
                return Err(JudgeError::Encode { task, reason });
            }
            let rule = ids.iter().position(|id| *id == self.tokens.problem).unwrap_or(0);
            rows.push(Row { index, ids, shared: rule.min(rules::SLOTS) });
        }
        rows.sort_by_key(|row| (std::cmp::Reverse(row.own().len()), row.index));
        let mut network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answers: Vec<Option<Answer>> = vec![None; texts.len()];
        for group in rows.chunks(ROWS) {
            let found = match task {
                Task::Reflect => self.reflect(&mut network, group)?,
                _ => self.verify(&mut network, group)?,
            };
            for (row, answer) in group.iter().zip(found) {
                answers[row.index] = Some(answer);
            }
        }
        answers.into_iter().collect::<Option<_>>().ok_or(JudgeError::Stopped { task })
    }

    /// One prefill, no decoding.
    fn verify(&self, network: &mut Network, rows: &[Row]) -> Result<Vec<Answer>, JudgeError> {
        let logits = network.read(rows, self.width(rows))?;
        let first = |(row, logits): (&Row, ndarray::ArrayView1<'_, f32>)| {
            self.verdict("first_token", self.odds(logits.as_slice()), row.said(String::new(), 0))
        };
        rows.iter().zip(logits.rows()).map(first).collect()
    }

    /// Prefill, first token, then words until the second verdict cannot change any more.
    fn reflect(&self, network: &mut Network, rows: &[Row]) -> Result<Vec<Answer>, JudgeError> {
        let width = self.width(rows);
        let (logits, mut cache) = network.read_on(rows, width, self.entry.max_reflection)?;
        let rule = Rule { marks: &self.tokens, longest: self.entry.max_reflection };
        let mut states: Vec<Reflection> =
            logits.rows().into_iter().map(|l| Reflection::new(&rule, self.odds(l.as_slice()) >= 0.0)).collect();
        for step in 0..self.entry.max_reflection {
            let tokens: Vec<u32> = states.iter().map(Reflection::token).collect();
            let logits = network.decode(&mut cache, &tokens, step, true)?;
            for (state, logits) in states.iter_mut().zip(logits.rows()) {
                state.say(&rule, logits.as_slice().unwrap_or(&[]));
            }
            if states.iter().any(Reflection::asks) {
                // What the verdict would be if it were asked for now; nothing of it stays in the cache.
                let probe = vec![self.tokens.final_verdict; states.len()];
                let logits = network.decode(&mut cache, &probe, step + 1, false)?;
                for (state, logits) in states.iter_mut().zip(logits.rows()) {
                    state.hear(self.odds(logits.as_slice()));
                }
            }
            if states.iter().all(Reflection::done) {
                break;
            }
        }
        let answer = |(row, state): (&Row, &Reflection)| {
            let said = row.said(self.tokenizer.written(state.said()), state.said().len());
            self.verdict("second", state.odds(), said)
        };
        rows.iter().zip(&states).map(answer).collect()
    }

    fn width(&self, rows: &[Row]) -> usize {
        let longest = rows.iter().map(|row| row.own().len()).max().unwrap_or(1);
        longest.next_multiple_of(PAD_TO)
    }

    /// Log odds of right against wrong, as the model has them.
    fn odds(&self, logits: Option<&[f32]>) -> f32 {
        let of = |id: u32| logits.and_then(|l| l.get(id as usize)).copied().unwrap_or(f32::NAN);
        of(self.tokens.right) - of(self.tokens.wrong)
    }

    /// The log odds of real decisions, as probabilities.
    fn verdict(&self, head: &'static str, odds: f32, said: Said) -> Result<Answer, JudgeError> {
        let scaled = f64::from(self.entry.slope_thousandths) * f64::from(odds) + f64::from(self.entry.bias_thousandths);
        let distribution = Distribution::from_logits(&self.labels, &[0.0, (scaled / 1_000.0) as f32]);
        let distribution =
            distribution.ok_or_else(|| JudgeError::NotFinite { task: Task::Verify, head: head.to_owned() })?;
        Ok(Answer { heads: [(head.to_owned(), distribution)].into(), said: Some(said) })
    }
}
