//! Rules over the tree of files: sizes, needed pages, migrations with their way back, paths of one machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;

const MIB: u64 = 1 << 20;
/// Largest file.
const FILE_LIMIT: u64 = 16 * MIB;
/// Largest sum of all files.
const TREE_LIMIT: u64 = 50 * MIB;
/// Files above this size are data, and are not read as text.
const TEXT_LIMIT: u64 = MIB;
/// Most lines of a Rust file. Past it there is a second idea in the file.
const LINE_LIMIT: usize = 500;

/// Pages without which the repository is not complete.
pub(super) const NEEDED: &[&str] =
    &["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"];

/// Starts of paths that exist on one person's machine only. Written in two parts, so as not to find themselves.
const HOMES: &[&str] = &[concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];

/// A file of the repository.
pub(crate) struct TrackedFile {
    /// Path from the repository root, with `/`.
    pub(crate) path: String,
    /// Bytes.
    pub(crate) size: u64,
    /// The text, unless it is large or not UTF-8.
    pub(crate) text: Option<String>,
}

impl TrackedFile {
    /// Reads it; None where there is no such regular file.
    pub(crate) fn read(root: &Path, path: &str) -> Result<Option<TrackedFile>> {
        let full = root.join(path);
        let Ok(info) = fs::symlink_metadata(&full) else {
            return Ok(None);
        };
        if !info.is_file() {
            return Ok(None);
        }
        let size = info.len();
        let text = if size <= TEXT_LIMIT {
            let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            String::from_utf8(bytes).ok()
        } else {
            None
        };
        Ok(Some(TrackedFile { path: path.to_owned(), size, text }))
    }
}

/// All rules of this file.
pub(crate) fn check(files: &[TrackedFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    sizes(files, &mut findings);
    needed(files, &mut findings);
    migrations(files, &mut findings);
    for file in files {
        if let Some(text) = &file.text {
            homes(&file.path, text, &mut findings);
            if file.path.ends_with(".rs") {
                length(&file.path, text, &mut findings);
            }
        }
    }
    findings
}

fn sizes(files: &[TrackedFile], findings: &mut Vec<Finding>) {
    for file in files.iter().filter(|file| file.size > FILE_LIMIT) {
        let message = format!("{} MiB; a file has at most {}", file.size / MIB, FILE_LIMIT / MIB);
        findings.push(Finding::new(&file.path, 0, "file-size", message));
    }
    let sum: u64 = files.iter().map(|file| file.size).sum();
    if sum > TREE_LIMIT {
        let message = format!("the files sum to {} MiB; at most {}", sum / MIB, TREE_LIMIT / MIB);
        findings.push(Finding::new(".", 0, "tree-size", message));
    }
}

fn needed(files: &[TrackedFile], findings: &mut Vec<Finding>) {
    for page in NEEDED {
        if !files.iter().any(|file| file.path == *page && file.size > 0) {
            findings.push(Finding::new(page, 0, "needed-page", "is missing or empty"));
        }
    }
}

/// Each `migrations/N_name.up.sql` has its `.down.sql`, and nothing else lies there.
fn migrations(files: &[TrackedFile], findings: &mut Vec<Finding>) {
    let (mut ups, mut downs) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        let Some(name) = file.path.strip_prefix("migrations/").filter(|name| name.ends_with(".sql")) else {
            continue;
        };
        let empty = file.text.as_deref().is_some_and(|text| text.trim().is_empty());
        if empty {
            findings.push(Finding::new(&file.path, 0, "migration-down", "is empty"));
        }
        if let Some(stem) = name.strip_suffix(".up.sql") {
            ups.insert(stem);
        } else if let Some(stem) = name.strip_suffix(".down.sql") {
            downs.insert(stem);
        } else {
            let message = "is neither .up.sql nor .down.sql";
            findings.push(Finding::new(&file.path, 0, "migration-down", message));
        }
    }
    for stem in ups.difference(&downs) {
        let path = format!("migrations/{stem}.up.sql");
        findings.push(Finding::new(&path, 0, "migration-down", "has no .down.sql beside it"));
    }
    for stem in downs.difference(&ups) {
        let path = format!("migrations/{stem}.down.sql");
        findings.push(Finding::new(&path, 0, "migration-down", "has no .up.sql beside it"));
    }
}

fn homes(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        for home in HOMES {
            let starts_a_path = |at: usize| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '/' | '-' | '_' | '}' | '$'))
            };
            if line.match_indices(home).any(|(at, _)| starts_a_path(at)) {
                let message = format!("names a path of one machine ({home}…)");
                findings.push(Finding::new(path, index + 1, "home-path", message));
            }
        }
    }
}

fn length(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let lines = text.lines().count();
    if lines > LINE_LIMIT {
        let message = format!("{lines} lines; at most {LINE_LIMIT}: look for the second idea in it");
        findings.push(Finding::new(path, LINE_LIMIT + 1, "file-length", message));
    }
}
