//! `praetor sop diff`: what another pack would change, by itself and over many cases. Records nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;

use super::adjudicate::Format;
use super::input::Input;
use super::records::{Filter, Pages, Picked};
use super::replay_report as report;
use super::sop::open;
use crate::case::Case;
use crate::config::Config;
use crate::judge::Judge;
use crate::lang::Lang;
use crate::replay::{Compared, Packs, Record, Transitions};
use crate::sop::{Changed, Region, RuleBook, SopChange, diff};
use crate::store::Store;

/// Arguments of `praetor sop diff`.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The pack's folder as it is
    old: PathBuf,
    /// The pack's folder as it would be
    new: PathBuf,
    /// Decide these tickets under both
    #[arg(long, value_name = "FILE", conflicts_with = "from_ledger")]
    cases: Option<PathBuf>,
    /// Decide recorded cases under both, from the answers recorded with them; with KEY=VALUE only those that match
    #[arg(long, value_name = "KEY=VALUE", num_args = 0..)]
    from_ledger: Option<Vec<Filter>>,
    /// How it is printed; json: one case a line, then the sums
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Cases decided together
    #[arg(long, value_name = "N", default_value_t = super::TOGETHER, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
}

pub(super) async fn run(args: &DiffArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (Some(old), Some(new)) = (open(&args.old, config.lang, out)?, open(&args.new, config.lang, out)?) else {
        return Ok(ExitCode::FAILURE);
    };
    let changes = diff(&old, &new);
    if args.format == Format::Text {
        print_changes(out, &changes, config.lang)?;
    }
    let mut sums = Transitions::default();
    if let Some(file) = &args.cases {
        of_file(args, file, (&old, &new), config, &mut sums, out)?;
    } else if let Some(filters) = &args.from_ledger {
        let store = Store::open(&config.store).await?;
        let done = of_ledger(args, filters, (&old, &new), &store, config, &mut sums, out).await;
        store.close().await?;
        done?;
    }
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::json!({ "sops": changes, "transitions": sums }))?,
        Format::Text if sums.cases > 0 => report::transitions(out, &sums, config.lang)?,
        Format::Text => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn of_file(
    args: &DiffArgs,
    file: &std::path::Path,
    (old, new): (&RuleBook, &RuleBook),
    config: &Config,
    sums: &mut Transitions,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let judge = Judge::open(&config.models, &config.judge)
        .with_context(|| format!("cannot open the models in {}", config.models.display()))?;
    let packs = Packs::over(old, new, Arc::new(judge))?;
    let mut input = Input::open(file)?;
    loop {
        let mut cases = Vec::new();
        while cases.len() < usize::from(args.batch) {
            let Some(raw) = input.next()? else { break };
            // What is no case file is refused under any rules.
            cases.extend(Case::parse(&raw.bytes));
        }
        if cases.is_empty() {
            return Ok(());
        }
        print(args, packs.cases(cases)?, config.lang, sums, out)?;
    }
}

async fn of_ledger(
    args: &DiffArgs,
    filters: &[Filter],
    books: (&RuleBook, &RuleBook),
    store: &Store,
    config: &Config,
    sums: &mut Transitions,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let records = store.tenant(&config.tenant);
    let mut pages = Pages::new(&records, Picked::Every(filters.to_vec()), args.batch, config.lang);
    let mut by_models: BTreeMap<String, Packs> = BTreeMap::new();
    while let Some(mut records) = pages.next().await? {
        while let Some(first) = records.first() {
            let manifest = manifest(first);
            let (group, rest): (Vec<_>, Vec<_>) = records.into_iter().partition(|r| self::manifest(r) == manifest);
            records = rest;
            if manifest.is_empty() {
                // Erased: there is nothing left to decide.
                continue;
            }
            if !by_models.contains_key(&manifest) {
                let folder = config.store.data_dir.join("artifacts");
                let packs = Packs::recorded(books, store, config.judge.clone(), folder, &manifest).await?;
                // Open models are large: only those last needed are kept.
                by_models.clear();
                by_models.insert(manifest.clone(), packs);
            }
            if let Some(packs) = by_models.get(&manifest) {
                let compared = tokio::task::block_in_place(|| packs.records(&group))?;
                print(args, compared, config.lang, sums, out)?;
            }
        }
    }
    Ok(())
}

fn manifest(record: &Record) -> String {
    let decision: Value = record.decision.as_deref().and_then(|d| serde_json::from_slice(d).ok()).unwrap_or_default();
    decision.pointer("/pins/manifest").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn print(
    args: &DiffArgs,
    compared: Vec<Compared>,
    lang: Lang,
    sums: &mut Transitions,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    for one in compared {
        sums.add(&one.change, one.divergence.as_ref());
        match args.format {
            Format::Json => writeln!(out, "{}", serde_json::to_string(&one)?)?,
            Format::Text if one.change.matters() => {
                writeln!(out, "{}  {}", one.ticket_id, one.id.as_deref().unwrap_or_default())?;
                report::parted(out, one.divergence.as_ref(), Some(&one.change), lang)?;
            }
            Format::Text => {}
        }
    }
    Ok(())
}

fn print_changes(out: &mut impl Write, changes: &[SopChange], lang: Lang) -> anyhow::Result<()> {
    if changes.is_empty() {
        writeln!(out, "{}", lang.pick("两个规则包的 SOP 相同", "the SOPs of the two packs are the same"))?;
    }
    for SopChange { id, version, change, regions } in changes {
        let what = match change {
            Changed::Added => lang.pick("新增", "added").to_owned(),
            Changed::Removed => lang.pick("删去", "removed").to_owned(),
            Changed::Parts(parts) => parts.join(", "),
        };
        writeln!(out, "{id} v{version}: {what}")?;
        for Region { when, rows, remedies } in regions {
            let bounds: Vec<String> = when.iter().map(|(fact, set)| format!("{fact}: {set}")).collect();
            let bounds = bounds.join(", ");
            writeln!(out, "  {bounds} => {} [{}] -> {} [{}]", remedies[0], rows[0], remedies[1], rows[1])?;
        }
    }
    Ok(())
}
