//! Concurrent requests share the models: cases wait in a bounded queue and one thread decides whatever has gathered,
//! together. A batch never waits to fill, so a lone request is answered at once. Nothing here reads or writes a record.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::error::ApiError;
use crate::case::{Case, Timestamp};
use crate::judge::JudgeError;
use crate::pipeline::{Decided, Pipeline, PipelineError};

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

/// The way into the pipeline.
#[derive(Debug)]
pub(super) struct Adjudicator {
    sender: mpsc::Sender<Job>,
}

impl Adjudicator {
    /// Starts the thread, which decides `batch` cases together at most. It ends, after what it has accepted, when the
    /// adjudicator is dropped.
    pub(super) fn start(waiting: usize, batch: usize) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = mpsc::channel(waiting);
        let thread = std::thread::Builder::new().name("adjudicator".to_owned()).spawn(move || work(receiver, batch))?;
        Ok((Self { sender }, thread))
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
        let (reply, answer) = oneshot::channel();
        let job = Job { pipeline, case, as_of, deadline, span: Span::current(), reply };
        self.sender.try_send(job).map_err(|refused| match refused {
            // Whoever was let in finds room, unless others went away and left their cases here.
            mpsc::error::TrySendError::Full(_) => ApiError::Overloaded { retry_after: 1 },
            mpsc::error::TrySendError::Closed(_) => ApiError::ShuttingDown,
        })?;
        // The thread answers every job it took, if only that its time has passed.
        answer.await.unwrap_or(Err(ApiError::Internal))
    }
}

fn work(mut jobs: mpsc::Receiver<Job>, batch: usize) {
    while let Some(first) = jobs.blocking_recv() {
        let mut together = vec![first];
        while together.len() < batch
            && let Ok(job) = jobs.try_recv()
        {
            together.push(job);
        }
        metrics::histogram!("praetor_batch_cases").record(gauge_value(together.len()));
        answer(together);
    }
}

fn gauge_value(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Decides what is still in time. Cases of one pipeline and one time of decision go together; if a batch fails, each goes
/// alone while it is in time, so that one case cannot spoil another's answer. A server that does not answer one case
/// answers none of them, so they are not tried again here.
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
        let deadlines: Vec<Instant> = same.iter().map(|job| job.deadline).collect();
        let (cases, replies): (Vec<Case>, Vec<_>) = same.into_iter().map(|job| (job.case, job.reply)).unzip();
        let mut decided = match attempt(&pipeline, &cases, as_of) {
            Ok(decided) => decided.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(Failure::Server) => cases.iter().map(|_| Err(ApiError::RewardModelUnavailable)).collect(),
            Err(Failure::Other(_)) => {
                let each = cases.iter().zip(deadlines);
                each.map(|(case, deadline)| alone(&pipeline, case, as_of, deadline)).collect()
            }
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

fn alone(pipeline: &Pipeline, case: &Case, as_of: Option<Timestamp>, deadline: Instant) -> Result<Decided, ApiError> {
    if deadline <= Instant::now() {
        return Err(ApiError::DeadlineExceeded);
    }
    let decided = attempt(pipeline, std::slice::from_ref(case), as_of);
    decided.and_then(|mut decided| decided.pop().ok_or_else(|| Failure::Other("no decision".to_owned()))).map_err(
        |failure| match failure {
            Failure::Server => ApiError::RewardModelUnavailable,
            Failure::Other(error) => {
                tracing::error!(case_hash = %case.hash(), error, "a case cannot be decided");
                ApiError::Internal
            }
        },
    )
}

/// Why cases were not decided.
enum Failure {
    /// The reward model's server does not answer; that has been logged.
    Server,
    /// One of the cases cannot be decided.
    Other(String),
}

/// A panic in a node is that batch's failure, not the service's end.
fn attempt(pipeline: &Pipeline, cases: &[Case], as_of: Option<Timestamp>) -> Result<Vec<Decided>, Failure> {
    let decided = catch_unwind(AssertUnwindSafe(|| pipeline.decide(cases, as_of)));
    decided.map_err(|_| Failure::Other("a panic".to_owned()))?.map_err(|error| match error {
        PipelineError::Judge(JudgeError::Server { .. }) => {
            tracing::error!(cases = cases.len(), %error, "the reward model's server does not answer");
            Failure::Server
        }
        _ => Failure::Other(error.to_string()),
    })
}
