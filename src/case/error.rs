//! What is wrong with a ticket: for each error the place, the value found there and the rule it breaks.
//! Nothing here decides what is wrong; no text of a library below gets into a message.

use std::fmt;
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use crate::lang::Lang;

use super::path::{Path, Place};
use super::{MAX_ERRORS, Rule, TicketId};

/// The longest value shown in full, in characters.
const MAX_VALUE_CHARS: usize = 60;

/// One thing wrong with a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseError {
    /// Where, as a JSON path: `$.order.items[0].quantity`.
    pub path: String,
    /// The offending value as JSON, shortened; the piece of text around it where the ticket is not JSON; empty when
    /// there is no value.
    pub value: String,
    /// What it breaks.
    pub rule: Rule,
}

impl CaseError {
    /// The whole error in one line: place, rule and value.
    pub fn message(&self, lang: Lang) -> String {
        let CaseError { path, value, rule } = self;
        let text = rule.text(lang);
        let colon = lang.pick("：", ": ");
        if value.is_empty() {
            return format!("{path}{colon}{text}");
        }
        // Where there is no value yet, what is shown is the text around the place.
        let found = match rule {
            Rule::JsonSyntax { .. } | Rule::JsonTruncated => lang.pick("；附近为 ", "; near "),
            _ => lang.pick("；收到 ", "; got "),
        };
        format!("{path}{colon}{text}{found}{value}")
    }
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(Lang::En))
    }
}

impl Serialize for CaseError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("CaseError", 3)?;
        out.serialize_field("path", &self.path)?;
        out.serialize_field("value", &self.value)?;
        out.serialize_field("rule", self.rule.code())?;
        out.end()
    }
}

/// Everything found wrong with a ticket: 1 to [`MAX_ERRORS`] errors in document order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message(Lang::En))]
pub struct CaseErrors {
    ticket_id: Option<TicketId>,
    errors: Vec<CaseError>,
}

impl CaseErrors {
    /// The errors; at least one.
    pub fn as_slice(&self) -> &[CaseError] {
        &self.errors
    }

    /// The errors in order.
    pub fn iter(&self) -> std::slice::Iter<'_, CaseError> {
        self.errors.iter()
    }

    /// The ticket's id, where that much could be read.
    pub fn ticket_id(&self) -> Option<&TicketId> {
        self.ticket_id.as_ref()
    }

    /// All errors, one a line.
    pub fn message(&self, lang: Lang) -> String {
        self.errors.iter().map(|error| error.message(lang)).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn one(error: CaseError) -> CaseErrors {
        CaseErrors::ending_in(Vec::new(), error)
    }

    /// The errors of a text up to the one that stopped its reading.
    pub(super) fn ending_in(mut errors: Vec<CaseError>, last: CaseError) -> CaseErrors {
        if errors.len() < MAX_ERRORS {
            errors.push(last);
        }
        CaseErrors { ticket_id: None, errors }
    }

    /// The errors of a list; `None` when it is empty.
    pub(super) fn of(errors: Vec<CaseError>) -> Option<CaseErrors> {
        if errors.is_empty() { None } else { Some(CaseErrors { ticket_id: None, errors }) }
    }

    pub(super) fn with_ticket_id(self, ticket_id: Option<TicketId>) -> CaseErrors {
        CaseErrors { ticket_id, ..self }
    }
}

impl<'a> IntoIterator for &'a CaseErrors {
    type Item = &'a CaseError;
    type IntoIter = std::slice::Iter<'a, CaseError>;

    fn into_iter(self) -> Self::IntoIter {
        self.errors.iter()
    }
}

impl IntoIterator for CaseErrors {
    type Item = CaseError;
    type IntoIter = std::vec::IntoIter<CaseError>;

    fn into_iter(self) -> Self::IntoIter {
        self.errors.into_iter()
    }
}

impl Serialize for CaseErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.errors)
    }
}

/// Gathers errors in whatever order they are found and keeps the first [`MAX_ERRORS`] of the document.
#[derive(Debug, Default)]
pub(super) struct Collector {
    errors: Vec<(Place, CaseError)>,
}

impl Collector {
    pub(super) fn add(&mut self, path: &Path<'_>, value: Option<&Value>, rule: Rule) {
        let index = self.errors.partition_point(|(place, _)| path.cmp_place(place).is_ge());
        if index < MAX_ERRORS {
            let value = value.map(shorten).unwrap_or_default();
            self.errors.truncate(MAX_ERRORS - 1);
            self.errors.insert(index, (path.place(), CaseError { path: path.to_string(), value, rule }));
        }
    }

    pub(super) fn into_errors(self) -> Vec<CaseError> {
        self.errors.into_iter().map(|(_, error)| error).collect()
    }
}

/// A value as JSON, cut after [`MAX_VALUE_CHARS`] characters.
pub(super) fn shorten(value: &Value) -> String {
    let mut head = Head(Vec::new());
    // The only error is the head being full, and then what it holds is what is wanted.
    let _ = serde_json::to_writer(&mut head, value);
    shorten_text(&String::from_utf8_lossy(&head.0))
}

/// A text cut after [`MAX_VALUE_CHARS`] characters.
pub(super) fn shorten_text(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Takes as many bytes as a shortened value can need, so that a large value is not written out in full.
struct Head(Vec<u8>);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (MAX_VALUE_CHARS + 1) * 4 - self.0.len();
        if room == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let taken = bytes.len().min(room);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::json;

    use super::super::path::Step;
    use super::*;

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(shorten(&json!("短")), "\"短\"");
        for value in [json!("证".repeat(9_000)), json!("😀".repeat(9_000)), json!(vec![1; 9_000])] {
            let shown = shorten(&value);
            assert_eq!(shown.chars().count(), MAX_VALUE_CHARS + 1, "{shown}");
            assert!(shown.ends_with('…') && !shown.contains('\u{FFFD}'), "{shown}");
        }
    }

    #[test]
    fn the_first_errors_of_the_document_are_kept_whatever_the_order_found() {
        let mut collector = Collector::default();
        let mut path = Path::default();
        for index in (0..100).rev() {
            path.push(Step::Index(index), index);
            collector.add(&path, None, Rule::Empty);
            path.pop();
        }
        path.push(Step::Key(Cow::Borrowed("absent")), usize::MAX);
        collector.add(&path, None, Rule::Missing);
        let paths: Vec<_> = collector.into_errors().into_iter().map(|e| e.path).collect();
        assert_eq!(paths, (0..MAX_ERRORS).map(|i| format!("$[{i}]")).collect::<Vec<_>>());
    }
}
