//! Keeps the text within its limit, in a fixed order ([`ORDER`]): what decides least is cut and left out before what shows
//! whether the findings are right is touched. Order, claim, labels, rule, clock, verdicts, quantities and the remedy always
//! stay; doubtful findings on items go last.

use std::cmp::Reverse;

use super::{ASK, Part, Pra, Worth};

/// What a part keeps when it is cut.
const SHORT: usize = 48;

/// What is done to parts that are too long together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Cut,
    Drop,
    /// Cut by what is too long: only of cases with far more goods and promises than any known.
    Fit,
}

/// What is done first, what last: carrier events go, then messages that cannot be a first report. What evidence shows is
/// cut after all else that can be, since nothing else tells whether it was read rightly.
const ORDER: [(Act, Worth); 13] = [
    (Act::Cut, Worth::Logistics),
    (Act::Drop, Worth::Logistics),
    (Act::Cut, Worth::Aside(0)),
    (Act::Drop, Worth::Aside(0)),
    (Act::Cut, Worth::Message(0)),
    (Act::Cut, Worth::Statement),
    (Act::Cut, Worth::Content),
    (Act::Drop, Worth::Message(0)),
    (Act::Drop, Worth::Statement),
    (Act::Drop, Worth::Content),
    (Act::Drop, Worth::SureItem),
    (Act::Drop, Worth::Item),
    (Act::Fit, Worth::Kept),
];

/// Joins the parts, one a line, after leaving out what does not fit.
pub(super) fn fit(mut parts: Vec<Part>, limit: usize) -> Pra {
    let room = limit.saturating_sub(ASK.chars().count());
    let size = |parts: &[Part]| parts.iter().map(|part| part.text.chars().count() + 1).sum::<usize>();
    let full = size(&parts);
    for (act, worth) in ORDER {
        let mut order: Vec<usize> = (0..parts.len()).filter(|&i| kind(parts[i].worth) == worth).collect();
        // Of messages the farthest from the first report goes first; of equals the later.
        order.sort_by_key(|&i| Reverse((distance(parts[i].worth), i)));
        if act == Act::Fit {
            // The list of goods and promises is the longest.
            order.sort_by_key(|&i| Reverse(parts[i].text.chars().count()));
        }
        for i in order {
            if size(&parts) <= room {
                break;
            }
            match act {
                Act::Cut => cut(&mut parts[i].text, SHORT),
                Act::Drop => parts[i].text.clear(),
                Act::Fit => {
                    let (over, long) = (size(&parts) - room, parts[i].text.chars().count());
                    cut(&mut parts[i].text, long.saturating_sub(over + 1).max(SHORT));
                }
            }
        }
        parts.retain(|part| !part.text.is_empty());
    }
    let dropped = full - size(&parts).min(full);
    let mut text: String = parts.into_iter().flat_map(|part| [part.text, "\n".to_owned()]).collect();
    text.push_str(ASK);
    Pra { text, dropped }
}

fn distance(worth: Worth) -> usize {
    match worth {
        Worth::Aside(distance) | Worth::Message(distance) => distance,
        _ => 0,
    }
}

/// The worth without its distance.
fn kind(worth: Worth) -> Worth {
    match worth {
        Worth::Aside(_) => Worth::Aside(0),
        Worth::Message(_) => Worth::Message(0),
        other => other,
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
            parts.extend([(Worth::Content, "e"), (Worth::Message(2), "m")].map(|(w, m)| long(w, m)));
            parts.extend([(Worth::Aside(1), "a"), (Worth::Aside(3), "b")].map(|(w, m)| long(w, m)));
            parts.extend([(Worth::Logistics, "l"), (Worth::SureItem, "s")].map(|(w, m)| long(w, m)));
            parts
        };
        // Capitals are whole, small letters cut.
        let marks = |limit: usize| -> String {
            let text = fit(parts(), limit).text;
            assert!(text.chars().count() <= limit);
            let mark = |line: &str| {
                let first = line.chars().next().filter(|_| line.chars().count() > 3)?;
                Some(if line.ends_with('…') { first } else { first.to_ascii_uppercase() })
            };
            text.lines().filter_map(mark).collect()
        };
        assert_eq!(marks(900), "留EMABLS");
        assert_eq!(fit(parts(), 900).dropped, 0);
        assert_eq!(marks(600), "留EMABlS");
        assert_eq!(marks(550), "留EMABS");
        // Of two messages the farther is cut first, and left out first.
        assert_eq!(marks(510), "留EMAbS");
        assert_eq!(marks(460), "留EMabS");
        assert_eq!(marks(400), "留EMaS");
        assert_eq!(marks(350), "留EMS");
        assert_eq!(marks(300), "留EmS");
        assert_eq!(marks(250), "留emS");
        assert_eq!(marks(210), "留eS");
        assert_eq!(marks(160), "留S");
        assert_eq!(marks(60), "留");
        // What always stays is cut at last, the longest first, but never to nothing.
        let kept = ["甲", "乙", "丙"].map(|mark| Part::new(Worth::Kept, mark.repeat(200)));
        let text = fit(kept.to_vec(), 400).text;
        assert_eq!(text.chars().count(), 400);
        assert_eq!((text.matches('甲').count(), text.matches('丙').count()), (200, 48));
    }
}
