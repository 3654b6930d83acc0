//! When the buyer first reported the problem, and whether that was in time: a model finds the message, exact
//! clock arithmetic does the rest.

use chrono::TimeDelta;
use serde::Serialize;

use super::facts::anchor;
use super::{Finding, Findings, Node, NodeError, NodeId, Rules, head, probability, text};
use crate::case::{Case, Party, Timestamp};
use crate::judge::{Answer, Probability, Question, Task};
use crate::sop::{Anchor, Clock};

/// In time, too late, or not to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// At or before the deadline.
    InTime,
    /// After it.
    Expired,
    /// The event that starts the clock is missing.
    Unknown,
}

/// The statement that counts as the first report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FirstReport {
    /// `dialogue` or `claim`.
    pub source: &'static str,
    /// Place in the dialogue, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// When it was made.
    pub at: Timestamp,
    /// That it is the first report.
    pub probability: Probability,
}

/// The finding of the timeliness node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelinessFinding {
    /// The verdict by the likeliest first report.
    pub verdict: Verdict,
    /// The likeliest first report.
    pub first_report: FirstReport,
    /// The event that starts the clock.
    pub clock_from: Option<Anchor>,
    /// When it happened.
    pub clock_start: Option<Timestamp>,
    /// The last moment that is in time.
    pub deadline: Option<Timestamp>,
    /// Seconds from the clock's start to the first report; negative when reported before it.
    pub elapsed_seconds: Option<i64>,
    /// Probability of the verdict over all messages that could be the first report.
    pub probability: Probability,
    /// True when that reaches the threshold.
    pub certain: bool,
    /// Elapsed seconds of every statement likely enough to be the first report.
    #[serde(skip)]
    pub possible_elapsed: Vec<i64>,
}

/// The node.
pub(super) struct Timeliness;

fn buyer_messages(case: &Case) -> impl Iterator<Item = (usize, Timestamp)> + '_ {
    case.dialogue.iter().enumerate().filter(|(_, m)| m.from == Party::Buyer).map(|(i, m)| (i, m.at))
}

impl Node for Timeliness {
    fn id(&self) -> NodeId {
        NodeId::Timeliness
    }

    fn needs(&self, case: &Case, _: &Findings, _: Rules<'_>) -> Result<Vec<Question>, NodeError> {
        Ok(buyer_messages(case)
            .map(|(i, _)| Question { task: Task::FirstReport, text: text::first_report(case, i) })
            .collect())
    }

    fn judge(
        &self,
        case: &Case,
        findings: &Findings,
        answers: &[Answer],
        rules: Rules<'_>,
    ) -> Result<Finding, NodeError> {
        let states =
            |n: usize| -> Result<f64, NodeError> { Ok(head(answers.get(n), "states_problem")?.get("yes").as_f64()) };
        // A message is the first report when it states the problem and none before it does; else the claim is.
        let mut reports = Vec::new();
        let mut none_before = 1.0;
        for (n, (index, at)) in buyer_messages(case).enumerate() {
            let p = states(n)?;
            reports.push(FirstReport {
                source: "dialogue",
                index: Some(index),
                at,
                probability: probability(none_before * p),
            });
            none_before *= 1.0 - p;
        }
        let at = case.claim.filed_at;
        reports.push(FirstReport { source: "claim", index: None, at, probability: probability(none_before) });

        let clock = super::facts::sop_of(findings, rules)?.map(|sop| sop.clock);
        let start = clock.and_then(|c| anchor(case, c.from, rules.book.head.time_zone));
        Ok(Finding::Timeliness(judge_reports(&reports, clock, start, rules.thresholds.first_report)))
    }
}

/// The finding from every possible first report; `reports` is never empty.
fn judge_reports(
    reports: &[FirstReport],
    clock: Option<Clock>,
    start: Option<Timestamp>,
    threshold: Probability,
) -> TimelinessFinding {
    let mut best = &reports[0];
    for report in reports {
        if report.probability > best.probability {
            best = report;
        }
    }
    let (Some(clock), Some(start)) = (clock, start) else {
        return TimelinessFinding {
            verdict: Verdict::Unknown,
            first_report: best.clone(),
            clock_from: clock.map(|c| c.from),
            clock_start: None,
            deadline: None,
            elapsed_seconds: None,
            probability: Probability::ZERO,
            certain: false,
            possible_elapsed: Vec::new(),
        };
    };
    let verdict = |report: &FirstReport| {
        if elapsed(report.at, start) > clock.within { Verdict::Expired } else { Verdict::InTime }
    };
    let agreed = reports.iter().filter(|r| verdict(r) == verdict(best)).map(|r| r.probability.as_f64()).sum();
    let probability = probability(agreed);
    let certain = probability >= threshold;
    let doubt = if certain { Probability::ONE.saturating_sub(threshold) } else { Probability::ZERO };
    let possible = reports.iter().filter(|r| *r == best || r.probability > doubt);
    let possible_elapsed = possible.map(|r| elapsed(r.at, start)).collect();
    TimelinessFinding {
        verdict: verdict(best),
        first_report: best.clone(),
        clock_from: Some(clock.from),
        clock_start: Some(start),
        deadline: TimeDelta::try_seconds(clock.within).and_then(|span| start.checked_add(span)),
        elapsed_seconds: Some(elapsed(best.at, start)),
        probability,
        certain,
        possible_elapsed,
    }
}

/// Whole seconds from `start` to `at`, rounded up: a fraction past the deadline is past it.
fn elapsed(at: Timestamp, start: Timestamp) -> i64 {
    let span = at.since(start);
    span.num_seconds() + i64::from(span.subsec_nanos() > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn t(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn report(at: &str, millionths: u32) -> FirstReport {
        let probability = Probability::from_millionths(millionths).unwrap();
        FirstReport { source: "dialogue", index: Some(0), at: t(at), probability }
    }

    const CLOCK: Clock = Clock { from: Anchor::SignedAt, within: 172_800 };

    #[test]
    fn the_limit_itself_is_in_time_and_a_moment_later_is_not() {
        let start = Some(t("2026-03-23T21:07:00+08:00"));
        for (at, verdict) in [
            ("2026-03-25T21:07:00+08:00", Verdict::InTime),
            ("2026-03-25T13:07:00Z", Verdict::InTime),
            ("2026-03-25T21:07:00.001+08:00", Verdict::Expired),
            ("2026-03-25T21:07:01+08:00", Verdict::Expired),
            ("2026-03-20T00:00:00+08:00", Verdict::InTime),
        ] {
            let f = judge_reports(&[report(at, 1_000_000)], Some(CLOCK), start, Probability::ONE);
            assert_eq!(f.verdict, verdict, "{at}");
            assert_eq!(f.deadline, Some(t("2026-03-25T21:07:00+08:00")));
        }
    }

    #[test]
    fn doubt_about_the_message_is_no_doubt_when_the_verdict_is_the_same() {
        let start = Some(t("2026-03-23T21:07:00+08:00"));
        let nine = Probability::from_millionths(900_000).unwrap();
        let same = [report("2026-03-24T00:00:00+08:00", 500_000), report("2026-03-25T00:00:00+08:00", 500_000)];
        assert!(judge_reports(&same, Some(CLOCK), start, nine).certain);
        let split = [report("2026-03-24T00:00:00+08:00", 500_000), report("2026-03-29T00:00:00+08:00", 500_000)];
        assert!(!judge_reports(&split, Some(CLOCK), start, nine).certain);
    }

    #[test]
    fn a_missing_event_is_unknown() {
        let f = judge_reports(&[report("2026-03-24T00:00:00+08:00", 1_000_000)], Some(CLOCK), None, Probability::ZERO);
        assert_eq!((f.verdict, f.certain), (Verdict::Unknown, false));
    }
}
