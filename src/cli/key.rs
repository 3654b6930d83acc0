//! `praetor key`: makes, lists, rotates and revokes the keys of the HTTP service. `--tenant` says whose: whoever may run it may act for any tenant.

use std::io::Write;
use std::process::ExitCode;

use chrono::{SecondsFormat, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::json;

use super::erase::actor;
use crate::api::{DEFAULT_GRACE, FreshKey, LONGEST_GRACE, Role};
use crate::config::Config;
use crate::lang::Lang;
use crate::record::access;
use crate::store::{NewApiKey, Rotated, Store, Successor};

/// Arguments of `praetor key`.
#[derive(Debug, clap::Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeyCommand {
    /// Make a key and print it, this once
    Create {
        /// What it may do: caller, operator, reviewer, auditor, editor or admin
        #[arg(long)]
        role: Role,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        /// After how many days it is refused; without it, never
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
        /// Print the key and nothing else
        #[arg(long)]
        raw: bool,
    },
    /// List the tenant's keys, without their secrets
    List,
    /// Make a key that takes another's place and print it, this once; the old one serves for a while yet
    Rotate {
        /// The old key's public part
        id: String,
        /// How long the old key still serves, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_GRACE, value_parser = clap::value_parser!(u32).range(..=i64::from(LONGEST_GRACE)))]
        grace: u32,
        /// Print the key and nothing else
        #[arg(long)]
        raw: bool,
    },
    /// Refuse a key from now on
    Revoke {
        /// Its public part
        id: String,
    },
}

pub(super) async fn run(args: &KeyArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let store = super::open_database(config).await?;
    let result = with(&store, &args.command, config, out).await;
    store.close().await?;
    result
}

async fn with(store: &Store, command: &KeyCommand, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let tenant = &config.tenant;
    let keys = store.tenant(tenant);
    match command {
        KeyCommand::Create { role, name, days, raw } => {
            let fresh = FreshKey::generate()?;
            let new = NewApiKey {
                key_id: fresh.id.clone(),
                role: role.as_str().to_owned(),
                secret_sha256: fresh.secret_sha256,
                name: name.clone(),
                expires_at: days.map(|days| Utc::now() + TimeDelta::days(i64::from(days))),
            };
            let details = json!({ "key": fresh.id, "role": role.as_str() });
            keys.put_api_key(&new, &access(actor(), "key.create", details)).await?;
            print(&fresh, &format!("{} · {}", role.as_str(), tenant.as_str()), *raw, config.lang, out)?;
        }
        KeyCommand::Rotate { id, grace, raw } => {
            let fresh = FreshKey::generate()?;
            let new = Successor { key_id: fresh.id.clone(), secret_sha256: fresh.secret_sha256, grace_seconds: *grace };
            let details = json!({ "key": id, "successor": fresh.id, "grace_seconds": grace });
            let said = match keys.rotate_api_key(id, &new, &access(actor(), "key.rotate", details)).await? {
                Rotated::Until(at) => at.to_rfc3339_opts(SecondsFormat::Secs, true),
                Rotated::Unknown => return Err(unknown(id, config.lang)),
                Rotated::Ended => {
                    let zh = format!("密钥 `{id}` 已吊销、已过期或已有后继");
                    let en = format!("the key `{id}` is revoked, expired or has a successor already");
                    anyhow::bail!("{}", config.lang.pick(zh, en));
                }
            };
            let until = config.lang.pick(format!("{id} 有效至 {said}"), format!("{id} serves until {said}"));
            print(&fresh, &until, *raw, config.lang, out)?;
        }
        KeyCommand::List => {
            for key in keys.api_keys().await? {
                let state = match key.expires_at {
                    _ if key.revoked => config.lang.pick("已吊销", "revoked"),
                    Some(at) if at <= Utc::now() => config.lang.pick("已过期", "expired"),
                    _ => config.lang.pick("有效", "valid"),
                };
                let name = key.name.as_deref().unwrap_or("-");
                writeln!(out, "{}  {:<9} {state}  {name}", key.key_id, key.role)?;
            }
        }
        KeyCommand::Revoke { id } => {
            if !keys.revoke_api_key(id, &access(actor(), "key.revoke", json!({ "key": id }))).await? {
                return Err(unknown(id, config.lang));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a key just made, this once.
fn print(fresh: &FreshKey, about: &str, raw: bool, lang: Lang, out: &mut impl Write) -> anyhow::Result<()> {
    let token = fresh.token.expose_secret();
    if raw {
        writeln!(out, "{token}")?;
        return Ok(());
    }
    let once = lang.pick("密钥只显示这一次：", "The key is shown this once:");
    Ok(writeln!(out, "{} · {about}\n{once}\n{token}", fresh.id)?)
}

fn unknown(id: &str, lang: Lang) -> anyhow::Error {
    anyhow::anyhow!(lang.pick(format!("没有密钥 `{id}`"), format!("there is no key `{id}`")))
}
