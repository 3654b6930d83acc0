//! Amounts that are named one by one: what they make together, within one text and over all that the buyer said or showed.

use std::collections::{BTreeMap, BTreeSet};

use super::Field;
use super::numbers::{Number, Quantity};

/// An amount in fen with where it was read.
type Listed = (Field, Number, i64);

/// What amounts make together: within one text, and over all that the buyer said or showed.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Every amount named.
    named: BTreeSet<i64>,
    /// What a few amounts in a row make, with those amounts.
    made: Vec<(i64, Vec<i64>)>,
    /// What could be added up, each amount once: of a text, of the buyer's words, of what the buyer shows.
    lists: BTreeMap<(u8, Field), Vec<Listed>>,
}

/// So many amounts are added up at most.
const MOST_ADDED: usize = 5;

impl Sums {
    /// Takes a text's amounts in.
    pub(super) fn take(&mut self, field: Field, by_buyer: bool, found: &[Number]) {
        let amounts: Vec<(Number, i64)> = found
            .iter()
            .filter_map(|number| match number.quantity {
                Quantity::Money(fen) if fen > 0 => Some((*number, fen)),
                _ => None,
            })
            .collect();
        self.named.extend(amounts.iter().map(|(_, fen)| *fen));
        for start in 0..amounts.len() {
            for end in start + 2..=amounts.len().min(start + MOST_ADDED) {
                let some: Vec<i64> = amounts[start..end].iter().map(|(_, fen)| *fen).collect();
                self.made.push((some.iter().fold(0, |sum, fen| sum.saturating_add(*fen)), some));
            }
        }
        let together = match field {
            Field::Claim | Field::Message(_) => (1, Field::Claim),
            Field::Evidence(_) => (2, Field::Claim),
        };
        for list in [Some((0, field)), by_buyer.then_some(together)].into_iter().flatten() {
            let list = self.lists.entry(list).or_default();
            for &(number, fen) in &amounts {
                if list.len() <= MOST_ADDED && !list.iter().any(|(_, _, known)| *known == fen) {
                    list.push((field, number, fen));
                }
            }
        }
    }

    /// What each list makes that nobody has added up: the text it was read in, its first and, where all stand in that text, its
    /// last amount, and the sum.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = (Field, Number, Option<Number>, i64)> {
        let lists = self.lists.values().filter(|list| (2..=MOST_ADDED).contains(&list.len()));
        lists.filter_map(|list| {
            let total = list.iter().fold(0_i64, |sum, (.., fen)| sum.saturating_add(*fen));
            let (first, last) = (list.first()?, list.last()?);
            // One of them is what the others make.
            let added_up = list.iter().any(|(.., fen)| fen.saturating_mul(2) == total);
            let (start, end) = if first.0 == last.0 { (first.1, Some(last.1)) } else { (last.1, None) };
            (!added_up).then_some((last.0, start, end, total))
        })
    }

    /// How an amount stands to the others: the `total` of some, a `part` of one that is named, or `none`.
    pub(super) fn part_of(&self, fen: i64) -> &'static str {
        if self.made.iter().any(|(total, parts)| *total == fen && !parts.contains(&fen)) {
            "total"
        } else if self.made.iter().any(|(total, parts)| parts.contains(&fen) && self.named.contains(total)) {
            "part"
        } else {
            "none"
        }
    }
}
