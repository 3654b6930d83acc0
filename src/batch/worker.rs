//! The worker: takes chunks from the queue, has each decided on a thread of its own and records it. Any number of them, in
//! any number of processes and on any number of hosts, work together. One that dies leaves its chunk to the others.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext, WorkerRecoveryConfig};
use tokio::sync::watch;

use super::decide::{ChunkError, Means, decide};
use crate::config::{BatchConfig, ReviewConfig};
use crate::live::Live;
use crate::store::{CHUNK_TASK, ChunkJob, Store};

/// How often the queue is looked over.
const TEND_EVERY: Duration = Duration::from_secs(5);

/// How often inputs of uploads that broke off are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// How long after a failure of the database the queue is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How long a chunk in hand may take after the worker was told to stop; then it is left to others.
const GRACE: Duration = Duration::from_secs(60);

/// Whoever is waiting for an answer now: requests that a backlog gives way to.
#[derive(Clone, Default)]
pub struct Foreground(Option<Arc<dyn Fn() -> usize + Send + Sync>>);

impl Foreground {
    /// Counts those who wait.
    pub fn new(waiting: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(waiting)))
    }

    /// Waits while somebody does, but no longer than a tenth of a second: the backlog goes on, only slower.
    pub(super) fn give_way(&self) {
        let Some(waiting) = &self.0 else { return };
        let until = Instant::now() + Duration::from_millis(100);
        while waiting() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl fmt::Debug for Foreground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Foreground")
    }
}

/// What a worker works with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Worker {
    store: Arc<Store>,
    live: Arc<Live>,
    config: BatchConfig,
    review: ReviewConfig,
    foreground: Foreground,
}

impl Worker {
    /// A worker that decides by the rules in force and gives way to these requests.
    pub fn new(
        store: Arc<Store>,
        live: Arc<Live>,
        config: BatchConfig,
        review: ReviewConfig,
        foreground: Foreground,
    ) -> Self {
        Self { store, live, config, review, foreground }
    }

    /// Works until told to stop, then finishes the chunks in hand. Outlives the database.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            if let Err(error) = self.work(stopped.clone()).await {
                tracing::warn!(%error, "the job queue cannot be worked on; trying again");
                tokio::select! {
                    () = tokio::time::sleep(AGAIN_AFTER) => {}
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                }
            }
        }
    }

    async fn work(&self, mut stopped: watch::Receiver<bool>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let seconds = |n: NonZeroU32| Duration::from_secs(u64::from(n.get()));
        let beat = seconds(self.config.heartbeat_seconds);
        let recovery = WorkerRecoveryConfig::default()
            .heartbeat_interval(beat)
            .sweep_interval(beat)
            .sweep_threshold(seconds(self.config.dead_after_seconds).max(2 * beat))
            .recovery_delay(Duration::ZERO);
        let told = async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let queue = self
            .store
            .worker()
            .concurrency(self.config.workers.max(1))
            .define_job::<ChunkJob>()
            .add_extension(self.clone())
            .worker_recovery(recovery)
            .listen_os_shutdown_signals(false)
            .shutdown_signal(told)
            .shutdown_grace_period(GRACE)
            .shutdown_interrupted_job_retry_delay(Duration::ZERO)
            .init()
            .await?;
        // The queue is looked after until it has stopped, and no question to the database is cut off.
        let (over, ended) = watch::channel(false);
        let work = async {
            let worked = queue.run().await;
            over.send_replace(true);
            worked
        };
        let (worked, ()) = tokio::join!(work, self.tend(ended));
        Ok(worked?)
    }

    /// Counts what waits, ends batches whose chunk failed for the last time, and removes what broken uploads left.
    async fn tend(&self, mut ended: watch::Receiver<bool>) {
        let mut swept: Option<Instant> = None;
        while !*ended.borrow() {
            if let Err(error) = self.look_after_the_queue().await {
                tracing::warn!(%error, "the job queue is not looked after");
            }
            if swept.is_none_or(|at| at.elapsed() > SWEEP_EVERY) {
                swept = Some(Instant::now());
                if let Err(error) = self.sweep().await {
                    tracing::warn!(%error, "inputs of broken uploads are not removed");
                }
            }
            let _ = tokio::time::timeout(TEND_EVERY, ended.wait_for(|ended| *ended)).await;
        }
    }

    async fn look_after_the_queue(&self) -> Result<(), crate::store::StoreError> {
        let waiting = self.store.jobs_waiting().await?;
        metrics::gauge!("praetor_batch_chunks_waiting").set(u32::try_from(waiting).map_or(f64::MAX, f64::from));
        for job in self.store.take_exhausted_jobs().await? {
            tracing::error!(batch = job.batch, chunk = job.chunk, "a chunk failed for the last time");
            self.store.tenant(&job.tenant).end_batch(&job.batch, "failed", None).await?;
        }
        Ok(())
    }

    async fn sweep(&self) -> Result<(), crate::store::StoreError> {
        for tenant in self.store.tenants().await? {
            let gone = self.store.tenant(&tenant).drop_batch_inputs(None).await?;
            if gone > 0 {
                tracing::info!(%tenant, gone, "chunks of uploads that broke off are removed");
            }
        }
        Ok(())
    }

    async fn chunk(&self, job: &ChunkJob) -> Result<(), ChunkError> {
        let started = Instant::now();
        let records = self.store.tenant(&job.tenant);
        let failed = |error: crate::store::StoreError| {
            tracing::error!(batch = job.batch, chunk = job.chunk, %error, "a chunk cannot be read or recorded");
            ChunkError::Store
        };
        let Some(chunk) = records.begin_chunk(&job.batch, job.chunk).await.map_err(failed)? else { return Ok(()) };
        // By the rules of now: nothing is decided before they are known.
        self.live.refresh().await.map_err(|error| {
            tracing::error!(%error, "it is not known which rules are in force");
            ChunkError::Rules
        })?;
        let source = format!("batch:{}", job.batch);
        let (worker, pipeline) = (self.clone(), self.live.of(&job.tenant).ok_or(ChunkError::Rules)?);
        // Set when this future is dropped: then the thread below has nobody left to work for.
        let left = LeftAlone(Arc::default());
        let alone = Arc::clone(&left.0);
        let deciding = tokio::task::spawn_blocking(move || {
            let means = Means {
                pipeline: &pipeline,
                review: &worker.review,
                together: worker.config.together.get(),
                foreground: &worker.foreground,
                stop: &|| alone.load(Ordering::Relaxed),
            };
            decide(&chunk, &source, &means)
        });
        let done = deciding.await.map_err(|_| ChunkError::Defect)??;
        drop(left);
        if !records.finish_chunk(&job.batch, job.chunk, &done).await.map_err(failed)? {
            return Ok(());
        }
        let auto = done.decisions.iter().filter(|(_, d)| d.outcome == "auto").count();
        let outcomes = [("auto", auto), ("review", done.decisions.len() - auto), ("rejected", done.rejections.len())];
        for (outcome, lines) in outcomes {
            metrics::counter!("praetor_batch_lines_total", "outcome" => outcome).increment(lines as u64);
        }
        metrics::histogram!("praetor_batch_chunk_seconds").record(started.elapsed().as_secs_f64());
        Ok(())
    }
}

struct LeftAlone(Arc<AtomicBool>);

impl Drop for LeftAlone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl TaskHandler for ChunkJob {
    const IDENTIFIER: &'static str = CHUNK_TASK;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        match context.get_ext::<Worker>() {
            Some(worker) => worker.chunk(&self).await,
            None => Err(ChunkError::Defect),
        }
    }
}
