//! The paths that a Rust file names: each leaf of its `use` trees in full, and each path written in code.

use super::source::{Source, is_word};

/// `a::b::c`, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// From 1.
    pub(crate) line: usize,
    /// The parts between `::`. A macro call keeps its `!`: `sqlx`, `query!`.
    pub(crate) parts: Vec<String>,
}

impl NamedPath {
    /// Does it contain these parts, one after the other?
    pub(crate) fn has(&self, words: &str) -> bool {
        let words: Vec<&str> = words.split("::").collect();
        self.parts.windows(words.len()).any(|window| window.iter().zip(&words).all(|(a, b)| a == b))
    }

    /// As written.
    pub(crate) fn text(&self) -> String {
        self.parts.join("::")
    }
}

/// Every path of the file, in order.
pub(crate) fn named(source: &Source) -> Vec<NamedPath> {
    let code = &source.code;
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let rest = &code[at..];
        let Some(c) = rest.chars().next() else { break };
        if !is_word(c) {
            at += c.len_utf8();
            continue;
        }
        let (parts, len) = path(rest);
        let tree = &rest[len..];
        if parts == ["use"] && !tree.trim_start().starts_with('<') {
            let end = tree.find(';').unwrap_or(tree.len());
            leaves(source, &tree[..end], at + len, &[], &mut found);
            at += len + end;
        } else {
            if !c.is_ascii_digit() {
                found.push(NamedPath { line: source.line_at(at), parts });
            }
            at += len;
        }
    }
    found
}

/// The path at the start of the text, and its length in bytes.
fn path(text: &str) -> (Vec<String>, usize) {
    let mut parts = Vec::new();
    let mut at = 0;
    loop {
        let word: usize = text[at..].chars().take_while(|c| is_word(*c)).map(char::len_utf8).sum();
        let mut part = text[at..at + word].to_owned();
        at += word;
        if text[at..].starts_with('!') && !text[at..].starts_with("!=") {
            part.push('!');
            at += 1;
        }
        parts.push(part);
        match text[at..].strip_prefix("::") {
            Some(next) if next.starts_with(is_word) => at += 2,
            _ => return (parts, at),
        }
    }
}

/// The leaves of a `use` tree: `a::{b, c::{d as e, *}}` gives `a::b`, `a::c::d`, `a::c::*`.
fn leaves(source: &Source, tree: &str, offset: usize, prefix: &[String], found: &mut Vec<NamedPath>) {
    for (start, branch) in branches(tree) {
        let lead = branch.len() - branch.trim_start().len();
        let (offset, branch) = (offset + start + lead, branch.trim());
        if branch.is_empty() {
            continue;
        }
        let head_end = branch.find('{').unwrap_or(branch.len());
        let head = branch[..head_end].split(" as ").next().unwrap_or_default();
        let mut parts = prefix.to_vec();
        let words = head.split("::").map(str::trim).filter(|word| !word.is_empty());
        parts.extend(words.map(str::to_owned));
        match branch[head_end..].strip_prefix('{') {
            Some(inner) => {
                let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
                leaves(source, inner, offset + head_end + 1, &parts, found);
            }
            None => found.push(NamedPath { line: source.line_at(offset), parts }),
        }
    }
}

/// The parts between commas outside braces, each with its start.
fn branches(tree: &str) -> Vec<(usize, &str)> {
    let (mut depth, mut start) = (0usize, 0);
    let mut list = Vec::new();
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                list.push((start, &tree[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    list.push((start, &tree[start..]));
    list
}
