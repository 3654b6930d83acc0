//! Concurrent requests share the models: cases wait in a bounded queue and one thread decides whatever has gathered,
//! together. A batch never waits to fill, so a lone request is answered at once. A case that could not be answered within
//! its deadline is refused on arrival, before it costs anything. Nothing here reads or writes a record.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::error::ApiError;
use crate::case::{Case, Timestamp};
use crate::pipeline::{Decided, Pipeline};

/// Bounds of the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueConfig {
    /// Cases that may wait; more are refused.
    pub waiting: usize,
    /// Cases decided together at most.
    pub batch: usize,
}

/// A case on its way to the pipeline.
struct Job {
    pipeline: Arc<Pipeline>,
    case: Case,
    as_of: Option<Timestamp>,
    deadline: Instant,
    /// That of its request.
    span: Span,
    reply: oneshot::Sender<Result<(Case, Decided), ApiError>>,
}

/// What sender and thread know of each other.
#[derive(Debug, Default)]
struct Gauge {
    /// Cases accepted and not yet answered.
    waiting: AtomicUsize,
    /// Smoothed time of a case in a batch, in microseconds; 0 until the first.
    per_case: AtomicU64,
}

/// The way into the pipeline.
#[derive(Debug)]
pub(super) struct Adjudicator {
    sender: mpsc::Sender<Job>,
    gauge: Arc<Gauge>,
}

impl Adjudicator {
    /// Starts the thread. It ends, after what it has accepted, when the adjudicator is dropped.
    pub(super) fn start(config: QueueConfig) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = mpsc::channel(config.waiting);
        let gauge = Arc::new(Gauge::default());
        let shared = Arc::clone(&gauge);
        let thread = std::thread::Builder::new()
            .name("adjudicator".to_owned())
            .spawn(move || work(receiver, &shared, config.batch))?;
        Ok((Self { sender, gauge }, thread))
    }

    /// Cases accepted and not yet answered.
    pub(super) fn waiting(&self) -> usize {
        self.gauge.waiting.load(Ordering::Relaxed)
    }

    /// The same, to be asked from elsewhere; it keeps nothing of the queue alive.
    pub(super) fn gauge(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let gauge = Arc::clone(&self.gauge);
        move || gauge.waiting.load(Ordering::Relaxed)
    }

    /// True while the thread runs.
    pub(super) fn is_alive(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Decides a case before the deadline, or says that it cannot. The pipeline is the one that it began with, whatever
    /// comes into force meanwhile.
    pub(super) async fn decide(
        &self,
        pipeline: Arc<Pipeline>,
        case: Case,
        as_of: Option<Timestamp>,
        deadline: Instant,
    ) -> Result<(Case, Decided), ApiError> {
        let wait = self.expected_wait();
        if Instant::now() + wait > deadline {
            metrics::counter!("praetor_shed_total").increment(1);
            return Err(ApiError::Overloaded { retry_after: wait.as_secs().max(1) });
        }
        let (reply, answer) = oneshot::channel();
        self.gauge.waiting.fetch_add(1, Ordering::Relaxed);
        let job = Job { pipeline, case, as_of, deadline, span: Span::current(), reply };
        if let Err(refused) = self.sender.try_send(job) {
            self.gauge.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(match refused {
                mpsc::error::TrySendError::Full(_) => {
                    metrics::counter!("praetor_shed_total").increment(1);
                    ApiError::Overloaded { retry_after: wait.as_secs().max(1) }
                }
                mpsc::error::TrySendError::Closed(_) => ApiError::ShuttingDown,
            });
        }
        // The thread answers every job it took, if only that its time has passed.
        answer.await.unwrap_or(Err(ApiError::Internal))
    }

    /// How long a case that came now would wait for its answer.
    fn expected_wait(&self) -> Duration {
        let cases = u64::try_from(self.waiting()).unwrap_or(u64::MAX);
        Duration::from_micros(self.gauge.per_case.load(Ordering::Relaxed).saturating_mul(cases))
    }
}

fn work(mut jobs: mpsc::Receiver<Job>, gauge: &Gauge, batch: usize) {
    while let Some(first) = jobs.blocking_recv() {
        let mut together = vec![first];
        while together.len() < batch
            && let Ok(job) = jobs.try_recv()
        {
            together.push(job);
        }
        metrics::gauge!("praetor_queue_depth").set(gauge_value(gauge.waiting.load(Ordering::Relaxed)));
        metrics::histogram!("praetor_batch_cases").record(gauge_value(together.len()));
        let count = together.len();
        let started = Instant::now();
        answer(together);
        gauge.waiting.fetch_sub(count, Ordering::Relaxed);
        smooth(&gauge.per_case, started.elapsed() / u32::try_from(count).unwrap_or(u32::MAX));
    }
}

/// One part in eight of the new, seven of the old.
fn smooth(per_case: &AtomicU64, now: Duration) {
    let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX).max(1);
    let before = per_case.load(Ordering::Relaxed);
    let next = if before == 0 { now } else { (before.saturating_mul(7).saturating_add(now)) / 8 };
    per_case.store(next, Ordering::Relaxed);
}

fn gauge_value(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Decides what is still in time. Cases of one pipeline and one time of decision go together; if a batch fails, each goes alone, so that
/// one case cannot spoil another's answer.
fn answer(jobs: Vec<Job>) {
    let now = Instant::now();
    let (mut jobs, late): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.deadline > now);
    for job in late {
        let _ = job.reply.send(Err(ApiError::DeadlineExceeded));
    }
    while let Some((pipeline, as_of)) = jobs.first().map(|job| (Arc::clone(&job.pipeline), job.as_of)) {
        let same = |job: &Job| job.as_of == as_of && Arc::ptr_eq(&job.pipeline, &pipeline);
        let (same, rest): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(same);
        jobs = rest;
        let _span = batch_span(&same).entered();
        let (cases, replies): (Vec<Case>, Vec<_>) = same.into_iter().map(|job| (job.case, job.reply)).unzip();
        let mut decided = match attempt(&pipeline, &cases, as_of) {
            Ok(decided) => decided.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(_) => cases.iter().map(|case| alone(&pipeline, case, as_of)).collect(),
        }
        .into_iter();
        for (case, reply) in cases.into_iter().zip(replies) {
            let result = decided.next().unwrap_or(Err(ApiError::Internal));
            let _ = reply.send(result.map(|decided| (case, decided)));
        }
    }
}

/// A batch belongs to the request it came with; one of several requests follows from each.
fn batch_span(jobs: &[Job]) -> Span {
    if let [job] = jobs {
        return tracing::info_span!(parent: &job.span, "batch", cases = 1);
    }
    let span = tracing::info_span!(parent: None, "batch", cases = jobs.len());
    for job in jobs {
        span.follows_from(&job.span);
    }
    span
}

fn alone(pipeline: &Pipeline, case: &Case, as_of: Option<Timestamp>) -> Result<Decided, ApiError> {
    let decided = attempt(pipeline, std::slice::from_ref(case), as_of);
    decided.and_then(|mut decided| decided.pop().ok_or_else(|| "no decision".to_owned())).map_err(|error| {
        tracing::error!(case_hash = %case.hash(), %error, "a case cannot be decided");
        ApiError::Internal
    })
}

/// A panic in a node is that batch's failure, not the service's end.
fn attempt(pipeline: &Pipeline, cases: &[Case], as_of: Option<Timestamp>) -> Result<Vec<Decided>, String> {
    catch_unwind(AssertUnwindSafe(|| pipeline.decide(cases, as_of)))
        .map_err(|_| "a panic".to_owned())
        .and_then(|result| result.map_err(|error| error.to_string()))
}
