//! Writes the questions that models are trained on: the texts the nodes ask, with the answers that the gold gives.
//! One NDJSON file a task. Rendering happens in `nodes::text` alone, so a model is trained on what it will be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde_json::json;

use crate::case::{Case, Party};
use crate::config::Config;
use crate::eval::{Gold, read_gold};
use crate::nodes::text::{self, MeasureKind, Value};
use crate::nodes::{requirements, word_match};
use crate::sop::{Index, RuleBook, Sop, load};

/// Arguments of `praetor questions`.
#[derive(Debug, clap::Args)]
pub(super) struct QuestionsArgs {
    /// Tickets, one a line
    tickets: PathBuf,
    /// Their gold findings, one a line
    gold: PathBuf,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn command(args: &QuestionsArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let book = load(&config.pack)?;
    for (task, n) in run(&args.tickets, &args.gold, &book, &args.out)? {
        writeln!(out, "{task} {n}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How many questions were written, by task.
pub(super) type Counts = BTreeMap<&'static str, usize>;

/// Reads tickets and gold and writes `classify.ndjson`, `relevant.ndjson`, `first_report.ndjson`, `supports.ndjson` and
/// `measure.ndjson` into a folder, in the order of the tickets.
///
/// # Errors
/// A file that cannot be read or written, a ticket that does not parse or has no gold, an SOP that is not known.
fn run(tickets: &Path, gold: &Path, book: &RuleBook, out: &Path) -> anyhow::Result<Counts> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let gold: BTreeMap<String, Gold> = read_gold(&read(gold)?)?.into_iter().map(|g| (g.ticket_id.clone(), g)).collect();
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let index = Index::build(book)?;
    let mut files = Files::create(out)?;
    for (n, line) in lines(&read(tickets)?) {
        let case = Case::parse(line.as_bytes()).map_err(|errors| anyhow!("ticket line {n}: {errors}"))?;
        let gold = gold.get(case.ticket_id.as_str()).with_context(|| format!("no gold for {}", case.ticket_id))?;
        let sop = book.sop(&gold.sop).with_context(|| format!("{}: no SOP {}", case.ticket_id, gold.sop))?;
        classify(&case, gold, &mut files)?;
        relevant(&case, gold, book, &index, &mut files)?;
        first_report(&case, gold, &mut files)?;
        supports(&case, gold, sop, book.head.time_zone, &mut files)?;
        measure(&case, gold, &mut files)?;
    }
    files.finish()
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.trim().is_empty())
}

fn classify(case: &Case, gold: &Gold, files: &mut Files) -> anyhow::Result<()> {
    files.write(
        "classify",
        json!({
            "ticket_id": case.ticket_id, "text": text::classify(case),
            "scene": gold.scene, "goods_type": gold.goods_type, "settles": yes_no(gold.settles),
        }),
    )
}

/// Every SOP: which of them are candidates depends on the labels, which are not known here. So a question tells what the SOP
/// governs.
fn relevant(case: &Case, gold: &Gold, book: &RuleBook, index: &Index, files: &mut Files) -> anyhow::Result<()> {
    for (sop, words) in book.sops.iter().zip(word_match(case, index, book)?) {
        let words = (words * 100.0).floor() as i64;
        let text = text::relevant(case, sop, book.head.time_zone, words);
        files.write(
            "relevant",
            json!({
                "ticket_id": case.ticket_id, "sop": sop.id, "scene": sop.scene, "goods": sop.goods, "words": words,
                "text": text,
                "governs": yes_no(sop.id.0 == gold.sop),
            }),
        )?;
    }
    Ok(())
}

/// The buyer's messages up to the first report; what comes later need not say whether it states the problem.
fn first_report(case: &Case, gold: &Gold, files: &mut Files) -> anyhow::Result<()> {
    let first = if gold.first_report.source == "dialogue" { gold.first_report.index } else { None };
    for (index, message) in case.dialogue.iter().enumerate() {
        if message.from == Party::Buyer && first.is_none_or(|first| index <= first) {
            files.write(
                "first_report",
                json!({
                    "ticket_id": case.ticket_id, "index": index, "text": text::first_report(case, index),
                    "states_problem": yes_no(first == Some(index)),
                }),
            )?;
        }
    }
    Ok(())
}

/// Each item with each requirement of its party that accepts its kind. A late item is judged by what it shows, for
/// lateness is arithmetic.
fn supports(case: &Case, gold: &Gold, sop: &Sop, zone: chrono_tz::Tz, files: &mut Files) -> anyhow::Result<()> {
    for item in &case.evidence {
        let wanted = gold.evidence.items.get(item.evidence_id.as_str());
        let wanted = wanted.with_context(|| format!("{}: no gold for {}", case.ticket_id, item.evidence_id))?;
        let asked = requirements(sop, item.party, &item.kind);
        for requirement in &asked {
            let rivals: Vec<&str> =
                asked.iter().filter(|r| r.id != requirement.id).map(|r| r.text.zh.as_str()).collect();
            let verdict = match (&wanted.requirement, &wanted.defect) {
                (Some(aim), _) if *aim != requirement.id => "unrelated",
                (_, None) => "valid",
                (_, Some(defect)) if defect == "late" => "valid",
                (_, Some(defect)) => defect.as_str(),
            };
            files.write(
                "supports",
                json!({
                    "ticket_id": case.ticket_id, "evidence_id": item.evidence_id, "requirement": requirement.id,
                    "text": text::supports(case, item, &requirement.text.zh, &rivals, zone), "verdict": verdict,
                    "defect": wanted.defect,
                }),
            )?;
        }
    }
    Ok(())
}

fn measure(case: &Case, gold: &Gold, files: &mut Files) -> anyhow::Result<()> {
    let wanted = &gold.quantities;
    let asked = [
        (MeasureKind::Ratio, wanted.severity_ratio.map(|share| Value::Ratio((share * 10_000.0).round() as u32))),
        (MeasureKind::Count, wanted.missing_count.map(Value::Count)),
        (MeasureKind::Receipt, wanted.receipt_amount.map(|amount| Value::Amount(amount.as_i64()))),
        (MeasureKind::PriceDiff, wanted.price_diff.map(|amount| Value::Amount(amount.as_i64()))),
    ];
    for (kind, wanted) in asked {
        let Some(wanted) = wanted else { continue };
        // Of two ordered, one is missing and one has come: such counts do not tell the two apart.
        let ordered: u32 = case.order.items.iter().map(|item| item.quantity).fold(0, u32::saturating_add);
        for candidate in text::candidates(case, kind) {
            files.write(
                "measure",
                json!({
                    "ticket_id": case.ticket_id, "measure": kind, "text": candidate.text,
                    "value": candidate.value, "wanted": wanted, "span": candidate.span.text,
                    "is_value": yes_no(is_value(candidate.value, wanted)),
                    "teaches": !matches!(candidate.value, Value::Count(n) if n.saturating_mul(2) == ordered),
                }),
            )?;
        }
    }
    Ok(())
}

/// Whether a candidate is the wanted value. A share may be rounded to the percent.
fn is_value(found: Value, wanted: Value) -> bool {
    match (found, wanted) {
        (Value::Ratio(found), Value::Ratio(wanted)) => found.abs_diff(wanted) <= 100,
        (found, wanted) => found == wanted,
    }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// The open output files and what went into them. Equal questions of one case are written once.
struct Files {
    open: BTreeMap<&'static str, BufWriter<File>>,
    counts: Counts,
    seen: BTreeSet<(&'static str, String)>,
}

impl Files {
    fn create(out: &Path) -> anyhow::Result<Files> {
        let mut open = BTreeMap::new();
        for task in ["classify", "relevant", "first_report", "supports", "measure"] {
            let path = out.join(format!("{task}.ndjson"));
            let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
            open.insert(task, BufWriter::new(file));
        }
        Ok(Files { open, counts: Counts::new(), seen: BTreeSet::new() })
    }

    fn write(&mut self, task: &'static str, question: serde_json::Value) -> anyhow::Result<()> {
        let key = format!("{}{}{}", question["ticket_id"], question["sop"], question["text"]);
        if self.seen.insert((task, key)) {
            let file = self.open.get_mut(task).with_context(|| format!("no file for {task}"))?;
            serde_json::to_writer(&mut *file, &question)?;
            file.write_all(b"\n")?;
            *self.counts.entry(task).or_default() += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<Counts> {
        self.open.values_mut().try_for_each(|file| file.flush())?;
        Ok(self.counts)
    }
}
