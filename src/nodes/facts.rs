//! The structured facts of a case, in the units of the rule tables.

use chrono::TimeZone;

use super::{Findings, NodeError, NodeId, Rules};
use crate::case::{Case, Timestamp};
use crate::sop::facts::{Fact, Facts};
use crate::sop::{Anchor, RuleBook, Sop};

/// The SOP that the policy node found, if any.
pub(super) fn sop_of<'a>(findings: &Findings, rules: Rules<'a>) -> Result<Option<&'a Sop>, NodeError> {
    sop_in(findings, rules.book)
}

/// As [`sop_of`], for what needs nothing but the rule book.
pub(super) fn sop_in<'a>(findings: &Findings, book: &'a RuleBook) -> Result<Option<&'a Sop>, NodeError> {
    let policy = Findings::required(&findings.policy, NodeId::Policy)?;
    let (Some(id), Some(version)) = (&policy.sop, policy.version) else { return Ok(None) };
    let sop = book.sops.iter().find(|s| s.id.0 == *id && s.version == version);
    sop.map(Some).ok_or_else(|| NodeError::NoSop(id.clone()))
}

/// When the event happened that starts an SOP's clock; `None` when the case does not say.
pub(super) fn anchor(case: &Case, anchor: Anchor, zone: chrono_tz::Tz) -> Option<Timestamp> {
    match anchor {
        Anchor::PaidAt => Some(case.order.paid_at),
        Anchor::PromisedShipAt => case.order.ship_by,
        Anchor::SignedAt => case.order.signed_at,
        Anchor::SignedNextDay => {
            let day = case.order.signed_at?.day_in(&zone).succ_opt()?;
            let midnight = zone.from_local_datetime(&day.and_hms_opt(0, 0, 0)?).earliest()?;
            Timestamp::new(midnight.fixed_offset())
        }
        Anchor::ReturnSignedAt => case.returned.as_ref()?.signed_at,
    }
}

/// What the case file itself says: money, counts, services. Findings of other nodes are added by the remedy node.
pub fn case_facts(case: &Case) -> Facts {
    let order = &case.order;
    let mut facts = Facts::new();
    facts
        .set(Fact::Total, order.total.as_i64())
        .set(Fact::Freight, order.freight.as_i64())
        .set(Fact::GoodsTotal, order.goods_total().as_i64())
        .set(Fact::Quantity, order.items.iter().map(|i| i64::from(i.quantity)).sum())
        .set_opt(Fact::Deposit, order.deposit.map(|d| d.as_i64()))
        .set_opt(Fact::ShipPromise, order.ship_by.map(|by| by.since(order.paid_at).num_seconds()))
        .set_services(order.services.iter().cloned());
    // Which unit is meant is only known when all units cost the same.
    let mut prices = order.items.iter().map(|i| i.unit_price.as_i64());
    if let Some(first) = prices.next()
        && prices.all(|p| p == first)
    {
        facts.set(Fact::UnitPrice, first);
    }
    facts
}

/// Fen as a decimal number of yuan, `12.34`.
pub fn money(fen: i64) -> String {
    crate::sop::facts::format_value(crate::sop::facts::Type::Money, fen)
}
