//! Text to token ids, by the models' shared `tokenizer.json`. Too long inputs lose their tail, never their head.
//! Refuses a tokenizer whose marker tokens user text could write.

use std::path::Path;

use tokenizers::{TruncationParams, TruncationStrategy};

use super::{JudgeError, Task, text};

/// The id that pads short rows; models mask it.
pub(super) const PAD: i64 = 0;

/// The shared tokenizer before it is fitted to a model.
pub(super) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The highest id it can give.
    pub(super) highest_id: u32,
}

impl Tokenizer {
    /// Parses `tokenizer.json`. `path` is for messages only.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Tokenizer, JudgeError> {
        let bad = |reason: String| JudgeError::Tokenizer { path: path.to_path_buf(), reason };
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| bad(error.to_string()))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| bad(error.to_string()))?;
        inner.set_encode_special_tokens(false);
        check_specials(&inner).map_err(bad)?;
        let highest_id = inner.get_vocab(true).into_values().max().unwrap_or_default();
        Ok(Tokenizer { inner, highest_id })
    }

    /// The id of a token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The tokens of ids, one after another as they are written.
    pub(super) fn written(&self, ids: &[u32]) -> String {
        ids.iter().filter_map(|&id| self.inner.id_to_token(id)).collect()
    }

    /// The encoder of one model, which takes `max_tokens` at most.
    pub(super) fn encoder(&self, task: Task, max_tokens: usize) -> Result<Encoder, JudgeError> {
        let mut inner = self.inner.clone();
        let truncation =
            TruncationParams { max_length: max_tokens, strategy: TruncationStrategy::OnlyFirst, ..Default::default() };
        inner
            .with_truncation(Some(truncation))
            .map_err(|error| JudgeError::Encode { task, reason: error.to_string() })?;
        Ok(Encoder { inner, task })
    }
}

/// Turns the questions of one model into token ids.
pub(super) struct Encoder {
    inner: tokenizers::Tokenizer,
    task: Task,
}

impl Encoder {
    /// The token ids of a rendered question, one at least.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, JudgeError> {
        let failed = |reason: String| JudgeError::Encode { task: self.task, reason };
        let encoding = self.inner.encode_fast(text, true).map_err(|error| failed(error.to_string()))?;
        match encoding.get_ids() {
            [] => Err(failed("the text has no tokens".to_owned())),
            ids => Ok(ids.to_vec()),
        }
    }
}

/// The padding id must be a special token, and no special token may come out of sanitised text.
fn check_specials(tokenizer: &tokenizers::Tokenizer) -> Result<(), String> {
    let added = tokenizer.get_added_tokens_decoder();
    if !added.get(&0).is_some_and(|token| token.special) {
        return Err("token 0 is not a special token; it must be the padding".to_owned());
    }
    for (&id, token) in added.iter().filter(|(_, token)| token.special) {
        // An unknown character gives this one by right.
        if token.content.to_ascii_lowercase().contains("unk") {
            continue;
        }
        let written = text::sanitise(&token.content);
        let encoding = tokenizer.encode_fast(written.as_ref(), false).map_err(|error| error.to_string())?;
        if encoding.get_ids().contains(&id) {
            return Err(format!("special token {:?} could be written by users as {written:?}", token.content));
        }
    }
    Ok(())
}
