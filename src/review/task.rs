//! Which decisions a person sees, and in what order. A decision for review always; an automatic one when the certificate's
//! lot drew it (`audit`), which nobody can foresee who does not hold the certificate, and which a replay draws again.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::resolution::{Refused, Remedy, text};
use crate::case::Case;
use crate::config::ReviewConfig;
use crate::decision::{Decision, Outcome};
use crate::record::{Actor, canonical};
use crate::store::{NewAppeal, NewTask};

/// The task that a decision brings with it, if a person is to see it.
pub fn task(config: &ReviewConfig, case: &Case, decision: &Decision) -> Option<NewTask> {
    let (kind, hours) = match (decision.outcome, decision.audit) {
        (Outcome::Review, _) => ("review", config.review_hours),
        (Outcome::Auto, true) => ("audit", config.audit_hours),
        (Outcome::Auto, false) => return None,
    };
    let proposal = &decision.remedy.proposal;
    let amount_fen = proposal.refund_fen.saturating_add(proposal.compensation_fen);
    let age = decision.decided_as_of.datetime().signed_duration_since(case.opened_at.datetime());
    Some(NewTask {
        id: format!("rev_{}", decision.id.trim_start_matches("dec_")),
        kind,
        scene: decision.labels.scene.id.clone(),
        priority: priority(config, kind, amount_fen, age),
        amount_fen,
        due_in: i64::from(hours.get()) * 3600,
    })
}

/// From 0, which comes first, to 100: an appeal before a review before an audit, the more the dearer and the longer it has
/// been open.
fn priority(config: &ReviewConfig, kind: &str, amount_fen: i64, age: TimeDelta) -> i16 {
    let kind = match kind {
        "appeal" => 40,
        "review" => 20,
        _ => 0,
    };
    let amount = match amount_fen {
        dear if dear >= i64::from(config.second_reviewer_fen.get()) => 30,
        50_000.. => 20,
        5_000.. => 10,
        _ => 0,
    };
    let age = match age.num_days() {
        7.. => 30,
        3.. => 20,
        1.. => 10,
        _ => 0,
    };
    100 - kind - amount - age
}

/// Who appeals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The buyer.
    Buyer,
    /// The seller.
    Seller,
}

/// An appeal against a decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AppealRequest)]
pub struct Appeal {
    /// Who appeals.
    pub party: Party,
    /// What is wrong with the decision. Sealed; it may hold personal data.
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    pub grounds: String,
}

/// An appeal as a record and a task. Its age is that of the decision's record.
pub fn appeal(
    config: &ReviewConfig,
    decision: &Value,
    appeal: &Appeal,
    actor: Actor<'_>,
    recorded_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<NewAppeal, Refused> {
    let grounds = text("grounds", Some(&appeal.grounds))?;
    let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (decision_id, id) = (of(&decision["id"]), format!("app_{:032x}", rand::random::<u128>()));
    let amount_fen = Remedy::proposed(decision).map_or(0, |remedy| remedy.amount_fen());
    let body = canonical(&json!({
        "format": "praetor.appeal/1", "id": id, "decision_id": decision_id, "ticket_id": decision["ticket_id"],
        "actor": actor.to_json(), "party": appeal.party, "grounds": grounds,
    }));
    let task = NewTask {
        id,
        kind: "appeal",
        scene: of(&decision["labels"]["scene"]["id"]),
        priority: priority(config, "appeal", amount_fen, now - recorded_at),
        amount_fen,
        due_in: i64::from(config.appeal_hours.get()) * 3600,
    };
    Ok(NewAppeal { decision_id, task, body, most: i16::from(config.appeals) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_amount_and_age_order_the_queue() {
        let config = ReviewConfig::default();
        let of = |kind, fen, days| priority(&config, kind, fen, TimeDelta::days(days));
        assert_eq!(of("appeal", 500_000, 7), 0);
        assert_eq!(of("audit", 0, 0), 100);
        assert!(of("appeal", 100, 0) < of("review", 100, 0) && of("review", 100, 0) < of("audit", 100, 0));
        assert!(of("review", 499_999, 0) > of("review", 500_000, 0));
        assert!(of("review", 100, 3) < of("review", 100, 2));
    }
}
