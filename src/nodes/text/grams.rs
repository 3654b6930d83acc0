//! Pairs of neighbouring characters: how much of one text is found in another.
//! A measure for fact tokens, nothing more; the models weigh it.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

use super::seen::seen;

/// The set of neighbouring letter and digit pairs of a text, in compatibility form and lower case.
#[derive(Debug, Default, Clone)]
pub(super) struct Grams(BTreeSet<(char, char)>);

impl Grams {
    pub(super) fn of(text: &str) -> Grams {
        let mut grams = Grams::default();
        grams.add(text);
        grams
    }

    pub(super) fn of_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Grams {
        let mut grams = Grams::default();
        texts.into_iter().for_each(|text| grams.add(text));
        grams
    }

    fn add(&mut self, text: &str) {
        let mut before = None;
        for c in plain(text).chars() {
            let c = c.is_alphanumeric().then_some(c);
            if let (Some(a), Some(b)) = (before, c) {
                self.0.insert((a, b));
            }
            before = c;
        }
    }

    /// The pairs that the other has not.
    pub(super) fn without(&self, other: &Grams) -> Grams {
        Grams(self.0.difference(&other.0).copied().collect())
    }

    /// The pairs of either.
    pub(super) fn and(mut self, other: &Grams) -> Grams {
        self.0.extend(&other.0);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its pairs as two-letter words in code point order.
    pub(super) fn words(&self) -> Vec<String> {
        self.0.iter().map(|(a, b)| format!("{a}{b}")).collect()
    }

    /// How many pairs both have.
    pub(super) fn shared(&self, other: &Grams) -> usize {
        self.0.intersection(&other.0).count()
    }

    /// The share of its own pairs that the other has too, in percent; 0 when it has none.
    pub(super) fn share_in(&self, other: &Grams) -> i64 {
        if self.0.is_empty() { 0 } else { (self.shared(other) * 100 / self.0.len()) as i64 }
    }

    /// The pairs both have and the third has not, as two-letter words in code point order.
    pub(super) fn shared_words(&self, other: &Grams, without: &Grams) -> Vec<String> {
        self.0.intersection(&other.0).filter(|pair| !without.0.contains(pair)).map(|(a, b)| format!("{a}{b}")).collect()
    }
}

/// What is seen of a text, in compatibility form and lower case.
pub(super) fn plain(text: &str) -> String {
    seen(text).nfkc().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_do_not_reach_across_punctuation() {
        let (title, content) = (Grams::of("柏木堂，餐椅ＡB"), Grams::of("柏木 堂餐椅 ab"));
        assert_eq!(title.shared(&content), 3);
        assert_eq!(title.share_in(&content), 60);
        assert_eq!(title.shared_words(&content, &Grams::of("ab")), ["柏木", "餐椅"]);
        assert_eq!(Grams::of("一").share_in(&title), 0);
    }
}
