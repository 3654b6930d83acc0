//! The forms in which a decided case and a privileged action go into the store: what is searched for in columns, the rest
//! as canonical bytes. One form for the command line and the service. And how recorded decisions are counted.

mod line;

use serde_json::{Value, json};

use crate::case::Case;
use crate::pipeline::Decided;
use crate::store::{NewDecision, NewRecord, NewTask};

pub use line::line;

/// A decision has no stored form.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A value has no canonical form.
    #[error("the decision has no canonical form: {0}")]
    Canonical(#[from] serde_json::Error),
    /// A version is beyond what the store holds.
    #[error("the SOP's version is out of range: {0}")]
    Version(#[from] std::num::TryFromIntError),
}

/// A decision with its case, its trace and what a person is to do about it, ready to be recorded.
pub fn stored(case: &Case, decided: &Decided, task: Option<NewTask>) -> Result<NewDecision, RecordError> {
    let d = &decided.decision;
    Ok(NewDecision {
        id: d.id.clone(),
        subject: case.subject().to_owned(),
        ticket_id: d.ticket_id.clone(),
        case_hash: *case.hash().as_bytes(),
        case: case.canonical().to_vec(),
        outcome: d.outcome.as_str().to_owned(),
        sop_id: d.sop.id.clone(),
        sop_version: d.sop.version.map(i32::try_from).transpose()?,
        remedy_kind: Some(d.remedy.proposal.kind.clone()),
        refund_fen: Some(d.remedy.proposal.refund_fen),
        compensation_fen: Some(d.remedy.proposal.compensation_fen),
        body: d.canonical()?,
        trace: decided.trace.canonical()?,
        task,
    })
}

/// Who does what only few may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor<'a> {
    /// Whoever holds a key of the service.
    Key {
        /// The key's public part.
        id: &'a str,
        /// The key's role.
        role: &'a str,
    },
    /// Whoever is at the command line, as the system knows them.
    System {
        /// The user's number.
        uid: u32,
    },
}

impl Actor<'_> {
    /// As it is written into records.
    pub fn to_json(self) -> Value {
        match self {
            Self::Key { id, role } => json!({ "key_id": id, "role": role }),
            Self::System { uid } => json!(format!("uid {uid}")),
        }
    }
}

/// The record of a privileged action, for kind `access`: to be appended in the transaction of the action itself.
pub fn access(actor: Actor<'_>, action: &str, details: Value) -> NewRecord {
    let id = format!("act_{:032x}", rand::random::<u128>());
    let body = access_body(actor, action, &id, details);
    NewRecord { id, subject: None, body }
}

/// What such a record says, for one whose id is given.
pub fn access_body(actor: Actor<'_>, action: &str, id: &str, details: Value) -> Vec<u8> {
    let body = json!({
        "format": "praetor.access/1", "id": id, "action": action, "details": details, "actor": actor.to_json(),
    });
    canonical(&body)
}

/// RFC 8785.
pub fn canonical(body: &Value) -> Vec<u8> {
    // Strings, integers, lists and maps always have that form.
    serde_json_canonicalizer::to_vec(body).unwrap_or_default()
}

/// Counts a decision that is recorded.
pub fn count(decided: &Decided) {
    let (outcome, scene) = (decided.decision.outcome.as_str(), decided.decision.labels.scene.id.clone());
    metrics::counter!("praetor_decisions_total", "outcome" => outcome, "scene" => scene).increment(1);
}
