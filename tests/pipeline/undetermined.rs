//! Whatever the models say and whatever the case lacks: nothing panics, and no case is decided without a person when a
//! fact that matters is in doubt. What matters is worked out here anew, by trying every value the fact may have.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use praetor::case::{Case, Party};
use praetor::decision::{NodeRecord, Outcome};
use praetor::judge::{Answer, Distribution, JudgeError, Probability, Question, Task};
use praetor::nodes::{NodeId, Verdict, case_facts};
use praetor::pipeline::{Ask, Decided, Pipeline};
use praetor::sop::facts::{Fact, Facts};
use praetor::sop::{Anchor, Measure, Remedy, Ruling, Sop};
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{BOOK, PUBLIC, VERDICTS, ids, pipeline, thresholds};

/// What the models say in one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noise {
    pub(crate) seed: u64,
    /// Least probability of the best label, in millionths.
    pub(crate) floor: u32,
    pub(crate) scene: String,
    pub(crate) goods: String,
}

thread_local! {
    pub(crate) static NOISE: RefCell<Noise> = RefCell::default();
}

/// Answers by a hash of the question; the labels lean to the ones set.
pub(crate) struct Noisy;

impl Ask for Noisy {
    fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        Ok(NOISE.with_borrow(|noise| questions.iter().map(|q| noise.answer(q)).collect()))
    }
}

impl Noise {
    fn answer(&self, question: &Question) -> Answer {
        let heads = question.task.heads().iter().map(|head| {
            let (labels, lean) = match *head {
                "scene" => (ids(&BOOK.taxonomy.scenes), Some(self.scene.as_str())),
                "goods_type" => (ids(&BOOK.taxonomy.goods), Some(self.goods.as_str())),
                "verdict" => (VERDICTS.to_vec(), None),
                _ => (vec!["no", "yes"], None),
            };
            ((*head).to_owned(), self.distribution(question, head, &labels, lean))
        });
        Answer { heads: heads.collect(), said: None }
    }

    fn distribution(&self, question: &Question, head: &str, labels: &[&str], lean: Option<&str>) -> Distribution {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(head);
        hash.update(&question.text);
        let bytes: [u8; 32] = hash.finalize().into();
        let number =
            |i: usize| u32::from_be_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]);
        let best = match lean.and_then(|lean| labels.iter().position(|l| *l == lean)) {
            Some(place) if number(0) % 4 > 0 => place,
            _ => number(1) as usize % labels.len(),
        };
        let second = number(2) as usize % labels.len();
        let mut p = vec![0; labels.len()];
        p[best] = self.floor + number(3) % (1_000_001 - self.floor);
        // The rest goes to one other label, or evenly to all.
        let rest = 1_000_000 - p[best];
        if number(4) % 2 == 0 {
            p[second] += rest;
        } else {
            let share = rest / labels.len() as u32;
            p.iter_mut().for_each(|p| *p += share);
        }
        let p = p.into_iter().map(|p| Probability::from_millionths(p).unwrap()).collect();
        Distribution { labels: labels.iter().map(|l| (*l).to_owned()).collect::<Arc<[String]>>(), p }
    }
}

/// Pipelines that are sure from the first, sooner or later, or never.
static PIPELINES: LazyLock<Vec<Pipeline>> = LazyLock::new(|| {
    let sure = [0, 300_000, 700_000, 950_000, 1_000_000];
    sure.map(|p| pipeline(Box::new(Noisy), thresholds(Probability::from_millionths(p).unwrap()))).into()
});
const THRESHOLDS: [f64; 5] = [0.0, 0.3, 0.7, 0.95, 1.0];

/// Fields that a case file may lack.
const OPTIONAL: [&str; 8] = [
    "/order/signed_at",
    "/order/ship_by",
    "/order/shipped_at",
    "/order/deposit",
    "/order/waybill",
    "/return",
    "/return/signed_at",
    "/order/services",
];

/// The case without the fields of the mask, without a party's evidence, without the end of its dialogue.
pub(crate) fn spoil(case: &Case, mask: u8, cut: usize) -> Case {
    let mut value: Value = serde_json::from_slice(case.canonical()).unwrap();
    for (bit, path) in OPTIONAL.iter().enumerate() {
        if mask >> bit & 1 == 1
            && let Some(field) = value.pointer_mut(path)
        {
            *field = if *path == "/order/services" { Value::Array(Vec::new()) } else { Value::Null };
        }
    }
    for (list, keep) in [("dialogue", 3), ("evidence", 2)] {
        if cut % keep == 1 {
            value[list].as_array_mut().unwrap().truncate(cut / 4);
        }
    }
    Case::parse(&serde_json::to_vec(&value).unwrap()).unwrap_or_else(|e| panic!("{mask:08b}: {e}"))
}

/// Every value that the findings leave open, fact by fact.
fn worlds(case: &Case, sop: &Sop, decided: &Decided) -> Vec<Facts> {
    let d = &decided.decision;
    let mut worlds = vec![case_facts(case)];
    let mut vary = |fact: Fact, values: Vec<i64>| {
        let with = |facts: &Facts, value: i64| {
            let mut facts = facts.clone();
            facts.set(fact.clone(), value);
            facts
        };
        worlds = worlds.iter().flat_map(|facts| values.iter().map(move |&v| with(facts, v))).collect();
    };
    let within = sop.clock.within;
    vary(
        Fact::Elapsed,
        match d.timeliness.verdict {
            Verdict::Unknown => vec![-1, 0, within, within + 1, 169 * 3_600, 100 * within + 1],
            _ => d.timeliness.possible_elapsed.clone(),
        },
    );
    for (fact, party, asked) in
        [(Fact::Buyer, &d.evidence.buyer, &sop.buyer), (Fact::Seller, &d.evidence.seller, &sop.seller)]
    {
        if !asked.is_empty() {
            vary(fact, party.possible.iter().map(|s| s.index()).collect());
        }
    }
    for measured in &d.measures {
        vary(
            measured.id.fact(),
            match measured.value {
                Some(value) if measured.certain => vec![value],
                _ if measured.id == Measure::SeverityRatio => vec![0, 100_000, 500_000, 1_000_000],
                _ => vec![0, 1, 5, 12_345],
            },
        );
    }
    worlds
}

fn ruling(sop: &Sop, facts: &Facts) -> Option<Remedy> {
    match sop.rule(facts, &BOOK.head.tiers) {
        Ruling::Decided(remedy) => Some(remedy),
        _ => None,
    }
}

/// What the decision proposes is the table's answer in each of the worlds.
fn assert_stands(case: &Case, sop: &Sop, decided: &Decided) {
    let proposal = &decided.decision.remedy.proposal;
    for facts in worlds(case, sop, decided) {
        let remedy = ruling(sop, &facts).unwrap_or_else(|| panic!("{}: {facts:?} decides nothing", case.ticket_id));
        assert_eq!(
            (remedy.kind.as_str(), remedy.refund, remedy.compensation, remedy.freight_by, remedy.return_goods),
            (
                proposal.kind.as_str(),
                proposal.refund_fen,
                proposal.compensation_fen,
                proposal.freight_by,
                proposal.return_goods
            ),
            "{} decided by {}: {facts:?}",
            case.ticket_id,
            sop.id
        );
    }
}

fn record(decided: &Decided, id: NodeId) -> &NodeRecord {
    decided.trace.nodes.iter().find(|record| record.node == id).unwrap()
}

/// Elapsed seconds of every statement that may be the first report, with its probability, from the answers on record.
fn reports(case: &Case, decided: &Decided) -> Vec<(i64, f64)> {
    let Some(start) = decided.decision.timeliness.clock_start else { return Vec::new() };
    let record = record(decided, NodeId::Timeliness);
    let messages = case.dialogue.iter().filter(|m| m.from == Party::Buyer);
    let (mut none_before, mut out) = (1.0, Vec::new());
    for (message, asked) in messages.zip(&record.asked) {
        assert_eq!(asked.task, Task::FirstReport);
        let p = asked.answer["states_problem"].get("yes").map_or(0.0, |p| p.as_f64());
        out.push((message.at.since(start).num_seconds(), none_before * p));
        none_before *= 1.0 - p;
    }
    out.push((case.claim.filed_at.since(start).num_seconds(), none_before));
    out
}

/// The first reports under which the remedy would be another are together no likelier than the threshold allows.
fn assert_reports_agree(case: &Case, sop: &Sop, decided: &Decided, threshold: f64) {
    let Some(mut facts) = worlds(case, sop, decided).pop() else { return };
    let stands = ruling(sop, &facts);
    let mut against = 0.0;
    for (elapsed, p) in reports(case, decided) {
        facts.set(Fact::Elapsed, elapsed);
        let other = ruling(sop, &facts);
        if other.map(|r| (r.kind, r.refund, r.compensation))
            != stands.clone().map(|r| (r.kind, r.refund, r.compensation))
        {
            against += p;
        }
    }
    assert!(
        against <= 1.0 - threshold + 1e-4,
        "{} decided by {}: another first report is likely: {against} at threshold {threshold}",
        case.ticket_id,
        sop.id
    );
}

fn check(case: &Case, decided: &Decided, threshold: f64) {
    let d = &decided.decision;
    // No finding is certain that is less likely than the threshold.
    for item in &d.evidence.items {
        assert!(!item.certain || item.probability.as_f64() >= threshold, "{}: {item:?}", case.ticket_id);
    }
    for measured in &d.measures {
        let certain = measured.value.is_some() && measured.probability.as_f64() >= threshold;
        assert_eq!(measured.certain, certain, "{}: {measured:?}", case.ticket_id);
    }
    assert_eq!(d.outcome == Outcome::Auto, d.reasons.is_empty(), "{}: {:?}", case.ticket_id, d.reasons);
    if d.outcome == Outcome::Auto {
        assert!(d.sop.score.as_f64() >= threshold, "{}: {:?}", case.ticket_id, d.sop);
        let sop = BOOK.sop(d.sop.id.as_deref().unwrap()).unwrap();
        assert_stands(case, sop, decided);
        assert_reports_agree(case, sop, decided, threshold);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_case_is_decided_on_what_is_in_doubt(
        which in 0..1_320_usize, mask in prop_oneof![Just(0), any::<u8>()], cut in 0..12_usize,
        seed: u64, floor in prop_oneof![Just(0), Just(600_000), Just(990_000), Just(1_000_000)], sure in 0..5_usize,
    ) {
        let (case, gold) = &PUBLIC[which];
        let case = spoil(case, mask, cut);
        let noise = Noise { seed, floor, scene: gold.scene.clone(), goods: gold.goods_type.clone() };
        NOISE.with_borrow_mut(|current| *current = noise);
        let decided = PIPELINES[sure].decide(std::slice::from_ref(&case), None).unwrap();
        check(&case, &decided[0], THRESHOLDS[sure]);
    }
}

#[test]
fn without_the_start_of_its_clock_no_case_is_decided() {
    let mut seen = 0;
    for (case, gold) in PUBLIC.iter().step_by(7) {
        let sop = BOOK.sop(&gold.sop).unwrap();
        let missing = match sop.clock.from {
            Anchor::PaidAt => continue,
            Anchor::PromisedShipAt => 0b10,
            Anchor::SignedAt | Anchor::SignedNextDay => 0b1,
            Anchor::ReturnSignedAt => 0b100_0000,
        };
        let case = spoil(case, missing, 0);
        let noise = Noise { seed: 1, floor: 1_000_000, scene: gold.scene.clone(), goods: gold.goods_type.clone() };
        NOISE.with_borrow_mut(|current| *current = noise);
        let decided = &PIPELINES[0].decide(std::slice::from_ref(&case), None).unwrap()[0];
        if decided.decision.sop.id.as_deref() != Some(gold.sop.as_str()) {
            continue;
        }
        seen += 1;
        assert_eq!(decided.decision.outcome, Outcome::Review, "{}", case.ticket_id);
        assert_eq!(decided.decision.timeliness.verdict, Verdict::Unknown, "{}", case.ticket_id);
        assert_eq!(decided.decision.reasons[0].code, "clock_unknown", "{}", case.ticket_id);
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn without_the_measure_no_amount_is_paid() {
    let mut seen = 0;
    for (case, gold) in PUBLIC.iter().filter(|(_, g)| g.quantities.missing_count.is_some()) {
        // Without words there is no number to read.
        let mut value: Value = serde_json::from_slice(case.canonical()).unwrap();
        value["claim"]["statement"] = "少了".into();
        value["dialogue"] = Value::Array(Vec::new());
        for item in value["evidence"].as_array_mut().unwrap() {
            item["content"] = "一段视频".into();
        }
        let case = Case::parse(&serde_json::to_vec(&value).unwrap()).unwrap();
        let noise = Noise { seed: 2, floor: 1_000_000, scene: gold.scene.clone(), goods: gold.goods_type.clone() };
        NOISE.with_borrow_mut(|current| *current = noise);
        let d = &PIPELINES[0].decide(std::slice::from_ref(&case), None).unwrap()[0].decision;
        for measured in d.measures.iter().filter(|m| m.id == Measure::MissingCount && m.value.is_none()) {
            assert!(!measured.certain);
            seen += 1;
            if d.reasons.iter().any(|r| r.code == "measure_missing") {
                assert_eq!(d.outcome, Outcome::Review);
                assert_eq!((d.remedy.proposal.refund_fen, d.remedy.proposal.compensation_fen), (0, 0));
            } else {
                assert_ne!(d.remedy.proposal.kind, "partial_refund", "{}", case.ticket_id);
            }
        }
    }
    assert!(seen > 10, "{seen}");
}
