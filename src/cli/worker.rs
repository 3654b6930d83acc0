//! `praetor worker`: decides the chunks of backlogs, until SIGTERM or SIGINT. Answers nobody; as many as one likes, wherever.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::watch;

use super::adjudicate::signals;
use super::serve::gate_of;
use super::{open_pipeline, open_store, witnessed};
use crate::api::Observed;
use crate::batch::{Foreground, Worker};
use crate::config::Config;
use crate::live::Live;
use crate::store::Sequencer;

/// Arguments of `praetor worker`.
#[derive(Debug, clap::Args)]
pub(super) struct WorkerArgs {
    /// Chunks decided at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Answer /healthz and /metrics at this address
    #[arg(long, value_name = "ADDR", env = "PRAETOR_METRICS")]
    metrics: Option<SocketAddr>,
}

pub(super) async fn run(args: &WorkerArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let mut asked_to_end = signals()?;
    let observed = args.metrics.map(Observed::build).transpose()?;
    let pipeline = Arc::new(open_pipeline(config)?);
    let store = Arc::new(open_store(config, &pipeline).await?);
    let mut batch = config.serve.backlogs.clone();
    batch.workers = usize::from(args.concurrency);
    // Drafts are tried on single tickets alone.
    let (live, _) = Live::new(Arc::clone(&store), pipeline, gate_of(config));
    let (stop, stopped) = watch::channel(false);
    let sequencer = tokio::spawn(Sequencer::new(&store).run(stopped.clone()));
    let worker = Worker::new(Arc::clone(&store), Arc::new(live), batch, config.review, Foreground::default());
    let worker = tokio::spawn(worker.run(stopped));
    writeln!(io::stderr(), "{}", config.lang.pick("工作进程已启动", "the worker is running"))?;
    let observed = observed.map(|observed| {
        let (at, lang) = (observed.address(), config.lang);
        let said = lang.pick(format!("指标见 http://{at}/metrics"), format!("metrics at http://{at}/metrics"));
        let _ = writeln!(io::stderr(), "{said}");
        tokio::spawn(observed.run(Arc::clone(&store)))
    });
    asked_to_end.recv().await;
    if let Some(observed) = observed {
        observed.abort();
        let _ = observed.await;
    }
    let _ = stop.send(true);
    let _ = worker.await;
    let _ = sequencer.await;
    if let Some(store) = Arc::into_inner(store) {
        witnessed::finish(store, config).await?;
    }
    Ok(ExitCode::SUCCESS)
}
