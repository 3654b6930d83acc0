//! The numbers of a text and of the order as a measure reads them.

use super::MeasureKind;
use super::numbers::{Number, Quantity, numbers};
use super::seen::seen;
use crate::case::Case;

/// Of the order the first so many numbers are read.
const MOST_ORDERED: usize = 60;

/// The numbers of a text. Where things are counted and not paid for, 三十块 may be thirty pieces.
pub(super) fn found_in(text: &str, kind: MeasureKind) -> Vec<Number> {
    let mut found = numbers(text);
    if matches!(kind, MeasureKind::Ratio | MeasureKind::Count) {
        let chars: Vec<char> = text.chars().collect();
        for number in &mut found {
            if let Quantity::Money(fen) = number.quantity
                && fen % 100 == 0
                && chars.get(number.end - 1) == Some(&'块')
            {
                number.quantity = Quantity::Count(fen / 100, Some('块'));
            }
        }
    }
    found
}

/// What the order itself says of mass and number.
pub(super) fn order_numbers(case: &Case, kind: MeasureKind) -> Vec<Number> {
    let mut found = Vec::new();
    for item in &case.order.items {
        found.extend(found_in(&seen(item.spec.as_deref().unwrap_or_default()), kind));
        found.extend(found_in(&seen(&item.title), kind));
    }
    found.truncate(MOST_ORDERED);
    // Two boxes of 5 jin are 10 jin: what was ordered in all.
    let times: i64 = case.order.items.iter().map(|item| i64::from(item.quantity)).sum();
    let in_all: Vec<Number> = found
        .iter()
        .filter_map(|number| {
            let quantity = match number.quantity {
                Quantity::Mass(mass) => Quantity::Mass(mass.checked_mul(times)?),
                Quantity::Count(n, unit) => Quantity::Count(n.checked_mul(times)?, unit),
                _ => return None,
            };
            (times > 1).then_some(Number { quantity, ..*number })
        })
        .collect();
    found.extend(in_all);
    found
}
