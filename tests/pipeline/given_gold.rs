//! Given right answers, everything after them is exact: labels and SOP, the clock, verdicts, the remedy to the fen.

use praetor::case::Case;
use praetor::decision::Outcome;
use praetor::eval::{Figures, Gold, SCORED, score};
use praetor::judge::{Answer, JudgeError, Probability, Question, Thresholds};
use praetor::nodes::{Finding, Findings, MeasureFinding, Measured, NodeId, Rules, SettlementFinding};
use praetor::pipeline::{Ask, Decided, Pipeline};
use praetor::sop::{Measure, Sop};

use super::{BOOK, INDEX, PUBLIC, VERDICTS, answer, certain, ids, node, pipeline, thresholds, yes};

/// The one amount that the gold does not round by its own rule: half of 44.25 is 22.125, half up 22.13. The gold has
/// 22.12, one fen less, which the scorer lets pass.
const HALF_FEN: (&str, &str, &str, &str) = ("AB110165", "refund", "22.13", "22.12");

/// Nobody may be asked: every finding is given.
pub(super) struct Nobody;

impl Ask for Nobody {
    fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        assert!(questions.is_empty());
        Ok(Vec::new())
    }
}

/// Runs one node on answers that the gold gives.
fn run(id: NodeId, case: &Case, findings: &mut Findings, answers: &[Answer], thresholds: &Thresholds) {
    let rules = Rules { book: &BOOK, index: &INDEX, thresholds };
    let node = node(id);
    assert_eq!(node.needs(case, findings, rules).unwrap().len(), answers.len(), "{}: {id}", case.ticket_id);
    findings.put(node.judge(case, findings, answers, rules).unwrap());
}

pub(super) fn find(case: &Case, gold: &Gold, thresholds: &Thresholds) -> Findings {
    let mut findings = Findings::default();
    let (scenes, goods) = (ids(&BOOK.taxonomy.scenes), ids(&BOOK.taxonomy.goods));
    let labels = answer([
        ("scene", certain(&scenes, &gold.scene)),
        ("goods_type", certain(&goods, &gold.goods_type)),
        ("settles", yes(gold.settles)),
    ]);
    run(NodeId::Label, case, &mut findings, &[labels], thresholds);
    // Labels without doubt leave one candidate.
    run(NodeId::Policy, case, &mut findings, &[answer([("governs", yes(true))])], thresholds);
    let sop = BOOK.sop(&gold.sop).unwrap();

    let buyer = case.dialogue.iter().enumerate().filter(|(_, m)| m.from == praetor::case::Party::Buyer);
    let first = |index| gold.first_report.source == "dialogue" && gold.first_report.index == Some(index);
    let reports: Vec<Answer> = buyer.map(|(index, _)| answer([("states_problem", yes(first(index)))])).collect();
    run(NodeId::Timeliness, case, &mut findings, &reports, thresholds);
    run(NodeId::Evidence, case, &mut findings, &verdicts(case, gold, sop), thresholds);

    let measures = sop.measures.iter().map(|&id| measured(id, gold)).collect();
    findings.put(Finding::Measure(MeasureFinding { measures }));
    let probability = if gold.settles { Probability::ONE } else { Probability::ZERO };
    findings.put(Finding::Settlement(SettlementFinding { probability }));
    findings
}

/// One answer for each item and requirement. That an item is late is left to the clock: what it shows is fine.
fn verdicts(case: &Case, gold: &Gold, sop: &Sop) -> Vec<Answer> {
    let mut out = Vec::new();
    for item in &case.evidence {
        let wanted = &gold.evidence.items[item.evidence_id.as_str()];
        let asked = if item.party == praetor::case::Party::Buyer { &sop.buyer } else { &sop.seller };
        for requirement in asked.iter().filter(|r| r.accepts.contains(&item.kind)) {
            let verdict = match (wanted.requirement.as_deref(), wanted.defect.as_deref()) {
                (Some(aim), None | Some("late")) if aim == requirement.id => "valid",
                (Some(aim), Some(defect)) if aim == requirement.id => defect,
                _ => "unrelated",
            };
            out.push(answer([("verdict", certain(&VERDICTS, verdict))]));
        }
    }
    out
}

fn measured(id: Measure, gold: &Gold) -> Measured {
    let wanted = &gold.quantities;
    let value = match id {
        Measure::SeverityRatio => wanted.severity_ratio.map(|share| (share * 1e6).round() as i64),
        Measure::MissingCount => wanted.missing_count.map(i64::from),
        Measure::ReceiptAmount => wanted.receipt_amount.map(|amount| amount.as_i64()),
        Measure::PriceDiff => wanted.price_diff.map(|amount| amount.as_i64()),
    };
    assert!(value.is_some(), "{}: the gold has no {}", gold.ticket_id, id.as_str());
    Measured { id, value, span: None, probability: Probability::ONE, certain: true }
}

fn decide(pipeline: &Pipeline, thresholds: &Thresholds) -> Vec<Decided> {
    let decide =
        |(case, gold): &(Case, Gold)| pipeline.conclude_from(case, find(case, gold, thresholds), None).unwrap();
    PUBLIC.iter().map(decide).collect()
}

#[test]
fn the_gold_findings_lead_to_the_gold_remedies_to_the_fen() {
    let thresholds = thresholds(Probability::ONE);
    let decided = decide(&pipeline(Box::new(Nobody), thresholds.clone()), &thresholds);

    let mut differ = Vec::new();
    for (decided, (_, gold)) in decided.iter().zip(&*PUBLIC) {
        let decision = serde_json::to_value(&decided.decision).unwrap();
        let ticket = gold.ticket_id.as_str();
        let remedy = &gold.remedy;
        let mut same = |field: &str, found: &serde_json::Value, wanted: serde_json::Value| {
            if *found != wanted {
                let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
                differ.push((ticket.to_owned(), field.to_owned(), text(found), text(&wanted)));
            }
        };
        same("sop", &decision["sop"]["id"], gold.sop.as_str().into());
        same("first_report", &decision["timeliness"]["first_report"]["at"], gold.first_report.at.as_str().into());
        same("timeliness", &decision["timeliness"]["verdict"], gold.timeliness.as_str().into());
        same("buyer", &decision["evidence"]["buyer"]["verdict"], gold.evidence.buyer.as_str().into());
        same("seller", &decision["evidence"]["seller"]["verdict"], gold.evidence.seller.as_str().into());
        for item in decision["evidence"]["items"].as_array().unwrap() {
            let wanted = &gold.evidence.items[item["evidence_id"].as_str().unwrap()];
            same("item", &item["valid"], wanted.valid.into());
            same("requirement", &item["requirement"], wanted.requirement.clone().into());
            same("defect", &item["defect"], wanted.defect.clone().into());
        }
        same("kind", &decision["remedy"]["kind"], remedy.kind.as_str().into());
        same("refund", &decision["remedy"]["refund"], remedy.refund.as_str().into());
        same("compensation", &decision["remedy"]["compensation"], remedy.compensation.as_str().into());
        same("freight_by", &decision["remedy"]["freight_by"], remedy.freight_by.as_str().into());
        same("return_goods", &decision["remedy"]["return_goods"], remedy.return_goods.into());
        // All is certain, so nothing is left for a person.
        assert_eq!(decided.decision.outcome, Outcome::Auto, "{ticket}: {:?}", decided.decision.reasons);
        assert!(decided.decision.reasons.is_empty(), "{ticket}");
    }
    let (ticket, field, found, wanted) = HALF_FEN;
    assert_eq!(differ, [(ticket.to_owned(), field.to_owned(), found.to_owned(), wanted.to_owned())]);
}

#[test]
fn the_scorer_finds_nothing_wrong_with_them() {
    let thresholds = thresholds(Probability::ONE);
    let decided = decide(&pipeline(Box::new(Nobody), thresholds.clone()), &thresholds);
    let decisions: Vec<_> = decided.iter().map(|d| serde_json::to_value(&d.decision).unwrap()).collect();
    let gold: Vec<Gold> = PUBLIC.iter().map(|(_, gold)| gold.clone()).collect();
    let figures = Figures::of(&score(&decisions, &gold));
    for (name, rate) in SCORED.into_iter().zip(figures.nodes) {
        assert_eq!(rate.right, 1_320, "{name}");
    }
    assert_eq!(figures.items.right, figures.items.of);
    assert_eq!((figures.auto.right, figures.auto_right.right), (1_320, 1_320));
    assert_eq!(figures.settles_auc, Some(1.0));
}
