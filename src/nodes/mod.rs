//! The decision nodes, one file each: label, policy, timeliness, evidence, measure, settlement, remedy; and the second
//! pass over their result, verify, which is not one of the waves since it may be off.
//!
//! A node has two pure halves: what it needs to ask, and what it makes of the answers. Nodes do no I/O, read
//! no clock and hold no state; what they may look at is the case, the findings so far and the [`Rules`].

mod edit;
mod evidence;
mod facts;
mod label;
mod measure;
mod policy;
pub mod pra;
mod remedy;
mod settlement;
pub mod text;
mod timeliness;
pub mod verify;

use std::fmt;

use chrono::NaiveDate;
use serde::Serialize;

use crate::case::Case;
use crate::judge::{Answer, Probability, Question, Thresholds};
use crate::sop::{Index, IndexError, RuleBook};

pub use edit::{Edit, UnknownEdit};
pub use evidence::{EvidenceFinding, Item, PartyVerdict, requirements};
pub use facts::{case_facts, money};
pub use label::{LabelFinding, Labelled};
pub use measure::{MeasureFinding, Measured};
pub use policy::{Candidate, PolicyFinding, policy_query, word_match};
pub use remedy::{FactFlip, Proposal, RemedyFinding};
pub use settlement::SettlementFinding;
pub use timeliness::{FirstReport, TimelinessFinding, Verdict};
pub use verify::VerifyFinding;

/// What nodes decide by, besides the case: rules, the index over them, and the thresholds of certainty.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The compiled pack.
    pub book: &'a RuleBook,
    /// Its index.
    pub index: &'a Index,
    /// The least probability at which a finding counts as certain.
    pub thresholds: &'a Thresholds,
}

impl Rules<'_> {
    /// The day, in the pack's time zone, whose rules govern the case: the day the dispute was opened.
    pub fn day(&self, case: &Case) -> NaiveDate {
        case.opened_at.day_in(&self.book.head.time_zone)
    }
}

/// Which node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeId {
    /// Scene and goods type.
    Label,
    /// The governing SOP.
    Policy,
    /// First report, and whether it came in time.
    Timeliness,
    /// What each item and each party proves.
    Evidence,
    /// Quantities.
    Measure,
    /// Whether the parties are about to agree.
    Settlement,
    /// What the SOP orders.
    Remedy,
    /// Whether all that is right.
    Verify,
}

impl NodeId {
    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Policy => "policy",
            Self::Timeliness => "timeliness",
            Self::Evidence => "evidence",
            Self::Measure => "measure",
            Self::Settlement => "settlement",
            Self::Remedy => "remedy",
            Self::Verify => "verify",
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the nodes have found so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// Label.
    pub label: Option<LabelFinding>,
    /// Policy.
    pub policy: Option<PolicyFinding>,
    /// Timeliness.
    pub timeliness: Option<TimelinessFinding>,
    /// Evidence.
    pub evidence: Option<EvidenceFinding>,
    /// Measures.
    pub measure: Option<MeasureFinding>,
    /// Settlement.
    pub settlement: Option<SettlementFinding>,
    /// Remedy.
    pub remedy: Option<RemedyFinding>,
    /// The second pass.
    pub verify: Option<VerifyFinding>,
}

/// What one node found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Finding {
    /// Label.
    Label(LabelFinding),
    /// Policy.
    Policy(PolicyFinding),
    /// Timeliness.
    Timeliness(TimelinessFinding),
    /// Evidence.
    Evidence(EvidenceFinding),
    /// Measures.
    Measure(MeasureFinding),
    /// Settlement.
    Settlement(SettlementFinding),
    /// Remedy.
    Remedy(RemedyFinding),
    /// The second pass.
    Verify(VerifyFinding),
}

impl Findings {
    /// Keeps a finding in its place.
    pub fn put(&mut self, finding: Finding) {
        match finding {
            Finding::Label(f) => self.label = Some(f),
            Finding::Policy(f) => self.policy = Some(f),
            Finding::Timeliness(f) => self.timeliness = Some(f),
            Finding::Evidence(f) => self.evidence = Some(f),
            Finding::Measure(f) => self.measure = Some(f),
            Finding::Settlement(f) => self.settlement = Some(f),
            Finding::Remedy(f) => self.remedy = Some(f),
            Finding::Verify(f) => self.verify = Some(f),
        }
    }

    /// The finding of a node that must have run before.
    pub fn required<T>(finding: &Option<T>, node: NodeId) -> Result<&T, NodeError> {
        finding.as_ref().ok_or(NodeError::Missing(node))
    }
}

/// A node cannot judge. None of these is the ticket's fault.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The pipeline ran nodes in the wrong order.
    #[error("the {0} node has not run yet")]
    Missing(NodeId),
    /// The judge gave fewer or other answers than were asked for.
    #[error("the judge's answer lacks the head `{0}`")]
    Answer(&'static str),
    /// An SOP that a finding names is not in the rule book.
    #[error("the rule book has no SOP `{0}`")]
    NoSop(String),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// An atomic step of the decision.
pub trait Node: Send + Sync {
    /// Its name.
    fn id(&self) -> NodeId;

    /// What it must ask the judge. The same arguments give the same questions in the same order.
    fn needs(&self, case: &Case, findings: &Findings, rules: Rules<'_>) -> Result<Vec<Question>, NodeError>;

    /// What it makes of the answers, one a question and in their order.
    fn judge(
        &self,
        case: &Case,
        findings: &Findings,
        answers: &[Answer],
        rules: Rules<'_>,
    ) -> Result<Finding, NodeError>;
}

/// The nodes in waves: those of one wave need nothing of each other, and ask together.
pub fn waves() -> [Vec<Box<dyn Node>>; 4] {
    [
        vec![Box::new(label::Label), Box::new(settlement::Settlement)],
        vec![Box::new(policy::Policy)],
        vec![Box::new(timeliness::Timeliness), Box::new(evidence::Evidence), Box::new(measure::Measures)],
        vec![Box::new(remedy::Remedy)],
    ]
}

/// The distribution of one head of an answer.
fn head<'a>(answer: Option<&'a Answer>, name: &'static str) -> Result<&'a crate::judge::Distribution, NodeError> {
    answer.and_then(|a| a.heads.get(name)).ok_or(NodeError::Answer(name))
}

/// A product of probabilities, or any other fraction, in millionths. NaN counts as zero.
fn probability(fraction: f64) -> Probability {
    Probability::from_fraction(fraction.clamp(0.0, 1.0)).unwrap_or(Probability::ZERO)
}
