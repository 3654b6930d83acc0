//! Where in a JSON document something is: `$.order.items[0].quantity`.
//! A path also knows its place in the document, so that errors can be listed in reading order.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// The longest key shown in full, in characters.
const MAX_KEY_CHARS: usize = 40;

/// One step down: into an object's field or a list's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step<'v> {
    Key(Cow<'v, str>),
    Index(usize),
}

/// The steps from the root, each with its position among its siblings.
#[derive(Debug, Default)]
pub(super) struct Path<'v> {
    steps: Vec<(Step<'v>, usize)>,
}

/// A position in reading order: a value comes before what is inside it, and that before the next value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Vec<usize>);

impl<'v> Path<'v> {
    /// Steps down to the sibling at `position`; a field that is absent is after all its siblings ([`usize::MAX`]).
    pub(super) fn push(&mut self, step: Step<'v>, position: usize) {
        self.steps.push((step, position));
    }

    /// Steps back up, handing out the step.
    pub(super) fn pop(&mut self) -> Option<Step<'v>> {
        self.steps.pop().map(|(step, _)| step)
    }

    pub(super) fn depth(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn place(&self) -> Place {
        Place(self.positions().collect())
    }

    /// How this path and a place compare in reading order.
    pub(super) fn cmp_place(&self, place: &Place) -> Ordering {
        self.positions().cmp(place.0.iter().copied())
    }

    fn positions(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().map(|(_, position)| *position)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for (step, _) in &self.steps {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if is_plain(key) => write!(f, ".{key}")?,
                Step::Key(key) => {
                    let mut shown: String = key.chars().take(MAX_KEY_CHARS).collect();
                    if shown.len() < key.len() {
                        shown.push('…');
                    }
                    // A JSON string is how RFC 9535 writes names that are not plain.
                    write!(f, "[{}]", serde_json::Value::from(shown))?;
                }
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    key.len() <= MAX_KEY_CHARS
        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: Vec<Step<'static>>) -> String {
        let mut path = Path::default();
        for step in steps {
            path.push(step, 0);
        }
        path.to_string()
    }

    #[test]
    fn paths_are_written_as_json_paths() {
        let key = |k: &'static str| Step::Key(Cow::Borrowed(k));
        assert_eq!(path(vec![]), "$");
        assert_eq!(
            path(vec![key("order"), key("items"), Step::Index(0), key("unit_price")]),
            "$.order.items[0].unit_price"
        );
        assert_eq!(path(vec![key("a b"), key("单\"号")]), r#"$["a b"]["单\"号"]"#);
        assert_eq!(path(vec![Step::Key(Cow::Owned("x".repeat(90)))]), format!(r#"$["{}…"]"#, "x".repeat(40)));
    }
}
