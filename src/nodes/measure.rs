//! The quantities an SOP's amounts depend on: candidates are read from the texts by rule, a model ranks them.

use serde::Serialize;

use super::facts::sop_of;
use super::text::{self, Field, MeasureKind, Value};
use super::{Finding, Findings, Node, NodeError, NodeId, Rules, head};
use crate::case::Case;
use crate::judge::{Answer, Probability, Question, Task};
use crate::sop::{Measure, Sop};

/// One quantity found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Which quantity.
    pub id: Measure,
    /// Its value in the unit of the rule tables: parts per million, a count, or fen. `None` when no text names one.
    pub value: Option<i64>,
    /// Where it was read.
    pub span: Option<ReadFrom>,
    /// That it is the right one.
    pub probability: Probability,
    /// True when that reaches the threshold.
    pub certain: bool,
}

/// The place a value was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadFrom {
    /// JSON path of the text.
    pub path: String,
    /// First character.
    pub start: usize,
    /// The character after the last.
    pub end: usize,
    /// The words.
    pub text: String,
}

/// The finding of the measure node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasureFinding {
    /// One entry a quantity the SOP declares.
    pub measures: Vec<Measured>,
}

/// The node.
pub(super) struct Measures;

fn kind(measure: Measure) -> MeasureKind {
    match measure {
        Measure::SeverityRatio => MeasureKind::Ratio,
        Measure::MissingCount => MeasureKind::Count,
        Measure::ReceiptAmount => MeasureKind::Receipt,
        Measure::PriceDiff => MeasureKind::PriceDiff,
    }
}

fn in_table_units(value: Value) -> i64 {
    match value {
        Value::Ratio(hundredths_of_percent) => i64::from(hundredths_of_percent) * 100,
        Value::Count(n) => i64::from(n),
        Value::Amount(fen) => fen,
    }
}

fn candidates(case: &Case, sop: Option<&Sop>) -> Vec<(Measure, Vec<text::Candidate>)> {
    let measures = sop.map_or(&[][..], |s| &s.measures);
    measures.iter().map(|&m| (m, text::candidates(case, kind(m)))).collect()
}

impl Node for Measures {
    fn id(&self) -> NodeId {
        NodeId::Measure
    }

    fn needs(&self, case: &Case, findings: &Findings, rules: Rules<'_>) -> Result<Vec<Question>, NodeError> {
        Ok(candidates(case, sop_of(findings, rules)?)
            .into_iter()
            .flat_map(|(_, list)| list)
            .map(|c| Question { task: Task::Measure, text: c.text })
            .collect())
    }

    fn judge(
        &self,
        case: &Case,
        findings: &Findings,
        answers: &[Answer],
        rules: Rules<'_>,
    ) -> Result<Finding, NodeError> {
        let mut answers = answers.iter();
        let mut measures = Vec::new();
        for (id, list) in candidates(case, sop_of(findings, rules)?) {
            let mut heard = Vec::new();
            for candidate in list {
                heard.push((head(answers.next(), "is_value")?.get("yes"), candidate));
            }
            measures.push(match together(heard, &rules.book.head.tiers) {
                None => Measured { id, value: None, span: None, probability: Probability::ZERO, certain: false },
                Some((probability, c)) => Measured {
                    id,
                    value: Some(in_table_units(c.value)),
                    span: Some(ReadFrom {
                        path: path(c.span.field),
                        start: c.span.start,
                        end: c.span.end,
                        text: c.span.text,
                    }),
                    probability,
                    certain: probability >= rules.thresholds.measure,
                },
            });
        }
        Ok(Finding::Measure(MeasureFinding { measures }))
    }
}

/// What candidates say together: those of one value are independent witnesses of it, and at most one value is right.
struct Said {
    /// The value; for a share the tier it falls in, for no more of it matters.
    key: i64,
    /// The chance that none of its witnesses is right.
    none: f64,
    /// The best of them.
    best: (Probability, text::Candidate),
}

/// A witness is never surer than this: one certain voice must not silence all others for good.
const SUREST: f64 = 1.0 - 1e-6;

/// The value that its candidates speak for most, with its chance, and the best of those candidates. With q the chance that
/// none of a value's witnesses is right, its odds are 1/q - 1. Of equals the first read wins.
fn together(heard: Vec<(Probability, text::Candidate)>, tiers: &[i64]) -> Option<(Probability, text::Candidate)> {
    let mut said: Vec<Said> = Vec::new();
    for (p, candidate) in heard {
        let value = in_table_units(candidate.value);
        let key = match candidate.value {
            Value::Ratio(_) => tiers.iter().copied().find(|t| t * 10_000 >= value).unwrap_or(100),
            Value::Count(_) | Value::Amount(_) => value,
        };
        let doubt = 1.0 - p.as_f64().min(SUREST);
        match said.iter_mut().find(|s| s.key == key) {
            None => said.push(Said { key, none: doubt, best: (p, candidate) }),
            Some(known) => {
                known.none *= doubt;
                if p > known.best.0 {
                    known.best = (p, candidate);
                }
            }
        }
    }
    let odds = |s: &Said| 1.0 / s.none.max(1e-12) - 1.0;
    let total: f64 = said.iter().map(odds).sum();
    let mut best: Option<Said> = None;
    for s in said {
        if best.as_ref().is_none_or(|b| odds(&s) > odds(b)) {
            best = Some(s);
        }
    }
    best.map(|s| (super::probability(odds(&s) / (1.0 + total)), s.best.1))
}

fn path(field: Field) -> String {
    match field {
        Field::Claim => "$.claim.statement".to_owned(),
        Field::Message(i) => format!("$.dialogue[{i}].text"),
        Field::Evidence(i) => format!("$.evidence[{i}].content"),
    }
}
