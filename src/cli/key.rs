//! `praetor key`: makes, lists and revokes the keys of the HTTP service. `--tenant` says whose: whoever may run it may act for any tenant.

use std::io::Write;
use std::process::ExitCode;

use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;

use crate::api::{FreshKey, Role};
use crate::config::Config;
use crate::store::{NewApiKey, Store};

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
            keys.put_api_key(&new).await?;
            let token = fresh.token.expose_secret();
            if *raw {
                writeln!(out, "{token}")?;
                return Ok(ExitCode::SUCCESS);
            }
            let once = config.lang.pick("密钥只显示这一次：", "The key is shown this once:");
            writeln!(out, "{} · {} · {}\n{once}\n{token}", fresh.id, role.as_str(), tenant.as_str())?;
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
            if !keys.revoke_api_key(id).await? {
                let (zh, en) = (format!("没有密钥 `{id}`"), format!("there is no key `{id}`"));
                anyhow::bail!("{}", config.lang.pick(zh, en));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
