//! The form in which a decided case goes into the store: what is searched for in columns, the rest as canonical bytes.
//! One form for the command line and the service.

use crate::case::Case;
use crate::pipeline::Decided;
use crate::store::NewDecision;

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

/// A decision with its case and trace, ready to be recorded.
pub fn stored(case: &Case, decided: &Decided) -> Result<NewDecision, RecordError> {
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
    })
}
