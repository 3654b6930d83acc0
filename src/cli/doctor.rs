//! `praetor doctor`: what is found, which versions, and what is missing. Changes nothing and starts no server.

use std::io::Write;
use std::process::ExitCode;

use super::gate::certificate;
use crate::config::Config;
use crate::judge::{Judge, probe};
use crate::pipeline::Pipeline;
use crate::sop::load;
use crate::store::postgres_found;

/// Prints a line a part; fails when a part that deciding needs is missing.
pub(super) async fn run(config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let lang = config.lang;
    let mut missing = 0;
    let mut line = |out: &mut dyn Write, name: &str, found: Result<String, String>| -> std::io::Result<()> {
        match found {
            Ok(text) => writeln!(out, "ok    {name}: {text}"),
            Err(text) => {
                missing += 1;
                writeln!(out, "{}  {name}: {text}", lang.pick("缺失", "FAIL"))
            }
        }
    };
    line(out, "praetor", Ok(env!("CARGO_PKG_VERSION").to_owned()))?;

    let probe = probe(&config.judge);
    let library = match (probe.problem, probe.library, probe.version) {
        (None, Some(path), Some(version)) => {
            Ok(format!("{} ({})", version.trim_start_matches("onnxruntime "), path.display()))
        }
        (Some(problem), ..) => Err(problem.to_string()),
        _ => Err(lang.pick("没有找到", "not found").to_owned()),
    };
    line(out, "onnxruntime", library)?;

    let judge = Judge::open(&config.models, &config.judge);
    let models = judge.as_ref().map(|judge| {
        let names: Vec<String> =
            judge.manifest().models.iter().map(|m| format!("{} {}", m.id, &m.sha256[..12])).collect();
        format!("{} ({})", names.join(", "), config.models.display())
    });
    line(out, "models", models.map_err(ToString::to_string))?;

    let book = load(&config.pack);
    let pack = book.as_ref().map(|book| {
        format!(
            "{} v{}, {} SOPs, {} ({})",
            book.head.id,
            book.head.version,
            book.sops.len(),
            book.hash(),
            config.pack.display()
        )
    });
    line(out, "rules", pack.map_err(ToString::to_string))?;
    // Without a valid certificate it decides all the same, but nothing automatically.
    if let (Ok(judge), Ok(book)) = (judge, book) {
        let pipeline = Pipeline::new(book, judge)?;
        let path = config.calibration.certificate.display();
        match certificate(config, pipeline.pins(), false) {
            Ok(fit) => {
                let (hash, issued) = (fit.signed.hash(), &fit.signed.body.issued);
                writeln!(out, "ok    certificate: {} {issued} ({})", &hash[..12], fit.path.display())?
            }
            Err(unfit) => {
                let (warn, note) = (lang.pick("注意", "warn"), lang.pick("不自动处理", "nothing is automatic"));
                writeln!(out, "{warn}  certificate: {note}: {unfit} ({path})")?;
            }
        }
    }

    let database = match &config.store.database_url {
        Some(_) => match crate::store::Store::open(&config.store).await {
            Ok(store) => {
                let status = store.status().await.map(|s| format!("PostgreSQL {} {}", s.server_version, s.url));
                store.close().await?;
                status.map_err(|e| e.to_string())
            }
            Err(error) => Err(error.to_string()),
        },
        None => postgres_found()
            .map(|text| format!("{text}; {}", config.store.data_dir.display()))
            .map_err(|e| e.to_string()),
    };
    line(out, "database", database)?;
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
