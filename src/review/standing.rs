//! What holds of a decision now: the decision itself never changes, what people made of it stands beside it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::resolution::Remedy;
use crate::store::{ResolutionRow, StoredDecision, TaskRow};

/// Where a decision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It stands without a person.
    Automatic,
    /// A person has still to decide; what it says is a proposal.
    InReview,
    /// A person let its remedy stand.
    Accepted,
    /// A person ordered another remedy.
    Overridden,
    /// An appeal is to be decided; what stood before holds until then.
    UnderAppeal,
}

/// What holds of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Standing {
    /// The decision.
    pub decision_id: String,
    /// Where it stands.
    pub state: State,
    /// The remedy that holds; null while a person has still to decide.
    pub remedy: Option<Remedy>,
    /// The record of the resolution that holds; null where there is none.
    pub resolution: Option<String>,
    /// Since when the remedy holds; null while none does.
    pub since: Option<DateTime<Utc>>,
}

impl Standing {
    /// From a decision with its body, its tasks and their resolutions, both in order.
    pub fn of(stored: &StoredDecision, decision: &Value, tasks: &[TaskRow], resolutions: &[ResolutionRow]) -> Standing {
        let last = resolutions.iter().rfind(|resolution| resolution.closes);
        let appealed = tasks.iter().any(|task| task.kind == "appeal" && task.state != "resolved");
        let state = match last {
            _ if appealed => State::UnderAppeal,
            Some(last) if last.stands => State::Accepted,
            Some(_) => State::Overridden,
            None if stored.outcome == "auto" => State::Automatic,
            None => State::InReview,
        };
        let (remedy, since) = match last {
            Some(last) => (Some(Remedy::from(&last.remedy)), Some(last.created_at)),
            None if stored.outcome == "auto" => (Remedy::proposed(decision), Some(stored.created_at)),
            None => (None, None),
        };
        let resolution = last.map(|last| last.record_id.clone());
        Standing { decision_id: stored.id.clone(), state, remedy, resolution, since }
    }
}
