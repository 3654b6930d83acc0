//! A Rust file as the rules see it: line by line, with code, string contents and comments told apart, and with
//! the lines known that are compiled for tests only. A reader of tokens, not a parser: what it needs of the
//! language are comments, literals and braces.

use std::collections::BTreeSet;

use super::tree::TrackedFile;

/// A Rust file.
pub(crate) struct Source {
    /// Path from the repository root.
    pub(crate) path: String,
    /// The text without comments and literals, which are blanked; same lines as the file.
    pub(crate) code: String,
    /// From the first line.
    pub(crate) lines: Vec<Line>,
    /// Modules declared as `#[cfg(test)] mod name;`.
    test_modules: Vec<String>,
}

/// One line of it.
pub(crate) struct Line {
    /// As written.
    pub(crate) raw: String,
    /// Only what stands inside string literals.
    pub(crate) strings: String,
    /// Compiled for tests only.
    pub(crate) test: bool,
}

impl Source {
    /// The file as source; None for what is not Rust text.
    pub(crate) fn of(file: &TrackedFile) -> Option<Source> {
        if !file.path.ends_with(".rs") {
            return None;
        }
        Some(Source::new(&file.path, file.text.as_deref()?))
    }

    fn new(path: &str, text: &str) -> Source {
        let (code, strings) = split(text);
        let mut source = Source {
            path: path.to_owned(),
            lines: text
                .lines()
                .zip(strings.lines())
                .map(|(raw, strings)| Line { raw: raw.to_owned(), strings: strings.to_owned(), test: false })
                .collect(),
            code,
            test_modules: Vec::new(),
        };
        source.mark_test_items();
        source
    }

    /// Number, from 1, of the line at that byte of `code`.
    pub(crate) fn line_at(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// Is that line, counted from 1, compiled for tests only?
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.lines.get(line - 1).is_some_and(|line| line.test)
    }

    fn mark_test_items(&mut self) {
        const MARK: &str = "#[cfg(test)]";
        let code = self.code.clone();
        for (at, _) in code.match_indices(MARK) {
            let item = skip_attributes(&code, at + MARK.len());
            let end = item_end(&code, item);
            if let Some(name) = declared_module(&code[item..end]) {
                self.test_modules.push(name.to_owned());
            }
            let (first, last) = (self.line_at(at), self.line_at(end));
            for line in self.lines.iter_mut().take(last).skip(first - 1) {
                line.test = true;
            }
        }
    }

    /// Folder in which the modules lie that this file declares.
    fn module_folder(&self) -> String {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        match name {
            "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
            _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
        }
    }
}

/// Marks whole files that another file declares for tests only.
pub(crate) fn mark_test_files(sources: &mut [Source]) {
    let mut files = BTreeSet::new();
    for source in sources.iter() {
        for name in &source.test_modules {
            let folder = source.module_folder();
            files.insert(format!("{folder}/{name}.rs"));
            files.insert(format!("{folder}/{name}/mod.rs"));
        }
    }
    for source in sources.iter_mut().filter(|source| files.contains(&source.path)) {
        for line in &mut source.lines {
            line.test = true;
        }
    }
}

/// `mod name;` -> name.
fn declared_module(item: &str) -> Option<&str> {
    let rest = item.trim().strip_suffix(';')?;
    let name = rest.rsplit_once("mod ")?.1.trim();
    (!name.is_empty() && name.chars().all(is_word)).then_some(name)
}

fn skip_attributes(code: &str, mut at: usize) -> usize {
    loop {
        at += code[at..].len() - code[at..].trim_start().len();
        if !code[at..].starts_with("#[") {
            return at;
        }
        at = balanced_end(code, at + 1);
    }
}

/// The end of the item that starts there: its `;`, or the brace that closes its body.
fn item_end(code: &str, at: usize) -> usize {
    let mut depth = 0usize;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at + offset + 1,
            '{' if depth == 0 => return balanced_end(code, at + offset),
            _ => {}
        }
    }
    code.len()
}

/// The byte after the bracket that closes the one at `at`.
fn balanced_end(code: &str, at: usize) -> usize {
    let mut depth = 0usize;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + offset + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Part of an identifier?
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text twice, with the same lines: code alone, and the contents of string literals alone.
fn split(text: &str) -> (String, String) {
    let mut reader = Reader {
        chars: text.chars().collect(),
        at: 0,
        code: String::with_capacity(text.len()),
        strings: String::with_capacity(text.len()),
    };
    while reader.at < reader.chars.len() {
        reader.token();
    }
    (reader.code, reader.strings)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    code: String,
    strings: String,
}

impl Reader {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    /// Takes `n` characters, keeping them in the given view and blanking them in the other.
    fn take(&mut self, n: usize, in_code: bool, in_strings: bool) {
        for _ in 0..n {
            let Some(&c) = self.chars.get(self.at) else {
                return;
            };
            let blank = if c == '\n' { '\n' } else { ' ' };
            self.code.push(if in_code { c } else { blank });
            self.strings.push(if in_strings { c } else { blank });
            self.at += 1;
        }
    }

    fn token(&mut self) {
        let after_word = self.at > 0 && is_word(self.chars[self.at - 1]);
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => {
                while self.at < self.chars.len() && self.peek(0) != '\n' {
                    self.take(1, false, false);
                }
            }
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('b' | 'c', '"') if !after_word => {
                self.take(1, false, false);
                self.string();
            }
            ('r', '"' | '#') if !after_word && self.raw_hashes(1).is_some() => self.raw_string(1),
            ('b' | 'c', 'r') if !after_word && self.raw_hashes(2).is_some() => self.raw_string(2),
            ('\'', '\\') => {
                self.take(3, false, false);
                while self.at < self.chars.len() && self.peek(0) != '\'' {
                    self.take(1, false, false);
                }
                self.take(1, false, false);
            }
            ('\'', _) if self.peek(2) == '\'' => self.take(3, false, false),
            _ => self.take(1, true, false),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0usize;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.take(2, false, false);
                }
                ('*', '/') => {
                    depth -= 1;
                    self.take(2, false, false);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.take(1, false, false),
            }
        }
    }

    fn string(&mut self) {
        self.take(1, false, false);
        while self.at < self.chars.len() {
            match self.peek(0) {
                '"' => return self.take(1, false, false),
                '\\' => self.take(2, false, true),
                _ => self.take(1, false, true),
            }
        }
    }

    /// How many `#` stand between the prefix of a raw string and its quote; None if it is no raw string.
    fn raw_hashes(&self, prefix: usize) -> Option<usize> {
        let hashes = (0..).take_while(|n| self.peek(prefix + n) == '#').count();
        (self.peek(prefix + hashes) == '"').then_some(hashes)
    }

    fn raw_string(&mut self, prefix: usize) {
        let hashes = self.raw_hashes(prefix).unwrap_or(0);
        self.take(prefix + hashes + 1, false, false);
        while self.at < self.chars.len() {
            let closes = self.peek(0) == '"' && (1..=hashes).all(|n| self.peek(n) == '#');
            if closes {
                return self.take(1 + hashes, false, false);
            }
            self.take(1, false, true);
        }
    }
}
