//! The command line: one file a command. Commands call the pipeline and the store and nothing deeper.

mod adjudicate;
mod audit;
mod audit_feed;
mod calibrate;
mod calibrate_report;
mod db;
mod diagnose;
mod disturb;
mod doctor;
mod erase;
mod eval;
mod explain;
mod gate;
mod input;
mod key;
mod pra;
mod pra_figures;
mod questions;
mod records;
mod render;
mod replay;
mod replay_report;
mod review;
mod serve;
mod show;
mod sop;
mod sop_diff;
mod witness;
mod witnessed;
mod worker;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Config, ConfigArgs};
use crate::judge::Judge;
use crate::pipeline::Pipeline;
use crate::store::Store;
use crate::telemetry;

/// Exit code when everything ran but some input was refused.
pub(crate) const EXIT_REFUSED: u8 = 3;

/// Exit code of a report that raises an alarm.
pub(crate) const EXIT_ALARM: u8 = 4;

/// Exit code when a signal ended the work early.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Cases decided together unless `--batch` says otherwise: as many as a model takes in one batch by default.
const TOGETHER: u16 = 64;

const AFTER_HELP: &str = "\
Exit codes: 0 all done; 1 failed; 2 wrong usage; 3 done, but some input was refused; 4 alarm; 130 interrupted.
The database is that of DATABASE_URL; without it praetor keeps a private Postgres in its data folder.";

/// Rule-driven arbitration of e-commerce after-sale disputes.
#[derive(Debug, Parser)]
#[command(name = "praetor", version, about, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Decide tickets and record the decisions
    Adjudicate(adjudicate::AdjudicateArgs),
    /// Print recorded decisions
    Show(show::ShowArgs),
    /// Explain a recorded decision to the people it concerns
    Explain(explain::ExplainArgs),
    /// Check recorded decisions and decide them again, as pinned or under other rules, models or facts
    Replay(replay::ReplayArgs),
    /// Prove what is recorded: bundles, verification, proofs, receipts
    Audit(audit::AuditArgs),
    /// Witness the logs of others: remember how large they were and cosign what continues them
    Witness(witness::WitnessArgs),
    /// Decide cases whose answers are known and show how often each node is right
    Eval(eval::EvalArgs),
    /// Choose which decisions may be automatic, with a guarantee, and watch whether it holds
    Calibrate(calibrate::CalibrateArgs),
    /// Show the review queue, and write what came of it
    Review(review::ReviewArgs),
    /// Say which of the pipeline's findings people correct, and the weakest of each scene
    Diagnose(diagnose::DiagnoseArgs),
    /// Check, test and print the rules
    Sop(sop::SopArgs),
    /// Serve decisions over HTTP
    Serve(serve::ServeArgs),
    /// Decide the batches that were handed in over HTTP
    Worker(worker::WorkerArgs),
    /// Make, list and revoke the keys of the HTTP service
    Key(key::KeyArgs),
    /// Make a subject's data unreadable for good; what proves the decisions stays
    Erase(erase::EraseArgs),
    /// Keep a subject's data from being erased or set aside
    Hold(erase::HoldArgs),
    /// Look after the database
    Db(db::DbArgs),
    /// Say what is found, which versions, and what is missing
    Doctor,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the questions that models are trained on
    #[command(hide = true)]
    Questions(questions::QuestionsArgs),
    /// Write decisions as the second pass reads them
    #[command(hide = true)]
    Pra(pra::PraArgs),
}

/// Runs the program with the process's arguments.
pub async fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli, &matches).await {
        Ok(code) => code,
        // Whoever reads our output may stop reading: that is no failure.
        Err(error) if error.chain().any(is_broken_pipe) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "praetor: {}", message(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, leaving out causes that the text before already holds.
fn message(error: &anyhow::Error) -> String {
    let mut out = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !out.contains(&cause) && !cause.is_empty() {
            out = format!("{out}: {cause}");
        }
    }
    out
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

async fn run(cli: Cli, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let config = Config::load(&cli.config)?;
    // What runs for long tells what it does; a command is silent unless asked.
    let level = if matches!(cli.command, Command::Serve(_) | Command::Worker(_)) { "info,ort=warn" } else { "off" };
    let telemetry = telemetry::start(&config.log, &config.telemetry, level)?;
    let done = command(cli.command, &config, matches).await;
    telemetry.finish().await;
    done
}

async fn command(command: Command, config: &Config, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    match command {
        Command::Adjudicate(args) => adjudicate::run(&args, config).await,
        Command::Show(args) => show::run(&args, config, &mut out).await,
        Command::Audit(args) => audit::run(args, config, &mut out).await,
        Command::Witness(args) => witness::run(args, config, &mut out).await,
        Command::Explain(args) => explain::run(&args, config, &mut out).await,
        Command::Replay(args) => {
            let named = replay::Named { pack: named(matches, "pack"), models: named(matches, "models") };
            replay::run(&args, named, config, &mut out).await
        }
        Command::Eval(args) => eval::run(&args, config, &mut out),
        Command::Calibrate(args) => calibrate::run(&args, config, &mut out).await,
        Command::Review(args) => review::run(&args, config, &mut out).await,
        Command::Diagnose(args) => diagnose::run(&args, config, &mut out).await,
        Command::Sop(args) => sop::run(&args, config, &mut out).await,
        Command::Erase(args) => erase::erase(&args, config, &mut out).await,
        Command::Hold(args) => erase::hold(&args, config, &mut out).await,
        Command::Db(args) => db::run(&args, config, &mut out).await,
        Command::Serve(args) => serve::run(&args, config).await,
        Command::Worker(args) => worker::run(&args, config).await,
        Command::Key(args) => key::run(&args, config, &mut out).await,
        Command::Doctor => doctor::run(config, &mut out).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "praetor", &mut out);
            Ok(ExitCode::SUCCESS)
        }
        Command::Questions(args) => questions::command(&args, config, &mut out),
        Command::Pra(args) => pra::run(&args, config, &mut io::BufWriter::new(out)),
    }
}

/// Whether the command line itself gives an option, not a variable, a file or a default.
fn named(matches: &ArgMatches, option: &str) -> bool {
    let source = matches.subcommand().and_then(|(_, command)| command.value_source(option));
    source == Some(ValueSource::CommandLine)
}

/// Opens the database; a private one is brought up to date.
async fn open_database(config: &Config) -> anyhow::Result<Store> {
    let store = Store::open(&config.store).await?;
    if store.is_private() {
        store.migrate().await?;
    }
    Ok(store)
}

/// Opens the database to write, unless a witness saw more of the ledger than it holds, and keeps what decisions pin.
async fn open_store(config: &Config, pipeline: &Pipeline) -> anyhow::Result<Store> {
    let store = open_database(config).await?;
    if let Err(refused) = witnessed::guard(&store, config).await {
        store.close().await?;
        return Err(refused);
    }
    let kept = crate::replay::keep(&store, pipeline, &config.models).await;
    kept.context("cannot write; is the database migrated (praetor db migrate)?")?;
    gate::enter(&store.tenant(&config.tenant), pipeline).await?;
    Ok(store)
}

/// Opens rules and models, behind the certificate's gate.
fn open_pipeline(config: &Config) -> anyhow::Result<Pipeline> {
    Ok(gate::gated(open_ungated(config)?, config)?)
}

/// Opens rules and models. Nothing is automatic.
fn open_ungated(config: &Config) -> anyhow::Result<Pipeline> {
    let book = crate::sop::load(&config.pack)?;
    let judge = Judge::open(&config.models, &config.judge)
        .with_context(|| format!("cannot open the models in {}", config.models.display()))?;
    Ok(Pipeline::new(book, judge)?)
}
