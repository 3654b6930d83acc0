//! A file whose shape is wrong, told the way an editor of packs reads it: which key, what is needed there.
//!
//! Words of the parser for programmers (type names, its own options) never reach a report.

use serde_saphyr::Error;

use super::diag::Span;
use super::raw::{Bilingual, CELL, THEN};

/// The place of a shape error: the value that does not fit, where the parser only names its key.
pub(super) fn place(error: &Error, text: &str) -> Span {
    let Some(at) = error.location() else { return Span::default() };
    let span = match at.span().byte_offset() {
        Some(_) => Span::from(&at),
        None => Span { start: offset(text, at.line(), at.column()), len: 0 },
    };
    let after = text.get(span.start + span.len..).unwrap_or_default();
    let is_value = matches!(
        error.without_snippet(),
        Error::SerdeInvalidType { .. } | Error::SerdeInvalidValue { .. } | Error::SerdeInvalidLength { .. }
    );
    match after.strip_prefix(':') {
        Some(value) if is_value && span.len > 0 => {
            let start = text.len() - value.trim_start().len();
            let value = &text[start..];
            Span { start, len: value.find([',', '}', '\n', '\r']).unwrap_or(value.len()) }
        }
        _ => span,
    }
}

/// The byte at a line and column, both from 1, columns in characters.
fn offset(text: &str, line: u64, column: u64) -> usize {
    let index = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(index(line)).map(str::len).sum();
    text[start..].chars().take_while(|c| *c != '\n').take(index(column)).map(char::len_utf8).sum::<usize>() + start
}

/// What is wrong. `found` is the source text at the place of the error.
pub(super) fn message(error: &Error, found: &str) -> Bilingual {
    let found = found.lines().next().unwrap_or_default().trim();
    let (zh, en) = match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            let known = expected.join(", ");
            let zh = format!("没有名为 `{field}` 的键；此处可用：{known}");
            (zh, format!("there is no key `{field}` here; known are {known}"))
        }
        Error::SerdeMissingField { field, .. } => {
            (format!("此键所在的一组键缺少 `{field}`"), format!("`{field}` is missing among the keys beside this one"))
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("`{key}` 写了两次"), format!("`{key}` is given twice"))
        }
        Error::SerdeInvalidType { expected, .. }
        | Error::SerdeInvalidValue { expected, .. }
        | Error::SerdeInvalidLength { expected, .. } => needed(expected, found),
        Error::Unexpected { expected, .. } => needed(expected, found),
        Error::InvalidScalar { ty, .. } => needed(ty, found),
        Error::InvalidBooleanStrict { .. } => needed("a boolean", found),
        Error::NullIntoString { .. } => needed("a string", ""),
        Error::Message { msg, .. } if DATE_ERRORS.contains(&msg.as_str()) => needed("a date", found),
        Error::Eof { .. } => ("文件没有内容，或中途结束".to_owned(), "the file is empty or breaks off".to_owned()),
        Error::MultipleDocuments { .. } => (
            "一个文件只能有一个 YAML 文档，`---` 之后是第二个".to_owned(),
            "a file holds one YAML document, and `---` begins a second one".to_owned(),
        ),
        Error::UnknownAnchor { .. } => {
            ("引用了不存在的锚点".to_owned(), "the alias refers to an anchor that does not exist".to_owned())
        }
        other => {
            let text = plain(other);
            (format!("不是有效的 YAML：{text}"), format!("this is not valid YAML: {text}"))
        }
    };
    Bilingual { zh, en }
}

/// What the date type says of a text that is no date.
const DATE_ERRORS: [&str; 6] = [
    "input is out of range",
    "no possible date and time matching input",
    "input is not enough for unique date and time",
    "input contains invalid characters",
    "premature end of input",
    "trailing input",
];

fn needed(expected: &str, found: &str) -> (String, String) {
    let (zh, en) = match expected {
        "a string" | "string" | "string scalar" => ("文字", "text"),
        "a boolean" | "bool" | "boolean" => (" true 或 false", "true or false"),
        "a date" => ("日期，如 2026-01-31", "a date such as 2026-01-31"),
        "u8" | "u16" | "u32" | "u64" | "usize" => ("不小于零的整数", "a whole number of at least zero"),
        "i8" | "i16" | "i32" | "i64" | "isize" | "integer" => ("整数", "a whole number"),
        "a sequence" | "sequence start" | "sequence" => ("列表，如 [a, b]", "a list such as [a, b]"),
        "a map" | "mapping start" | "mapping" => ("一组键和值，如 { a: b }", "keys with values such as { a: b }"),
        e if e.starts_with("struct ") => ("一组键和值，如 { a: b }", "keys with values such as { a: b }"),
        CELL => ("一个值或值的列表；金额、比例和区间要加引号", CELL),
        THEN => (" reject_claim、request_evidence 或写全的处理方式", THEN),
        other => (other, other),
    };
    // A list or a mapping would be shown by its bracket alone.
    if found.is_empty() || found.starts_with(['{', '[']) {
        (format!("此处应为{zh}"), format!("expected {en}"))
    } else {
        (format!("`{found}` 不合适，此处应为{zh}"), format!("expected {en}, found `{found}`"))
    }
}

/// The parser's own words without the place, which the report shows anyway.
fn plain(error: &Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.split(" at line ").next().unwrap_or(first).trim_end_matches([':', ' ', ',']).to_owned()
}
