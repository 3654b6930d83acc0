//! Keeps the text within its limit, in a fixed order: first carrier events, then messages from the farthest to the
//! nearest of the first report (of two the later), the rule's words, the statement, what evidence shows, and at last
//! findings on items that are certain. Long parts are first cut to [`SHORT`] characters, then left out. Order, claim,
//! labels, rule, clock, verdicts, quantities and the remedy always stay; doubtful findings on items go last.

use super::{ASK, Part, Pra, Worth};

/// What a part keeps when it is cut.
const SHORT: usize = 48;

/// Joins the parts, one a line, after leaving out what does not fit.
pub(super) fn fit(mut parts: Vec<Part>, limit: usize) -> Pra {
    let room = limit.saturating_sub(ASK.chars().count());
    let size = |parts: &[Part]| parts.iter().map(|part| part.text.chars().count() + 1).sum::<usize>();
    let full = size(&parts);
    for dropping in [false, true] {
        let mut order: Vec<usize> = (0..parts.len()).filter(|&i| parts[i].worth != Worth::Kept).collect();
        // Of equal worth the later goes first; of messages the farther.
        order.sort_by_key(|&i| (rank(parts[i].worth), std::cmp::Reverse(i)));
        for i in order {
            if size(&parts) <= room {
                break;
            }
            if dropping {
                parts[i].text.clear();
            } else if parts[i].worth < Worth::SureItem {
                cut(&mut parts[i].text, SHORT);
            }
        }
        parts.retain(|part| !part.text.is_empty());
    }
    let dropped = full - size(&parts).min(full);
    let mut text: String = parts.into_iter().flat_map(|part| [part.text, "\n".to_owned()]).collect();
    text.push_str(ASK);
    Pra { text, dropped }
}

fn rank(worth: Worth) -> (Worth, std::cmp::Reverse<usize>) {
    match worth {
        Worth::Message(distance) => (Worth::Message(0), std::cmp::Reverse(distance)),
        other => (other, std::cmp::Reverse(0)),
    }
}

fn cut(text: &mut String, limit: usize) {
    if let Some((end, _)) = text.char_indices().nth(limit) {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(worth: Worth, mark: &str) -> Part {
        Part::new(worth, format!("{mark}{}", "字".repeat(99)))
    }

    #[test]
    fn what_goes_first_is_fixed() {
        let parts = || {
            let mut parts = vec![Part::new(Worth::Kept, "留".repeat(40))];
            parts.extend(
                [(Worth::Content, "e"), (Worth::Message(2), "m"), (Worth::Message(1), "n")].map(|(w, m)| long(w, m)),
            );
            parts.extend(
                [(Worth::Logistics, "l"), (Worth::Clause, "c"), (Worth::SureItem, "s")].map(|(w, m)| long(w, m)),
            );
            parts
        };
        let marks = |limit: usize| -> String {
            let text = fit(parts(), limit).text;
            assert!(text.chars().count() <= limit);
            text.lines().filter(|line| line.chars().count() > 3).filter_map(|line| line.chars().next()).collect()
        };
        assert_eq!(marks(1_000), "留emnlcs");
        assert_eq!(fit(parts(), 1_000).dropped, 0);
        // Cut before anything is left out.
        assert_eq!(marks(450), "留emnlcs");
        assert_eq!(marks(380), "留emncs");
        assert_eq!(marks(340), "留encs");
        assert_eq!(marks(290), "留ecs");
        assert_eq!(marks(240), "留es");
        assert_eq!(marks(190), "留s");
        assert_eq!(marks(60), "留");
    }
}
