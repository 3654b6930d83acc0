//! Reading tickets: one JSON object, a JSON array, or one object a line (NDJSON), from a file or standard input.
//!
//! NDJSON is read line by line; the other two forms are read whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;

/// One ticket's bytes and where they stood.
#[derive(Debug)]
pub(super) struct Raw {
    /// Line of the input, from 1; for an array the place in it, from 1.
    pub(super) line: u64,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
}

/// Tickets of one input, in order.
pub(super) struct Input {
    /// File name, or `-`.
    pub(super) name: String,
    /// Size in bytes, if known.
    pub(super) size: Option<u64>,
    form: Form,
}

enum Form {
    Lines { reader: Box<dyn BufRead + Send>, first: Option<Vec<u8>>, line: u64 },
    Whole(std::vec::IntoIter<Raw>),
}

/// A line longer than this is no ticket; it is cut off so that it can be refused without being kept whole.
const MAX_LINE: u64 = 4 << 20;

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let (reader, size): (Box<dyn BufRead + Send>, _) = if name == "-" {
            (Box::new(BufReader::new(io::stdin())), None)
        } else {
            let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
            let size = file.metadata().ok().map(|m| m.len());
            (Box::new(BufReader::new(file)), size)
        };
        Self::from_reader(name, size, reader)
    }

    fn from_reader(name: String, size: Option<u64>, mut reader: Box<dyn BufRead + Send>) -> anyhow::Result<Self> {
        let mut line = 0;
        let first = loop {
            let Some(bytes) = read_line(&mut reader)? else { break None };
            line += 1;
            if !blank(&bytes) {
                break Some(bytes);
            }
        };
        let Some(first) = first else {
            return Ok(Self { name, size, form: Form::Whole(Vec::new().into_iter()) });
        };
        // A first line that opens a value without closing it begins a document of several lines.
        let unfinished = serde_json::from_slice::<serde::de::IgnoredAny>(&first).is_err_and(|e| e.is_eof());
        let array = first.trim_ascii_start().first() == Some(&b'[');
        if !unfinished && !array {
            return Ok(Self { name, size, form: Form::Lines { reader, first: Some(first), line } });
        }
        let mut bytes = first;
        bytes.push(b'\n');
        reader.read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
        let tickets = match serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(&bytes) {
            Ok(list) if array => {
                (1..).zip(list).map(|(line, raw)| Raw { line, bytes: raw.get().as_bytes().to_vec() }).collect()
            }
            _ => vec![Raw { line, bytes }],
        };
        Ok(Self { name, size, form: Form::Whole(tickets.into_iter()) })
    }

    /// The next ticket; blank lines are skipped.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Raw>> {
        match &mut self.form {
            Form::Whole(list) => Ok(list.next()),
            Form::Lines { reader, first, line } => {
                if let Some(bytes) = first.take() {
                    return Ok(Some(Raw { line: *line, bytes }));
                }
                loop {
                    let read = read_line(reader).with_context(|| format!("cannot read {}", self.name))?;
                    let Some(bytes) = read else { return Ok(None) };
                    *line += 1;
                    if !blank(&bytes) {
                        return Ok(Some(Raw { line: *line, bytes }));
                    }
                }
            }
        }
    }
}

fn blank(bytes: &[u8]) -> bool {
    bytes.trim_ascii().is_empty()
}

/// A line without its end; what is beyond the limit is read and dropped.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    } else if bytes.len() as u64 == MAX_LINE {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(u64, String)> {
        let reader = Box::new(io::Cursor::new(text.to_owned().into_bytes()));
        let mut input = Input::from_reader("-".into(), None, reader).unwrap();
        std::iter::from_fn(|| input.next().unwrap()).map(|r| (r.line, String::from_utf8(r.bytes).unwrap())).collect()
    }

    #[test]
    fn reads_lines_objects_and_arrays() {
        assert_eq!(all("{\"a\":1}\n\n{\"a\":2}\r\n"), [(1, "{\"a\":1}".into()), (3, "{\"a\":2}".into())]);
        assert_eq!(all("{\n \"a\": 1\n}\n"), [(1, "{\n \"a\": 1\n}\n".into())]);
        assert_eq!(all("[{\"a\":1}, {\"a\":2}]"), [(1, "{\"a\":1}".into()), (2, "{\"a\":2}".into())]);
        assert_eq!(all("\n[\n1,\n2]"), [(1, "1".into()), (2, "2".into())]);
        assert!(all("").is_empty());
        assert!(all(" \n\n").is_empty());
    }

    #[test]
    fn a_broken_line_does_not_stop_the_lines_after_it() {
        assert_eq!(all("{\"a\":}\n{\"a\":2}\n").len(), 2);
        assert_eq!(all("nonsense\n{\"a\":2}\n").len(), 2);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let text = format!("{}\n{{}}\n", "x".repeat(5 << 20));
        let lines = all(&text);
        assert_eq!(lines[0].1.len() as u64, MAX_LINE);
        assert_eq!(lines[1], (2, "{}".into()));
    }
}
