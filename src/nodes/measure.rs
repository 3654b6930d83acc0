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
            let mut best: Option<(Probability, text::Candidate)> = None;
            for candidate in list {
                let d = head(answers.next(), "is_value")?;
                let p = d.get("yes");
                if best.as_ref().is_none_or(|(other, _)| p > *other) {
                    best = Some((p, candidate));
                }
            }
            measures.push(match best {
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

fn path(field: Field) -> String {
    match field {
        Field::Claim => "$.claim.statement".to_owned(),
        Field::Message(i) => format!("$.dialogue[{i}].text"),
        Field::Evidence(i) => format!("$.evidence[{i}].content"),
    }
}
