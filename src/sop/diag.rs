//! Findings about a pack, each with its file, line and column, in Chinese and English.

use std::fmt;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, MietteError, MietteSpanContents, Report,
    SourceCode, SourceSpan, SpanContents,
};
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
        let witness = self.witness.as_ref().map(|w| match lang {
            Lang::Zh => format!("反例：{}", w.zh),
            Lang::En => format!("witness: {}", w.en),
        });
        let label = LabeledSpan::new(witness, self.span.start, self.shown_len());
        let message = lang.pick(&self.message.zh, &self.message.en);
        let diagnostic = MietteDiagnostic::new(message.clone()).with_code(self.code).with_label(label);
        let report = Report::new(diagnostic).with_source_code(Excerpt(self.clone()));
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(120).with_context_lines(1);
        let mut out = String::new();
        match handler.render_report(&mut out, report.as_ref()) {
            Ok(()) => out,
            Err(fmt::Error) => self.to_string(),
        }
    }

    /// Bytes to underline: at least one, and no further than the end of the first line.
    fn shown_len(&self) -> usize {
        let rest = self.file.text.get(self.span.start..).unwrap_or_default();
        let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
        self.span.len.min(line).max(1)
    }

    /// The bytes of the line the place lies in.
    fn line(&self) -> std::ops::Range<usize> {
        let text = &self.file.text;
        let at = self.span.start.min(text.len());
        let start = text.get(..at).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
        let end = text.get(at..).and_then(|t| t.find('\n')).map_or(text.len(), |i| at + i);
        start..end
    }
}

/// The source of one finding as the report's renderer reads it: the whole line, and columns in characters.
#[derive(Debug)]
struct Excerpt(Finding);

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (line, column) = self.0.line_column();
        let text = self.0.file.text.as_bytes();
        // Without context the renderer asks where the label begins; with it, for the lines to print.
        let (range, column) = if before == 0 { (span.offset()..text.len(), column - 1) } else { (self.0.line(), 0) };
        let data = text.get(range.clone()).ok_or(MietteError::OutOfBounds)?;
        let shown = SourceSpan::new(range.start.into(), data.len());
        let name = self.0.file.name.clone();
        Ok(Box::new(MietteSpanContents::new_named(name, data, shown, line - 1, column, 1)))
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
