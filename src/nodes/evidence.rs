//! What each item of evidence proves, and whether each party has proved what the SOP asks of it.
//!
//! A model says whether an item meets a requirement and, if not, what is wrong with it. Lateness is arithmetic, and so is
//! whether it shows the number of another parcel or order: then it meets nothing, whatever the model says.
//! An item counts for at most one requirement: the one it most probably aims at.

use std::collections::BTreeSet;

use serde::Serialize;

use super::facts::sop_of;
use super::text::{self, Comparison, OtherOrder};
use super::{Finding, Findings, Node, NodeError, NodeId, Rules, head};
use crate::case::{Case, Evidence as CaseItem, Party};
use crate::judge::{Answer, Distribution, Probability, Question, Task};
use crate::sop::facts::Sufficiency;
use crate::sop::{Requirement, Sop};

/// Undetermined items beyond which a party's verdict is simply undetermined: 3^6 combinations are enough.
const MAX_DOUBTFUL: usize = 6;

/// One item's finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// The item.
    pub evidence_id: String,
    /// Whose it is.
    pub party: Party,
    /// Its kind.
    pub kind: String,
    /// The requirement it aims at; `None` when it is unrelated.
    pub requirement: Option<String>,
    /// Whether it meets it.
    pub valid: bool,
    /// What is wrong when it does not.
    pub defect: Option<String>,
    /// That `valid` is right.
    pub probability: Probability,
    /// The numbers, days and amounts that it shows and how they compare with the case's.
    pub compared: Vec<Comparison>,
    /// The number of another parcel or order that it shows: with one, it meets nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_order: Option<OtherOrder>,
    /// Seconds past the evidence period, when it came too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_by_seconds: Option<i64>,
    /// True when no other reading of the item is likely enough to matter.
    pub certain: bool,
    /// Every reading likely enough to matter; the finding's own is the first.
    #[serde(skip)]
    readings: Vec<Reading>,
}

/// What an item may amount to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reading {
    /// Meets this requirement.
    Meets(String),
    /// Aims at a requirement and fails it.
    Fails,
    /// Aims at none.
    Unrelated,
}

/// One party's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartyVerdict {
    /// By the likeliest reading of each item.
    pub verdict: Sufficiency,
    /// Every verdict that a likely reading of the items leads to.
    pub possible: BTreeSet<Sufficiency>,
    /// Requirements without a valid item, by the likeliest readings.
    pub unmet: Vec<String>,
}

impl PartyVerdict {
    /// True when every likely reading leads to the same verdict.
    pub fn certain(&self) -> bool {
        self.possible.len() == 1
    }
}

/// The finding of the evidence node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceFinding {
    /// The buyer's.
    pub buyer: PartyVerdict,
    /// The seller's.
    pub seller: PartyVerdict,
    /// Each item, in the case's order.
    pub items: Vec<Item>,
}

/// The node.
pub(super) struct Evidence;

/// The requirements of a party that this kind of evidence can meet.
pub fn requirements<'a>(sop: &'a Sop, party: Party, kind: &str) -> Vec<&'a Requirement> {
    let list = if party == Party::Buyer { &sop.buyer } else { &sop.seller };
    list.iter().filter(|r| r.accepts.iter().any(|k| k == kind)).collect()
}

impl Node for Evidence {
    fn id(&self) -> NodeId {
        NodeId::Evidence
    }

    fn needs(&self, case: &Case, findings: &Findings, rules: Rules<'_>) -> Result<Vec<Question>, NodeError> {
        let Some(sop) = sop_of(findings, rules)? else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for item in &case.evidence {
            let all = requirements(sop, item.party, &item.kind);
            for target in &all {
                let rivals: Vec<&str> = all.iter().filter(|r| r.id != target.id).map(|r| r.text.zh.as_str()).collect();
                let text = text::supports(case, item, &target.text.zh, &rivals, rules.book.head.time_zone);
                out.push(Question { task: Task::Supports, text });
            }
        }
        Ok(out)
    }

    fn judge(
        &self,
        case: &Case,
        findings: &Findings,
        answers: &[Answer],
        rules: Rules<'_>,
    ) -> Result<Finding, NodeError> {
        let sop = sop_of(findings, rules)?;
        let mut answers = answers.iter();
        let mut items = Vec::new();
        for item in &case.evidence {
            let targets = sop.map_or_else(Vec::new, |sop| requirements(sop, item.party, &item.kind));
            let mut asked = Vec::new();
            for target in targets {
                asked.push((target, head(answers.next(), "verdict")?));
            }
            items.push(judge_item(case, item, &asked, rules));
        }
        let verdict = |party: Party, list: &[Requirement]| {
            let own: Vec<&Item> = items.iter().filter(|i| i.party == party).collect();
            party_verdict(list, &own)
        };
        let none: &[Requirement] = &[];
        let buyer = verdict(Party::Buyer, sop.map_or(none, |s| &s.buyer));
        let seller = verdict(Party::Seller, sop.map_or(none, |s| &s.seller));
        Ok(Finding::Evidence(EvidenceFinding { buyer, seller, items }))
    }
}

fn judge_item(case: &Case, item: &CaseItem, asked: &[(&Requirement, &Distribution)], rules: Rules<'_>) -> Item {
    let p = |d: &Distribution, label: &str| d.get(label).as_f64();
    let period =
        if item.party == Party::Buyer { rules.book.head.buyer_evidence } else { rules.book.head.seller_evidence };
    let after = item.submitted_at.since(case.opened_at);
    let over = after.num_seconds() + i64::from(after.subsec_nanos() > 0) - period;
    let late = (over > 0).then_some(over);
    let other_order = text::other_order(case, item);

    // The requirement it most probably aims at; the first of equals.
    let mut best: Option<(&Requirement, &Distribution, f64)> = None;
    for &(requirement, d) in asked {
        let aims = 1.0 - p(d, "unrelated");
        if best.is_none_or(|(.., other)| aims > other) {
            best = Some((requirement, d, aims));
        }
    }
    let mut weighed: Vec<(f64, Reading)> = match best {
        None => vec![(1.0, Reading::Unrelated)],
        Some((requirement, d, aims)) => {
            let meets = if late.is_some() || other_order.is_some() { 0.0 } else { p(d, "valid") };
            vec![
                (meets, Reading::Meets(requirement.id.clone())),
                (aims - meets, Reading::Fails),
                (1.0 - aims, Reading::Unrelated),
            ]
        }
    };
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
    let likeliest = weighed[0].1.clone();
    // The fewest readings that together reach the threshold. Each by itself could be unlikely while all others together
    // are not, so a single one is enough only when it reaches the threshold alone.
    let mut reached = Probability::ZERO;
    let mut readings = Vec::new();
    for (p, reading) in &weighed {
        if readings.is_empty() || (reached < rules.thresholds.evidence && *p > 0.0) {
            readings.push(reading.clone());
            reached = super::probability(reached.as_f64() + p);
        }
    }

    // It may aim at another requirement after all, and meet that.
    if late.is_none() && other_order.is_none() {
        let doubt = 1.0 - rules.thresholds.evidence.as_f64();
        let others = asked.iter().filter(|(requirement, _)| best.is_none_or(|(own, ..)| own.id != requirement.id));
        let meeting = others.filter(|(_, d)| p(d, "valid") > doubt);
        readings.extend(meeting.map(|(requirement, _)| Reading::Meets(requirement.id.clone())));
    }

    let valid = matches!(likeliest, Reading::Meets(_));
    let p_valid: f64 = weighed.iter().filter(|(_, r)| matches!(r, Reading::Meets(_))).map(|(p, _)| p).sum();
    let (requirement, defect) = match (&likeliest, best) {
        (Reading::Meets(id), _) => (Some(id.clone()), None),
        (Reading::Fails, Some((requirement, d, _))) => {
            let defect = match (&late, &other_order) {
                (Some(_), _) => "late".to_owned(),
                (_, Some(_)) => "wrong_order".to_owned(),
                _ => worst_defect(d),
            };
            (Some(requirement.id.clone()), Some(defect))
        }
        _ => (None, Some("unrelated".to_owned())),
    };
    Item {
        evidence_id: item.evidence_id.as_str().to_owned(),
        party: item.party,
        kind: item.kind.clone(),
        requirement,
        valid,
        defect,
        probability: super::probability(if valid { p_valid } else { 1.0 - p_valid }),
        compared: text::comparisons(case, item, rules.book.head.time_zone),
        other_order,
        late_by_seconds: late,
        certain: readings.len() == 1,
        readings,
    }
}

/// The most probable defect among those an item that aims at a requirement can have.
fn worst_defect(d: &Distribution) -> String {
    let mut best = ("incomplete", Probability::ZERO);
    for (label, p) in d.labels.iter().zip(&d.p) {
        if !matches!(label.as_str(), "valid" | "unrelated") && *p > best.1 {
            best = (label, *p);
        }
    }
    best.0.to_owned()
}

fn party_verdict(requirements: &[Requirement], items: &[&Item]) -> PartyVerdict {
    let likeliest: Vec<&Reading> = items.iter().filter_map(|i| i.readings.first()).collect();
    let unmet = requirements.iter().filter(|r| !met(r, &likeliest)).map(|r| r.id.clone()).collect();
    let verdict = sufficiency(requirements, &likeliest);
    let mut possible = BTreeSet::from([verdict]);
    if items.iter().filter(|i| !i.certain).count() > MAX_DOUBTFUL {
        possible = BTreeSet::from([Sufficiency::Sufficient, Sufficiency::Insufficient, Sufficiency::None]);
    } else {
        combine(requirements, items, &mut Vec::new(), &mut possible);
    }
    PartyVerdict { verdict, possible, unmet }
}

/// Tries every combination of likely readings.
fn combine<'a>(
    requirements: &[Requirement],
    items: &[&'a Item],
    chosen: &mut Vec<&'a Reading>,
    possible: &mut BTreeSet<Sufficiency>,
) {
    let Some((item, rest)) = items.split_first() else {
        possible.insert(sufficiency(requirements, chosen));
        return;
    };
    for reading in &item.readings {
        chosen.push(reading);
        combine(requirements, rest, chosen, possible);
        chosen.pop();
    }
}

fn met(requirement: &Requirement, readings: &[&Reading]) -> bool {
    readings.iter().any(|r| matches!(r, Reading::Meets(id) if *id == requirement.id))
}

/// The rule of the pack: sufficient when each requirement has a valid item, none when no item aims at one.
fn sufficiency(requirements: &[Requirement], readings: &[&Reading]) -> Sufficiency {
    if requirements.is_empty() {
        Sufficiency::NotRequired
    } else if requirements.iter().all(|r| met(r, readings)) {
        Sufficiency::Sufficient
    } else if readings.iter().all(|r| **r == Reading::Unrelated) {
        Sufficiency::None
    } else {
        Sufficiency::Insufficient
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sop::Bilingual;

    fn requirement(id: &str) -> Requirement {
        Requirement {
            id: id.into(),
            text: Bilingual { zh: id.into(), en: id.into() },
            accepts: vec!["product_photo".into()],
        }
    }

    fn item(readings: Vec<Reading>) -> Item {
        Item {
            evidence_id: "B1".into(),
            party: Party::Buyer,
            kind: "product_photo".into(),
            requirement: None,
            valid: false,
            defect: None,
            probability: Probability::ONE,
            compared: Vec::new(),
            other_order: None,
            late_by_seconds: None,
            certain: readings.len() == 1,
            readings,
        }
    }

    #[test]
    fn a_party_is_judged_by_all_its_requirements() {
        let asked = [requirement("a"), requirement("b")];
        let meets = |id: &str| Reading::Meets(id.into());
        for (readings, want) in [
            (vec![], Sufficiency::None),
            (vec![Reading::Unrelated], Sufficiency::None),
            (vec![meets("a")], Sufficiency::Insufficient),
            (vec![Reading::Fails], Sufficiency::Insufficient),
            (vec![meets("a"), Reading::Fails, meets("b")], Sufficiency::Sufficient),
        ] {
            let items: Vec<Item> = readings.into_iter().map(|r| item(vec![r])).collect();
            let verdict = party_verdict(&asked, &items.iter().collect::<Vec<_>>());
            assert_eq!(verdict.verdict, want);
            assert!(verdict.certain());
        }
        assert_eq!(party_verdict(&[], &[]).verdict, Sufficiency::NotRequired);
    }

    #[test]
    fn doubt_about_an_item_matters_only_when_it_changes_the_verdict() {
        let asked = [requirement("a")];
        let doubtful = item(vec![Reading::Meets("a".into()), Reading::Fails]);
        let sure = item(vec![Reading::Meets("a".into())]);
        assert!(!party_verdict(&asked, &[&doubtful]).certain());
        assert!(party_verdict(&asked, &[&doubtful, &sure]).certain());
        let many: Vec<&Item> = std::iter::repeat_n(&doubtful, MAX_DOUBTFUL + 1).collect();
        assert!(!party_verdict(&asked, &many).certain());
    }
}
