//! What the models read: every question's text is rendered here and nowhere else, for training and for deciding alike.
//! Pure functions of the case; they decide nothing, read no clock and hold no state.
//!
//! A text is a fixed row of segments, each opened by its marker and each present exactly once, whatever the case holds:
//! the models tell segments apart by counting markers. The first segment, `[FACTS]`, holds fact tokens such as
//! `[F:signed]`: what the structured part of the case says. The others hold words of the parties as a reader sees them
//! (`seen.rs`), sanitised and cut to a length that keeps the whole text under the model's token limit; pieces of one
//! segment are parted by `[SEP]`.
//!
//! Markers, facts, their order and the limits are part of the models: change one and train again.

mod absent;
mod classify;
mod compared;
mod counted;
mod facts;
mod first_report;
mod goods;
mod grams;
mod measure;
mod numbers;
mod numerals;
mod parcel;
mod ratios;
mod relevant;
mod seen;
mod sums;
mod supports;

pub use classify::classify;
pub use compared::{Comparison, comparisons};
pub use first_report::first_report;
pub use measure::{Candidate, Field, MeasureKind, Span, Value, candidates};
pub use parcel::{OtherOrder, other_order};
pub use relevant::relevant;
pub(super) use seen::seen;
pub use supports::supports;

use unicode_normalization::UnicodeNormalization;

use crate::judge::text::sanitise;

/// Parts the pieces of a segment: no n-gram of a model reaches across it.
const SEP: &str = "[SEP]";

/// A text under construction.
#[derive(Debug)]
struct Layout(String);

impl Layout {
    /// An empty text, ready for facts.
    fn new() -> Layout {
        Layout("[FACTS]".to_owned())
    }

    /// Adds a fact token. A value that is no plain word of an open set becomes `other`.
    fn fact(&mut self, name: &str, value: &str) {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let value = if !value.is_empty() && value.bytes().all(plain) { value } else { "other" };
        self.0.push_str("[F:");
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(value);
        self.0.push(']');
    }

    /// Adds a fact that either holds or does not.
    fn flag(&mut self, name: &str, holds: bool) {
        self.fact(name, if holds { "yes" } else { "no" });
    }

    /// Adds a fact that counts: the number itself, up to a highest.
    fn count(&mut self, name: &str, n: usize, highest: usize) {
        self.fact(name, &n.min(highest).to_string());
    }

    /// Adds a segment of one piece, cut to so many characters.
    fn segment(&mut self, marker: &str, text: &str, limit: usize) {
        self.pieces(marker, std::iter::once(text), limit);
    }

    /// Adds a segment of several pieces, all together cut to so many characters in compatibility form. What comes first
    /// is kept.
    fn pieces<'a>(&mut self, marker: &str, pieces: impl Iterator<Item = &'a str>, limit: usize) {
        self.0.push_str(marker);
        let mut left = limit;
        for (index, piece) in pieces.enumerate() {
            if left == 0 {
                break;
            }
            if index > 0 {
                self.0.push_str(SEP);
                left -= 1;
            }
            for c in sanitise(&seen(piece)).chars() {
                // The tokenizer reads the compatibility form, where one character may be eighteen.
                let Some(rest) = left.checked_sub(c.nfkc().count()) else { return };
                self.0.push(c);
                left = rest;
            }
        }
    }

    fn finish(self) -> String {
        self.0
    }
}

/// How many of the cuts a value lies above: the number of its bucket.
fn bucket(value: i64, cuts: &[i64]) -> String {
    cuts.iter().filter(|&&cut| value > cut).count().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_cut_together_and_parted() {
        let mut text = Layout::new();
        text.fact("kind", "return_refund");
        text.fact("kind", "[x]");
        text.flag("signed", true);
        text.pieces("[BUYER]", ["一二三", "[四]五", "六"].into_iter(), 6);
        text.segment("[SELLER]", "", 5);
        assert_eq!(
            text.finish(),
            "[FACTS][F:kind=return_refund][F:kind=other][F:signed=yes][BUYER]一二三[SEP]［四[SELLER]"
        );
    }

    #[test]
    fn a_character_counts_as_what_it_is_read_as() {
        let mut text = Layout::new();
        text.segment("[BUYER]", "㎏坏ﷺ好", 4);
        assert_eq!(text.finish(), "[FACTS][BUYER]㎏坏");
    }

    #[test]
    fn buckets_count_the_cuts_below() {
        assert_eq!(bucket(-1, &[0, 10]), "0");
        assert_eq!(bucket(10, &[0, 10]), "1");
        assert_eq!(bucket(11, &[0, 10]), "2");
    }
}
