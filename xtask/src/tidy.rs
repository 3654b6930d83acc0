//! `cargo xtask tidy`: the architecture invariants, held as checks over the sources. Each finding names the file,
//! the line and the rule. It reads text, never compiles, and knows nothing beyond the tables of its rules.

mod layers;
mod paths;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod words;

use std::fmt;

use anyhow::{Context, Result, bail};

use crate::ctx::{self, Ctx};
use source::Source;
use tree::TrackedFile;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    /// From 1; 0 for the file as a whole.
    line: usize,
    /// Short stable name of the rule.
    rule: &'static str,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": [{}] {}", self.rule, self.message)
    }
}

/// Checks every file of the repository that git tracks or would track.
pub(crate) fn run(ctx: &Ctx) -> Result<()> {
    let files = tracked(ctx)?;
    let findings = check(&files);
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("    {} files, no finding", files.len());
            Ok(())
        }
        1 => bail!("tidy has 1 finding"),
        n => bail!("tidy has {n} findings"),
    }
}

/// All rules over all files, in the order of files and lines.
fn check(files: &[TrackedFile]) -> Vec<Finding> {
    let mut findings = tree::check(files);
    let mut sources: Vec<Source> = files.iter().filter_map(Source::of).collect();
    source::mark_test_files(&mut sources);
    for source in &sources {
        words::check(source, &mut findings);
        layers::check(source, &mut findings);
    }
    findings.sort();
    findings.dedup();
    findings
}

/// What git tracks, and new files that it does not ignore.
fn tracked(ctx: &Ctx) -> Result<Vec<TrackedFile>> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let list = ctx::output(ctx.command("git").args(args)).context("tidy reads the list of files from git")?;
    let mut files = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        // A file that is removed but not yet committed is still listed.
        if let Some(file) = TrackedFile::read(&ctx.root, path)? {
            files.push(file);
        }
    }
    Ok(files)
}
