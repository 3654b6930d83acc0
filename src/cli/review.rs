//! `praetor review`: the queue as it stands, and what came of it in the form that `calibrate` reads. Claiming and resolving
//! are done over HTTP, where a key says who it was.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::records::Filter;
use crate::config::Config;
use crate::lang::Lang;
use crate::store::{Outcome, Store, TaskFilter, TenantStore};

/// Arguments of `praetor review`.
#[derive(Debug, clap::Args)]
pub(super) struct ReviewArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the queue, the most urgent first
    List(ListArgs),
    /// Write reviewed decisions and whether they were right, for `praetor calibrate`
    Export(ExportArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Open,
    Claimed,
    Resolved,
    Overdue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Review,
    Audit,
    Appeal,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Audit => "audit",
            Self::Appeal => "appeal",
        }
    }
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only in this state [default: all]
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only of this kind
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// Where the decisions go, one a line
    #[arg(long, value_name = "FILE", default_value = "decisions.jsonl")]
    decisions: PathBuf,
    /// Where the labels go, one a line
    #[arg(long, value_name = "FILE", default_value = "labels.jsonl")]
    labels: PathBuf,
    /// Only what was queued as this: `audit` is a random share of the automatic decisions, the others chose themselves
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Only decisions with this value, such as pins.rulebook=…; `since` and `until` are times of recording
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
}

pub(super) async fn run(args: &ReviewArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let store = Store::open(&config.store).await?;
    let records = store.tenant(&config.tenant);
    let done = match &args.command {
        Command::List(args) => list(args, &records, config.lang, out).await,
        Command::Export(args) => export(args, &records, config.lang, out).await,
    };
    store.close().await?;
    done.map(|()| ExitCode::SUCCESS)
}

async fn list(args: &ListArgs, records: &TenantStore, lang: Lang, out: &mut impl Write) -> anyhow::Result<()> {
    let state = match args.state {
        None | Some(State::Overdue) => None,
        Some(State::Open) => Some("open"),
        Some(State::Claimed) => Some("claimed"),
        Some(State::Resolved) => Some("resolved"),
    };
    let filter = TaskFilter {
        state: state.map(str::to_owned),
        overdue: args.state == Some(State::Overdue),
        kind: args.kind.map(|kind| kind.as_str().to_owned()),
        ..TaskFilter::default()
    };
    for task in records.tasks(&filter, args.limit).await? {
        let due = task.due_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let late = if task.overdue { lang.pick("  逾期", "  overdue") } else { "" };
        let (id, kind, state, priority, scene) = (task.id, task.kind, task.state, task.priority, task.scene);
        writeln!(out, "{id}  {kind:<6}  {state:<8}  {priority:>3}  {due}  {scene}{late}")?;
    }
    Ok(())
}

/// What is exported of one decision.
struct Reviewed {
    /// As what it was queued first.
    kind: String,
    /// The latest word on it.
    last: Outcome,
}

async fn export(args: &ExportArgs, records: &TenantStore, lang: Lang, out: &mut impl Write) -> anyhow::Result<()> {
    let mut reviewed: BTreeMap<String, Reviewed> = BTreeMap::new();
    let mut after = 0;
    loop {
        // In the order of tasks: an appeal comes after what it is against.
        let page = records.outcomes(after, 500).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for outcome in page {
            let kind = reviewed.get(&outcome.decision_id).map_or(&outcome.kind, |before| &before.kind).clone();
            reviewed.insert(outcome.decision_id.clone(), Reviewed { kind, last: outcome });
        }
    }
    let mut by_ticket: BTreeMap<String, (i64, Vec<u8>, Value)> = BTreeMap::new();
    for (id, Reviewed { kind, last }) in reviewed {
        if args.kind.is_some_and(|wanted| wanted.as_str() != kind) {
            continue;
        }
        let stored = records.decision(&id).await?.with_context(|| format!("{id} is gone"))?;
        let Ok(body) = stored.body.kept() else { continue };
        let decision: Value = serde_json::from_slice(body)?;
        if !args.filter.iter().all(|filter| filter.holds(&stored, &decision)) {
            continue;
        }
        // Calibration takes one decision a ticket: the latest.
        if by_ticket.get(&stored.ticket_id).is_none_or(|(seq, ..)| *seq < stored.seq) {
            let label = json!({
                "ticket_id": stored.ticket_id, "right": last.stands, "decision_id": id, "task_id": last.task_id, "kind": kind,
            });
            by_ticket.insert(stored.ticket_id.clone(), (stored.seq, body.to_vec(), label));
        }
    }
    let (mut decisions, mut labels, mut right) = (Vec::new(), Vec::new(), 0);
    for (_, body, label) in by_ticket.values() {
        right += usize::from(label["right"] == true);
        decisions.extend_from_slice(body);
        decisions.push(b'\n');
        writeln!(labels, "{label}")?;
    }
    for (path, bytes) in [(&args.decisions, decisions), (&args.labels, labels)] {
        fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let all = by_ticket.len();
    let (zh, en) = (format!("已导出 {all} 件，其中正确 {right} 件"), format!("{all} written, {right} of them right"));
    writeln!(out, "{}", lang.pick(zh, en))?;
    Ok(())
}
