//! `audit verify --offline DIR`: verifies a bundle and prints the report.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::bundle::Bundle;
use super::trust::TrustArgs;
use crate::lang::Lang;
use crate::ledger::Report;

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As people read it.
    Text,
    /// One JSON object.
    Json,
}

/// Arguments of `audit verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The bundle to verify; needs neither database nor network
    #[arg(long, value_name = "DIR")]
    pub offline: Option<PathBuf>,
    /// Whom to trust.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

impl VerifyArgs {
    /// Verifies the bundle. None if none was named.
    pub fn offline(&self) -> anyhow::Result<Option<Report>> {
        let Some(dir) = &self.offline else { return Ok(None) };
        let keys = self.trust.keys()?;
        let witnessed = self.trust.witnessed(&keys)?;
        Ok(Some(Bundle::open(dir)?.verify(keys, witnessed)?))
    }
}

/// Prints a report. The exit code is 0 only if all holds.
pub fn print(report: &Report, format: Format, lang: Lang, out: &mut impl Write) -> io::Result<ExitCode> {
    match format {
        Format::Text => write!(out, "{}", report.render(lang))?,
        Format::Json => {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)?;
        }
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
