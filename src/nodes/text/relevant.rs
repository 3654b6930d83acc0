//! The text of the question whether an SOP governs a case: how the case's times, evidence and claim fit the SOP's card.
//! It names neither scene nor goods; those are the labels' to say.

use std::collections::BTreeSet;

use super::grams::Grams;
use super::{Layout, bucket, facts};
use crate::case::{Case, Party, Timestamp};
use crate::nodes::facts::anchor;
use crate::sop::{Requirement, Sop};

/// Hours after the clock's start at which the meaning of a claim tends to change.
const HOURS: [i64; 16] = [0, 24, 48, 96, 168, 240, 360, 480, 720, 1080, 1500, 2200, 2900, 4320, 6000, 8760];
/// Elapsed time in percent of the clock's length.
const SHARES: [i64; 13] = [0, 2, 5, 10, 20, 35, 50, 75, 100, 130, 170, 250, 500];
/// Remedies of every SOP.
const COMMON: [&str; 2] = ["reject_claim", "request_evidence"];
/// An SOP for more goods types than this is a general one.
const GENERAL: usize = 12;

/// Renders a case and an SOP for the `relevant` model; `words` is the SOP's word match in percent of the best one.
///
/// `[FACTS]` time since the clock's start, how many items the SOP can use, what is claimed beside what it gives
/// `[BUYERMET]` `[SELLERMET]` letter pairs of the requirements that the items show `[BUYERUNMET]` `[SELLERUNMET]` those they
/// do not show.
pub fn relevant(case: &Case, sop: &Sop, zone: chrono_tz::Tz, words: i64) -> String {
    let mut text = Layout::new();
    let start = anchor(case, sop.clock.from, zone);
    add_time(&mut text, "claim", start, case.claim.filed_at, sop.clock.within);
    if let Some(first) = case.dialogue.iter().find(|m| m.from == Party::Buyer) {
        add_time(&mut text, "said", start, first.at, sop.clock.within);
    }
    let (buyer, seller) = (Side::of(case, Party::Buyer, &sop.buyer), Side::of(case, Party::Seller, &sop.seller));
    buyer.add_facts(&mut text, "buyer");
    seller.add_facts(&mut text, "seller");
    let remedies: BTreeSet<&str> = sop.rows.iter().map(|row| row.outcome.remedy.as_str()).collect();
    for remedy in remedies.iter().filter(|remedy| !COMMON.contains(remedy)) {
        text.fact("gives", &format!("{}__{remedy}", case.claim.kind));
    }
    text.flag("given", remedies.contains(case.claim.kind.as_str()));
    text.flag("general", sop.goods.len() > GENERAL);
    text.fact("words", &bucket(words, &[0, 30, 50, 70, 85, 99]));
    text.pieces("[BUYERMET]", buyer.met.iter().map(String::as_str), 200);
    text.pieces("[BUYERUNMET]", buyer.unmet.iter().map(String::as_str), 200);
    text.pieces("[SELLERMET]", seller.met.iter().map(String::as_str), 200);
    text.pieces("[SELLERUNMET]", seller.unmet.iter().map(String::as_str), 200);
    text.finish()
}

fn add_time(text: &mut Layout, name: &str, start: Option<Timestamp>, at: Timestamp, within: i64) {
    let Some(start) = start else { return text.fact(&format!("{name}share"), "none") };
    let share = at.since(start).num_seconds().saturating_mul(100).checked_div(within).unwrap_or(0);
    let hours = bucket(facts::hours(at, start), &HOURS);
    text.fact(&format!("{name}share"), &bucket(share, &SHARES));
    text.fact(&format!("{name}clock"), &format!("{hours}_{}", within / 3600));
    text.fact(&format!("{name}hours"), &hours);
}

/// What one party handed in, beside what the SOP asks of it.
struct Side {
    items: usize,
    usable: usize,
    /// For each item, the share of a requirement's letter pairs that it shows, in percent; -1 when none takes its kind.
    fits: Vec<i64>,
    asks: bool,
    met: BTreeSet<String>,
    unmet: BTreeSet<String>,
}

impl Side {
    fn of(case: &Case, party: Party, asked: &[Requirement]) -> Side {
        let items: Vec<_> = case.evidence.iter().filter(|item| item.party == party).collect();
        let contents: Vec<Grams> = items.iter().map(|item| Grams::of(&item.content)).collect();
        let mut fits = vec![-1; items.len()];
        let (mut met, mut unmet) = (BTreeSet::new(), BTreeSet::new());
        for requirement in asked {
            let wanted = Grams::of(&requirement.text.zh);
            let mut shown = Grams::default();
            for (at, _) in items.iter().enumerate().filter(|(_, item)| requirement.accepts.contains(&item.kind)) {
                fits[at] = fits[at].max(wanted.share_in(&contents[at]));
                shown = shown.and(&contents[at]);
            }
            if shown.is_empty() {
                continue;
            }
            met.extend(wanted.shared_words(&shown, &Grams::default()));
            unmet.extend(wanted.without(&shown).words());
        }
        let usable = fits.iter().filter(|fit| **fit >= 0).count();
        Side { items: items.len(), usable, fits, asks: !asked.is_empty(), met, unmet }
    }

    fn add_facts(&self, text: &mut Layout, party: &str) {
        text.count(&format!("{party}usable"), self.usable, 2);
        text.count(&format!("{party}useless"), self.items - self.usable, 2);
        text.fact(&format!("{party}share"), &format!("{}_{}", self.usable.min(4), self.items.min(4)));
        text.flag(&format!("{party}asked"), self.asks);
        for fit in &self.fits {
            text.fact(&format!("{party}fit"), &bucket(*fit, &[-1, 0, 10, 20, 30, 45, 60]));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The same report five weeks after signing is late for the one SOP's clock and early for the other's.
    #[test]
    fn times_are_told_by_each_clock() {
        let book = crate::sop::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sop_rules/demo"))).unwrap();
        let start: Timestamp = "2026-05-01T08:00:00+08:00".parse().unwrap();
        let at: Timestamp = "2026-06-05T08:00:00+08:00".parse().unwrap();
        let told = |id: &str| {
            let mut text = Layout::new();
            let sop = book.sops.iter().find(|sop| sop.id.0 == id).unwrap();
            add_time(&mut text, "claim", Some(start), at, sop.clock.within);
            text.finish()
        };
        assert!(told("quality_functional.3c").contains("[F:claimshare=11][F:claimclock=9_360]"));
        assert!(told("exchange_repair_warranty.electronics").contains("[F:claimshare=3][F:claimclock=9_8760]"));
        let mut none = Layout::new();
        add_time(&mut none, "claim", None, at, 3600);
        assert_eq!(none.finish(), "[FACTS][F:claimshare=none]");
    }
}
