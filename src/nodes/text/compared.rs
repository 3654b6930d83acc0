//! The numbers and days that an item of evidence shows, each with where it stands and how it compares with the case's own.
//! What the models are told as facts, and what a person or an auditor wants to see beside a verdict.

use serde::Serialize;

use super::numbers::{Quantity, numbers};
use super::seen::{origin, seen};
use super::{facts, parcel};
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

/// Compares what an item shows, in the order it stands there.
pub fn comparisons(case: &Case, item: &Evidence) -> Vec<Comparison> {
    let text = seen(&item.content);
    let mut found: Vec<(usize, usize, &'static str, &'static str)> = Vec::new();
    let mut take = |what, list: Vec<(usize, usize, &'static str)>| {
        found.extend(list.into_iter().take(MOST).map(|(start, end, stands)| (start, end, what, stands)));
    };
    for (what, list) in parcel::compared(case, &text) {
        take(what, list);
    }
    take("day", facts::placed_days(&text, case.order.paid_at, item.submitted_at));
    let amounts = numbers(&text).into_iter().filter_map(|number| match number.quantity {
        Quantity::Money(fen) => Some((number.start, number.end, own_amount(&case.order, fen).unwrap_or("other"))),
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
