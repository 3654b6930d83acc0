//! The log's own side of witnessing: refuses to work on a database that is older than what was witnessed, and has new
//! checkpoints cosigned. What was witnessed last is remembered in the data folder too, outside the database.

use std::io::{self, Write};

use anyhow::bail;

use crate::config::Config;
use crate::lang::Lang;
use crate::ledger::SignedCheckpoint;
use crate::store::{Sequencer, Store};
use crate::witness::{Mark, Witness};

/// The mark in the data folder.
pub(super) fn mark(config: &Config) -> Mark {
    Mark::at(&config.store.data_dir.join("witnessed.checkpoint"))
}

/// Opens the database to write into it.
pub(super) async fn open(config: &Config) -> anyhow::Result<Store> {
    let store = Store::open(&config.store).await?;
    match guard(&store, config).await {
        Ok(()) => Ok(store),
        Err(refused) => {
            store.close().await?;
            Err(refused)
        }
    }
}

/// Gives what was recorded its place in the ledger, has it witnessed, and closes. A ledger that somebody else signs has
/// to wait for them.
pub(super) async fn finish(store: Store, config: &Config) -> anyhow::Result<()> {
    let settled = match Sequencer::new(&store).drain().await {
        Ok(_) => bring(&store, config).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = settled {
        writeln!(io::stderr(), "praetor: {error}")?;
    }
    store.close().await?;
    Ok(())
}

/// Fails if the log is not the one that was witnessed, or is an older state of it. A witness that cannot be reached is
/// told to people and stops nothing. To be called before anything is written.
pub(super) async fn guard(store: &Store, config: &Config) -> anyhow::Result<()> {
    let size = store.log().latest().await?.map_or(0, |last| last.size);
    if let Some(seen) = mark(config).read()? {
        let seen = seen.unproven();
        if seen.size > size {
            let (seen, lang) = (seen.size, config.lang);
            bail!(lang.pick(
                format!("已见证 {seen} 片叶，数据库中只有 {size} 片：这是旧备份，或末尾被截去。拒绝启动"),
                format!("{seen} leaves were witnessed, the database has {size}: this is an old backup, or its end was cut off. Refusing to start"),
            ));
        }
        if store.log().root(seen.size).await.ok() != Some(seen.root) {
            bail!(config.lang.pick(
                format!("前 {} 片叶不是已见证的那些：历史被改写。拒绝启动", seen.size),
                format!(
                    "the first {} leaves are not those that were witnessed: history was rewritten. Refusing to start",
                    seen.size
                ),
            ));
        }
    }
    ask(store, config, true).await
}

/// Has the last checkpoint cosigned, if a witness is configured and has not done so. Fails only if the witness saw
/// another log.
pub(super) async fn bring(store: &Store, config: &Config) -> anyhow::Result<()> {
    ask(store, config, false).await
}

/// What was cosigned before may be an old state: whoever wants to know must ask `again`.
async fn ask(store: &Store, config: &Config, again: bool) -> anyhow::Result<()> {
    let Some(whom) = &config.witness else { return Ok(()) };
    let log = store.log();
    let Some(last) = log.latest().await? else { return Ok(()) };
    let signed = last.signed()?;
    let cosigned = signed.cosigned_at(&whom.key).is_some();
    if cosigned && !again {
        return Ok(());
    }
    let mark = mark(config);
    let known = mark.read()?.map_or(0, |seen: SignedCheckpoint| seen.unproven().size);
    let witness = Witness::new(whom)?;
    match witness.cosign(signed, known, async |from, to| log.consistency(from, to).await).await {
        Ok((signed, line)) => {
            if !cosigned {
                log.cosign(last.size, &line).await?;
            }
            mark.write(&signed)?;
            Ok(())
        }
        Err(error) if error.is_conflict() => Err(error.into()),
        Err(error) => {
            let note = match config.lang {
                Lang::Zh => "检查点暂未见证",
                Lang::En => "the checkpoint is not witnessed yet",
            };
            writeln!(io::stderr(), "praetor: {note}: {error}")?;
            Ok(())
        }
    }
}
