//! The network: token ids in, logits and new keys and values out. One graph does prefill and decoding; the cache is ours.
//!
//! Inputs: `input_ids` and `places` int64 `[rows, new]`; `mask` float32 `[rows, 1, new, old + new]`, or one for all rows, added to
//! the scores; `past` float32 `[rows, 2 layers, heads, old, head width]`; `at` int64 `[rows]`, the place whose logits are wanted.
//! Outputs: `logits` `[rows, vocabulary]`, `fresh` as `past` for the new tokens.

use ndarray::{Array1, Array2, Array4, Array5, Axis, s};
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::TensorRef;

use super::Row;
use crate::judge::manifest::VerifierEntry;
use crate::judge::tokenizer::PAD;
use crate::judge::{JudgeError, Task};

/// Rows that run together; decoding always runs so many.
pub(super) const ROWS: usize = 8;
/// What a masked score gets: its exponential is exactly nought.
const MASKED: f32 = -1e9;
/// Masked slots before a prefill, since a tensor of no length is not for every kernel.
const NO_PAST: usize = 8;

/// The opened session with the sizes of its tensors.
pub(super) struct Network {
    session: Session,
    layers: usize,
    heads: usize,
    head_width: usize,
    /// Which outputs a run gives: the logits alone, or all.
    logits: RunOptions<HasSelectedOutputs>,
    both: RunOptions<HasSelectedOutputs>,
}

/// Keys and values of some rows, with room for what is decoded.
pub(super) struct Cache {
    past: Array5<f32>,
    mask: Array4<f32>,
    lengths: Vec<usize>,
    /// Slots of the prompt.
    width: usize,
}

impl Network {
    pub(super) fn new(session: Session, entry: &VerifierEntry) -> ort::Result<Network> {
        let logits = RunOptions::new()?.with_outputs(OutputSelector::no_default().with("logits"));
        let both = RunOptions::new()?.with_outputs(OutputSelector::default());
        let VerifierEntry { layers, heads, head_width, .. } = *entry;
        Ok(Network { session, layers, heads, head_width, logits, both })
    }

    /// Reads texts, each padded on the right to `width`. Gives the logits after each text's last token.
    pub(super) fn read(&mut self, rows: &[Row], width: usize) -> Result<Array2<f32>, JudgeError> {
        Ok(self.prefill(rows, width, false)?.0)
    }

    /// Reads texts as [`Network::read`] does, and remembers them.
    pub(super) fn read_on(&mut self, rows: &[Row], width: usize) -> Result<(Array2<f32>, Array5<f32>), JudgeError> {
        self.prefill(rows, width, true)
    }

    fn prefill(&mut self, rows: &[Row], width: usize, kept: bool) -> Result<(Array2<f32>, Array5<f32>), JudgeError> {
        let n = rows.len();
        let ids = Array2::from_shape_fn((n, width), |(r, t)| rows[r].ids.get(t).map_or(PAD, |&id| i64::from(id)));
        let places = Array2::from_shape_fn((n, width), |(_, t)| t as i64);
        // No token looks ahead, so none sees the padding behind it; which is the same for every row.
        let mut mask = Array4::from_elem((1, 1, width, NO_PAST + width), MASKED);
        for (t, mut seen) in mask.slice_mut(s![0, 0, .., NO_PAST..]).outer_iter_mut().enumerate() {
            seen.slice_mut(s![..=t]).fill(0.0);
        }
        let past = Array5::zeros((n, 2 * self.layers, self.heads, NO_PAST, self.head_width));
        let at = rows.iter().map(|row| row.ids.len().saturating_sub(1) as i64).collect();
        self.run(&ids, &places, &mask, &past, &at, kept)
    }

    /// A cache that begins with what a prefill gave.
    pub(super) fn cache(&self, rows: &[Row], width: usize, longest: usize, fresh: &Array5<f32>) -> Cache {
        let slots = (width + longest + 1).next_multiple_of(8);
        let mut past = Array5::zeros((ROWS, 2 * self.layers, self.heads, slots, self.head_width));
        past.slice_mut(s![..rows.len(), .., .., ..width, ..]).assign(fresh);
        let mut lengths: Vec<usize> = rows.iter().map(|row| row.ids.len()).collect();
        lengths.resize(ROWS, 1);
        let mask =
            Array4::from_shape_fn(
                (ROWS, 1, 1, slots + 1),
                |(r, _, _, k)| {
                    if k < lengths[r] || k == slots { 0.0 } else { MASKED }
                },
            );
        Cache { past, mask, lengths, width }
    }

    /// Feeds one token a row, the `step`th after the text. Gives the logits after it; remembers it when it is `kept`.
    pub(super) fn decode(
        &mut self,
        cache: &mut Cache,
        tokens: &[u32],
        step: usize,
        kept: bool,
    ) -> Result<Array2<f32>, JudgeError> {
        let ids = Array2::from_shape_fn((ROWS, 1), |(r, _)| tokens.get(r).map_or(PAD, |&id| i64::from(id)));
        let places = Array2::from_shape_fn((ROWS, 1), |(r, _)| (cache.lengths[r] + step) as i64);
        let (logits, fresh) = self.run(&ids, &places, &cache.mask, &cache.past, &Array1::zeros(ROWS), kept)?;
        if kept {
            let slot = cache.width + step;
            cache.past.slice_mut(s![.., .., .., slot, ..]).assign(&fresh.index_axis(Axis(3), 0));
            cache.mask.slice_mut(s![.., .., .., slot]).fill(0.0);
        }
        Ok(logits)
    }

    /// New keys and values are fetched only where they are `kept`: they are a hundred times the logits.
    fn run(
        &mut self,
        ids: &Array2<i64>,
        places: &Array2<i64>,
        mask: &Array4<f32>,
        past: &Array5<f32>,
        at: &Array1<i64>,
        kept: bool,
    ) -> Result<(Array2<f32>, Array5<f32>), JudgeError> {
        let (rows, tokens) = ids.dim();
        let run = |reason: String| JudgeError::Run { task: Task::Verify, rows, tokens, reason };
        let failed = |error: ort::Error| run(error.message().to_owned());
        let inputs = ort::inputs![
            "input_ids" => TensorRef::from_array_view(ids).map_err(failed)?,
            "places" => TensorRef::from_array_view(places).map_err(failed)?,
            "mask" => TensorRef::from_array_view(mask).map_err(failed)?,
            "past" => TensorRef::from_array_view(past).map_err(failed)?,
            "at" => TensorRef::from_array_view(at).map_err(failed)?,
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
