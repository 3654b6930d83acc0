//! The numbers and days that an item of evidence shows, each with where it stands and how it compares with the case's own.
//! What the models are told as facts, and what a person or an auditor wants to see beside a verdict.

use chrono_tz::Tz;
use serde::Serialize;

use super::facts::{self, Placed};
use super::numbers::{Quantity, numbers};
use super::parcel;
use super::seen::{origin, seen};
use crate::case::{Case, Evidence, Order};

/// At most so many a sort are kept: those that stand first.
const MOST: usize = 8;

/// One thing shown and how it compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// `waybill`, `order_id`, `order_id_end`, `day` or `amount`.
    pub what: &'static str,
    /// The words that show it.
    pub shown: String,
    /// First character in the item's content.
    pub start: usize,
    /// The character after the last.
    pub end: usize,
    /// Of numbers: `same`, `different`, or `unknown` where the case has none. Of days: `impossible`, `before` the payment,
    /// `within`, or `after` the submission. Of amounts: the order's own that it equals (`total`, `goods`, `unit_price`,
    /// `freight`, `deposit`), or `other`.
    pub stands: &'static str,
}

/// Compares what an item shows, in the order it stands there. Days are those of `zone`.
pub fn comparisons(case: &Case, item: &Evidence, zone: Tz) -> Vec<Comparison> {
    let text = seen(&item.content);
    let mut found: Vec<(usize, usize, &'static str, &'static str)> = Vec::new();
    let mut take = |what, list: Vec<Placed>| {
        found.extend(list.into_iter().take(MOST).map(|(start, end, stands)| (start, end, what, stands)));
    };
    for (what, list) in parcel::compared(case, &text) {
        take(what, list);
    }
    take("day", facts::placed_days(&text, case.order.paid_at, item.submitted_at, zone));
    let amounts = numbers(&text).into_iter().filter_map(|number| match number.quantity {
        // 一角 is a corner more often than ten fen.
        Quantity::Money(fen) if fen >= 100 => {
            Some((number.start, number.end, own_amount(&case.order, fen).unwrap_or("other")))
        }
        _ => None,
    });
    take("amount", amounts.collect());
    found.sort_unstable();
    found
        .into_iter()
        .map(|(start, end, what, stands)| {
            let (start, end, shown) = origin(&item.content, start, end);
            Comparison { what, shown, start, end, stands }
        })
        .collect()
}

/// Which of the order's own amounts this one is; of several the first.
pub(super) fn own_amount(order: &Order, fen: i64) -> Option<&'static str> {
    let named = [
        (Some(order.total), "total"),
        (Some(order.goods_total()), "goods"),
        (order.items.first().map(|item| item.unit_price), "unit_price"),
        (Some(order.freight), "freight"),
        (order.deposit, "deposit"),
    ];
    named.into_iter().find(|(amount, _)| amount.is_some_and(|a| a.as_i64() == fen)).map(|(_, name)| name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_told_with_its_place_and_how_it_stands() {
        let content = "面单\u{200B}ｙｔ 883078755890，另一张SF109683303475；订单编号：2662294766602714，订单尾号0388；\
                       2026年5月1日与4月31日、6月2日；实付90元，收45.00元，又12块，破了一角";
        let ticket = serde_json::json!({
            "ticket_id": "T1", "opened_at": "2026-05-05T10:00:00+08:00",
            "order": {
                "order_id": "2662294766602714", "paid_at": "2026-05-01T10:00:00+08:00", "total": "90.00", "freight": "0.00",
                "waybill": "YT883078755890", "currency": "CNY", "services": [], "seller": { "name": "果园" },
                "items": [{ "title": "桃", "spec": "", "quantity": 2, "unit_price": "45.00" }],
            },
            "claim": { "filed_at": "2026-05-04T10:00:00+08:00", "kind": "refund_only", "reason": "坏", "statement": "坏了" },
            "dialogue": [], "logistics": [],
            "evidence": [{
                "evidence_id": "B1", "party": "buyer", "kind": "waybill_photo", "submitted_at": "2026-05-05T11:00:00+08:00",
                "content": content,
            }],
        });
        let case = Case::parse(ticket.to_string().as_bytes()).unwrap();
        let found = comparisons(&case, &case.evidence[0], Tz::Asia__Shanghai);
        let told: Vec<_> = found.iter().map(|c| (c.what, c.shown.as_str(), c.stands)).collect();
        assert_eq!(
            told,
            [
                ("waybill", "ｙｔ 883078755890", "same"),
                ("waybill", "SF109683303475", "different"),
                ("order_id", "2662294766602714", "same"),
                ("order_id_end", "0388", "different"),
                ("day", "2026年5月1日", "within"),
                ("day", "4月31日", "impossible"),
                ("day", "6月2日", "after"),
                ("amount", "90元", "total"),
                ("amount", "45.00元", "unit_price"),
                ("amount", "12块", "other"),
            ]
        );
        for c in &found {
            let there: String = content.chars().skip(c.start).take(c.end - c.start).collect();
            assert_eq!(there, c.shown);
        }
    }
}
