//! `praetor eval`: decides cases whose answers are known and prints how often each node is right.
//!
//! Records nothing; the decisions are those of `praetor adjudicate`, unless other models are asked for.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::{Value, json};

use super::adjudicate::Format;
use super::gate::gate;
use super::input::Input;
use crate::case::Case;
use crate::config::Config;
use crate::decision::Gate;
use crate::eval::{Gold, Panel, Report, majority, read_gold, score};
use crate::lang::Lang;

/// Arguments of `praetor eval`.
#[derive(Debug, clap::Args)]
pub(super) struct EvalArgs {
    /// Tickets: one object a line, or an array; `-` reads standard input
    cases: PathBuf,
    /// What is right about each, one object a line
    gold: PathBuf,
    /// Cross-validate: decide each case with those models in DIR/fold0 to DIR/fold4 that have not seen it
    #[arg(long, value_name = "DIR")]
    fold_models: Option<PathBuf>,
    /// Tickets decided together; changes speed, never a decision
    #[arg(long, value_name = "N", default_value_t = super::TOGETHER, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Count as automatic whatever is certain in its facts, as if no certificate were needed
    #[arg(long)]
    ungated: bool,
    /// Show the figures of each scene too
    #[arg(long)]
    by_scene: bool,
    /// How the figures are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Also write the decisions to this file, one a line
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
}

pub(super) fn run(args: &EvalArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let gold = fs::read_to_string(&args.gold).with_context(|| format!("cannot read {}", args.gold.display()))?;
    let gold = read_gold(&gold).with_context(|| args.gold.display().to_string())?;
    let (cases, refused) = read_cases(&args.cases)?;
    note_strangers(&cases, &refused, &gold, config.lang)?;
    let book = crate::sop::load(&config.pack)?;
    let folder = args.fold_models.as_ref().unwrap_or(&config.models);
    let panel = match &args.fold_models {
        Some(folder) => Panel::open_folds(&book, folder, &config.judge),
        None => Panel::open(book, folder, &config.judge),
    };
    let panel = panel.with_context(|| format!("cannot open the models in {}", folder.display()))?;
    let gate = match (args.ungated, panel.pins()) {
        (false, Some(pins)) => gate(config, pins, panel.is_cross_validated())?,
        _ => Gate::Open,
    };
    let panel = panel.gated(&gate);

    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let progress = ProgressBar::with_draw_target(Some(cases.len() as u64), target);
    let batch = usize::from(args.batch);
    let decided = tokio::task::block_in_place(|| panel.decide(&cases, batch, |n| progress.inc(n as u64)))?;
    progress.finish_and_clear();

    let mut decisions = Vec::with_capacity(decided.len() + refused.len());
    for decided in &decided {
        decisions.push(serde_json::to_value(&decided.decision)?);
    }
    decisions.extend(refused);
    if let Some(path) = &args.decisions {
        write_lines(path, &decisions).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let baseline = score(&majority(&cases, &gold), &gold);
    let report = Report::new(&score(&decisions, &gold), &baseline, panel.is_cross_validated());
    match args.format {
        Format::Text => report.write_text(args.by_scene, config.lang, out)?,
        Format::Json => writeln!(out, "{:#}", report.json(args.by_scene))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Cases, and what stands for a ticket that is refused: as much of a decision as it gets.
pub(super) fn read_cases(path: &Path) -> anyhow::Result<(Vec<Case>, Vec<Value>)> {
    let mut input = Input::open(path)?;
    let (mut cases, mut refused) = (Vec::new(), Vec::new());
    while let Some(raw) = input.next()? {
        match Case::parse(&raw.bytes) {
            Ok(case) => cases.push(case),
            Err(errors) => match errors.ticket_id() {
                Some(ticket) => refused.push(json!({ "ticket_id": ticket.as_str(), "outcome": "rejected_input" })),
                None => bail!("{} line {}: {}", input.name, raw.line, errors.message(Lang::En)),
            },
        }
    }
    Ok((cases, refused))
}

/// Says how many tickets have no gold, and for how much gold there is no ticket.
fn note_strangers(cases: &[Case], refused: &[Value], gold: &[Gold], lang: Lang) -> io::Result<()> {
    let known: BTreeSet<&str> = gold.iter().map(|g| g.ticket_id.as_str()).collect();
    let refused = refused.iter().filter_map(|r| r["ticket_id"].as_str());
    let given: BTreeSet<&str> = cases.iter().map(|c| c.ticket_id.as_str()).chain(refused).collect();
    let (strangers, missing) = (given.difference(&known).count(), known.difference(&given).count());
    if strangers + missing == 0 {
        return Ok(());
    }
    let note = match lang {
        Lang::Zh => format!("{strangers} 个工单没有答案，不计；{missing} 个答案没有工单，计为错"),
        Lang::En => {
            format!("{strangers} tickets have no gold and do not count; {missing} of the gold have no ticket: wrong")
        }
    };
    writeln!(io::stderr(), "{note}")
}

fn write_lines(path: &Path, decisions: &[Value]) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for decision in decisions {
        file.write_all(&serde_json_canonicalizer::to_vec(decision)?)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}
