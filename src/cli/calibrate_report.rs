//! `praetor calibrate report`: decisions against the certificate they were made under, as an HTML page, with alarms on
//! standard error and in the exit code. Changes nothing.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;

use super::EXIT_ALARM;
use super::gate::certificate;
use super::open_ungated;
use super::records::Filter;
use crate::calibrate::{Figures, Labels, Sample, html};
use crate::config::Config;
use crate::decision::Score;
use crate::ledger::Kind;
use crate::store::{Store, TenantStore};

/// Records read at a time.
const PAGE: i64 = 500;

/// Arguments of `praetor calibrate report`.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Decisions, one a line, as `adjudicate --format json` prints them [default: those recorded, with their reviews]
    #[arg(long, value_name = "FILE")]
    decisions: Vec<PathBuf>,
    /// Of the recorded ones those with this value; `since` and `until` are times of recording; may be given several times
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "decisions")]
    filter: Vec<Filter>,
    /// What is right: gold, or outcomes of reviews (`ticket_id`, `right`), one a line
    #[arg(long, value_name = "FILE")]
    labels: Vec<PathBuf>,
    /// Where the page goes
    #[arg(long, value_name = "FILE", default_value = "calibration.html")]
    out: PathBuf,
}

pub(super) async fn run(args: &ReportArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut labels = Labels::default();
    for path in &args.labels {
        labels.read(&read(path)?).with_context(|| path.display().to_string())?;
    }
    let (signed, held) = match certificate(config, open_ungated(config)?.pins(), false) {
        Ok(fit) => (Some(fit.signed), Ok(())),
        Err(unfit) => (unfit.signed.clone(), Err(unfit.to_string())),
    };
    let score = signed.as_ref().map_or(Score::Confidence, |s| s.body.score);
    let mut samples = Vec::new();
    for path in &args.decisions {
        for (line, json) in (1..).zip(read(path)?.lines()).filter(|(_, json)| !json.trim().is_empty()) {
            let decision: Value =
                serde_json::from_str(json).with_context(|| format!("{} line {line}", path.display()))?;
            samples.extend(Sample::read(&decision, score, &labels));
        }
    }
    if args.decisions.is_empty() {
        let store = Store::open(&config.store).await?;
        let read = recorded(&store.tenant(&config.tenant), &args.filter, score, &mut labels).await;
        store.close().await?;
        samples = read?;
    }
    let figures = Figures::of(&samples, signed.as_ref().map(|s| &s.body), held.as_ref().err().map(String::as_str));
    let page = html(&figures, signed.as_ref(), config.lang);
    fs::write(&args.out, page).with_context(|| format!("cannot write {}", args.out.display()))?;
    writeln!(out, "{}: {}", config.lang.pick("报告", "report"), args.out.display())?;
    for alarm in &figures.alarms {
        writeln!(
            io::stderr(),
            "{} {}: {}",
            config.lang.pick("警报", "alarm"),
            alarm.code,
            config.lang.pick(&alarm.zh, &alarm.en)
        )?;
    }
    Ok(if figures.alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_ALARM) })
}

/// What the store holds of a tenant; what was erased is left out. Outcomes of reviews join the labels.
async fn recorded(
    store: &TenantStore,
    filters: &[Filter],
    score: Score,
    labels: &mut Labels,
) -> anyhow::Result<Vec<Sample>> {
    let mut after = 0;
    loop {
        let page = store.list_records(Kind::Review, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        page.iter().filter_map(|review| review.body.kept().ok()).for_each(|body| labels.review(body));
    }
    let (mut samples, mut after) = (Vec::new(), 0);
    loop {
        let page = store.list_decisions(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(samples) };
        after = last.seq;
        for stored in &page {
            let Ok(body) = stored.body.kept() else { continue };
            let decision: Value = serde_json::from_slice(body)?;
            if filters.iter().all(|filter| filter.holds(stored, &decision)) {
                samples.extend(Sample::read(&decision, score, labels));
            }
        }
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
