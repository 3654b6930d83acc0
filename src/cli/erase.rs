//! `praetor erase` and `praetor hold`: ends the readability of a subject's data, or forbids that. What they write is about
//! the act, never about the person.

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use super::witnessed;
use crate::config::Config;
use crate::lang::Lang;
use crate::record::{Actor, access, access_body, canonical};
use crate::store::{RecordKind, Store, StoreError, Whose};

/// Whose data.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct WhoseArgs {
    /// A subject: the ticket's buyer_id, else `order:` and the order's id; for a refused input also `input:` and its SHA-256
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// The subjects of all decisions on this ticket
    #[arg(long, value_name = "TICKET")]
    ticket: Option<String>,
}

/// Arguments of `praetor erase`.
#[derive(Debug, clap::Args)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// Why; kept for good, so it must not name the person
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Arguments of `praetor hold`.
#[derive(Debug, clap::Args)]
pub(super) struct HoldArgs {
    #[command(subcommand)]
    command: HoldCommand,
}

#[derive(Debug, clap::Subcommand)]
enum HoldCommand {
    /// Forbid erasure and setting aside
    Place {
        #[command(flatten)]
        whose: WhoseArgs,
        /// Why; kept for good, so it must not name the person
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Allow it again
    Release {
        /// The hold's id
        hold: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List the holds
    List,
}

impl WhoseArgs {
    fn whose(&self) -> Whose {
        match (&self.subject, &self.ticket) {
            (Some(subject), _) => Whose::Subject(subject.clone()),
            (None, ticket) => Whose::Ticket(ticket.clone().unwrap_or_default()),
        }
    }
}

pub(super) async fn erase(args: &EraseArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let store = witnessed::open(config).await?;
    let body = |id: &str, key: i64| {
        let body = json!({
            "format": "praetor.erasure/1", "id": id, "key": key, "ticket": args.whose.ticket,
            "reason": args.reason, "actor": actor().to_json(),
        });
        canonical(&body)
    };
    let erased = store.tenant(&config.tenant).erase(&args.whose.whose(), body).await;
    witnessed::finish(store, config).await?;
    for id in erased? {
        match config.lang {
            Lang::Zh => writeln!(out, "{id}：密钥已销毁，原文不可恢复；账本证明仍然有效")?,
            Lang::En => writeln!(out, "{id}: the key is destroyed and the text is gone; the ledger's proofs stand")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn hold(args: &HoldArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let store = witnessed::open(config).await?;
    let records = store.tenant(&config.tenant);
    let lang = config.lang;
    let (mut lines, mut code) = (Vec::new(), ExitCode::SUCCESS);
    let done = match &args.command {
        HoldCommand::Place { whose, reason } => {
            let body =
                |id: &str, key: i64| access_body(actor(), "hold.place", id, json!({ "key": key, "reason": reason }));
            records.hold(&whose.whose(), body).await.map(|ids| lines = ids)
        }
        HoldCommand::Release { hold, reason } => {
            let body = |id: &str| access_body(actor(), "hold.release", id, json!({ "hold": hold, "reason": reason }));
            records.release(hold, body).await.map(|released| match (released, lang) {
                (true, Lang::Zh) => lines.push(format!("{hold}：已解除")),
                (true, Lang::En) => lines.push(format!("{hold}: released")),
                (false, _) => {
                    lines.push(lang.pick("没有这一生效的保全", "there is no such hold in force").to_owned());
                    code = ExitCode::FAILURE;
                }
            })
        }
        HoldCommand::List => records.holds().await.map(|holds| {
            lines.extend(holds.into_iter().map(|hold| {
                let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                let until = hold.released_at.map_or_else(|| "-".to_owned(), time);
                format!("{}  {}  {}  {}", hold.id, time(hold.placed_at), until, hold.subject)
            }));
        }),
    };
    witnessed::finish(store, config).await?;
    done?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(code)
}

/// Records a privileged action on the database as a whole with every tenant.
pub(super) async fn note(store: &Store, action: &str, details: serde_json::Value) -> Result<(), StoreError> {
    for tenant in store.tenants().await? {
        let act = access(actor(), action, details.clone());
        store.tenant(&tenant).append_records(RecordKind::Access, &[act]).await?;
    }
    Ok(())
}

/// Who is at the command line.
pub(super) fn actor() -> Actor<'static> {
    Actor::System { uid: rustix::process::getuid().as_raw() }
}
