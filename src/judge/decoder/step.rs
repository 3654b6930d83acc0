//! The network: token ids in, logits and new keys and values out. One graph does prefill and decoding; the cache is ours.
//!
//! Inputs: `input_ids` and `places` int64 `[rows, new]`; `mask` float32 `[rows, 1, new, old + new]`, added to the scores; `past`
//! float32 `[rows, 2 layers, heads, old, head width]`; `at` int64 `[rows]`, the place whose logits are wanted. Outputs: `logits`
//! `[rows, vocabulary]`, `fresh` as `past` for the new tokens.

use ndarray::{Array1, Array2, Array4, Array5, Axis, s};
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::TensorRef;

use super::Row;
use super::rules::{Rules, SLOTS};
use crate::judge::manifest::VerifierEntry;
use crate::judge::tokenizer::PAD;
use crate::judge::{JudgeError, Task};

/// Rows that run together; decoding always runs so many.
pub(super) const ROWS: usize = 8;
/// What a masked score gets: its exponential is exactly nought.
const MASKED: f32 = -1e9;
/// Masked slots before a rule, since a tensor of no length is not for every kernel.
const NO_PAST: usize = 8;

/// The opened session with the sizes of its tensors, and the rules that it has read.
pub(super) struct Network {
    session: Session,
    layers: usize,
    heads: usize,
    head_width: usize,
    /// Which outputs a run gives: the logits alone, or all.
    logits: RunOptions<HasSelectedOutputs>,
    both: RunOptions<HasSelectedOutputs>,
    rules: Rules,
}

/// What is fed: tokens with their places, and the place that is asked about.
struct Fed {
    ids: Array2<i64>,
    places: Array2<i64>,
    at: Array1<i64>,
}

/// Keys and values of some rows, and which of their slots are taken, `[rows, slots]`: what a mask adds.
struct Past {
    kept: Array5<f32>,
    taken: Array2<f32>,
}

/// What some rows have read, with room for what is decoded.
pub(super) struct Cache {
    past: Past,
    lengths: Vec<usize>,
    /// Slots of the rule and of the text.
    width: usize,
}

impl Network {
    pub(super) fn new(session: Session, entry: &VerifierEntry) -> ort::Result<Network> {
        let logits = RunOptions::new()?.with_outputs(OutputSelector::no_default().with("logits"));
        let both = RunOptions::new()?.with_outputs(OutputSelector::default());
        let VerifierEntry { layers, heads, head_width, .. } = *entry;
        Ok(Network { session, layers, heads, head_width, logits, both, rules: Rules::default() })
    }

    /// Reads texts after their rules, each padded on the right to `width`. Gives the logits after each text's last token.
    pub(super) fn read(&mut self, rows: &[Row], width: usize) -> Result<Array2<f32>, JudgeError> {
        let past = self.ruled(rows, rows.len(), SLOTS)?;
        Ok(self.run(&texts(rows, width), &past, false)?.0)
    }

    /// Reads texts as [`Network::read`] does, and remembers them, with room for `longest` tokens more.
    pub(super) fn read_on(
        &mut self,
        rows: &[Row],
        width: usize,
        longest: usize,
    ) -> Result<(Array2<f32>, Cache), JudgeError> {
        let before = self.ruled(rows, rows.len(), SLOTS)?;
        let (logits, fresh) = self.run(&texts(rows, width), &before, true)?;
        let slots = (SLOTS + width + longest + 1).next_multiple_of(8);
        let mut past = self.ruled(rows, ROWS, slots)?;
        past.kept.slice_mut(s![..rows.len(), .., .., SLOTS..SLOTS + width, ..]).assign(&fresh);
        for (r, row) in rows.iter().enumerate() {
            past.taken.slice_mut(s![r, SLOTS..SLOTS + row.own().len()]).fill(0.0);
        }
        let mut lengths: Vec<usize> = rows.iter().map(|row| row.ids.len()).collect();
        lengths.resize(ROWS, 1);
        Ok((logits, Cache { past, lengths, width: SLOTS + width }))
    }

    /// Feeds one token a row, the `step`th after the text. Gives the logits after it; remembers it when it is `kept`.
    pub(super) fn decode(
        &mut self,
        cache: &mut Cache,
        tokens: &[u32],
        step: usize,
        kept: bool,
    ) -> Result<Array2<f32>, JudgeError> {
        let fed = Fed {
            ids: Array2::from_shape_fn((ROWS, 1), |(r, _)| tokens.get(r).map_or(PAD, |&id| i64::from(id))),
            places: Array2::from_shape_fn((ROWS, 1), |(r, _)| (cache.lengths[r] + step) as i64),
            at: Array1::zeros(ROWS),
        };
        let (logits, fresh) = self.run(&fed, &cache.past, kept)?;
        if kept {
            let slot = cache.width + step;
            cache.past.kept.slice_mut(s![.., .., .., slot, ..]).assign(&fresh.index_axis(Axis(3), 0));
            cache.past.taken.column_mut(slot).fill(0.0);
        }
        Ok(logits)
    }

    /// A past of so many rows and slots that begins with the rows' rules. A rule that was not met before is read, always
    /// alone and padded to the same width, so that what comes of it does not depend on who needed it first.
    fn ruled(&mut self, rows: &[Row], most: usize, slots: usize) -> Result<Past, JudgeError> {
        let mut past = self.nothing(most, slots);
        for (r, row) in rows.iter().enumerate().filter(|(_, row)| !row.rule().is_empty()) {
            let rule = row.rule();
            if self.rules.get(rule).is_none() {
                let before = self.nothing(1, NO_PAST);
                let (_, fresh) = self.run(&padded(&[(rule, 0)], SLOTS), &before, true)?;
                self.rules.keep(rule, fresh.slice(s![0, .., .., ..rule.len(), ..]).to_owned());
            }
            if let Some(read) = self.rules.get(rule) {
                past.kept.slice_mut(s![r, .., .., ..rule.len(), ..]).assign(read);
            }
            past.taken.slice_mut(s![r, ..rule.len()]).fill(0.0);
        }
        Ok(past)
    }

    fn nothing(&self, rows: usize, slots: usize) -> Past {
        let kept = Array5::zeros((rows, 2 * self.layers, self.heads, slots, self.head_width));
        Past { kept, taken: Array2::from_elem((rows, slots), MASKED) }
    }

    /// New keys and values are fetched only where they are `kept`, else there are none: they are a hundred times the logits.
    fn run(&mut self, fed: &Fed, past: &Past, kept: bool) -> Result<(Array2<f32>, Array5<f32>), JudgeError> {
        let (rows, tokens) = fed.ids.dim();
        let run = |reason: String| JudgeError::Run { task: Task::Verify, rows, tokens, reason };
        let failed = |error: ort::Error| run(error.message().to_owned());
        let mask = mask(past, tokens);
        let inputs = ort::inputs![
            "input_ids" => TensorRef::from_array_view(&fed.ids).map_err(failed)?,
            "places" => TensorRef::from_array_view(&fed.places).map_err(failed)?,
            "mask" => TensorRef::from_array_view(&mask).map_err(failed)?,
            "past" => TensorRef::from_array_view(&past.kept).map_err(failed)?,
            "at" => TensorRef::from_array_view(&fed.at).map_err(failed)?,
        ];
        let wanted = if kept { &self.both } else { &self.logits };
        let outputs = self.session.run_with_options(inputs, wanted).map_err(failed)?;
        let output = |name: &str| {
            let value = outputs.get(name).ok_or_else(|| run(format!("there is no output {name}")))?;
            value.try_extract_array::<f32>().map_err(|error| run(error.message().to_owned()))
        };
        let shape = |error: ndarray::ShapeError| run(error.to_string());
        let logits = output("logits")?.to_owned().into_dimensionality().map_err(shape)?;
        let fresh = match kept {
            true => output("fresh")?.to_owned().into_dimensionality().map_err(shape)?,
            false => Array5::zeros((0, 0, 0, 0, 0)),
        };
        Ok((logits, fresh))
    }
}

/// What rows add to their rules.
fn texts(rows: &[Row], width: usize) -> Fed {
    let own: Vec<(&[u32], usize)> = rows.iter().map(|row| (row.own(), row.rule().len())).collect();
    padded(&own, width)
}

/// Tokens, each row's from a place on.
fn padded(rows: &[(&[u32], usize)], width: usize) -> Fed {
    let n = rows.len();
    let ids = Array2::from_shape_fn((n, width), |(r, t)| rows[r].0.get(t).map_or(PAD, |&id| i64::from(id)));
    let places = Array2::from_shape_fn((n, width), |(r, t)| (rows[r].1 + t) as i64);
    let at = rows.iter().map(|(ids, _)| ids.len().saturating_sub(1) as i64).collect();
    Fed { ids, places, at }
}

/// Each new token sees the slots that are taken and the tokens before it. None looks ahead, so none sees the padding behind.
fn mask(past: &Past, new: usize) -> Array4<f32> {
    let (rows, old) = past.taken.dim();
    let mut mask = Array4::from_elem((rows, 1, new, old + new), MASKED);
    for (mut mask, taken) in mask.outer_iter_mut().zip(past.taken.rows()) {
        for (t, mut seen) in mask.index_axis_mut(Axis(0), 0).outer_iter_mut().enumerate() {
            seen.slice_mut(s![..old]).assign(&taken);
            seen.slice_mut(s![old..=old + t]).fill(0.0);
        }
    }
    mask
}
