//! One model behind one thread: the thread owns the ONNX session and runs the batches that come through a channel
//! which holds one batch, so the next is ready when a run ends. Sessions are never shared and never tuned at run time.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use ort::ep::{CUDA, cuda::ConvAlgorithmSearch};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::TensorRef;

use super::batch::Batch;
use super::library::Runtime;
use super::signature::{self, INPUT};
use super::{Answer, Device, Distribution, Head, JudgeConfig, JudgeError, ModelEntry, Task};

/// Batches that wait while one runs.
const PREFETCH: usize = 1;

/// What a session thread gets.
struct Job {
    batch: Batch,
    reply: Sender<Reply>,
}

/// The answers of one batch with the indexes of their questions.
pub(super) type Reply = Result<Vec<(usize, Answer)>, JudgeError>;

/// A running session thread. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct SessionThread {
    task: Task,
    /// `None` only while dropping.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl SessionThread {
    /// Creates the session, checks it against the manifest and gives it a thread. `path` is for messages only.
    pub(super) fn start(
        runtime: &Runtime,
        cfg: &JudgeConfig,
        model: &ModelEntry,
        path: &std::path::Path,
        bytes: &[u8],
    ) -> Result<SessionThread, JudgeError> {
        let task = model.id;
        let load = |reason: String| JudgeError::Load { task, path: path.to_path_buf(), reason };
        let session =
            builder(runtime, cfg, task)?.commit_from_memory(bytes).map_err(|error| load(error.message().to_owned()))?;
        signature::check(task, &session, &model.heads)?;
        let heads = model.heads.clone();
        let (jobs, queue) = sync_channel(PREFETCH);
        let thread = std::thread::Builder::new()
            .name(format!("judge-{task}"))
            .spawn(move || work(Runner { task, session, heads }, &queue))
            .map_err(|error| load(format!("its thread does not start: {error}")))?;
        Ok(SessionThread { task, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands over a batch; waits while one runs and another is waiting. The answers come through `reply`.
    pub(super) fn run(&self, batch: Batch, reply: &Sender<Reply>) -> Result<(), JudgeError> {
        let stopped = JudgeError::Stopped { task: self.task };
        match &self.jobs {
            Some(jobs) => jobs.send(Job { batch, reply: reply.clone() }).map_err(|_| stopped),
            None => Err(stopped),
        }
    }

    /// Runs one batch and waits for it.
    pub(super) fn run_one(&self, batch: Batch) -> Reply {
        let (reply, replies) = channel();
        self.run(batch, &reply)?;
        drop(reply);
        replies.recv().unwrap_or(Err(JudgeError::Stopped { task: self.task }))
    }
}

impl Drop for SessionThread {
    fn drop(&mut self) {
        // The thread ends when its queue closes; nobody can be waiting for it any more.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// All options are fixed here, so that equal models give equal bits: extended graph optimisations (no layout changes
/// that depend on the processor), one operator after another, a set number of threads, deterministic kernels.
pub(super) fn builder(runtime: &Runtime, cfg: &JudgeConfig, task: Task) -> Result<SessionBuilder, JudgeError> {
    let build = || -> ort::Result<SessionBuilder> {
        Ok(Session::builder(&runtime.environment)?
            .with_optimization_level(GraphOptimizationLevel::Level2)?
            .with_intra_threads(cfg.intra_threads)?
            .with_inter_threads(1)?
            .with_parallel_execution(false)?
            .with_intra_op_spinning(false)?
            .with_deterministic_compute(true)?
            // Batches differ in shape, so a pattern planned for one is of no use to the next.
            .with_memory_pattern(false)?)
    };
    let unusable = |reason: &str| JudgeError::Device { task, device: cfg.device, reason: reason.trim_end().to_owned() };
    let builder = build().map_err(|error| unusable(error.message()))?;
    match cfg.device {
        Device::Cpu => Ok(builder),
        Device::Cuda => {
            let cuda = CUDA::default()
                .with_device_id(0)
                .with_tf32(false)
                .with_conv_algorithm_search(ConvAlgorithmSearch::Default)
                .build()
                .error_on_failure();
            builder.with_execution_providers([cuda]).map_err(|error| unusable(error.message()))
        }
    }
}

fn work(mut runner: Runner, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        let Job { batch, reply } = job;
        // A caller that has gone away after a failure wants no more answers.
        let _ = reply.send(runner.run(batch));
    }
}

/// What the thread owns.
struct Runner {
    task: Task,
    session: Session,
    heads: Vec<Head>,
}

impl Runner {
    fn run(&mut self, batch: Batch) -> Reply {
        let Runner { task, session, heads } = self;
        let task = *task;
        let (rows, tokens) = batch.ids.dim();
        let failed = |error: ort::Error| JudgeError::Run { task, rows, tokens, reason: error.message().to_owned() };
        let input = TensorRef::from_array_view(&batch.ids).map_err(failed)?;
        let outputs = session.run(ort::inputs![INPUT => input]).map_err(failed)?;

        let mut answers: Vec<Answer> = (0..rows).map(|_| Answer { heads: BTreeMap::new(), said: None }).collect();
        for head in heads.iter() {
            let not_finite = || JudgeError::NotFinite { task, head: head.output.clone() };
            let missing = || signature::wrong(task, &head.output, rows, head.labels.len(), "nothing".to_owned());
            let output = outputs.get(&head.output).ok_or_else(missing)?;
            let (shape, logits) = output.try_extract_tensor::<f32>().map_err(failed)?;
            if !shape.iter().copied().eq([rows, head.labels.len()].map(|n| i64::try_from(n).unwrap_or(i64::MAX))) {
                let found = format!("{:?}", &**shape);
                return Err(signature::wrong(task, &head.output, rows, head.labels.len(), found));
            }
            for (answer, row) in answers.iter_mut().zip(logits.chunks_exact(head.labels.len())) {
                let distribution = Distribution::from_logits(&head.labels, row).ok_or_else(not_finite)?;
                answer.heads.insert(head.output.clone(), distribution);
            }
        }
        Ok(batch.indexes.into_iter().zip(answers).collect())
    }
}
