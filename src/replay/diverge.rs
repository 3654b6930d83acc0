//! Compares a recorded decision with one made again: which node differs first, why, and by how much.
//!
//! Works on JSON, so that a record of an older version is compared like a new one. Decides nothing and reads no store.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::pipeline::Decided;
use crate::sop::parse_scaled;

/// What made a decision come out differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The case, or a fact that was edited.
    Input,
    /// A model, its tokenizer, labels or thresholds.
    Model,
    /// The rule book, and what is derived from it.
    Rule,
    /// ONNX Runtime or the device.
    Runtime,
    /// The program.
    Code,
}

impl Cause {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Model => "model",
            Self::Rule => "rule",
            Self::Runtime => "runtime",
            Self::Code => "code",
        }
    }
}

/// The first place where two decisions on one case part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Divergence {
    /// The node; `decision` when all nodes agree and what is made of them does not.
    pub node: String,
    /// Why.
    pub cause: Cause,
    /// The pins that differ and account for it; empty when nothing that is pinned does.
    pub because: Vec<String>,
    /// Where in the node's record they differ first, as a JSON pointer.
    pub place: String,
    /// What was recorded there.
    pub recorded: Value,
    /// What is there now.
    pub now: Value,
    /// The largest difference of two probabilities in the node's record, in millionths.
    pub score_distance: u32,
}

/// A decision with its trace, as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Sides {
    /// The decision.
    pub decision: Value,
    /// The trace.
    pub trace: Value,
}

impl Sides {
    /// Of a decision just made.
    pub fn of(decided: &Decided) -> Result<Self, serde_json::Error> {
        // Through the canonical bytes, so that numbers are written as recorded ones are.
        let value = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
        Ok(Self { decision: value(decided.decision.canonical()?)?, trace: value(decided.trace.canonical()?)? })
    }
}

/// Names of the pins that differ, `models.supports` and the like.
pub(super) fn pins_changed(recorded: &Value, now: &Value) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let none = Value::Null;
    let (a, b) = (recorded.get("pins").unwrap_or(&none), now.get("pins").unwrap_or(&none));
    for name in keys(a, b) {
        match (a.get(&name), b.get(&name)) {
            (Some(x @ Value::Object(_)), Some(y @ Value::Object(_))) => {
                let inner = keys(x, y).into_iter().filter(|key| x.get(key) != y.get(key));
                out.extend(inner.map(|key| format!("{name}.{key}")));
            }
            (x, y) if x != y => {
                out.insert(name);
            }
            _ => {}
        }
    }
    out
}

fn keys(a: &Value, b: &Value) -> BTreeSet<String> {
    [a, b].into_iter().filter_map(Value::as_object).flat_map(|map| map.keys().cloned()).collect()
}

/// The first divergence; `None` when they agree in all but what they pin.
pub fn diverge(recorded: &Sides, now: &Sides, edited: bool) -> Option<Divergence> {
    let pins = pins_changed(&recorded.decision, &now.decision);
    let input = recorded.trace.get("case_hash") != now.trace.get("case_hash");
    let (old, new) = (nodes(&recorded.trace), nodes(&now.trace));
    for i in 0..old.len().max(new.len()) {
        let none = Value::Null;
        let (a, b) = (old.get(i).unwrap_or(&none), new.get(i).unwrap_or(&none));
        let Some(part) = ["node", "asked", "finding"].into_iter().find(|key| a.get(key) != b.get(key)) else {
            continue;
        };
        let difference = Difference::of(part, a, b);
        let node = [a, b].into_iter().find_map(|n| n.get("node")?.as_str()).unwrap_or("decision");
        let (cause, because) = match part {
            _ if input => (Cause::Input, Vec::new()),
            "node" => first_of(&pins, &[("second_pass", Cause::Model)]),
            "asked" => why_asked(a, b, &pins),
            "finding" if edited => (Cause::Input, Vec::new()),
            _ => first_of(&pins, &[("rulebook", Cause::Rule), ("thresholds", Cause::Model)]),
        };
        return Some(difference.into_divergence(node, cause, because));
    }
    let (mut a, mut b) = (recorded.decision.clone(), now.decision.clone());
    for side in [&mut a, &mut b].into_iter().filter_map(Value::as_object_mut) {
        for derived in ["id", "pins", "trace_sha256"] {
            side.remove(derived);
        }
    }
    if a == b {
        return None;
    }
    let (cause, because) = match input || a.get("decided_as_of") != b.get("decided_as_of") {
        true => (Cause::Input, Vec::new()),
        false => first_of(&pins, &[("rulebook", Cause::Rule), ("certificate", Cause::Model)]),
    };
    Some(Difference::between(String::new(), &a, &b).into_divergence("decision", cause, because))
}

fn nodes(trace: &Value) -> &[Value] {
    trace.get("nodes").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Other questions come of the rules or the code, other answers of the model.
fn why_asked(a: &Value, b: &Value, pins: &BTreeSet<String>) -> (Cause, Vec<String>) {
    let asked = |node: &Value| node.get("asked").and_then(Value::as_array).cloned().unwrap_or_default();
    let question = |asked: &Value| (asked.get("task").cloned(), asked.get("text_sha256").cloned());
    let (old, new) = (asked(a), asked(b));
    if !old.iter().map(question).eq(new.iter().map(question)) {
        return first_of(pins, &[("rulebook", Cause::Rule)]);
    }
    let moved = old.iter().zip(&new).find(|(x, y)| x != y);
    let task = moved.and_then(|(x, _)| x.get("task")?.as_str()).unwrap_or_default();
    let model = format!("models.{task}");
    first_of(
        pins,
        &[
            (&model, Cause::Model),
            ("second_pass", Cause::Model),
            ("tokenizer", Cause::Model),
            ("manifest", Cause::Model),
            ("runtime", Cause::Runtime),
        ],
    )
}

/// The first of the candidates that changed, else the device or the program. When no pin accounts for it, the same code
/// gave other bits: the machine did it.
fn first_of(pins: &BTreeSet<String>, candidates: &[(&str, Cause)]) -> (Cause, Vec<String>) {
    let always =
        [("index", Cause::Rule), ("engine", Cause::Code), ("device", Cause::Runtime), ("runtime", Cause::Runtime)];
    let changed = |name: &str| -> Vec<String> {
        let own = |pin: &&String| pin.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        pins.iter().filter(own).cloned().collect()
    };
    let mut found = candidates.iter().copied().chain(always).map(|(name, cause)| (cause, changed(name)));
    found.find(|(_, names)| !names.is_empty()).unwrap_or((Cause::Runtime, Vec::new()))
}

/// Where two values differ first, and the largest difference of probabilities in them.
struct Difference {
    place: String,
    recorded: Value,
    now: Value,
    score: u32,
}

impl Difference {
    fn of(part: &str, a: &Value, b: &Value) -> Self {
        let none = Value::Null;
        Self::between(format!("/{part}"), a.get(part).unwrap_or(&none), b.get(part).unwrap_or(&none))
    }

    fn between(path: String, a: &Value, b: &Value) -> Self {
        let mut out = Self { place: path.clone(), recorded: a.clone(), now: b.clone(), score: 0 };
        let mut first = None;
        walk(path, a, b, &mut first, &mut out.score);
        if let Some((place, recorded, now)) = first {
            (out.place, out.recorded, out.now) = (place, recorded, now);
        }
        out
    }

    fn into_divergence(self, node: &str, cause: Cause, because: Vec<String>) -> Divergence {
        Divergence {
            node: node.to_owned(),
            cause,
            because,
            place: self.place,
            recorded: self.recorded,
            now: self.now,
            score_distance: self.score,
        }
    }
}

type Place = (String, Value, Value);

fn walk(path: String, a: &Value, b: &Value, first: &mut Option<Place>, score: &mut u32) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let absent = Value::Null;
            // An answer leaves out labels of no probability: an absent number is a zero.
            let zero = Value::from(0);
            for key in keys(a, b) {
                let (old, new) = (x.get(&key), y.get(&key));
                let other = |one: Option<&Value>| if one.is_some_and(Value::is_number) { &zero } else { &absent };
                let (old, new) = (old.unwrap_or_else(|| other(new)), new.unwrap_or_else(|| other(old)));
                walk(format!("{path}/{key}"), old, new, first, score);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (i, (old, new)) in x.iter().zip(y).enumerate() {
                walk(format!("{path}/{i}"), old, new, first, score);
            }
        }
        _ if a == b => {}
        _ => {
            if let (Some(x), Some(y)) = (millionths(a), millionths(b)) {
                *score = (*score).max(x.abs_diff(y));
            }
            first.get_or_insert_with(|| (path, a.clone(), b.clone()));
        }
    }
}

/// A probability in millionths; `None` for any other value.
fn millionths(value: &Value) -> Option<u32> {
    serde_json::from_value::<crate::judge::Probability>(value.clone()).ok().map(|p| p.millionths())
}

/// Refund and compensation of a decision together, in fen.
pub(super) fn paid(decision: &Value) -> i64 {
    let part = |name: &str| {
        let yuan = decision.pointer(&format!("/remedy/{name}")).and_then(Value::as_str);
        yuan.and_then(|yuan| parse_scaled(yuan, 2)).unwrap_or(0)
    };
    part("refund").saturating_add(part("compensation"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn side(model: &str, p: f64, valid: bool) -> Sides {
        Sides {
            decision: json!({ "id": model, "pins": { "models": { "supports": model, "measure": "m" }, "rulebook": "r" },
                              "remedy": { "refund": "1.20", "compensation": "0.05" }, "trace_sha256": model }),
            trace: json!({ "case_hash": "c", "nodes": [
                { "node": "label", "asked": [], "finding": { "score": 0.5 } },
                { "node": "evidence", "asked": [{ "task": "supports", "text_sha256": "t", "answer": { "verdict": { "valid": p } } }],
                  "finding": { "valid": valid } },
            ]}),
        }
    }

    #[test]
    fn names_the_first_node_its_cause_and_the_distance() {
        let d = diverge(&side("a", 0.9, true), &side("b", 0.4, false), false).unwrap();
        assert_eq!((d.node.as_str(), d.cause, d.score_distance), ("evidence", Cause::Model, 500_000));
        assert_eq!(
            (d.because, d.place.as_str()),
            (vec!["models.supports".to_owned()], "/asked/0/answer/verdict/valid")
        );
        assert_eq!(paid(&side("a", 0.9, true).decision), 125);
    }

    #[test]
    fn other_pins_alone_are_no_divergence() {
        assert_eq!(diverge(&side("a", 0.9, true), &side("b", 0.9, true), false), None);
    }

    #[test]
    fn without_a_changed_pin_the_machine_is_named_and_with_an_edit_the_input() {
        let unlike = diverge(&side("a", 0.9, true), &side("a", 0.4, true), false).unwrap();
        assert_eq!((unlike.cause, unlike.because.len()), (Cause::Runtime, 0));
        assert_eq!(diverge(&side("a", 0.9, true), &side("a", 0.9, false), true).unwrap().cause, Cause::Input);
        let mut engine = side("a", 0.9, false);
        engine.decision["pins"]["engine"] = json!("2");
        assert_eq!(diverge(&side("a", 0.9, true), &engine, false).unwrap().cause, Cause::Code);
        let mut asks = side("a", 0.9, true);
        asks.trace["nodes"][1]["asked"][0]["text_sha256"] = json!("u");
        asks.decision["pins"]["rulebook"] = json!("s");
        assert_eq!(diverge(&side("a", 0.9, true), &asks, false).unwrap().cause, Cause::Rule);
    }
}
