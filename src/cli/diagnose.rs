//! `praetor diagnose`: what people's reviews say about the pipeline, scene by scene and node by node.

use std::io::Write;
use std::process::ExitCode;

use chrono::{DateTime, Utc};

use super::adjudicate::Format;
use crate::config::Config;
use crate::lang::Lang;
use crate::review::{Diagnosis, Figure, SceneDiagnosis, Stratum};
use crate::store::Store;

/// Arguments of `praetor diagnose`.
#[derive(Debug, clap::Args)]
pub(super) struct DiagnoseArgs {
    /// Only what was queued at or after this time, RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) async fn run(args: &DiagnoseArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let store = Store::open(&config.store).await?;
    let records = store.tenant(&config.tenant);
    let read =
        async { Ok::<_, anyhow::Error>((records.judged(args.since).await?, records.automatic(args.since).await?)) };
    let read = read.await;
    store.close().await?;
    let (judged, automatic) = read?;
    let diagnosis = Diagnosis::of(&judged, automatic);
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&diagnosis)?)?,
        Format::Text => {
            for scene in &diagnosis.scenes {
                describe(scene, diagnosis.least, config.lang, out)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(scene: &SceneDiagnosis, least: u64, lang: Lang, out: &mut impl Write) -> anyhow::Result<()> {
    let (name, judged, waiting) = (&scene.scene, scene.judged, scene.waiting);
    match lang {
        Lang::Zh => writeln!(out, "{name}：已复核 {judged} 件，待复核 {waiting} 件")?,
        Lang::En => writeln!(out, "{name}: {judged} judged, {waiting} waiting")?,
    }
    if !scene.enough {
        let (zh, en) =
            (format!("  复核不足 {least} 件，不作判断"), format!("  not enough reviews: fewer than {least}"));
        return Ok(writeln!(out, "{}", lang.pick(zh, en))?);
    }
    for node in &scene.nodes {
        let cells = [stratum("review", &node.review), stratum("audit", &node.audit), figure("all", node.all)];
        let cells: Vec<String> = cells.into_iter().flatten().collect();
        writeln!(out, "  {:<21} {}", lang.pick(node.zh, node.en), cells.join("  "))?;
    }
    let weakest = match scene.weakest {
        None => lang.pick("没有被更正的环节".to_owned(), "no finding was corrected".to_owned()),
        Some(weakest) => {
            let (zh, en) = weakest.node.title();
            match (lang, weakest.clear) {
                (Lang::Zh, true) => format!("最薄弱环节：{zh}"),
                (Lang::Zh, false) => format!("最薄弱环节：{zh}（与其他环节的差距尚可能出于偶然）"),
                (Lang::En, true) => format!("weakest: {en}"),
                (Lang::En, false) => format!("weakest: {en} (chance may still explain it)"),
            }
        }
    };
    Ok(writeln!(out, "  {weakest}")?)
}

fn stratum(name: &str, stratum: &Stratum) -> Option<String> {
    let Figure { share, low, high } = stratum.figure?;
    Some(format!("{name} {}/{} {share:.3} ({low:.3}–{high:.3})", stratum.right, stratum.judged))
}

fn figure(name: &str, figure: Option<Figure>) -> Option<String> {
    figure.map(|Figure { share, low, high }| format!("{name} {share:.3} ({low:.3}–{high:.3})"))
}
