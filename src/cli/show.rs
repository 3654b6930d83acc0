//! `praetor show`: prints recorded decisions, found by their id or by their ticket.

use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

use super::render;
use crate::config::Config;
use crate::store::{Store, StoredDecision};

/// Arguments of `praetor show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// A decision's id (dec_…) or a ticket's id
    id: String,
    /// How it is printed; json: the recorded bytes
    #[arg(long, value_enum, default_value_t = super::adjudicate::Format::Text)]
    format: super::adjudicate::Format,
    /// Print the trace too (json)
    #[arg(long)]
    trace: bool,
}

pub(super) async fn run(args: &ShowArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let store = Store::open(&config.store).await?;
    let found = find(&store, &args.id).await;
    let mut traces = Vec::new();
    if let (Ok(found), true) = (&found, args.trace) {
        for decision in found {
            traces.push(store.trace(&decision.id).await?);
        }
    }
    store.close().await?;
    let found = found?;
    if found.is_empty() {
        let id = &args.id;
        anyhow::bail!("{}", config.lang.pick(format!("没有 `{id}` 的决定"), format!("there is no decision of `{id}`")));
    }
    for (i, decision) in found.iter().enumerate() {
        if args.format == super::adjudicate::Format::Json {
            out.write_all(&decision.body)?;
            writeln!(out)?;
        } else {
            let value: Value = serde_json::from_slice(&decision.body)?;
            write!(out, "{}", render::decision(&value, config.lang))?;
            let at = decision.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            writeln!(out, "   {}: {at}\n", config.lang.pick("记录时间", "Recorded at"))?;
        }
        if let Some(Some(trace)) = traces.get(i) {
            out.write_all(trace)?;
            writeln!(out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn find(store: &Store, id: &str) -> anyhow::Result<Vec<StoredDecision>> {
    if id.starts_with("dec_")
        && let Some(found) = store.decision(id).await?
    {
        return Ok(vec![found]);
    }
    Ok(store.by_ticket(id).await?)
}
