//! What the SOP orders: the row of its decision table that the findings hit, with exact money.
//!
//! The table is read twice: with the likeliest value of every fact, for the remedy that is proposed, and with
//! only what is certain, to see whether the doubtful facts matter. If they do, a person decides.

use serde::Serialize;

use super::facts::{case_facts, money, sop_of};
use super::timeliness::Verdict;
use super::{Finding, Findings, Node, NodeError, NodeId, PartyVerdict, Rules};
use crate::case::Case;
use crate::judge::{Answer, Question};
use crate::sop::duration::IntervalSet;
use crate::sop::facts::{Fact, Facts, Sufficiency};
use crate::sop::{FreightBy, Remedy as Remedied, Ruling, Sop};

/// The remedy proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Remedy id.
    pub kind: String,
    /// Yuan, two decimals.
    pub refund: String,
    /// Yuan, two decimals.
    pub compensation: String,
    /// Who pays freight.
    pub freight_by: FreightBy,
    /// Whether the goods go back.
    pub return_goods: bool,
    /// Row of the SOP's table, from 1; `None` when no row could be read.
    pub row: Option<usize>,
    /// Clauses the row rests on.
    pub clauses: Vec<String>,
    /// Seconds for performance.
    pub within_seconds: i64,
    /// Fen.
    #[serde(skip)]
    pub refund_fen: i64,
    /// Fen.
    #[serde(skip)]
    pub compensation_fen: i64,
}

/// The nearest change of one fact that would lead to another remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactFlip {
    /// The fact.
    pub fact: String,
    /// Its value in the case.
    pub from: String,
    /// The nearest value with another remedy.
    pub to: String,
    /// That remedy.
    pub remedy: String,
    /// Its row, from 1.
    pub row: usize,
    /// What would then be refunded, in yuan, where the row stays and the amount changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<String>,
    /// The value in the fact's unit.
    #[serde(skip)]
    pub to_value: i64,
}

/// The finding of the remedy node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RemedyFinding {
    /// What is proposed.
    pub proposal: Proposal,
    /// True when every likely reading of the case leads to this remedy and these amounts.
    pub certain: bool,
    /// Facts in doubt, or missing, on which the remedy depends.
    pub depends_on: Vec<String>,
    /// What would have changed it, fact by fact.
    pub flips: Vec<FactFlip>,
}

/// The node.
pub(super) struct Remedy;

impl Node for Remedy {
    fn id(&self) -> NodeId {
        NodeId::Remedy
    }

    fn needs(&self, _: &Case, _: &Findings, _: Rules<'_>) -> Result<Vec<Question>, NodeError> {
        Ok(Vec::new())
    }

    fn judge(&self, case: &Case, findings: &Findings, _: &[Answer], rules: Rules<'_>) -> Result<Finding, NodeError> {
        let Some(sop) = sop_of(findings, rules)? else {
            return Ok(Finding::Remedy(undetermined(Vec::new(), vec!["sop".to_owned()])));
        };
        let (likely, certain) = (facts(case, findings, false)?, facts(case, findings, true)?);
        let tiers = &rules.book.head.tiers;
        let sure = sop.rule(&certain, tiers);
        let finding = match sop.rule(&likely, tiers) {
            Ruling::Decided(remedy) => {
                let stands = sure == Ruling::Decided(remedy.clone());
                let row = &sop.rows[remedy.row];
                RemedyFinding {
                    certain: stands,
                    depends_on: if stands { Vec::new() } else { doubts(sop, &likely, &certain, remedy.row) },
                    flips: flips(sop, &likely, &remedy, tiers),
                    proposal: Proposal {
                        kind: remedy.kind,
                        refund: money(remedy.refund),
                        compensation: money(remedy.compensation),
                        freight_by: remedy.freight_by,
                        return_goods: remedy.return_goods,
                        row: Some(remedy.row + 1),
                        clauses: row.cite.clone(),
                        within_seconds: remedy.within,
                        refund_fen: remedy.refund,
                        compensation_fen: remedy.compensation,
                    },
                }
            }
            Ruling::Undetermined { rows, missing } => {
                let clauses = rows.first().map_or_else(Vec::new, |r| sop.rows[*r].cite.clone());
                undetermined(clauses, missing.iter().map(ToString::to_string).collect())
            }
            Ruling::Overflow { row } => undetermined(sop.rows[row].cite.clone(), vec!["amount".to_owned()]),
        };
        Ok(Finding::Remedy(finding))
    }
}

/// Without a fact that decides, the one thing to propose that harms nobody: ask for what is missing.
fn undetermined(clauses: Vec<String>, depends_on: Vec<String>) -> RemedyFinding {
    RemedyFinding {
        proposal: Proposal {
            kind: "request_evidence".to_owned(),
            refund: money(0),
            compensation: money(0),
            freight_by: FreightBy::None,
            return_goods: false,
            row: None,
            clauses,
            within_seconds: 72 * 3600,
            refund_fen: 0,
            compensation_fen: 0,
        },
        certain: false,
        depends_on,
        flips: Vec::new(),
    }
}

/// The facts the table is read with: the likeliest value of each, or only what is certain.
pub(super) fn facts(case: &Case, findings: &Findings, only_certain: bool) -> Result<Facts, NodeError> {
    let timeliness = Findings::required(&findings.timeliness, NodeId::Timeliness)?;
    let evidence = Findings::required(&findings.evidence, NodeId::Evidence)?;
    let measure = Findings::required(&findings.measure, NodeId::Measure)?;
    let mut facts = case_facts(case);
    if timeliness.verdict != Verdict::Unknown {
        if only_certain {
            let possible = timeliness.possible_elapsed.iter().map(|&s| (s, s));
            facts.set_possible(Fact::Elapsed, IntervalSet::from_ranges(possible));
        } else {
            facts.set_opt(Fact::Elapsed, timeliness.elapsed_seconds);
        }
    }
    for (fact, party) in [(Fact::Buyer, &evidence.buyer), (Fact::Seller, &evidence.seller)] {
        set_party(&mut facts, fact, party, only_certain);
    }
    for measured in measure.measures.iter().filter(|m| m.certain || !only_certain) {
        facts.set_opt(measured.id.fact(), measured.value);
    }
    Ok(facts)
}

fn set_party(facts: &mut Facts, fact: Fact, party: &PartyVerdict, only_certain: bool) {
    if party.verdict == Sufficiency::NotRequired {
        return;
    }
    if only_certain {
        facts.set_possible(fact, IntervalSet::from_ranges(party.possible.iter().map(|s| (s.index(), s.index()))));
    } else {
        facts.set(fact, party.verdict.index());
    }
}

/// The facts that are known by likelihood only and matter for the row hit.
fn doubts(sop: &Sop, likely: &Facts, certain: &Facts, row: usize) -> Vec<String> {
    let outcome = &sop.rows[row].outcome;
    let used = sop.columns.iter().cloned().chain(outcome.refund.facts()).chain(outcome.compensation.facts());
    let mut out: Vec<String> =
        used.filter(|f| likely.get(f).is_some() && certain.get(f).is_none()).map(|f| f.to_string()).collect();
    out.dedup();
    out
}

fn flips(sop: &Sop, facts: &Facts, remedy: &Remedied, tiers: &[i64]) -> Vec<FactFlip> {
    let to_another_row = sop.flips(facts, remedy.row).into_iter().map(|flip| FactFlip {
        fact: flip.fact.to_string(),
        from: flip.fact.format_value(flip.from),
        to: flip.fact.format_value(flip.to),
        remedy: sop.rows[flip.row].outcome.remedy.clone(),
        row: flip.row + 1,
        refund: None,
        to_value: flip.to,
    });
    let to_another_amount = sop.measures.iter().filter_map(|m| amount_flip(sop, facts, remedy, tiers, m.fact()));
    to_another_row.chain(to_another_amount).collect()
}

/// The nearest value of a share or a count with another refund. Amounts that are read are paid as they are: nothing is near.
fn amount_flip(sop: &Sop, facts: &Facts, remedy: &Remedied, tiers: &[i64], fact: Fact) -> Option<FactFlip> {
    let from = facts.get(&fact)?;
    let mut near: Vec<i64> = match fact {
        // A refund changes where one tier ends and the next begins, in parts per million.
        Fact::SeverityRatio => {
            tiers.iter().flat_map(|t| [t * 10_000, t * 10_000 + 1]).filter(|v| *v <= 1_000_000).collect()
        }
        Fact::MissingCount => [from - 1, from + 1].into_iter().filter(|v| *v > 0).collect(),
        _ => Vec::new(),
    };
    near.sort_by_key(|v| v.abs_diff(from));
    near.into_iter().find_map(|to| {
        let mut other = facts.clone();
        other.set(fact.clone(), to);
        match sop.rule(&other, tiers) {
            Ruling::Decided(r) if r.row == remedy.row && r.refund != remedy.refund => Some(FactFlip {
                fact: fact.to_string(),
                from: fact.format_value(from),
                to: fact.format_value(to),
                remedy: r.kind,
                row: r.row + 1,
                refund: Some(money(r.refund)),
                to_value: to,
            }),
            _ => None,
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sop::{RuleBook, load};
    use std::path::Path;

    fn flips_of(book: &RuleBook, id: &str, facts: &Facts) -> Vec<FactFlip> {
        let sop = book.sop(id).unwrap();
        let Ruling::Decided(remedy) = sop.rule(facts, &book.head.tiers) else { panic!("undecided") };
        flips(sop, facts, &remedy, &book.head.tiers)
    }

    #[test]
    fn the_nearest_other_refund_is_named() {
        let book = load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sop_rules/demo"))).unwrap();
        let mut facts = Facts::new();
        facts.set(Fact::Elapsed, 3600).set(Fact::Total, 10_000).set(Fact::Freight, 0).set(Fact::GoodsTotal, 10_000);
        facts.set(Fact::Buyer, Sufficiency::Sufficient.index()).set(Fact::Seller, Sufficiency::None.index());
        facts.set(Fact::SeverityRatio, 350_000).set(Fact::UnitPrice, 2_000).set(Fact::MissingCount, 1);
        let ratio = flips_of(&book, "fresh_spoiled.produce", &facts);
        let ratio = ratio.iter().find(|f| f.fact == "severity_ratio").unwrap();
        // 0.35 pays 50%; the nearest share that pays something else is 0.3, which pays 30%.
        assert_eq!((ratio.to.as_str(), ratio.refund.as_deref()), ("0.3", Some("30.00")));
        let count = flips_of(&book, "missing_items.general", &facts);
        let count = count.iter().find(|f| f.fact == "missing_count").unwrap();
        assert_eq!((count.to.as_str(), count.refund.as_deref()), ("2", Some("40.00")));
    }
}
