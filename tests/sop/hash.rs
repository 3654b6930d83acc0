//! What the rule book's hash stands for: every rule and every word of it, and nothing of how it is written down.

use std::sync::LazyLock;

use praetor::sop::{self, RuleBook, SourceFile};
use proptest::prelude::*;
use proptest::sample::Index;

use super::pack;

const DEMO: &str = "sop_rules/demo";

static BOOK: LazyLock<RuleBook> = LazyLock::new(|| sop::compile(&pack(DEMO)).unwrap());

fn hash(files: &[SourceFile]) -> String {
    sop::compile(files).unwrap_or_else(|e| panic!("{e}")).hash().to_string()
}

/// The top-level blocks of a file: a line that starts a key, and the lines under it.
fn blocks(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        let starts = line.starts_with(|c: char| c.is_ascii_lowercase());
        match out.last_mut() {
            Some(block) if !starts => *block += &format!("{line}\n"),
            _ if line.starts_with('#') || line.is_empty() => {}
            _ => out.push(format!("{line}\n")),
        }
    }
    out
}

/// Puts a value that stands bare after `key: ` in single quotes.
fn quoted(text: &str, key: &str) -> String {
    let value = |rest: &str| {
        let end = rest.find([',', '}', '\n']).unwrap_or(rest.len());
        let bare = rest[..end].trim_end();
        let plain = !bare.is_empty() && !bare.contains(['"', '\'', '[', '{', '>', '|', '#', '&', '*']);
        plain.then(|| (format!("'{bare}'"), bare.len()))
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(key) {
        let (before, after) = rest.split_at(at + key.len());
        out += before;
        rest = after;
        if let Some((quoted, len)) = value(rest) {
            out += &quoted;
            rest = &rest[len..];
        }
    }
    out + rest
}

/// Swaps the first two entries of a one-line mapping.
fn swapped(line: &str) -> String {
    let parts = || {
        let (indent, rest) = line.split_once("{ ")?;
        let inner = rest.strip_suffix(" }")?;
        if inner.contains(['{', '[', '"', '\'']) {
            return None;
        }
        let (first, second) = inner.split_once(", ")?;
        Some(format!("{indent}{{ {second}, {first} }}"))
    };
    parts().unwrap_or_else(|| line.to_owned())
}

fn each_line(text: &str, change: impl Fn(&str) -> String) -> String {
    text.lines().map(|l| change(l) + "\n").collect()
}

/// Is the line one of plain flow mappings, in which no text with commas or colons stands?
fn is_plain(line: &str) -> bool {
    line.contains("{ ") && line.ends_with('}') && !line.contains(['"', '\''])
}

/// The same file, written down otherwise.
fn rewritten(text: &str, style: usize, below: &mut impl FnMut(usize) -> usize) -> String {
    match style {
        0 => {
            let mut blocks = blocks(text);
            shuffle(&mut blocks, below);
            blocks.concat()
        }
        1 => each_line(text, |l| {
            if l.ends_with(['}', ']']) { format!("{l}   # a comment\n\n  # another") } else { l.to_owned() }
        }),
        2 => each_line(text, |l| {
            let keys =
                ["id: ", "scene: ", "then: ", "order: ", "buyer: ", "seller: ", "timeliness: ", "within: ", "name: "];
            if is_plain(l) { keys.iter().fold(l.to_owned(), |l, key| quoted(&l, key)) } else { l.to_owned() }
        }),
        3 => each_line(text, swapped),
        _ => text.replace('\n', "\r\n"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    /// The order of files and of keys, comments, blank lines, quotes and line ends change nothing.
    #[test]
    fn writing_the_pack_down_otherwise_changes_nothing(seed in any::<u64>(), style in 0..5usize) {
        let mut files = pack(DEMO);
        let mut below = fastrand(seed);
        let mut changed = 0;
        for f in &mut files {
            let text = rewritten(&f.text, style, &mut below);
            changed += usize::from(text != f.text);
            f.text = text;
        }
        prop_assert!(changed > 50, "style {} rewrites {} files", style, changed);
        shuffle(&mut files, &mut below);
        prop_assert_eq!(hash(&files), BOOK.hash().to_string());
    }

    /// One letter more in any clause, in either language, is another rule book.
    #[test]
    fn a_changed_clause_is_another_rule_book(sop in any::<Index>(), clause in any::<Index>(), chinese in any::<bool>()) {
        let mut files = pack(DEMO);
        let sop = sop.get(&BOOK.sops);
        let clause = clause.get(&sop.clauses);
        let (key, text) = if chinese { ("zh: ", &clause.text.zh) } else { ("en: ", &clause.text.en) };
        let start: String = text.chars().take(8).collect();
        let file = files.iter_mut().find(|f| f.name == format!("{}.yaml", sop.id)).unwrap();
        let from = file.text.find(&format!("id: {}\n", clause.id)).unwrap();
        let at = from + file.text[from..].find(key).unwrap();
        let at = at + file.text[at..].find(&start).unwrap();
        file.text.insert(at, 'x');
        prop_assert_ne!(hash(&files), BOOK.hash().to_string());
    }
}

/// A small generator, so that a shuffle is told by one number.
fn fastrand(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    }
}

fn shuffle<T>(items: &mut [T], below: &mut impl FnMut(usize) -> usize) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(i + 1));
    }
}

#[test]
fn the_order_of_rows_is_a_rule() {
    // Rows are numbered in decisions and explanations, so their order is not a matter of writing.
    let mut files = pack("tests/fixtures/packs/base");
    let before = hash(&files);
    let file = files.iter_mut().find(|f| f.name == "late.general.yaml").unwrap();
    let rows: Vec<&str> = file.text.lines().filter(|l| l.starts_with("  - { when:")).collect();
    let pair = rows.join("\n");
    let turned = format!("{}\n{}", rows[1], rows[0]);
    file.text = file.text.replace(&pair, &turned).replace("row: 1", "row: 2");
    assert_ne!(hash(&files), before);
}
