//! A text as a reader sees it: without what has no width, each line break one character, floods of signs cut short.
//! Words, digits and punctuation stay as they are; ordinary text comes out byte for byte. Every rendering starts here, so
//! that what cannot be seen moves no limit, parts no word and hides no number.

use std::borrow::Cow;

use crate::judge::text::is_invisible;

/// Of a run of characters that are neither letters nor digits, and of one letter repeated, so many stay.
const LONGEST_RUN: usize = 16;

/// The text without what a reader does not see.
pub(in crate::nodes) fn seen(text: &str) -> Cow<'_, str> {
    let mut reader = Reader::default();
    if text.chars().all(|c| reader.take(c) == Some(c)) {
        return Cow::Borrowed(text);
    }
    let mut reader = Reader::default();
    Cow::Owned(text.chars().filter_map(|c| reader.take(c)).collect())
}

/// What stands between two places of a text's [`seen`] form, as the text itself has it: from where, to where, its words.
pub(super) fn origin(text: &str, start: usize, end: usize) -> (usize, usize, String) {
    let places = places(text);
    let place = |i: usize| places.get(i).copied().unwrap_or_default();
    let (start, end) = (place(start), place(end.saturating_sub(1)) + 1);
    (start, end, text.chars().skip(start).take(end.saturating_sub(start)).collect())
}

/// The place in the text, in characters, of each character of its [`seen`] form.
fn places(text: &str) -> Vec<usize> {
    let mut reader = Reader::default();
    text.chars().enumerate().filter(|&(_, c)| reader.take(c).is_some()).map(|(place, _)| place).collect()
}

/// Full-width letters, digits and what joins them in numbers, dates and codes, as their ASCII twins.
pub(super) fn half_width(text: &str) -> Cow<'_, str> {
    let twin = |c: char| match c {
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' | '－' | '．' | '／' => {
            char::from_u32(c as u32 - 0xFEE0).unwrap_or(c)
        }
        c => c,
    };
    if text.chars().all(|c| twin(c) == c) { Cow::Borrowed(text) } else { Cow::Owned(text.chars().map(twin).collect()) }
}

/// Reads character by character.
#[derive(Default)]
struct Reader {
    /// The character before in the text.
    before: Option<char>,
    /// The last character that was kept.
    kept: Option<char>,
    /// How long its run is.
    run: usize,
}

impl Reader {
    /// What a character becomes; `None` when it is not seen.
    fn take(&mut self, c: char) -> Option<char> {
        let before = self.before.replace(c);
        let c = match c {
            '\n' if before == Some('\r') => return None,
            '\r' | '\u{0085}' | '\u{2028}' | '\u{2029}' => '\n',
            '\t' | '\n' => c,
            // Between the parts of an emoji a joiner is part of what is seen.
            '\u{200D}' | '\u{FE0F}' if self.kept.is_some_and(is_pictograph) => c,
            c if c.is_control() || is_invisible(c) => return None,
            c => c,
        };
        let same_run = self.kept.is_some_and(|kept| {
            if c.is_alphanumeric() { kept == c && !c.is_ascii_digit() } else { !kept.is_alphanumeric() }
        });
        self.run = if same_run { self.run + 1 } else { 1 };
        if self.run > LONGEST_RUN {
            return None;
        }
        self.kept = Some(c);
        Some(c)
    }
}

/// Whether a character may be a part of an emoji of several characters.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{203C}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}') && !c.is_alphanumeric()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in ["", "签收48小时内，坏果约35%😭😭\n（见照片）", "[TITLE] 🤷‍♀️ ❤️!!! 50000000000000000000", "ＡＢ１２"]
        {
            assert!(matches!(seen(text), Cow::Borrowed(same) if same == text));
        }
        assert!(matches!(half_width("坏果：35％，48h（见照片）"), Cow::Borrowed(_)));
    }

    /// So the models learn from the very texts that people read.
    #[test]
    fn the_texts_of_the_public_and_authored_cases_are_ordinary() {
        fn check(value: &serde_json::Value) {
            match value {
                serde_json::Value::String(text) => {
                    assert!(matches!(seen(text), Cow::Borrowed(_)), "{text:?}");
                    assert!(matches!(half_width(text), Cow::Borrowed(_)), "{text:?}");
                }
                serde_json::Value::Array(list) => list.iter().for_each(check),
                serde_json::Value::Object(fields) => fields.values().for_each(check),
                _ => {}
            }
        }
        for folder in ["public", "authored"] {
            let path = format!("{}/models/training/data/{folder}/tickets.jsonl", env!("CARGO_MANIFEST_DIR"));
            let tickets = std::fs::read_to_string(path).unwrap();
            tickets.lines().for_each(|line| check(&serde_json::from_str(line).unwrap()));
        }
    }

    #[test]
    fn what_has_no_width_goes() {
        assert_eq!(seen("坏\u{200B}了\u{2060}3\u{FEFF}5\u{AD}%\u{7}\u{200D}"), "坏了35%");
        assert_eq!(seen("一\r\n二\r三\u{2028}四"), "一\n二\n三\n四");
        assert_eq!(places("坏\u{200B}了\r\n3"), [0, 2, 3, 5]);
        assert_eq!(seen("①\u{200D}❤\u{FE0F}"), "①❤\u{FE0F}");
        assert_eq!(origin("坏\u{200B}了\r\n3\u{200B}5%好", 3, 6), (5, 9, "3\u{200B}5%".to_owned()));
    }

    #[test]
    fn floods_are_cut_short() {
        assert_eq!(seen(&format!("坏了{}8个", "😭🤢 ".repeat(500))).chars().count(), 2 + LONGEST_RUN + 2);
        assert_eq!(seen(&"啊".repeat(500)).chars().count(), LONGEST_RUN);
        assert_eq!(seen(&"\r\n".repeat(500)).chars().count(), LONGEST_RUN);
    }

    #[test]
    fn numbers_and_codes_have_one_width() {
        assert_eq!(
            half_width("ＳＦ１２３４５６７８９０　２０２６－０１／０２，３．５"),
            "SF1234567890　2026-01/02，3.5"
        );
    }

    proptest! {
        #[test]
        fn twice_is_once_and_every_place_is_known(text in "(\\PC|.|\r|\u{200B}|\u{200D}|😭){0,60}") {
            let once = seen(&text).into_owned();
            prop_assert!(matches!(seen(&once), Cow::Borrowed(_)), "{:?}", once);
            prop_assert_eq!(places(&text).len(), once.chars().count());
        }
    }
}
