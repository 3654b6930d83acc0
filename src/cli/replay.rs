//! `praetor replay`: checks recorded decisions and decides them again, as pinned or under changes.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::adjudicate::{Format, parse_time};
use super::records::{Filter, Pages, Picked};
use super::replay_report as report;
use crate::case::Timestamp;
use crate::config::Config;
use crate::judge::{Judge, Probability};
use crate::ledger::KeyFile;
use crate::pipeline::Edit;
use crate::replay::{CaseEdit, Changes, Level, Prover, Rerun, Transitions};
use crate::store::{Store, TenantStore};

/// Arguments of `praetor replay`.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// Decisions (dec_…) or tickets
    #[arg(required_unless_present_any = ["all", "filter"])]
    ids: Vec<String>,
    /// Every recorded decision
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Those with this value: a field of the decision such as outcome=review or sop.id=invoice.general, or since=TIME,
    /// until=TIME of recording; several must all hold
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "ids")]
    filter: Vec<Filter>,
    /// r0 the record is whole; r1 the same bytes again; r2 where it parts and why; r3 what would have been; r4 as of a
    /// time [default: r1, with changes r3, with --as-of r4]
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// How results are printed; json: one a line, then the sums
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Another threshold of certainty, such as evidence=0.9
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_threshold)]
    threshold: Vec<(String, Probability)>,
    /// Another fact, such as timeliness=expired, buyer=sufficient or severity_ratio=0.35
    #[arg(long, value_name = "FACT=VALUE")]
    set: Vec<Edit>,
    /// Another case file, such as $.order.total=12.00
    #[arg(long, value_name = "PATH=VALUE")]
    set_case: Vec<CaseEdit>,
    /// The case file as it was at this time, decided then (RFC 3339 with offset)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    as_of: Option<Timestamp>,
    /// Decisions replayed together; changes speed, never a result
    #[arg(long, value_name = "N", default_value_t = super::TOGETHER, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
}

fn parse_threshold(text: &str) -> Result<(String, Probability), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, such as evidence=0.9")?;
    let value: Probability = serde_json::from_str(value).map_err(|e| format!("{name}: {e}"))?;
    Ok((name.to_owned(), value))
}

/// What the command line itself names in place of what is pinned; a configured folder replaces nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) pack: bool,
    pub(super) models: bool,
}

pub(super) async fn run(
    args: &ReplayArgs,
    named: Named,
    config: &Config,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let level = level(args, named).unwrap_or_else(|wrong| {
        clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, format!("{wrong}\n")).exit()
    });
    let changes = changes(args, named, config)?;
    let store = Store::open(&config.store).await?;
    let folder = config.store.data_dir.join("artifacts");
    let picked = match args.ids.is_empty() {
        true => Picked::Every(args.filter.clone()),
        false => Picked::Ids(args.ids.clone()),
    };
    let records = store.tenant(&config.tenant);
    let mut rerun = Rerun::new(&store, config.judge.clone(), folder, level, changes);
    if level == Level::R0 {
        rerun = rerun.proving(prover(&store, config)?);
    }
    let result = work(args, level, &records, picked, rerun, config, out).await;
    store.close().await?;
    Ok(if result? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Proves records by the log's own keys.
pub(super) fn prover(store: &Store, config: &Config) -> anyhow::Result<Prover> {
    let path = config.store.log_key();
    let keys = KeyFile::load(&path).with_context(|| {
        let path = path.display();
        config.lang.pick(format!("没有账本的钥匙 {path}"), format!("the log's key is not at {path}"))
    })?;
    Ok(Prover::new(store.tenant(&config.tenant), store.log(), keys.public_keys()))
}

/// The level asked for, or the least that the changes need.
fn level(args: &ReplayArgs, named: Named) -> Result<Level, &'static str> {
    let facts = !args.threshold.is_empty() || !args.set.is_empty() || !args.set_case.is_empty();
    let other = named.pack || named.models;
    let level = args.level.unwrap_or(match (args.as_of, facts || other) {
        (Some(_), _) => Level::R4,
        (None, true) => Level::R3,
        (None, false) => Level::R1,
    });
    match level {
        Level::R0 | Level::R1 if facts || other || args.as_of.is_some() => {
            Err("r0 and r1 take nothing but what is pinned; ask for r2 or r3")
        }
        Level::R2 if facts || args.as_of.is_some() => {
            Err("r2 takes other rules (--pack) and models (--models); for other facts ask for r3")
        }
        Level::R3 if !facts && !other => {
            Err("r3 needs something else: --pack, --models, --threshold, --set or --set-case")
        }
        Level::R3 if args.as_of.is_some() => Err("--as-of goes with r4"),
        Level::R4 if args.as_of.is_none() => Err("r4 needs --as-of TIME"),
        level => Ok(level),
    }
}

fn changes(args: &ReplayArgs, named: Named, config: &Config) -> anyhow::Result<Changes> {
    let book = match named.pack {
        true => Some(Arc::new(crate::sop::load(&config.pack)?)),
        false => None,
    };
    let judge = match named.models {
        true => {
            let judge = Judge::open(&config.models, &config.judge);
            Some(Arc::new(judge.with_context(|| format!("cannot open the models in {}", config.models.display()))?))
        }
        false => None,
    };
    Ok(Changes {
        book,
        judge,
        thresholds: args.threshold.clone(),
        facts: args.set.clone(),
        case: args.set_case.clone(),
        as_of: args.as_of,
    })
}

/// True when all agree.
async fn work(
    args: &ReplayArgs,
    level: Level,
    store: &TenantStore,
    picked: Picked,
    mut rerun: Rerun<'_>,
    config: &Config,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let each = matches!(picked, Picked::Ids(_));
    let mut pages = Pages::new(store, picked, args.batch, config.lang);
    let mut sums = report::Sums::default();
    let mut transitions = Transitions::default();
    while let Some(records) = pages.next().await? {
        for replayed in rerun.batch(&records).await? {
            sums.add(&replayed);
            if let Some(change) = &replayed.change {
                transitions.add(change, replayed.divergence.as_ref());
            }
            match args.format {
                Format::Json => writeln!(out, "{}", serde_json::to_string(&replayed)?)?,
                Format::Text if each || !replayed.agrees => report::replayed(out, &replayed, config.lang)?,
                Format::Text => {}
            }
        }
    }
    match args.format {
        Format::Json => {
            let line = serde_json::json!({ "level": level, "sums": sums, "transitions": transitions });
            writeln!(out, "{line}")?;
        }
        Format::Text => {
            if level >= Level::R2 {
                report::transitions(out, &transitions, config.lang)?;
            }
            writeln!(io::stderr(), "{}", sums.text(config.lang))?;
        }
    }
    if sums.cases == 0 {
        writeln!(io::stderr(), "{}", config.lang.pick("没有符合条件的决定", "no decision matches"))?;
    }
    Ok(sums.agreed == sums.cases)
}
