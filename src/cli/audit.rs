//! `praetor audit`: proves what is recorded. Exports a bundle, verifies a database or a bundle, gives proofs and receipts,
//! and looks after the log's keys.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::Utc;
use serde_json::json;

use super::audit_feed::{self, Noted, way};
use super::witnessed;
use crate::audit::{BundleWriter, ReceiptArgs, VerifyArgs, print};
use crate::config::Config;
use crate::lang::Lang;
use crate::ledger::{
    BUNDLE_FORMAT, Hash, KeyFile, Kind, Manifest, PublicKey, RecordLine, Report, Rotation, SignedCheckpoint, TileRef,
    Trust,
};
use crate::store::{NewRecord, Receipted, Sequencer, Store};
use crate::witness::Witness;

/// How long a rotation waits for the log to take its leaf. When that is not enough, it goes on where it stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// Prove what is recorded.
#[derive(Debug, clap::Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AuditCommand {
    /// Write the whole log into a folder that can be verified without the database
    Export {
        /// The folder, which must be new or empty
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Verify the database, or a bundle; exits with 0 only if all holds
    Verify(VerifyArgs),
    /// Print the last checkpoint with its cosignatures
    Checkpoint,
    /// Prove that a record's leaf is in the log (JSON)
    Inclusion(RecordArgs),
    /// Prove that an older state of the log is the beginning of a newer one (JSON)
    Consistency {
        /// Leaves of the older state
        from: u64,
        /// Leaves of the newer state
        to: u64,
    },
    /// Print the receipt of a record
    Receipt(RecordArgs),
    /// Verify a receipt
    VerifyReceipt(ReceiptArgs),
    /// Have the configured witness cosign the last checkpoint; fails if it saw another log
    Cosign,
    /// Print the public keys of the log and its witness, to hand out
    Keys,
    /// Give the log a new signing key; the old one stays good for what it signed
    RotateKey,
}

#[derive(Debug, clap::Args)]
struct RecordArgs {
    /// The record's id
    id: String,
    /// What kind of record
    #[arg(long, default_value = "decision")]
    kind: Kind,
}

pub(super) async fn run(args: AuditArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    // These need no database.
    match &args.command {
        AuditCommand::Verify(args) => {
            if let Some(report) = args.offline()? {
                return Ok(print(&report, args.format, config.lang, out)?);
            }
        }
        AuditCommand::VerifyReceipt(args) => return args.run(config.lang, out),
        AuditCommand::Keys => return keys(config, out),
        _ => {}
    }
    let store = Store::open(&config.store).await?;
    let done = with_store(args.command, &store, config, out).await;
    store.close().await?;
    done
}

async fn with_store(
    command: AuditCommand,
    store: &Store,
    config: &Config,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Export { out: dir } => export(&dir, store, config, out).await?,
        AuditCommand::Verify(args) => {
            let report = verify(&args, store, config).await?;
            return Ok(print(&report, args.format, config.lang, out)?);
        }
        AuditCommand::Checkpoint => write!(out, "{}", last(store, config.lang).await?)?,
        AuditCommand::Inclusion(args) => inclusion(&args, store, config, out).await?,
        AuditCommand::Consistency { from, to } => {
            let proof = store.log().consistency(from, to).await?;
            writeln!(out, "{}", json!({"from": from, "to": to, "proof": proof}))?;
        }
        AuditCommand::Receipt(args) => receipt(&args, store, config, out).await?,
        AuditCommand::Cosign => witnessed::guard(store, config).await?,
        AuditCommand::RotateKey => rotate(store, config, out).await?,
        AuditCommand::VerifyReceipt(_) | AuditCommand::Keys => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The public keys known here: the log's, oldest first, and the configured witness's.
fn known_keys(config: &Config) -> anyhow::Result<(Vec<PublicKey>, Vec<PublicKey>)> {
    let path = config.store.log_key();
    let log = if path.exists() { KeyFile::load(&path)?.public_keys() } else { Vec::new() };
    Ok((log, config.witness.iter().map(|witness| witness.key.clone()).collect()))
}

fn keys(config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (log, witnesses) = known_keys(config)?;
    if log.is_empty() {
        let path = config.store.log_key();
        bail!(
            "{}",
            config.lang.pick(
                format!("没有签名钥匙 {}：第一次写入日志时生成", path.display()),
                format!("there is no signing key {}: it is made when the log is first written", path.display()),
            )
        );
    }
    for key in log.iter().chain(&witnesses) {
        writeln!(out, "{key}")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(args: &VerifyArgs, store: &Store, config: &Config) -> anyhow::Result<Report> {
    let keys = args.trust.keys()?;
    let mut witnessed = args.trust.witnessed(&keys)?;
    witnessed.extend(witnessed::mark(config).read()?);
    let (log, witnesses) = known_keys(config)?;
    if let Some(witness) = &config.witness {
        witnessed.extend(Witness::new(witness)?.seen(config.store.origin()).await?);
    }
    let claimed: Vec<PublicKey> = log.into_iter().chain(witnesses).collect();
    if claimed.is_empty() && keys.is_empty() {
        bail!(
            "{}",
            config
                .lang
                .pick("没有日志公钥：请用 --key 给出", "there is no public key of the log here: give it with --key",)
        );
    }
    audit_feed::verify_store(store, Trust { keys, claimed, witnessed }).await
}

async fn export(dir: &Path, store: &Store, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let mut writer = BundleWriter::create(dir)?;
    let extent = audit_feed::extent(store).await?;
    let log = store.log();
    let ((to_lines, mut lines), (to_notes, mut notes)) = (way::<RecordLine>(), way::<Noted>());
    let (mut size, mut records) = (0, 0u64);
    let take = async {
        let (mut more_lines, mut more_notes) = (true, true);
        while more_lines || more_notes {
            tokio::select! {
                line = lines.recv(), if more_lines => match line {
                    Some(line) => {
                        size = line.leaf.map_or(size, |leaf| leaf + 1);
                        records += 1;
                        writer.record(&line)?;
                    }
                    None => more_lines = false,
                },
                note = notes.recv(), if more_notes => match note {
                    Some(Ok(signed)) => writer.checkpoint(&signed)?,
                    Some(Err(unreadable)) => bail!("{}: {}", unreadable.place, unreadable.reason),
                    None => more_notes = false,
                },
            }
        }
        Ok(())
    };
    let (fed, noted, taken) = tokio::join!(
        audit_feed::records(store, extent, to_lines),
        audit_feed::checkpoints(&log, extent, to_notes),
        take
    );
    fed?;
    noted?;
    taken?;
    for at in TileRef::all(size) {
        // One that is missing is missing in the bundle too, for the verification to find.
        if let Some(hashes) = audit_feed::tile(&log, at).await {
            writer.tile(at, &hashes)?;
        }
    }
    let (log_keys, witness_keys) = known_keys(config)?;
    let text = |keys: &[PublicKey]| keys.iter().map(ToString::to_string).collect();
    let manifest = writer.finish(Manifest {
        format: BUNDLE_FORMAT.to_owned(),
        origin: config.store.origin().to_owned(),
        exported_at: Utc::now(),
        program: concat!("praetor ", env!("CARGO_PKG_VERSION")).to_owned(),
        size,
        records: 0,
        checkpoints: 0,
        log_keys: text(&log_keys),
        witness_keys: text(&witness_keys),
    })?;
    match config.lang {
        Lang::Zh => writeln!(
            out,
            "已导出 {} 片叶、{} 条记录、{} 个检查点至 {}",
            size,
            manifest.records,
            manifest.checkpoints,
            dir.display()
        )?,
        Lang::En => writeln!(
            out,
            "exported {} leaves, {} records and {} checkpoints to {}",
            size,
            manifest.records,
            manifest.checkpoints,
            dir.display()
        )?,
    }
    Ok(())
}

async fn last(store: &Store, lang: Lang) -> anyhow::Result<SignedCheckpoint> {
    match store.log().latest().await? {
        Some(last) => Ok(last.signed()?),
        None => bail!("{}", lang.pick("日志还是空的", "the log is still empty")),
    }
}

async fn inclusion(args: &RecordArgs, store: &Store, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(leaf) = store.tenant(&config.tenant).leaf(args.kind, &args.id).await? else {
        bail!("{}", unknown(args, config.lang));
    };
    let Some(index) = leaf.index else { bail!("{}", pending(config.lang)) };
    let checkpoint = last(store, config.lang).await?;
    let proof = store.log().inclusion(index, checkpoint.unproven().size).await?;
    let written = json!({
        "kind": args.kind, "id": args.id, "leaf": index, "commitment": leaf.commitment, "proof": proof,
        "checkpoint": checkpoint.to_string(),
    });
    writeln!(out, "{written}")?;
    Ok(())
}

async fn receipt(args: &RecordArgs, store: &Store, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let lang = config.lang;
    match store.receipt(&config.tenant, args.kind, &args.id).await? {
        Receipted::Receipt(receipt) => {
            out.write_all(&receipt.to_bytes())?;
            writeln!(out)?;
            Ok(())
        }
        Receipted::Unknown => bail!("{}", unknown(args, lang)),
        Receipted::Pending => bail!("{}", pending(lang)),
        Receipted::Erased(erased) => bail!("{}", lang.pick(
            format!("内容与盐已依 {} 删除，不能再出收据；其叶仍可用 praetor audit inclusion 证明", erased.by),
            format!("content and salt were erased by {}: there is no receipt any more; `praetor audit inclusion` still proves the leaf", erased.by),
        )),
        Receipted::Lost => bail!("{}", lang.pick(
            "记录已丢失或被改动；请执行 praetor audit verify",
            "the record is gone or damaged; run `praetor audit verify`",
        )),
    }
}

fn unknown(args: &RecordArgs, lang: Lang) -> String {
    let RecordArgs { id, kind } = args;
    lang.pick(format!("没有 {kind} `{id}`"), format!("there is no {kind} `{id}`"))
}

fn pending(lang: Lang) -> &'static str {
    lang.pick("记录尚未排入日志，稍后再试", "the record waits for its place in the log; try again shortly")
}

/// In the order that `KeyFile` asks for: the next key is in the file before the log speaks of it.
async fn rotate(store: &Store, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    witnessed::guard(store, config).await?;
    let mut file = KeyFile::open(&config.store.log_key(), config.store.origin())?;
    file.begin_rotation()?;
    let next = file.next().context("the key file takes no next key")?.public().to_string();
    let body = Rotation { old: file.current().public().to_string(), new: next.clone() };
    let record = NewRecord {
        id: format!("key_{}", &Hash::of(next.as_bytes()).to_string()[..32]),
        subject: None,
        body: serde_json_canonicalizer::to_vec(&body)?,
    };
    let (id, records) = (record.id.clone(), store.tenant(&config.tenant));
    records.append_records(Kind::KeyRotation, &[record]).await?;
    let mut sequencer = Sequencer::new(store);
    let started = Instant::now();
    loop {
        sequencer.drain().await?;
        if records.leaf(Kind::KeyRotation, &id).await?.is_some_and(|leaf| leaf.index.is_some()) {
            break;
        }
        // Transactions that began earlier go first.
        if started.elapsed() > PATIENCE {
            bail!("{}", pending(config.lang));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    file.finish_rotation()?;
    witnessed::bring(store, config).await?;
    writeln!(out, "{next}")?;
    Ok(())
}
