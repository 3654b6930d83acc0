//! `praetor explain`: why a recorded decision came out as it did, for the people it concerns.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::records::{find, none};
use super::replay::prover;
use crate::config::Config;
use crate::explain::{self, Proof, Recorded};
use crate::replay::{self, Proven};
use crate::store::Store;

/// Arguments of `praetor explain`.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// A decision's id (dec_…), or a ticket's: then its newest decision
    id: String,
    /// The form
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
    Html,
    Pdf,
}

pub(super) async fn run(args: &ExplainArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let pdf_to_terminal = args.format == Form::Pdf && args.output.is_none() && io::stdout().is_terminal();
    anyhow::ensure!(!pdf_to_terminal, "a PDF is no text for a terminal; write it to a file with --output FILE");
    let store = Store::open(&config.store).await?;
    let document = document(&store, args, config).await;
    store.close().await?;
    let document = document?;
    let bytes = match args.format {
        Form::Text => explain::text(&document).into_bytes(),
        Form::Html => explain::html(&document).into_bytes(),
        Form::Pdf => explain::pdf(&document),
        Form::Json => {
            let mut bytes = serde_json::to_vec(&document)?;
            bytes.push(b'\n');
            bytes
        }
    };
    match &args.output {
        Some(path) => std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?,
        None => out.write_all(&bytes)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn document(store: &Store, args: &ExplainArgs, config: &Config) -> anyhow::Result<explain::Document> {
    let id = &args.id;
    let stored =
        find(&store.tenant(&config.tenant), id).await?.into_iter().next().with_context(|| none(id, config.lang))?;
    let decision = serde_json::from_slice(stored.body.kept()?)?;
    // An explanation without the rule book's words is poorer, but still true.
    let book = replay::pinned_book(store, &decision).await.ok();
    let at = stored.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    // Without the log's key at hand nothing is said of a proof.
    let proof = match prover(store, config) {
        Ok(mut prover) => match prover.prove(&stored.id).await? {
            Proven::Included(at) => Some(Proof { log: at.log, leaf_index: at.leaf, tree_size: at.size, root: at.root }),
            Proven::Pending => None,
            Proven::Not(why) => anyhow::bail!("{}: {why}", stored.id),
        },
        Err(_) => None,
    };
    let recorded = Recorded { decision: &decision, book: book.as_ref(), recorded_at: Some(&at), proof: proof.as_ref() };
    Ok(explain::explain(recorded, config.lang))
}
