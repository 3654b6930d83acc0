//! Writes decisions as the second pass reads them (PRA), one JSON object a line: what a reward model is trained and
//! measured on. With gold each is marked right or wrong; with a disturbance the answers or the findings are falsified
//! first, so that there are wrong ones to learn from. With `--figures` the reward model of the models' folder reads them and
//! only what it made of them is written. Records nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::disturb::{Disturbance, Disturbed, falsify};
use super::input::Input;
use super::pra_figures::{self, Unread};
use crate::case::Case;
use crate::config::Config;
use crate::decision::Gate;
use crate::eval::{FOLDS, Gold, fold_of, read_gold, score};
use crate::judge::Judge;
use crate::nodes::Findings;
use crate::nodes::pra;
use crate::pipeline::{Decided, Pipeline};

/// Tickets decided together.
const BATCH: usize = 64;

/// Arguments of `praetor pra`.
#[derive(Debug, clap::Args)]
pub(super) struct PraArgs {
    /// Tickets, one a line
    tickets: PathBuf,
    /// Their gold findings, one a line: marks each decision right or wrong
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// Decide each case with those models in DIR/fold0 to DIR/fold4 that have not seen it
    #[arg(long, value_name = "DIR")]
    fold_models: Option<PathBuf>,
    /// Falsify what was answered or found; may be given several times
    #[arg(long, value_enum, value_name = "KIND", requires = "gold")]
    disturb: Vec<Disturbance>,
    /// What the disturbances are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write how well the reward model tells right from wrong: of all decisions as they are, and of all falsified, each in
    /// one of the ways given
    #[arg(long, requires = "gold", conflicts_with = "characters")]
    figures: bool,
    /// The most characters of a text
    #[arg(long, default_value_t = 1_300, value_parser = clap::value_parser!(u32).range(pra::LEAST as i64..=65_536))]
    characters: u32,
}

pub(super) fn run(args: &PraArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let cases = read_cases(&args.tickets)?;
    let gold: BTreeMap<String, Gold> = match &args.gold {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let gold = read_gold(&text).with_context(|| path.display().to_string())?;
            gold.into_iter().map(|g| (g.ticket_id.clone(), g)).collect()
        }
        None => BTreeMap::new(),
    };
    if args.figures {
        let reader = pra_figures::open(config)?;
        let mut unread = Vec::new();
        let ways = args.disturb.len();
        let kinds = std::iter::once(None).chain(args.disturb.iter().copied().map(Some));
        for (turn, kind) in kinds.enumerate() {
            let mine = |place: usize| kind.is_none() || place % ways + 1 == turn;
            let own = cases.iter().enumerate().filter(|(place, _)| mine(*place)).map(|(_, case)| case);
            decide_each(args, config, own.collect(), kind, |pipeline, case, decided| {
                let Some(right) = is_right(decided, gold.get(case.ticket_id.as_str()))? else { return Ok(()) };
                let text = pra::render(case, &findings(decided), pipeline.book(), reader.characters())?.text;
                unread.push(Unread { kind, text, right, confidence: decided.decision.confidence.as_f64() });
                Ok(())
            })?;
        }
        ensure!(!unread.is_empty(), "none of the {} decisions has gold: nothing to measure", cases.len());
        reader.write(&unread, out)?;
    } else {
        let kinds: Vec<Option<Disturbance>> =
            if args.disturb.is_empty() { vec![None] } else { args.disturb.iter().copied().map(Some).collect() };
        for kind in kinds {
            decide_each(args, config, cases.iter().collect(), kind, |pipeline, case, decided| {
                let line = describe(args, pipeline, case, decided, kind, gold.get(case.ticket_id.as_str()))?;
                Ok(writeln!(out, "{line}")?)
            })?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Decides the cases, falsified or not, each by models that may, and hands on every decision.
fn decide_each(
    args: &PraArgs,
    config: &Config,
    cases: Vec<&Case>,
    kind: Option<Disturbance>,
    mut then: impl FnMut(&Pipeline, &Case, &Decided) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let folders: Vec<(Option<usize>, PathBuf)> = match &args.fold_models {
        Some(dir) => (0..FOLDS).map(|k| (Some(k), dir.join(format!("fold{k}")))).collect(),
        None => vec![(None, config.models.clone())],
    };
    for (fold, folder) in folders {
        let pipeline = open(config, &folder, kind, args.seed)?;
        let own: Vec<&Case> =
            cases.iter().copied().filter(|c| fold.is_none_or(|k| fold_of(&c.ticket_id) == k)).collect();
        for group in own.chunks(BATCH) {
            let group: Vec<Case> = group.iter().map(|case| (*case).clone()).collect();
            let decided = tokio::task::block_in_place(|| pipeline.decide(&group, None))?;
            for (case, decided) in group.iter().zip(decided) {
                let decided = match kind {
                    Some(kind) => falsify(kind, args.seed, &pipeline, case, decided)?,
                    None => decided,
                };
                then(&pipeline, case, &decided)?;
            }
        }
    }
    Ok(())
}

fn read_cases(path: &Path) -> anyhow::Result<Vec<Case>> {
    let mut input = Input::open(path)?;
    let mut cases = Vec::new();
    while let Some(raw) = input.next()? {
        let case = Case::parse(&raw.bytes);
        cases.push(case.map_err(|errors| anyhow::anyhow!("{} line {}: {errors}", input.name, raw.line))?);
    }
    Ok(cases)
}

fn open(config: &Config, models: &Path, kind: Option<Disturbance>, seed: u64) -> anyhow::Result<Pipeline> {
    let book = crate::sop::load(&config.pack)?;
    let judge = Judge::open(models, &config.judge)
        .with_context(|| format!("cannot open the models in {}", models.display()))?;
    let (pins, thresholds) = (judge.pins().clone(), judge.manifest().thresholds.clone());
    let ask = Box::new(Disturbed { judge, kind, seed });
    Ok(Pipeline::with(book, ask, &pins, thresholds)?.gated(Gate::Open))
}

/// What the nodes of a decision found.
pub(super) fn findings(decided: &Decided) -> Findings {
    let mut findings = Findings::default();
    for record in &decided.trace.nodes {
        findings.put(record.finding.clone());
    }
    findings
}

/// Whether the remedy is the gold's, to the fen; none without gold.
fn is_right(decided: &Decided, gold: Option<&Gold>) -> anyhow::Result<Option<bool>> {
    let Some(gold) = gold else { return Ok(None) };
    let decision = serde_json::to_value(&decided.decision)?;
    let marks = score([&decision], std::slice::from_ref(gold));
    Ok(Some(marks.first().is_some_and(|m| m.nodes.last() == Some(&true))))
}

fn describe(
    args: &PraArgs,
    pipeline: &Pipeline,
    case: &Case,
    decided: &Decided,
    kind: Option<Disturbance>,
    gold: Option<&Gold>,
) -> anyhow::Result<Value> {
    let pra = pra::render(case, &findings(decided), pipeline.book(), args.characters as usize)?;
    let items = decided.decision.evidence.items.iter();
    let items: BTreeMap<&str, Value> =
        items.map(|i| (i.evidence_id.as_str(), json!([i.requirement, i.valid, i.defect]))).collect();
    let remedy = &decided.decision.remedy.proposal;
    Ok(json!({
        "ticket_id": case.ticket_id, "format": pra::FORMAT, "pra": pra.text, "sha256": pra.sha256(), "dropped": pra.dropped,
        "disturbed": kind.map(Disturbance::name), "right": is_right(decided, gold)?,
        "confidence": decided.decision.confidence, "outcome": decided.decision.outcome,
        "found": {
            "sop": decided.decision.sop.id, "title": decided.decision.sop.title.as_ref().map(|t| &t.zh),
            "first_report": decided.decision.timeliness.first_report.index,
            "timeliness": decided.decision.timeliness.verdict,
            "buyer": decided.decision.evidence.buyer.verdict.as_str(),
            "seller": decided.decision.evidence.seller.verdict.as_str(), "items": items,
            "measures": decided.decision.measures.iter().map(|m| (m.id.as_str(), m.value)).collect::<BTreeMap<_, _>>(),
            "row": remedy.row, "remedy": [&remedy.kind, &remedy.refund, &remedy.compensation],
        },
    }))
}
