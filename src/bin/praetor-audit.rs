//! The auditor's program: verifies bundles and receipts with public keys alone. It knows no database and no network.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Parser, Subcommand};
use praetor::audit::{ReceiptArgs, VerifyArgs, print};
use praetor::lang::Lang;

/// Verifies what praetor exported: a bundle of the whole log, or one receipt.
#[derive(Debug, Parser)]
#[command(
    name = "praetor-audit",
    version,
    about,
    after_help = "Exit codes: 0 all holds; 1 it does not; 2 wrong usage."
)]
struct Cli {
    /// The language of what people read: zh or en [default: from LANG, else zh]
    #[arg(long, global = true, value_name = "LANG", env = "PRAETOR_LANG")]
    lang: Option<Lang>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify a bundle
    Verify(VerifyArgs),
    /// Verify a receipt
    VerifyReceipt(ReceiptArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let lang = cli.lang.unwrap_or_else(Lang::of_environment);
    match run(&cli.command, lang) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "praetor-audit: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command, lang: Lang) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    match command {
        Command::Verify(args) => match args.offline()? {
            Some(report) => Ok(print(&report, args.format, lang, &mut out)?),
            None => bail!("{}", lang.pick("请用 --offline 给出要核验的包", "name the bundle with --offline")),
        },
        Command::VerifyReceipt(args) => args.run(lang, &mut out),
    }
}
