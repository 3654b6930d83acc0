//! `praetor serve`: the HTTP service, until SIGTERM or SIGINT.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::gate::gate;
use super::{open_pipeline, open_store, witnessed};
use crate::api::{Application, Dispatcher};
use crate::batch::Worker;
use crate::config::Config;
use crate::live::GateOf;
use crate::store::{Sequencer, Store};
use crate::telemetry::LogFormat;

/// Arguments of `praetor serve`.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "PRAETOR_LISTEN")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: &ServeArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let mut serve = config.serve.clone();
    serve.listen = args.listen.unwrap_or(serve.listen);
    let pipeline = Arc::new(open_pipeline(config)?);
    let store = Arc::new(open_store(config, &pipeline).await?);
    let gate_of = gate_of(config);
    let application = Application::build(&serve, &config.review, pipeline, gate_of, Arc::clone(&store))?;
    let at = application.address();
    let scheme = if serve.tls.is_some() { "https" } else { "http" };
    match config.log.format {
        LogFormat::Json => tracing::info!(address = format!("{scheme}://{at}"), "serving"),
        LogFormat::Text => {
            let (zh, en) = (format!("服务已启动：{scheme}://{at}"), format!("serving at {scheme}://{at}"));
            writeln!(io::stderr(), "{}", config.lang.pick(zh, en))?;
        }
    }
    let (stop, stopped) = watch::channel(false);
    let sequencer = tokio::spawn(Sequencer::new(&store).run(stopped.clone()));
    let worker = (serve.backlogs.workers > 0).then(|| {
        let (live, foreground) = (application.live(), application.foreground());
        let (backlogs, review) = (serve.backlogs.clone(), config.review);
        tokio::spawn(Worker::new(Arc::clone(&store), live, backlogs, review, foreground).run(stopped.clone()))
    });
    let dispatcher = tokio::spawn(Dispatcher::new(Arc::clone(&store), &serve.webhooks)?.run(stopped));
    let served = tokio::select! {
        served = application.run() => served,
        never = witness_now_and_then(&store, config) => never,
    };
    // A connection to the database belongs to the thread that opened it. Those of the threads that served die with them and
    // pass for alive while they do.
    tokio::time::sleep(DYING).await;
    let _ = stop.send(true);
    if let Some(worker) = worker {
        let _ = worker.await;
    }
    let _ = sequencer.await;
    let _ = dispatcher.await;
    served?;
    if let Some(store) = Arc::into_inner(store) {
        witnessed::finish(store, config).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What may be automatic under rules that are published.
pub(super) fn gate_of(config: &Config) -> GateOf {
    let config = config.clone();
    Arc::new(move |pins| gate(&config, pins, false).unwrap_or_default())
}

/// How long threads that served take to be gone, generously.
const DYING: Duration = Duration::from_millis(500);

/// How long a checkpoint waits for its witness.
const WITNESSED_EVERY: Duration = Duration::from_secs(10);

/// Has new checkpoints cosigned while the service runs; without a witness there is nothing to do. Never ends.
async fn witness_now_and_then(store: &Store, config: &Config) -> io::Result<()> {
    loop {
        tokio::time::sleep(WITNESSED_EVERY).await;
        if config.witness.is_some()
            && let Err(error) = witnessed::bring(store, config).await
        {
            tracing::warn!(%error, "a checkpoint is not witnessed yet");
        }
    }
}
