//! A fact set by hand: what would be decided if a node had found something else. For counterfactuals alone; nothing that
//! was edited is ever recorded.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::TimeDelta;

use super::facts::sop_of;
use super::measure::ReadFrom;
use super::{EvidenceFinding, Finding, Findings, MeasureFinding, Measured, NodeError, PolicyFinding, Rules};
use super::{TimelinessFinding, Verdict};
use crate::case::Party;
use crate::judge::Probability;
use crate::sop::duration::parse_duration;
use crate::sop::facts::{Sufficiency, Type};
use crate::sop::{Measure, parse_scaled};

/// One fact, certain from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// `sop=ID`: the SOP that governs, in its newest version.
    Sop(String),
    /// `timeliness=in_time` or `expired`: the nearest elapsed time with that verdict.
    Timeliness(Verdict),
    /// `elapsed=48h`: from the clock's start to the first report.
    Elapsed(i64),
    /// `buyer=sufficient`, `seller=none` and the like: what a party has proved.
    Proof(Party, Sufficiency),
    /// `severity_ratio=0.35`, `missing_count=2`, `receipt_amount=12.30`, `price_diff=5.00`.
    Measure(Measure, i64),
}

/// A text is no edit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no fact that can be set; write timeliness=in_time|expired, elapsed=48h, buyer=… or \
     seller=sufficient|insufficient|none, severity_ratio=0.35, missing_count=2, receipt_amount=12.30, price_diff=5.00 or sop=ID"
)]
pub struct UnknownEdit(String);

impl FromStr for Edit {
    type Err = UnknownEdit;

    fn from_str(text: &str) -> Result<Self, UnknownEdit> {
        let unknown = || UnknownEdit(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(unknown)?;
        let (name, value) = (name.trim(), value.trim());
        let proof = |party| {
            let verdict = value.parse::<Sufficiency>().ok().filter(|s| *s != Sufficiency::NotRequired);
            verdict.map(|s| Edit::Proof(party, s))
        };
        let edit = match (name, value) {
            ("sop", id) if !id.is_empty() => Some(Edit::Sop(id.to_owned())),
            ("timeliness", "in_time") => Some(Edit::Timeliness(Verdict::InTime)),
            ("timeliness", "expired") => Some(Edit::Timeliness(Verdict::Expired)),
            ("elapsed", span) => parse_duration(span).ok().map(Edit::Elapsed),
            ("buyer", _) => proof(Party::Buyer),
            ("seller", _) => proof(Party::Seller),
            _ => Measure::ALL.iter().find(|m| m.0 == name).and_then(|(.., measure)| {
                let digits = match measure.fact().ty() {
                    Type::Ratio => 6,
                    Type::Money => 2,
                    _ => 0,
                };
                parse_scaled(value, digits).map(|v| Edit::Measure(*measure, v))
            }),
        };
        edit.ok_or_else(unknown)
    }
}

impl Edit {
    /// Changes a finding, if it is the one that this edit is about. `before` are the findings of the waves before.
    pub fn apply(&self, finding: &mut Finding, before: &Findings, rules: Rules<'_>) -> Result<(), NodeError> {
        match (self, finding) {
            (Edit::Sop(id), Finding::Policy(policy)) => set_sop(policy, id, rules)?,
            (Edit::Timeliness(verdict), Finding::Timeliness(t)) => {
                let within = sop_of(before, rules)?.map_or(0, |sop| sop.clock.within);
                let elapsed = t.elapsed_seconds.unwrap_or(0);
                let nearest = if *verdict == Verdict::InTime { elapsed.min(within) } else { elapsed.max(within + 1) };
                set_elapsed(t, nearest, within);
            }
            (Edit::Elapsed(seconds), Finding::Timeliness(t)) => {
                let within = sop_of(before, rules)?.map_or(0, |sop| sop.clock.within);
                set_elapsed(t, *seconds, within);
            }
            (Edit::Proof(party, verdict), Finding::Evidence(e)) => set_proof(e, *party, *verdict),
            (Edit::Measure(measure, value), Finding::Measure(m)) => set_measure(m, *measure, *value),
            _ => {}
        }
        Ok(())
    }
}

fn set_sop(policy: &mut PolicyFinding, id: &str, rules: Rules<'_>) -> Result<(), NodeError> {
    let sop = rules.book.sop(id).ok_or_else(|| NodeError::NoSop(id.to_owned()))?;
    policy.sop = Some(sop.id.0.clone());
    policy.version = Some(sop.version);
    policy.score = Probability::ONE;
    policy.certain = true;
    Ok(())
}

fn set_elapsed(t: &mut TimelinessFinding, elapsed: i64, within: i64) {
    t.verdict = if elapsed > within { Verdict::Expired } else { Verdict::InTime };
    t.elapsed_seconds = Some(elapsed);
    t.possible_elapsed = vec![elapsed];
    t.probability = Probability::ONE;
    t.certain = true;
    let at = t.clock_start.zip(TimeDelta::try_seconds(elapsed)).and_then(|(start, span)| start.checked_add(span));
    t.first_report.at = at.unwrap_or(t.first_report.at);
}

fn set_proof(e: &mut EvidenceFinding, party: Party, verdict: Sufficiency) {
    let own = if party == Party::Buyer { &mut e.buyer } else { &mut e.seller };
    // What an SOP does not ask for cannot be proved or missing.
    if own.verdict == Sufficiency::NotRequired {
        return;
    }
    own.verdict = verdict;
    own.possible = BTreeSet::from([verdict]);
    if verdict == Sufficiency::Sufficient {
        own.unmet.clear();
    }
}

fn set_measure(m: &mut MeasureFinding, measure: Measure, value: i64) {
    for measured in m.measures.iter_mut().filter(|m| m.id == measure) {
        let text = measure.fact().format_value(value);
        let span = Some(ReadFrom { path: "$".to_owned(), start: 0, end: 0, text });
        *measured = Measured { id: measure, value: Some(value), span, probability: Probability::ONE, certain: true };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_says_it_reads() {
        for (text, edit) in [
            ("timeliness=expired", Edit::Timeliness(Verdict::Expired)),
            ("elapsed = 1d12h", Edit::Elapsed(129_600)),
            ("buyer=insufficient", Edit::Proof(Party::Buyer, Sufficiency::Insufficient)),
            ("severity_ratio=0.35", Edit::Measure(Measure::SeverityRatio, 350_000)),
            ("missing_count=2", Edit::Measure(Measure::MissingCount, 2)),
            ("receipt_amount=12.3", Edit::Measure(Measure::ReceiptAmount, 1_230)),
            ("sop=invoice.general", Edit::Sop("invoice.general".into())),
        ] {
            assert_eq!(text.parse(), Ok(edit), "{text}");
        }
        for text in ["timeliness", "timeliness=late", "buyer=not_required", "missing_count=1.5", "total=3", "sop="] {
            assert_eq!(text.parse::<Edit>(), Err(UnknownEdit(text.into())));
        }
    }
}
