//! The nodes one by one, on answers made for the purpose.

use std::sync::Arc;

use praetor::case::{Case, Party};
use praetor::eval::Gold;
use praetor::judge::{Answer, Distribution, Probability, Thresholds};
use praetor::nodes::text::{MeasureKind, Value, candidates, relevant};
use praetor::nodes::{EvidenceFinding, Finding, Findings, LabelFinding, NodeId, PolicyFinding, Rules, requirements};
use praetor::sop::facts::Sufficiency;

use super::{BOOK, INDEX, PUBLIC, VERDICTS, answer, certain, ids, node, thresholds, yes};

fn p(millionths: u32) -> Probability {
    Probability::from_millionths(millionths).unwrap()
}

/// These probabilities in millionths, nothing on every other label.
fn spread(labels: &[&str], weights: &[(&str, u32)]) -> Distribution {
    assert!(weights.iter().all(|(label, _)| labels.contains(label)));
    let of = |label: &str| weights.iter().find(|(l, _)| *l == label).map_or(Probability::ZERO, |(_, w)| p(*w));
    Distribution {
        labels: labels.iter().map(|l| (*l).to_owned()).collect::<Arc<[String]>>(),
        p: labels.iter().map(|label| of(label)).collect(),
    }
}

fn judge(id: NodeId, case: &Case, findings: &Findings, answers: &[Answer], thresholds: &Thresholds) -> Finding {
    let rules = Rules { book: &BOOK, index: &INDEX, thresholds };
    assert_eq!(node(id).needs(case, findings, rules).unwrap().len(), answers.len());
    node(id).judge(case, findings, answers, rules).unwrap()
}

fn label(case: &Case, scenes: &[(&str, u32)], goods: &[(&str, u32)], sure: u32) -> LabelFinding {
    let heads = answer([
        ("scene", spread(&ids(&BOOK.taxonomy.scenes), scenes)),
        ("goods_type", spread(&ids(&BOOK.taxonomy.goods), goods)),
    ]);
    match judge(NodeId::Label, case, &Findings::default(), &[heads], &thresholds(p(sure))) {
        Finding::Label(finding) => finding,
        other => panic!("{other:?}"),
    }
}

fn policy(case: &Case, label: LabelFinding, sure: u32) -> PolicyFinding {
    fitted(case, label, &[], sure)
}

/// The policy by labels and by how the SOPs fit; those that are not named fit as well as not.
fn fitted(case: &Case, label: LabelFinding, fits: &[(&str, u32)], sure: u32) -> PolicyFinding {
    let findings = Findings { label: Some(label), ..Findings::default() };
    let rules = Rules { book: &BOOK, index: &INDEX, thresholds: &thresholds(p(sure)) };
    let asked = node(NodeId::Policy).needs(case, &findings, rules).unwrap();
    let fit = |text: &str| {
        let of = |id: &str| relevant(case, BOOK.sop(id).unwrap(), BOOK.head.time_zone, 0);
        let same = |id: &str| before_words(text) == before_words(&of(id));
        fits.iter().find(|(id, _)| same(id)).map_or(500_000, |(_, fit)| *fit)
    };
    let answers: Vec<Answer> = asked
        .iter()
        .map(|question| {
            let yes = fit(&question.text);
            answer([("governs", spread(&["no", "yes"], &[("yes", yes), ("no", 1_000_000 - yes)]))])
        })
        .collect();
    match judge(NodeId::Policy, case, &findings, &answers, &thresholds(p(sure))) {
        Finding::Policy(finding) => finding,
        other => panic!("{other:?}"),
    }
}

/// A question up to what it tells of words.
fn before_words(text: &str) -> &str {
    text.split("[F:words=").next().unwrap()
}

/// A public case of an SOP.
fn of_sop(sop: &str) -> &'static (Case, Gold) {
    PUBLIC.iter().find(|(_, gold)| gold.sop == sop).unwrap()
}

#[test]
fn labels_are_decoded_together() {
    let (case, _) = &PUBLIC[0];
    // Fresh produce can spoil; furniture cannot: no SOP governs the pair that is likeliest label by label.
    let found = label(
        case,
        &[("fresh_spoiled", 600_000), ("transit_damage", 400_000)],
        &[("furniture", 550_000), ("fresh_produce", 450_000)],
        0,
    );
    assert_eq!((found.scene.id.as_str(), found.goods_type.id.as_str()), ("fresh_spoiled", "fresh_produce"));
    // 0.6 x 0.45 of the governed 0.6 x 0.45 + 0.4 x 0.55 + 0.4 x 0.45.
    assert_eq!(found.score, p(402_985));
    assert_eq!((found.scene.score, found.goods_type.score), (p(600_000), p(450_000)));
}

#[test]
fn labels_are_certain_when_both_reach_the_threshold() {
    let (case, _) = &PUBLIC[0];
    let scenes = [("wrong_item", 900_000), ("missing_items", 100_000)];
    let goods = [("apparel", 700_000), ("footwear", 300_000)];
    for (sure, certain) in [(0, true), (700_000, true), (700_001, false), (900_000, false)] {
        assert_eq!(label(case, &scenes, &goods, sure).certain, certain, "{sure}");
    }
}

#[test]
fn the_sop_of_certain_labels_governs() {
    for (case, gold) in PUBLIC.iter().step_by(11) {
        let found =
            policy(case, label(case, &[(&gold.scene, 1_000_000)], &[(&gold.goods_type, 1_000_000)], 0), 1_000_000);
        assert_eq!(found.sop.as_deref(), Some(gold.sop.as_str()), "{}", case.ticket_id);
        assert_eq!((found.score, found.certain), (Probability::ONE, true));
        assert_eq!(found.candidates.len(), 1);
        assert_eq!(found.candidates[0].prior, Probability::ONE);
    }
}

#[test]
fn an_sop_gathers_the_probability_of_all_its_goods() {
    let (case, _) = of_sop("quality_visible.wear");
    let goods = [("apparel", 350_000), ("footwear", 250_000), ("phone", 400_000)];
    let found = policy(case, label(case, &[("quality_visible", 1_000_000)], &goods, 0), 0);
    assert_eq!(found.sop.as_deref(), Some("quality_visible.wear"));
    let prior = |id: &str| found.candidates.iter().find(|c| c.id == id).unwrap().prior;
    assert_eq!((prior("quality_visible.wear"), prior("quality_visible.3c")), (p(600_000), p(400_000)));
    assert!(found.candidates.windows(2).all(|pair| pair[0].score >= pair[1].score));
}

#[test]
fn what_fits_decides_between_equal_labels() {
    let even = [("fresh_spoiled", 500_000), ("invoice", 500_000)];
    let (case, _) = of_sop("fresh_spoiled.produce");
    for (sop, other) in [("fresh_spoiled.produce", "invoice.general"), ("invoice.general", "fresh_spoiled.produce")] {
        let label = label(case, &even, &[("fresh_produce", 1_000_000)], 0);
        let found = fitted(case, label, &[(sop, 800_000), (other, 500_000)], 900_000);
        assert_eq!(found.sop.as_deref(), Some(sop));
        // Odds of 4 against 1: the scales tip, but that is no proof.
        assert_eq!((found.score, found.certain), (p(800_000), false));
    }
}

#[test]
fn labels_follow_the_sop_that_governs() {
    let (case, _) = of_sop("quality_visible.wear");
    let scenes = [("quality_visible", 600_000), ("wrong_item", 400_000)];
    let found = label(case, &scenes, &[("apparel", 700_000), ("phone", 300_000)], 0);
    let under = |id: &str| {
        let label = found.under(BOOK.sop(id).unwrap());
        (label.scene.id, label.goods_type.id, label.certain)
    };
    assert_eq!(under("quality_visible.wear"), ("quality_visible".to_owned(), "apparel".to_owned(), true));
    assert_eq!(under("quality_visible.3c"), ("quality_visible".to_owned(), "phone".to_owned(), false));
    assert_eq!(under("wrong_item.general").0, "wrong_item");
}

#[test]
fn no_pair_that_a_rule_governs_means_no_sop() {
    let (case, _) = &PUBLIC[0];
    let found = policy(case, label(case, &[("fresh_spoiled", 1_000_000)], &[("furniture", 1_000_000)], 0), 0);
    assert_eq!((found.sop, found.version, found.certain), (None, None, false));
    assert!(found.candidates.is_empty());
}

/// The SOP's finding without its labels.
fn governed(sop: &str) -> Findings {
    let sop = BOOK.sop(sop).unwrap();
    let policy = PolicyFinding {
        sop: Some(sop.id.0.clone()),
        version: Some(sop.version),
        score: Probability::ONE,
        certain: true,
        candidates: Vec::new(),
    };
    Findings { policy: Some(policy), ..Findings::default() }
}

#[test]
fn the_likeliest_candidate_is_the_measure() {
    let with = |(case, gold): &&(Case, Gold)| {
        let wanted = gold.quantities.missing_count.map(Value::Count);
        let found = candidates(case, MeasureKind::Count);
        wanted.is_some_and(|wanted| found.len() > 1 && found.iter().any(|c| c.value == wanted))
    };
    let (case, gold) = PUBLIC.iter().find(with).unwrap();
    let wanted = i64::from(gold.quantities.missing_count.unwrap());
    let list = candidates(case, MeasureKind::Count);
    let right = list.iter().position(|c| c.value == Value::Count(wanted as u32)).unwrap();
    let say = |i: usize, best: u32| {
        let likely = if i == right { best } else { 0 };
        answer([("is_value", spread(&["no", "yes"], &[("yes", likely), ("no", 1_000_000 - likely)]))])
    };
    for (best, sure, certain) in [(900_000, 900_000, true), (899_999, 900_000, false), (2, 0, true)] {
        let answers: Vec<Answer> = (0..list.len()).map(|i| say(i, best)).collect();
        let found = judge(NodeId::Measure, case, &governed(&gold.sop), &answers, &thresholds(p(sure)));
        let Finding::Measure(found) = found else { panic!("{found:?}") };
        let [measured] = found.measures.as_slice() else { panic!("{found:?}") };
        assert_eq!((measured.value, measured.probability, measured.certain), (Some(wanted), p(best), certain));
        let span = measured.span.as_ref().unwrap();
        let source: serde_json::Value = serde_json::from_slice(case.canonical()).unwrap();
        let pointer = span.path.replace("$", "").replace(['.', '['], "/").replace(']', "");
        let text: Vec<char> = source.pointer(&pointer).unwrap().as_str().unwrap().chars().collect();
        assert_eq!(text[span.start..span.end].iter().collect::<String>(), span.text);
    }
}

#[test]
fn witnesses_of_one_value_speak_together() {
    let twice = |(case, _): &&(Case, Gold)| {
        let found = candidates(case, MeasureKind::Count);
        found.len() > 2
            && found[1..].iter().any(|c| c.value == found[0].value)
            && found.iter().any(|c| c.value != found[0].value)
    };
    let measured = |gold: &Gold| gold.quantities.missing_count.is_some();
    let (case, gold) = PUBLIC.iter().filter(|(_, g)| measured(g)).find(twice).unwrap();
    let list = candidates(case, MeasureKind::Count);
    let rival = list.iter().position(|c| c.value != list[0].value).unwrap();
    let second = (1..list.len()).find(|&i| list[i].value == list[0].value).unwrap();
    let answers: Vec<Answer> = (0..list.len())
        .map(|i| {
            let yes = if i == rival {
                600_000
            } else if i == 0 || i == second {
                500_000
            } else {
                0
            };
            answer([("is_value", spread(&["no", "yes"], &[("yes", yes), ("no", 1_000_000 - yes)]))])
        })
        .collect();
    let found = judge(NodeId::Measure, case, &governed(&gold.sop), &answers, &thresholds(Probability::ONE));
    let Finding::Measure(found) = found else { panic!("{found:?}") };
    let Value::Count(said_twice) = list[0].value else { panic!("{:?}", list[0]) };
    // Odds 1/(0.5 * 0.5) - 1 = 3 against 1/0.4 - 1 = 1.5: 3 / (1 + 3 + 1.5).
    assert_eq!((found.measures[0].value, found.measures[0].probability), (Some(i64::from(said_twice)), p(545_455)));
}

#[test]
fn an_sop_without_measures_asks_for_none() {
    let (case, gold) = of_sop("invoice.general");
    let found = judge(NodeId::Measure, case, &governed(&gold.sop), &[], &thresholds(Probability::ONE));
    assert!(matches!(found, Finding::Measure(found) if found.measures.is_empty()));
}

/// The finding on the one buyer's item of a case, whose verdict is spread like this.
fn evidence(weights: &[(&str, u32)], sure: u32) -> EvidenceFinding {
    let single = |(case, gold): &&(Case, Gold)| {
        let [item] = case.evidence.as_slice() else { return false };
        let [requirement] = BOOK.sop(&gold.sop).unwrap().buyer.as_slice() else { return false };
        item.party == Party::Buyer && requirement.accepts.contains(&item.kind) && gold.evidence.buyer == "sufficient"
    };
    let (case, gold) = PUBLIC.iter().find(single).unwrap();
    let said = answer([("verdict", spread(&VERDICTS, weights))]);
    match judge(NodeId::Evidence, case, &governed(&gold.sop), &[said], &thresholds(p(sure))) {
        Finding::Evidence(finding) => finding,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_item_less_likely_than_the_threshold_is_in_doubt() {
    let weights = [("valid", 600_000), ("unclear", 200_000), ("unrelated", 200_000)];
    for (sure, certain) in [(500_000, true), (600_000, true), (600_001, false), (750_000, false), (1_000_000, false)] {
        let found = evidence(&weights, sure);
        assert_eq!(found.items[0].certain, certain, "{sure}: {:?}", found.items[0]);
        assert_eq!(found.buyer.certain(), certain, "{sure}: {:?}", found.buyer);
        assert_eq!(found.buyer.verdict, Sufficiency::Sufficient);
    }
    // All three readings are needed to be so sure.
    assert_eq!(evidence(&weights, 950_000).buyer.possible.len(), 3);
}

#[test]
fn an_item_may_meet_another_requirement_than_it_seems_to_aim_at() {
    // The first item meets the first requirement; the second seems to meet that as well, and may meet the other.
    let sop = BOOK.sop("promise_breach.general").unwrap();
    let fits = |(case, gold): &&(Case, Gold)| {
        let asked = |n: usize| case.evidence.get(n).map_or(0, |i| requirements(sop, Party::Buyer, &i.kind).len());
        gold.sop == "promise_breach.general"
            && case.evidence.iter().filter(|i| i.party == Party::Buyer).count() == 2
            && case.evidence[..2].iter().all(|i| i.party == Party::Buyer)
            && (asked(0), asked(1)) == (1, 2)
    };
    let (case, _) = PUBLIC.iter().find(fits).unwrap();
    let verdict = |valid: u32| {
        let weights = [("valid", valid), ("unrelated", 1_000_000 - valid)];
        answer([("verdict", spread(&VERDICTS, &weights))])
    };
    let sellers = case.evidence[2..].iter().flat_map(|i| requirements(sop, i.party, &i.kind)).map(|_| verdict(0));
    for (other, possible) in [(50_000, 1), (150_000, 2)] {
        let answers: Vec<Answer> =
            [verdict(1_000_000), verdict(950_000), verdict(other)].into_iter().chain(sellers.clone()).collect();
        let found = judge(NodeId::Evidence, case, &governed(&sop.id.0), &answers, &thresholds(p(900_000)));
        let Finding::Evidence(found) = found else { panic!("{found:?}") };
        assert_eq!(found.buyer.verdict, Sufficiency::Insufficient);
        assert_eq!(
            (found.buyer.possible.len(), found.items[1].certain),
            (possible, possible == 1),
            "{:?}",
            found.buyer
        );
    }
}

#[test]
fn defects_of_an_item_speak_together_against_it() {
    let found = evidence(&[("valid", 400_000), ("unclear", 300_000), ("offsite", 300_000)], 0);
    let item = &found.items[0];
    assert_eq!((item.valid, item.defect.as_deref(), item.probability), (false, Some("unclear"), p(600_000)));
    assert_eq!(found.buyer.verdict, Sufficiency::Insufficient);
}

#[test]
fn one_who_is_asked_in_vain_cannot_judge() {
    let (case, _) = &PUBLIC[0];
    let thresholds = thresholds(Probability::ZERO);
    let rules = Rules { book: &BOOK, index: &INDEX, thresholds: &thresholds };
    let wrong = answer([("is_value", yes(true)), ("verdict", certain(&VERDICTS, "valid"))]);
    for answers in [&[][..], &[wrong]] {
        let error = node(NodeId::Label).judge(case, &Findings::default(), answers, rules).unwrap_err();
        assert_eq!(error.to_string(), "the judge's answer lacks the head `scene`");
    }
    let error = node(NodeId::Policy).judge(case, &Findings::default(), &[], rules).unwrap_err();
    assert_eq!(error.to_string(), "the label node has not run yet");
}
