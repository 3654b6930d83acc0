//! What is right for one who has read nothing: the gold's most common answer, node by node, given to every case.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::gold::{Gold, GoldRemedy};
use crate::case::Case;

/// The decisions of the majority baseline: every ticket gets the most common scene, goods type, SOP, place of the first
/// report, verdicts, validity and remedy of the gold. Nodes are taken one by one, so they need not fit each other.
pub fn majority(cases: &[Case], gold: &[Gold]) -> Vec<Value> {
    let scene = most(gold.iter().map(|g| &g.scene));
    let goods = most(gold.iter().map(|g| &g.goods_type));
    let sop = most(gold.iter().map(|g| &g.sop));
    let place = most(gold.iter().map(|g| g.first_report.index)).flatten();
    let timeliness = most(gold.iter().map(|g| &g.timeliness));
    let buyer = most(gold.iter().map(|g| &g.evidence.buyer));
    let seller = most(gold.iter().map(|g| &g.evidence.seller));
    let valid = most(gold.iter().flat_map(|g| g.evidence.items.values()).map(|item| item.valid));
    let remedy = remedy(gold);
    let decide = |case: &Case| {
        let at = place.and_then(|i| case.dialogue.get(i)).map_or(case.claim.filed_at, |message| message.at);
        let items: Vec<_> = case
            .evidence
            .iter()
            .map(|item| json!({ "evidence_id": item.evidence_id.as_str(), "valid": valid }))
            .collect();
        json!({
            "ticket_id": case.ticket_id.as_str(), "outcome": "auto",
            "labels": { "scene": { "id": scene }, "goods_type": { "id": goods } },
            "sop": { "id": sop, "candidates": [{ "id": sop }] },
            "timeliness": { "verdict": timeliness, "first_report": { "at": at.to_string() } },
            "evidence": { "buyer": { "verdict": buyer }, "seller": { "verdict": seller }, "items": items },
            "remedy": remedy.map(|r| json!({
                "kind": r.kind, "refund": r.refund, "compensation": r.compensation,
                "freight_by": r.freight_by, "return_goods": r.return_goods,
            })),
            "settlement": { "probability": 0.5 },
        })
    };
    cases.iter().map(decide).collect()
}

/// The most common remedy of the most common kind.
fn remedy(gold: &[Gold]) -> Option<&GoldRemedy> {
    let kind = most(gold.iter().map(|g| &g.remedy.kind))?;
    most(gold.iter().map(|g| &g.remedy).filter(|r| r.kind == *kind))
}

/// The most common value; the smallest of equals.
fn most<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut best: Option<(T, usize)> = None;
    for (value, count) in counts {
        if best.is_none_or(|(_, most)| count > most) {
            best = Some((value, count));
        }
    }
    best.map(|(value, _)| value)
}
