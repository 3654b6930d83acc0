//! From findings to a decision: what is proposed, whether a person must look, why, and what would have changed it.
//!
//! Pure. A decision's canonical bytes are RFC 8785; its id is their hash, so equal decisions have equal ids.

mod explain;
mod gate;
mod pins;
mod reasons;
mod trace;

use chrono::TimeDelta;
use serde::Serialize;
use serde_json::Value;

use crate::case::{Case, Timestamp};
use crate::judge::Probability;
use crate::nodes::{
    Candidate, EvidenceFinding, Findings, LabelFinding, Measured, NodeError, NodeId, Proposal, SettlementFinding,
    TimelinessFinding,
};
use crate::sop::{Bilingual, RuleBook, Sop};

pub use explain::{Explanation, Flip};
pub use gate::{Audit, Certified, Gate, Score, Second, Strata, direction, stratum_name};
pub use pins::{ENGINE, Pins};
pub use reasons::Reason;
pub(crate) use trace::sha256;
pub use trace::{Asked, NodeRecord, Trace};

/// Whether a decision may stand without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every fact that matters is certain, and the certificate allows it.
    Auto,
    /// A person decides; the remedy is a proposal.
    Review,
}

impl Outcome {
    /// The name in decisions and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Review => "review",
        }
    }
}

/// A clause as a decision cites it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CitedClause {
    /// Id within the SOP.
    pub id: String,
    /// The text.
    pub text: Bilingual,
    /// Law and platform rules it rests on.
    pub sources: Vec<String>,
}

/// The SOP a decision follows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SopRef {
    /// Id; `None` when no SOP governs.
    pub id: Option<String>,
    /// Version.
    pub version: Option<u32>,
    /// Title.
    pub title: Option<Bilingual>,
    /// That it is the right one.
    pub score: Probability,
    /// Clauses the remedy rests on.
    pub clauses: Vec<CitedClause>,
    /// The nearest SOPs, best first.
    pub candidates: Vec<Candidate>,
}

/// A remedy of law that is pointed out but not ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LegalHint {
    /// Remedy id.
    pub id: String,
    /// Its name.
    #[serde(flatten)]
    pub name: Bilingual,
}

/// The remedy with its deadline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Remedy {
    /// What is proposed.
    #[serde(flatten)]
    pub proposal: Proposal,
    /// By when it is to be performed, counted from `decided_as_of`.
    pub deadline: Option<Timestamp>,
}

/// The second pass over the result. Both are null until a reward model is configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Probability of the first token.
    pub first_token: Option<Probability>,
    /// Probability after reasoning.
    pub second: Option<Probability>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// Version of this form.
    pub format: &'static str,
    /// `dec_` and half of the SHA-256 of the canonical bytes without this field.
    pub id: String,
    /// The ticket.
    pub ticket_id: String,
    /// SHA-256 of the case's canonical bytes.
    pub case_hash: String,
    /// Whether a person must look.
    pub outcome: Outcome,
    /// Whether every fact that matters is certain; the rest is up to the certificate.
    pub certain: bool,
    /// Whether an automatic decision was drawn to be looked at all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub audit: bool,
    /// Scene and goods type.
    pub labels: LabelFinding,
    /// The SOP.
    pub sop: SopRef,
    /// First report and timeliness.
    pub timeliness: TimelinessFinding,
    /// Items and parties.
    pub evidence: EvidenceFinding,
    /// Quantities.
    pub measures: Vec<Measured>,
    /// What is ordered or proposed.
    pub remedy: Remedy,
    /// Whether the parties are about to agree.
    pub settlement: SettlementFinding,
    /// The second pass.
    pub verification: Verification,
    /// The least certain finding's probability.
    pub confidence: Probability,
    /// Why a person must look; empty when the outcome is `auto`.
    pub reasons: Vec<Reason>,
    /// What was found and why, in words.
    pub explanation: Explanation,
    /// What would have changed it, node by node.
    pub flips: Vec<Flip>,
    /// A remedy of law pointed out but not ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_hint: Option<LegalHint>,
    /// Everything that determined the decision.
    pub pins: Pins,
    /// SHA-256 of the trace's canonical bytes.
    pub trace_sha256: String,
    /// The time as of which it was decided: an input, never a clock.
    pub decided_as_of: Timestamp,
}

/// A decision cannot be put together. None of these is the ticket's fault.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// A node has not run.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A value has no canonical form.
    #[error("the decision has no canonical form: {0}")]
    Canonical(#[from] serde_json::Error),
}

/// The latest moment the case file speaks of: what was known when it was handed over.
pub fn as_of(case: &Case) -> Timestamp {
    let dialogue = case.dialogue.iter().map(|m| m.at);
    let evidence = case.evidence.iter().map(|e| e.submitted_at);
    let logistics = case.logistics.iter().map(|l| l.at);
    dialogue.chain(evidence).chain(logistics).chain([case.claim.filed_at]).fold(case.opened_at, Ord::max)
}

/// Puts a decision together from the findings of all nodes.
pub fn decide(
    case: &Case,
    findings: &Findings,
    trace: &Trace,
    book: &RuleBook,
    pins: Pins,
    gate: &Gate,
    as_of: Timestamp,
) -> Result<Decision, DecisionError> {
    let labels = findings.labels(book)?;
    let policy = Findings::required(&findings.policy, NodeId::Policy)?;
    let timeliness = Findings::required(&findings.timeliness, NodeId::Timeliness)?;
    let evidence = Findings::required(&findings.evidence, NodeId::Evidence)?;
    let measure = Findings::required(&findings.measure, NodeId::Measure)?;
    let settlement = Findings::required(&findings.settlement, NodeId::Settlement)?;
    let remedy = Findings::required(&findings.remedy, NodeId::Remedy)?;

    let sop = policy
        .sop
        .as_ref()
        .and_then(|id| book.sops.iter().find(|s| s.id.0 == *id && Some(s.version) == policy.version));
    let mut reasons = reasons::reasons(book, policy, timeliness, evidence, measure, remedy);
    let proposal = remedy.proposal.clone();
    let deadline = TimeDelta::try_seconds(proposal.within_seconds).and_then(|span| as_of.checked_add(span));
    let items = evidence.items.iter().map(|i| i.probability);
    let measures = measure.measures.iter().map(|m| m.probability);
    let confidence = items.chain(measures).chain([timeliness.probability]).fold(policy.score, Ord::min);
    let verification = findings
        .verify
        .as_ref()
        .map_or_else(Verification::default, |v| Verification { first_token: Some(v.first_token), second: v.second });
    let case_hash = case.hash().to_string();
    let certain = policy.certain && remedy.certain;
    let passed = gate.pass(gate::Seen {
        case_hash: &case_hash,
        scene: &labels.scene.id,
        remedy_kind: &proposal.kind,
        confidence,
        first_token: verification.first_token,
        second: verification.second,
    });
    let (outcome, audit) = match (certain, passed) {
        (true, Ok(audit)) => (Outcome::Auto, audit),
        (false, Ok(_)) => (Outcome::Review, false),
        (certain, Err(reason)) => {
            // Below the threshold is no news of a case that is in doubt anyway; a missing certificate always is.
            if certain || *gate == Gate::Shut {
                reasons.push(reason);
            }
            (Outcome::Review, false)
        }
    };
    let flips = explain::flips(book, sop, findings)?;
    let explanation = explain::explain(case, book, sop, findings, deadline, &reasons, audit)?;

    let mut decision = Decision {
        format: "praetor.decision/1",
        id: String::new(),
        ticket_id: case.ticket_id.as_str().to_owned(),
        case_hash,
        outcome,
        certain,
        audit,
        labels,
        sop: SopRef {
            id: policy.sop.clone(),
            version: policy.version,
            title: sop.map(|s| s.title.clone()),
            score: policy.score,
            clauses: sop.map_or_else(Vec::new, |s| cited(s, &proposal.clauses)),
            candidates: policy.candidates.clone(),
        },
        timeliness: timeliness.clone(),
        evidence: evidence.clone(),
        measures: measure.measures.clone(),
        remedy: Remedy { proposal, deadline },
        settlement: settlement.clone(),
        verification,
        confidence,
        reasons,
        explanation,
        flips,
        legal_hint: sop.and_then(|s| s.legal_hint.clone()).map(|id| LegalHint { name: book.term(&id), id }),
        pins,
        trace_sha256: trace::sha256(&trace.canonical()?),
        decided_as_of: as_of,
    };
    decision.id = format!("dec_{}", &trace::sha256(&decision.canonical()?)[..32]);
    Ok(decision)
}

impl Decision {
    /// RFC 8785 bytes. Before the id is set they are what the id is the hash of.
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        if self.id.is_empty()
            && let Value::Object(map) = &mut value
        {
            map.remove("id");
        }
        serde_json_canonicalizer::to_vec(&value)
    }
}

/// The clauses of these ids, with the wording of their sources.
fn cited(sop: &Sop, ids: &[String]) -> Vec<CitedClause> {
    let source = |id: &String| sop.sources.iter().find(|s| s.id == *id).map(|s| s.reference.clone());
    sop.clauses
        .iter()
        .filter(|c| ids.contains(&c.id))
        .map(|c| CitedClause {
            id: c.id.clone(),
            text: c.text.clone(),
            sources: c.sources.iter().filter_map(source).collect(),
        })
        .collect()
}
