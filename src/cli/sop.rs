//! `praetor sop`: proves a pack, runs its scenarios, prints its rules.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::config::Config;
use crate::lang::Lang;
use crate::sop::duration::format_duration;
use crate::sop::{Bilingual, FreightBy, PackError, Requirement, RuleBook, Sop, load};

/// Arguments of `praetor sop`.
#[derive(Debug, clap::Args)]
pub(super) struct SopArgs {
    #[command(subcommand)]
    command: SopCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SopCommand {
    /// Prove that a pack has no gaps, overlaps, unreachable rows or type errors
    Check {
        /// The pack's folder [default: the configured pack]
        dir: Option<PathBuf>,
    },
    /// Run the scenarios kept beside the rules
    Test {
        /// The pack's folder [default: the configured pack]
        dir: Option<PathBuf>,
    },
    /// Say what another pack would change, by itself and over many cases
    Diff(super::sop_diff::DiffArgs),
    /// Print an SOP, or list all
    Show {
        /// The SOP's id
        id: Option<String>,
    },
}

pub(super) async fn run(args: &SopArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let lang = config.lang;
    match &args.command {
        SopCommand::Check { dir } => check(dir.as_deref().unwrap_or(&config.pack), lang, out),
        SopCommand::Test { dir } => test(dir.as_deref().unwrap_or(&config.pack), lang, out),
        SopCommand::Diff(args) => super::sop_diff::run(args, config, out).await,
        SopCommand::Show { id: None } => list(&load(&config.pack)?, lang, out),
        SopCommand::Show { id: Some(id) } => {
            let book = load(&config.pack)?;
            let sop = book
                .sop(id)
                .with_context(|| lang.pick(format!("规则包里没有 `{id}`"), format!("the pack has no SOP `{id}`")))?;
            show(&book, sop, lang, out)
        }
    }
}

/// Loads a pack; findings are printed and give the exit code.
pub(super) fn open(dir: &Path, lang: Lang, out: &mut impl Write) -> anyhow::Result<Option<RuleBook>> {
    match load(dir) {
        Ok(book) => Ok(Some(book)),
        Err(PackError::Refused(errors)) => {
            writeln!(out, "{}", errors.render(lang, io::stdout().is_terminal()))?;
            let n = errors.0.len();
            writeln!(
                out,
                "{}",
                lang.pick(format!("规则包不予采用：{n} 处问题"), format!("the pack is refused; findings: {n}"))
            )?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn check(dir: &Path, lang: Lang, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some(book) = open(dir, lang, out)? else { return Ok(ExitCode::FAILURE) };
    let (n, rows) = (book.sops.len(), book.sops.iter().map(|s| s.rows.len()).sum::<usize>());
    let hash = book.hash();
    match lang {
        Lang::Zh => {
            writeln!(out, "{n} 个 SOP、{rows} 行决策：无空缺、无重叠、每行可达，表达式类型正确\n规则书 {hash}")?
        }
        Lang::En => {
            writeln!(
                out,
                "SOPs: {n}, rows: {rows}; no gaps, no overlaps, every row reachable, every expression typed\nrule book {hash}"
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn test(dir: &Path, lang: Lang, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some(book) = open(dir, lang, out)? else { return Ok(ExitCode::FAILURE) };
    let (mut total, mut failed) = (0, 0);
    for sop in &book.sops {
        total += sop.tests.len();
        for failure in sop.run_scenarios(&book.head.tiers) {
            failed += 1;
            writeln!(out, "{}: {}", sop.id, failure.name)?;
            for (field, want, got) in failure.differences {
                match lang {
                    Lang::Zh => writeln!(out, "    {field}：期望 {want}，得到 {got}")?,
                    Lang::En => writeln!(out, "    {field}: expected {want}, found {got}")?,
                }
            }
        }
    }
    let passed = total - failed;
    writeln!(
        out,
        "{}",
        lang.pick(
            format!("情景 {passed} 个通过，{failed} 个失败"),
            format!("scenarios: {passed} passed, {failed} failed")
        )
    )?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(book: &RuleBook, lang: Lang, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    for sop in &book.sops {
        writeln!(out, "{:<38} v{} {}", sop.id.0, sop.version, pick(&sop.title, lang))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn pick(text: &Bilingual, lang: Lang) -> &str {
    lang.pick(&text.zh, &text.en)
}

fn show(book: &RuleBook, sop: &Sop, lang: Lang, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    writeln!(out, "{} v{}  {}", sop.id, sop.version, pick(&sop.title, lang))?;
    let goods: Vec<String> = sop.goods.iter().map(|g| pick(&book.term(g), lang).to_owned()).collect();
    let sep = lang.pick("、", ", ");
    writeln!(out, "{}: {} × {}", lang.pick("适用", "applies"), pick(&book.term(&sop.scene), lang), goods.join(sep))?;
    let clock = format!("{} + {}", sop.clock.from.as_str(), format_duration(sop.clock.within));
    writeln!(out, "{}: {clock}", lang.pick("时效", "clock"))?;
    for clause in &sop.clauses {
        writeln!(out, "  {} {}", clause.id, pick(&clause.text, lang))?;
        for id in &clause.sources {
            if let Some(source) = sop.sources.iter().find(|s| s.id == *id) {
                writeln!(out, "      — {}", source.reference)?;
            }
        }
    }
    for (name, list) in
        [(lang.pick("买家举证", "buyer's proof"), &sop.buyer), (lang.pick("商家举证", "seller's proof"), &sop.seller)]
    {
        writeln!(out, "{name}:")?;
        for Requirement { id, text, accepts } in list {
            let kinds: Vec<String> = accepts.iter().map(|k| pick(&book.term(k), lang).to_owned()).collect();
            writeln!(out, "  {id} {} [{}]", pick(text, lang), kinds.join(sep))?;
        }
    }
    writeln!(out, "{}:", lang.pick("决策表", "decision table"))?;
    for (i, (cells, row)) in sop.table.rows.iter().zip(&sop.rows).enumerate() {
        let when: Vec<String> = sop
            .columns
            .iter()
            .zip(cells)
            .filter(|(fact, set)| **set != fact.domain())
            .map(|(fact, set)| format!("{fact}: {}", fact.format(set)))
            .collect();
        let o = &row.outcome;
        let mut then = vec![o.remedy.clone()];
        for (name, amount) in [("refund", &o.refund), ("compensation", &o.compensation)] {
            if !amount.is_zero_money() {
                then.push(format!("{name} {}", amount.canonical()));
            }
        }
        if o.freight_by != FreightBy::None {
            then.push(format!("freight_by {}", o.freight_by.as_str()));
        }
        writeln!(out, "  {} {} => {} [{}]", i + 1, when.join(", "), then.join(", "), row.cite.join(" "))?;
    }
    Ok(ExitCode::SUCCESS)
}
