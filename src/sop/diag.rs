//! Findings about a pack, each with its file, line and column, in Chinese and English.

use std::fmt;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use serde_saphyr::Location;

use super::raw::Bilingual;
use crate::lang::Lang;

/// A file of a pack: its name inside the folder and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Name relative to the pack's folder.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A byte range in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Number of bytes.
    pub len: usize,
}

impl From<&Location> for Span {
    fn from(at: &Location) -> Self {
        let span = at.span();
        let index = |v: Option<u64>| v.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        Self { start: index(span.byte_offset()), len: index(span.byte_len()) }
    }
}

/// One thing that is wrong with a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable code, such as `table.gap`.
    pub code: &'static str,
    /// The file.
    pub file: Arc<SourceFile>,
    /// Where in it.
    pub span: Span,
    /// What is wrong.
    pub message: Bilingual,
    /// A case that shows it.
    pub witness: Option<Bilingual>,
}

impl Finding {
    /// 1-based line and column (in characters) of the place.
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.file.text.get(..self.span.start).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        (line, column)
    }

    /// The finding as a report with the source line, as people read it.
    pub fn render(&self, lang: Lang, color: bool) -> String {
        let label = LabeledSpan::new(None, self.span.start, self.span.len.max(1));
        let message = match lang {
            Lang::Zh => &self.message.zh,
            Lang::En => &self.message.en,
        };
        let mut diagnostic = MietteDiagnostic::new(message.clone()).with_code(self.code).with_label(label);
        if let Some(witness) = &self.witness {
            diagnostic = diagnostic.with_help(format!("反例：{}\nwitness: {}", witness.zh, witness.en));
        }
        let report =
            Report::new(diagnostic).with_source_code(NamedSource::new(self.file.name.clone(), self.file.text.clone()));
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(120).with_context_lines(0);
        let mut out = String::new();
        match handler.render_report(&mut out, report.as_ref()) {
            Ok(()) => out,
            Err(fmt::Error) => self.to_string(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}: [{}] {}", self.file.name, self.code, self.message.en)
    }
}

/// Everything wrong with a pack. Never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackErrors(pub Vec<Finding>);

impl PackErrors {
    /// All findings, one report after another.
    pub fn render(&self, lang: Lang, color: bool) -> String {
        self.0.iter().map(|f| f.render(lang, color)).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for PackErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            writeln!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PackErrors {}
