//! Marks decisions against gold exactly as the benchmark's scorer does: what it reads of a decision, it reads the same way.

use std::collections::BTreeMap;

use serde_json::Value;

use super::gold::{Gold, GoldRemedy};
use crate::case::Fen;

/// How far a quantity may be from the gold's, as a share of it.
const WITHIN: f64 = 0.02;

/// What one decision got right.
#[derive(Debug, Clone, PartialEq)]
pub struct Marks {
    /// The gold's scene, to group by.
    pub scene_id: String,
    /// Whether the ticket was decided at all; everything else is wrong when it was not.
    pub decided: bool,
    /// Right or wrong, in the order of [`SCORED`](super::SCORED).
    pub nodes: [bool; 10],
    /// Items whose validity is right.
    pub items_right: usize,
    /// Items of the ticket.
    pub items: usize,
    /// Quantities read within two percent of the gold's.
    pub measures_right: usize,
    /// Quantities that the gold's amounts depend on.
    pub measures: usize,
    /// The settlement's probability, with whether the parties settle.
    pub settles: Option<(f64, bool)>,
    /// The score of the first token, with whether the remedy is right.
    pub first_token: Option<(f64, bool)>,
    /// The score of the second pass, with whether the remedy is right.
    pub second: Option<(f64, bool)>,
    /// Whether it was decided without a person.
    pub auto: bool,
    /// Place of the right SOP among the candidates, from 0.
    pub sop_rank: Option<usize>,
}

/// Marks decisions, one JSON object each, against gold: one entry a gold ticket, in the gold's order. A decision on
/// another ticket does not count; of several on one ticket the first does.
pub fn score<'a>(decisions: impl IntoIterator<Item = &'a Value>, gold: &[Gold]) -> Vec<Marks> {
    let mut said: BTreeMap<&str, &Value> = BTreeMap::new();
    for decision in decisions {
        if let Some(ticket) = decision["ticket_id"].as_str() {
            said.entry(ticket).or_insert(decision);
        }
    }
    gold.iter().map(|gold| mark(said.get(gold.ticket_id.as_str()).copied(), gold)).collect()
}

fn mark(decision: Option<&Value>, gold: &Gold) -> Marks {
    let d = decision.unwrap_or(&Value::Null);
    let is = |value: &Value, want: &str| value.as_str() == Some(want);
    let scene = is(&d["labels"]["scene"]["id"], &gold.scene);
    let goods = is(&d["labels"]["goods_type"]["id"], &gold.goods_type);
    let kind = is(&d["remedy"]["kind"], &gold.remedy.kind);
    let exact = exact_remedy(d, &gold.remedy);
    let nodes = [
        scene,
        goods,
        scene && goods,
        is(&d["sop"]["id"], &gold.sop),
        is(&d["timeliness"]["first_report"]["at"], &gold.first_report.at),
        is(&d["timeliness"]["verdict"], &gold.timeliness),
        is(&d["evidence"]["buyer"]["verdict"], &gold.evidence.buyer),
        is(&d["evidence"]["seller"]["verdict"], &gold.evidence.seller),
        kind,
        exact,
    ];
    let scored = |value: &Value, right: bool| value.as_f64().map(|score| (score, right));
    Marks {
        scene_id: gold.scene.clone(),
        decided: decision.is_some(),
        nodes,
        items_right: items_right(&d["evidence"]["items"], gold),
        items: gold.evidence.items.len(),
        measures_right: wanted(gold).filter(|(id, want)| is_near(&d["measures"], id, *want)).count(),
        measures: wanted(gold).count(),
        settles: scored(&d["settlement"]["probability"], gold.settles),
        first_token: scored(&d["verification"]["first_token"], exact),
        second: scored(&d["verification"]["second"], exact),
        auto: is(&d["outcome"], "auto"),
        sop_rank: rank(&d["sop"]["candidates"], &gold.sop),
    }
}

/// Whether a decision's remedy is exactly the right one, as the benchmark takes it: every part, to the fen.
pub fn exact_remedy(decision: &Value, want: &GoldRemedy) -> bool {
    let remedy = &decision["remedy"];
    remedy["kind"].as_str() == Some(&want.kind)
        && same_money(&remedy["refund"], &want.refund)
        && same_money(&remedy["compensation"], &want.compensation)
        && remedy["freight_by"].as_str() == Some(&want.freight_by)
        && truthy(&remedy["return_goods"]) == want.return_goods
}

fn items_right(items: &Value, gold: &Gold) -> usize {
    let mut said = BTreeMap::new();
    for item in items.as_array().into_iter().flatten() {
        if let Some(id) = item["evidence_id"].as_str() {
            said.insert(id, item["valid"].as_bool());
        }
    }
    let right = |(id, want): &(&String, &super::GoldItem)| said.get(id.as_str()) == Some(&Some(want.valid));
    gold.evidence.items.iter().filter(right).count()
}

/// The gold's quantities, in the units of the rule tables.
fn wanted(gold: &Gold) -> impl Iterator<Item = (&'static str, f64)> {
    let q = &gold.quantities;
    let fen = |amount: Option<Fen>| amount.map(|fen| fen.as_i64() as f64);
    [
        ("severity_ratio", q.severity_ratio.map(|share| share * 1e6)),
        ("missing_count", q.missing_count.map(f64::from)),
        ("receipt_amount", fen(q.receipt_amount)),
        ("price_diff", fen(q.price_diff)),
    ]
    .into_iter()
    .filter_map(|(id, want)| Some((id, want?)))
}

fn is_near(measures: &Value, id: &str, want: f64) -> bool {
    let found = measures.as_array().into_iter().flatten().find(|m| m["id"].as_str() == Some(id));
    found.and_then(|m| m["value"].as_f64()).is_some_and(|said| (said - want).abs() <= WITHIN * want.abs())
}

fn rank(candidates: &Value, sop: &str) -> Option<usize> {
    candidates.as_array()?.iter().position(|candidate| candidate["id"].as_str() == Some(sop))
}

/// Whether two amounts are at most one fen apart; an absent one is nothing.
fn same_money(said: &Value, want: &str) -> bool {
    let fen = |yuan: f64| (yuan * 100.0).round_ties_even();
    let said = match said {
        Value::Null => Some(0.0),
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    let distance = said.zip(want.parse().ok()).map(|(said, want): (f64, f64)| (fen(said) - fen(want)).abs());
    distance.is_some_and(|fen| fen <= 1.0)
}

/// What Python holds true.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}
