//! `praetor adjudicate`: decides tickets in batches, records decisions with their traces, prints them in input order.
//!
//! A ticket that is no case file is refused with its errors, quarantined, and the rest goes on.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;

use super::input::{Input, Raw};
use super::{EXIT_INTERRUPTED, EXIT_REFUSED, open_pipeline, open_store, render, witnessed};
use crate::case::{Case, CaseErrors, Timestamp};
use crate::config::{Config, ReviewConfig};
use crate::decision::Outcome;
use crate::lang::Lang;
use crate::pipeline::{Decided, Pipeline};
use crate::record::stored;
use crate::review::task;
use crate::store::{NewRejection, TenantStore};

/// Arguments of `praetor adjudicate`.
#[derive(Debug, clap::Args)]
pub(super) struct AdjudicateArgs {
    /// Tickets: a JSON object, an array, or one object a line; `-` reads standard input
    file: PathBuf,
    /// How decisions are printed; json: one a line, in input order
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Tickets decided together; changes speed, never a decision
    #[arg(long, value_name = "N", default_value_t = super::TOGETHER, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Decide as of this time (RFC 3339 with offset) instead of the latest moment each case file speaks of
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    as_of: Option<Timestamp>,
    /// Decide and print, but record nothing and need no database
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|rule: crate::case::Rule| rule.text(Lang::En))
}

/// Counts for the closing line.
#[derive(Debug, Default)]
struct Tally {
    auto: u64,
    review: u64,
    refused: u64,
    interrupted: bool,
}

/// What became of one ticket.
enum Ticket {
    Decided(Box<Case>, Box<Decided>),
    Refused(CaseErrors),
}

pub(super) async fn run(args: &AdjudicateArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let input = Input::open(&args.file)?;
    let pipeline = open_pipeline(config)?;
    let store = if args.dry_run { None } else { Some(open_store(config, &pipeline).await?) };
    let progress = progress(input.size);
    let records = store.as_ref().map(|store| store.tenant(&config.tenant));
    let tally = work(args, config, input, &pipeline, records.as_ref(), &progress).await;
    progress.finish_and_clear();
    if let Some(store) = store {
        witnessed::finish(store, config).await?;
    }
    let tally = tally?;
    let summary = match config.lang {
        Lang::Zh => format!("自动 {}，待复核 {}，拒收 {}", tally.auto, tally.review, tally.refused),
        Lang::En => format!("{} automatic, {} for review, {} refused", tally.auto, tally.review, tally.refused),
    };
    writeln!(io::stderr(), "{summary}")?;
    if tally.interrupted {
        let note = match args.dry_run {
            true => config.lang.pick("已中断", "interrupted"),
            false => config.lang.pick("已中断；以上均已记录", "interrupted; all of the above is recorded"),
        };
        writeln!(io::stderr(), "{note}")?;
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    }
    Ok(if tally.refused > 0 { ExitCode::from(EXIT_REFUSED) } else { ExitCode::SUCCESS })
}

/// A bar by bytes, on a terminal only.
fn progress(size: Option<u64>) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(size, target);
    let template = "{bar:30} {bytes}/{total_bytes} {msg} {elapsed}";
    match (size, ProgressStyle::with_template(template)) {
        (Some(_), Ok(style)) => bar.with_style(style),
        _ => bar.with_style(ProgressStyle::default_spinner()),
    }
}

async fn work(
    args: &AdjudicateArgs,
    config: &Config,
    input: Input,
    pipeline: &Pipeline,
    store: Option<&TenantStore>,
    progress: &ProgressBar,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut seen = 0u64;
    let source = input.name.clone();
    let mut batches = read_ahead(input, usize::from(args.batch));
    let mut asked_to_end = signals()?;
    loop {
        let batch = tokio::select! {
            biased;
            _ = asked_to_end.recv() => {
                tally.interrupted = true;
                return Ok(tally);
            }
            batch = batches.recv() => batch,
        };
        let Some(batch) = batch.transpose()? else { return Ok(tally) };
        let tickets = tokio::task::block_in_place(|| decide(pipeline, &batch, args.as_of))?;
        if let Some(store) = store {
            record(store, &config.review, &source, &batch, &tickets).await?;
        }
        progress.suspend(|| print(args.format, config.lang, &source, &batch, &tickets))?;
        for (raw, ticket) in batch.iter().zip(&tickets) {
            seen += 1;
            progress.inc(raw.bytes.len() as u64 + 1);
            match ticket {
                Ticket::Refused(_) => tally.refused += 1,
                Ticket::Decided(_, d) if d.decision.outcome == Outcome::Auto => tally.auto += 1,
                Ticket::Decided(..) => tally.review += 1,
            }
        }
        progress.set_message(seen.to_string());
    }
}

/// Reads batches on a thread of its own, one ahead: standard input may keep it waiting, and nobody waits for it.
fn read_ahead(mut input: Input, size: usize) -> mpsc::Receiver<anyhow::Result<Vec<Raw>>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        loop {
            let batch = (0..size).map_while(|_| input.next().transpose()).collect::<anyhow::Result<Vec<Raw>>>();
            let last = batch.is_err();
            let ended = batch.as_ref().is_ok_and(Vec::is_empty);
            if ended || sender.blocking_send(batch).is_err() || last {
                return;
            }
        }
    });
    receiver
}

/// A message once the process is asked to end. The batch at hand is then finished and recorded, and a private database
/// stops cleanly.
pub(super) fn signals() -> io::Result<mpsc::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (sender, receiver) = mpsc::channel(2);
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signals, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move {
            signals.recv().await;
            let _ = sender.send(()).await;
        });
    }
    Ok(receiver)
}

fn decide(pipeline: &Pipeline, batch: &[Raw], as_of: Option<Timestamp>) -> anyhow::Result<Vec<Ticket>> {
    let parsed: Vec<Result<Case, CaseErrors>> = batch.iter().map(|raw| Case::parse(&raw.bytes)).collect();
    let cases: Vec<Case> = parsed.iter().filter_map(|p| p.as_ref().ok().cloned()).collect();
    let mut decided = pipeline.decide(&cases, as_of)?.into_iter();
    let tickets = parsed.into_iter().map(|p| match p {
        Err(errors) => Some(Ticket::Refused(errors)),
        Ok(case) => decided.next().map(|d| Ticket::Decided(Box::new(case), Box::new(d))),
    });
    tickets.collect::<Option<_>>().context("the pipeline gave fewer decisions than cases")
}

async fn record(
    store: &TenantStore,
    review: &ReviewConfig,
    source: &str,
    batch: &[Raw],
    tickets: &[Ticket],
) -> anyhow::Result<()> {
    let mut decisions = Vec::new();
    let mut rejections = Vec::new();
    for (raw, ticket) in batch.iter().zip(tickets) {
        match ticket {
            Ticket::Decided(case, decided) => {
                decisions.push(stored(case, decided, task(review, case, &decided.decision))?);
            }
            Ticket::Refused(errors) => rejections.push(NewRejection {
                source: source.to_owned(),
                line: i64::try_from(raw.line)?,
                errors: serde_json::to_string(errors)?,
                subject: Case::subject_of(&raw.bytes),
                input: raw.bytes.clone(),
            }),
        }
    }
    store.record(&decisions).await?;
    store.reject(&rejections).await?;
    Ok(())
}

fn print(format: Format, lang: Lang, source: &str, batch: &[Raw], tickets: &[Ticket]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for (raw, ticket) in batch.iter().zip(tickets) {
        match (format, ticket) {
            (Format::Json, Ticket::Decided(_, d)) => {
                out.write_all(&d.decision.canonical()?)?;
                out.write_all(b"\n")?;
            }
            (Format::Json, Ticket::Refused(errors)) => {
                let ticket = errors.ticket_id().map(|t| t.as_str());
                let line = serde_json::json!({
                    "ticket_id": ticket, "outcome": "rejected_input", "line": raw.line, "errors": errors,
                    "messages": errors.iter().map(|e| e.message(lang)).collect::<Vec<_>>(),
                });
                out.write_all(&serde_json_canonicalizer::to_vec(&line)?)?;
                out.write_all(b"\n")?;
            }
            (Format::Text, Ticket::Decided(_, d)) => {
                writeln!(out, "{}", render::decision(&serde_json::to_value(&d.decision)?, lang))?;
            }
            (Format::Text, Ticket::Refused(errors)) => {
                writeln!(out, "{}", render::refusal(source, raw.line, errors, lang))?;
            }
        }
    }
    out.flush()?;
    Ok(())
}
