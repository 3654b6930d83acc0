//! `praetor show`: prints recorded decisions, found by their id or by their ticket.

use std::io::Write;
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::adjudicate::Format;
use super::records::{find, none};
use super::render;
use crate::config::Config;
use crate::lang::Lang;
use crate::store::{Body, Erased, Store, StoredDecision, TenantStore};

/// Arguments of `praetor show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// A decision's id (dec_…) or a ticket's id
    id: String,
    /// How it is printed; json: the recorded bytes
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print the trace too (json)
    #[arg(long)]
    trace: bool,
}

pub(super) async fn run(args: &ShowArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let store = Store::open(&config.store).await?;
    let found = read(&store.tenant(&config.tenant), args).await;
    store.close().await?;
    let found = found?;
    if found.is_empty() {
        anyhow::bail!("{}", none(&args.id, config.lang));
    }
    for (decision, trace) in &found {
        match (&decision.body, args.format) {
            (Body::Erased(erased), _) => writeln!(out, "{}\n", erasure(&decision.id, erased, config.lang))?,
            (Body::Kept(body), Format::Json) => {
                out.write_all(body)?;
                writeln!(out)?;
            }
            (Body::Kept(body), Format::Text) => {
                let value: Value = serde_json::from_slice(body)?;
                write!(out, "{}", render::decision(&value, config.lang))?;
                let at = time(decision.created_at);
                writeln!(out, "   {}: {at}\n", config.lang.pick("记录时间", "Recorded at"))?;
            }
        }
        if let Some(Body::Kept(trace)) = trace {
            out.write_all(trace)?;
            writeln!(out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What is said of a decision that was erased.
fn erasure(id: &str, erased: &Erased, lang: Lang) -> String {
    let (by, at) = (&erased.by, time(erased.at));
    match lang {
        Lang::Zh => format!("{id}：内容已于 {at} 删除（{by}）；账本中的证明仍然有效"),
        Lang::En => format!("{id}: its text was erased at {at} ({by}); its proofs in the ledger stand"),
    }
}

/// The decisions of that id or ticket, with their traces if these are asked for.
async fn read(store: &TenantStore, args: &ShowArgs) -> anyhow::Result<Vec<(StoredDecision, Option<Body>)>> {
    let mut found = Vec::new();
    for decision in find(store, &args.id).await? {
        let trace = if args.trace { store.trace(&decision.id).await? } else { None };
        found.push((decision, trace));
    }
    Ok(found)
}
