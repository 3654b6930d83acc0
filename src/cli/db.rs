//! `praetor db`: the database for people with psql. Shows where it is, migrates it, reports on it, stops a private server.
//! Prints no password and changes no record.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use super::erase::note;
use super::witnessed;
use crate::config::Config;
use crate::lang::Lang;
use crate::store::{Rows, Status, Store, StoreConfig};

/// Look after the database.
#[derive(Debug, clap::Args)]
pub(super) struct DbArgs {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DbCommand {
    /// Print the database's URL, for psql; a private server is started and stays up until `praetor db stop`
    Url {
        /// Act as the owner of the tables instead of the runtime role (private server only)
        #[arg(long)]
        owner: bool,
    },
    /// Create roles and schema where missing and apply all pending migrations
    Migrate,
    /// Print server, migrations and row counts; exits with 1 while migrations are pending
    Status,
    /// List the tenants, or add the one that `--tenant` names
    Tenants {
        /// Add it
        #[arg(long)]
        add: bool,
    },
    /// List the months whose time is over, as retention_years has it, or set them aside
    Retention {
        /// Set aside those without a legal hold: they become tables of their own, for the owner to dump and drop
        #[arg(long)]
        detach: bool,
    },
    /// Make a new master key and wrap all subjects' keys by it
    RotateMasterKey,
    /// Stop the private server if no praetor process uses it
    Stop,
}

/// Runs the command. Fails with what to do about it.
pub(super) async fn run(args: &DbArgs, whole: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (config, lang) = (&whole.store, whole.lang);
    match args.command {
        DbCommand::Url { owner } => url(config, owner, lang, out).await?,
        DbCommand::Migrate => migrate(config, lang, out).await?,
        DbCommand::Status => return status(whole, out).await,
        DbCommand::Retention { detach } => retention(whole, detach, out).await?,
        DbCommand::RotateMasterKey => rotate_master_key(whole, out).await?,
        DbCommand::Tenants { add } => tenants(whole, add, out).await?,
        DbCommand::Stop => {
            Store::stop(config).await?;
            writeln!(out, "{}", lang.pick("数据库服务已停止", "the database server is stopped"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn url(config: &StoreConfig, owner: bool, lang: Lang, out: &mut impl Write) -> anyhow::Result<()> {
    let store = Store::open(config).await?;
    let url = if owner { store.owner_url() } else { store.url() };
    let private = store.is_private();
    store.leave_running().await?;
    writeln!(out, "{url}")?;
    if private {
        let hint = lang.pick(
            "数据库服务保持运行；用完后执行 praetor db stop",
            "the server stays up; run `praetor db stop` when done",
        );
        writeln!(io::stderr(), "{hint}")?;
    }
    Ok(())
}

async fn migrate(config: &StoreConfig, lang: Lang, out: &mut impl Write) -> anyhow::Result<()> {
    let store = Store::open(config).await?;
    let migrated = store.migrate().await;
    store.close().await?;
    let count = migrated?;
    match lang {
        Lang::Zh => writeln!(out, "已执行 {count} 个迁移，数据库已是最新")?,
        Lang::En => writeln!(out, "{count} migrations applied, the database is current")?,
    }
    Ok(())
}

async fn tenants(config: &Config, add: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let store = Store::open(&config.store).await?;
    if add {
        store.tenant(&config.tenant).found().await?;
    }
    let tenants = store.tenants().await;
    store.close().await?;
    for tenant in tenants? {
        writeln!(out, "{tenant}")?;
    }
    Ok(())
}

async fn retention(config: &Config, detach: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let store = witnessed::open(config).await?;
    let lang = config.lang;
    let months = store.past_months(config.retention).await?;
    for month in &months {
        let name = month.first.format("%Y-%m").to_string();
        let state = match (month.held, detach) {
            (true, _) => lang.pick("有法律保全，保留", "under legal hold, kept"),
            (false, false) => lang.pick("已过保存期", "past retention"),
            (false, true) => {
                store.retire(month).await?;
                note(&store, "retention.detach", json!({ "month": name, "tables": month.tables })).await?;
                lang.pick("已分离", "set aside")
            }
        };
        writeln!(out, "{name}  {}  {}  {state}", month.rows, month.tables.join(" "))?;
    }
    if months.is_empty() {
        writeln!(out, "{}", lang.pick("没有已过保存期的月份", "no month is past its retention"))?;
    }
    witnessed::finish(store, config).await
}

async fn rotate_master_key(config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let store = witnessed::open(config).await?;
    let (master, count) = store.rotate_master_key().await?;
    note(&store, "vault.rotate", json!({ "master": master })).await?;
    match config.lang {
        Lang::Zh => writeln!(out, "新主密钥 {master}，已重新封装 {count} 个密钥；旧主密钥仍留在文件中，供旧备份使用")?,
        Lang::En => writeln!(
            out,
            "new master key {master}, {count} keys wrapped anew; the former one stays in the file for older backups"
        )?,
    }
    witnessed::finish(store, config).await
}

async fn status(config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let store = Store::open(&config.store).await?;
    let status = store.status().await?;
    let rows = if status.is_current() { Some(store.tenant(&config.tenant).rows().await?) } else { None };
    store.close().await?;
    print_status(&status, rows, config, out)?;
    Ok(if status.is_current() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print_status(status: &Status, rows: Option<Rows>, config: &Config, out: &mut impl Write) -> io::Result<()> {
    let lang = config.lang;
    writeln!(out, "PostgreSQL  {}", status.server_version)?;
    writeln!(out, "{}  {}", lang.pick("地址      ", "address   "), status.url)?;
    if let Some(cluster) = &status.cluster {
        writeln!(out, "{}  {}", lang.pick("数据目录  ", "cluster   "), cluster.display())?;
    }
    writeln!(out, "{}", lang.pick("迁移", "migrations"))?;
    for migration in &status.migrations {
        let state =
            if migration.applied { lang.pick("已执行", "applied") } else { lang.pick("待执行", "pending") };
        writeln!(out, "  {:04} {}  {state}", migration.version, migration.name)?;
    }
    let Some(rows) = rows else {
        return writeln!(out, "{}", lang.pick("请先执行 praetor db migrate", "run `praetor db migrate` first"));
    };
    writeln!(out, "{} ({})", lang.pick("记录数", "rows"), config.tenant)?;
    for (table, count) in [
        ("decisions", rows.decisions),
        ("traces", rows.traces),
        ("cases", rows.cases),
        ("artifacts", rows.artifacts),
        ("rejections", rows.rejections),
        ("records", rows.records),
        ("leaves", rows.leaves),
    ] {
        writeln!(out, "  {table:<10} {count}")?;
    }
    Ok(())
}
