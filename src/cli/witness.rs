//! `praetor witness`: remembers for logs of others how large they were, and cosigns what continues them.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;

use crate::config::Config;
use crate::ledger::{KeyFile, KeyPurpose, PublicKey};
use crate::witness::{Keeper, serve};

/// Arguments of `praetor witness`.
#[derive(Debug, clap::Args)]
pub(super) struct WitnessArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7380")]
    listen: SocketAddr,
    /// The witness's name, which its cosignatures bear; the key of this name is made at the first start
    #[arg(long)]
    name: String,
    /// A public key of a log to witness (`praetor audit keys` prints it); after a rotation, name both
    #[arg(long = "log-key", value_name = "KEY", required = true)]
    log_keys: Vec<PublicKey>,
    /// The folder of its key and its memory [default: witness in the data folder]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(super) async fn run(args: WitnessArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let folder = args.state.unwrap_or_else(|| config.store.data_dir.join("witness"));
    let keys = KeyFile::open_for(&folder.join("witness.key"), &args.name, KeyPurpose::Witness)?;
    let listener = TcpListener::bind(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    writeln!(out, "{} http://{address}", config.lang.pick("监听", "listening on"))?;
    writeln!(out, "{} {}", config.lang.pick("公钥", "public key"), keys.current().public())?;
    out.flush()?;
    serve(Keeper::new(keys.current().clone(), args.log_keys, folder, now), listener).await?;
    Ok(ExitCode::SUCCESS)
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
