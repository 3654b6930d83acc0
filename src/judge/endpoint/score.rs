//! Reads a completion of one token: the probabilities of the ways to say right and wrong, summed. Knows the two forms in
//! which servers give log probabilities.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::judge::answer::{Answer, Distribution, Said};
use crate::judge::decoder::LABELS;

/// Ways to say that a decision is right. Compared without spaces around and in lower case.
const RIGHT: [&str; 8] = ["对", "正确", "是", "是的", "无误", "yes", "right", "true"];
/// Ways to say that it is wrong.
const WRONG: [&str; 8] = ["错", "错误", "否", "不", "不对", "no", "wrong", "false"];
/// All of them, in a fixed order.
pub(super) fn ways() -> impl Iterator<Item = String> {
    let named = |side: &'static str, ways: [&'static str; 8]| ways.map(move |way| format!("{side} {way}")).into_iter();
    named(LABELS[1], RIGHT).chain(named(LABELS[0], WRONG))
}

/// What both need together; with less the model has not answered the question.
const LEAST: f64 = 0.5;

static LABELLED: LazyLock<Arc<[String]>> = LazyLock::new(|| LABELS.map(str::to_owned).into());

/// The answer that a response's body holds, or what is wrong with it.
pub(super) fn answer(body: &[u8]) -> Result<Answer, String> {
    let response: Value = serde_json::from_slice(body).map_err(|error| format!("the response is no JSON: {error}"))?;
    let choice = &response["choices"][0];
    let tokens =
        likeliest(&choice["logprobs"]).ok_or("the response has no log probabilities; does the server give them?")?;
    let sum = |ways: &[&str]| -> f64 {
        let named = |token: &str| ways.contains(&token.trim().to_lowercase().as_str());
        tokens.iter().filter(|(token, _)| named(token)).map(|(_, log)| log.exp()).sum()
    };
    let (right, wrong) = (sum(&RIGHT), sum(&WRONG));
    // Log odds, so that it is quantised as every other answer.
    // A way that is not told may be as likely as the least likely token that is, and no more.
    let untold = tokens.values().map(|log| log.exp()).fold(1.0, f64::min).max(1e-12);
    let odds = if right + wrong < LEAST { -30.0 } else { (right.max(untold) / wrong.max(untold)).ln() };
    let first_token =
        Distribution::from_logits(&LABELLED, &[0.0, odds as f32]).ok_or("a log probability is not a number")?;
    // Ids and times differ from one response to the next; what was chosen is what was said.
    let canonical = serde_json_canonicalizer::to_vec(choice).map_err(|error| error.to_string())?;
    let count = |name: &str| response["usage"][name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    Ok(Answer {
        heads: [("first_token".to_owned(), first_token)].into(),
        said: Some(Said {
            text: String::new(),
            read: count("prompt_tokens"),
            decoded: count("completion_tokens"),
            shared: 0,
            response_sha256: Some(hex::encode(Sha256::digest(canonical))),
        }),
    })
}

/// The likeliest first tokens with their log probabilities: `top_logprobs: [{token: log}]` (vLLM, SGLang, llama-cpp-python)
/// or `content: [{top_logprobs: [{token, logprob}]}]` (llama-server, newer servers).
fn likeliest(logprobs: &Value) -> Option<BTreeMap<String, f64>> {
    if let Some(first) = logprobs["top_logprobs"][0].as_object() {
        return first.iter().map(|(token, log)| Some((token.clone(), log.as_f64()?))).collect();
    }
    let first = logprobs["content"][0]["top_logprobs"].as_array()?;
    first.iter().map(|entry| Some((entry["token"].as_str()?.to_owned(), entry["logprob"].as_f64()?))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn right(logprobs: Value) -> u32 {
        let body =
            json!({ "id": "x", "choices": [{ "text": "对", "logprobs": logprobs }], "usage": { "prompt_tokens": 9 } });
        answer(&serde_json::to_vec(&body).unwrap()).unwrap().heads["first_token"].get("right").millionths()
    }

    #[test]
    fn variants_are_summed_in_both_forms() {
        let (p, q) = (0.3_f64.ln(), 0.1_f64.ln());
        assert_eq!(
            right(json!({ "top_logprobs": [{ "对": p, " Yes": p, "错": q, "A": 0.2_f64.ln(), "no": q }] })),
            750_000
        );
        let entry = |token: &str, logprob: f64| json!({ "token": token, "logprob": logprob });
        assert_eq!(
            right(
                json!({ "content": [{ "top_logprobs": [entry("对", 2.0_f64.ln() + p), entry("错", 2.0_f64.ln() + q)] }] })
            ),
            750_000
        );
    }

    #[test]
    fn what_is_no_answer_counts_as_wrong_and_what_is_no_response_is_an_error() {
        assert_eq!(right(json!({ "top_logprobs": [{ "A": -0.1 }] })), 0);
        // Something else is far likelier than either.
        assert_eq!(right(json!({ "top_logprobs": [{ "这": 0.55_f64.ln(), "是": 0.4_f64.ln() }] })), 0);
        // Of what is not told the worst is taken: 错 may be as likely as the least likely token told.
        assert_eq!(right(json!({ "top_logprobs": [{ "对": 0.8_f64.ln(), "A": 0.2_f64.ln() }] })), 800_000);
        for body in ["", "{}", r#"{"choices":[{"text":"对","logprobs":null}]}"#] {
            assert!(answer(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn the_hash_is_of_what_was_chosen() {
        let body = |id: &str, log: f64| {
            let body = json!({ "id": id, "choices": [{ "logprobs": { "top_logprobs": [{ "对": log }] } }] });
            answer(&serde_json::to_vec(&body).unwrap()).unwrap().said.unwrap().response_sha256.unwrap()
        };
        assert_eq!(body("a", -0.5), body("b", -0.5));
        assert_ne!(body("a", -0.5), body("a", -0.6));
    }
}
