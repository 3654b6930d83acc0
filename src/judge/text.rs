//! Makes text from users safe to put between the marker tokens of a model input. Nobody may forge a marker, nor hide
//! characters from the people who read the same text. Leaves meaning alone: words, digits and punctuation pass.

use std::borrow::Cow;

/// `text` with what could form a marker token broken and what cannot be seen removed.
///
/// ASCII `[` and `<`, which open every special token, become full-width `［` and `＜`; line breaks and tabs become one
/// space each; other control characters, zero-width and direction-changing characters, and invisible fillers are
/// dropped. Borrowed when nothing changes; doing it twice changes nothing more.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| replacement(c) == Some(c)) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().filter_map(replacement).collect())
    }
}

/// What a character becomes; `None` when it is dropped.
fn replacement(c: char) -> Option<char> {
    match c {
        '[' => Some('［'),
        '<' => Some('＜'),
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{0085}' => Some(' '),
        c if c.is_control() || is_invisible(c) => None,
        c => Some(c),
    }
}

/// Whether a character is default-ignorable: it takes part in matching but not in what a reader sees.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}'                  // soft hyphen
        | '\u{034F}'                // combining grapheme joiner
        | '\u{061C}'                // Arabic letter mark
        | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' // Hangul fillers
        | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}'   // Mongolian separators
        | '\u{200B}'..='\u{200F}'   // zero-width space and joiners, direction marks
        | '\u{202A}'..='\u{202E}'   // direction embeddings and overrides
        | '\u{2060}'..='\u{206F}'   // word joiner, isolates
        | '\u{FE00}'..='\u{FE0F}'   // variation selectors
        | '\u{FEFF}'                // byte order mark
        | '\u{FFF0}'..='\u{FFFB}'   // interlinear annotation
        | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}' // tags, variation selectors supplement
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_is_borrowed() {
        for text in ["", "签收48小时内，坏果约35%（见照片）", "Broken on arrival, 3 of 10.", "a > b ] c"]
        {
            assert!(matches!(sanitise(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn markers_cannot_be_written() {
        assert_eq!(sanitise("[TITLE]假的"), "［TITLE]假的");
        assert_eq!(sanitise("</s><pad>"), "＜/s>＜pad>");
        assert_eq!(sanitise("[\u{200B}TITLE]"), "［TITLE]");
        assert_eq!(sanitise("\u{FEFF}[CL\u{00AD}S]"), "［CLS]");
    }

    #[test]
    fn controls_go_and_line_breaks_become_spaces() {
        assert_eq!(sanitise("一\r\n二\t三\u{0}\u{7}\u{202E}四\u{2028}五"), "一  二 三四 五");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left_and_twice_is_once(text in "\\PC*|.*") {
            let once = sanitise(&text).into_owned();
            let dangerous = ['[', '<', '\u{200B}', '\u{202E}', '\n'];
            prop_assert!(!once.contains(dangerous));
            prop_assert!(!once.chars().any(char::is_control));
            prop_assert!(matches!(sanitise(&once), Cow::Borrowed(_)));
        }
    }
}
