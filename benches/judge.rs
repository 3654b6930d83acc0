//! Questions and tickets a second on this machine, beside what ONNX Runtime takes for the same token ids on the best of
//! several schedules, with no text, no probability and no rule.
//!
//! The questions are those that the pipeline asks about the public cases. Raw runs have a process of their own, since a
//! process has one ONNX Runtime environment. Both run where `PRAETOR_DEVICE` says, `cpu` or `cuda`. Figures are printed,
//! nothing is asserted.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ndarray::Array2;
use ort::ep::{CUDA, cuda::ConvAlgorithmSearch};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use praetor::case::Case;
use praetor::judge::{Answer, Device, Judge, JudgeConfig, JudgeError, Manifest, Question, Task, probe};
use praetor::pipeline::{Ask, Pipeline};
use praetor::sop;
use tokenizers::Tokenizer;

/// Each measurement is taken so often; the quickest counts.
const ROUNDS: usize = 3;

/// Rows of a raw batch.
const SCHEDULES: [usize; 4] = [1, 8, 32, 128];

/// Names the file of token ids to the process that runs them raw.
const RAW: &str = "PRAETOR_BENCH_RAW";

/// The token ids of each model's distinct questions.
type Ids = BTreeMap<Task, Vec<Vec<u32>>>;

fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The judge's defaults, on the device that `PRAETOR_DEVICE` names.
fn config() -> JudgeConfig {
    let named = |device: String| serde_json::from_value(device.into()).unwrap();
    JudgeConfig { device: std::env::var("PRAETOR_DEVICE").map_or(Device::Cpu, named), ..JudgeConfig::default() }
}

/// A judge that keeps what it is asked.
struct Listening {
    judge: Arc<Judge>,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl Ask for Listening {
    fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        self.asked.lock().unwrap().extend_from_slice(questions);
        self.judge.answer(questions)
    }
}

fn quickest(mut work: impl FnMut()) -> Duration {
    let timed = || {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    std::iter::repeat_with(timed).take(ROUNDS).min().unwrap()
}

fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return; // `cargo test --benches` only sees that it builds
    }
    if let Ok(path) = std::env::var(RAW) {
        return raw(Path::new(&path));
    }
    let judge = Arc::new(Judge::open(&repo("models"), &config()).unwrap());
    let book = sop::load(&repo("sop_rules/demo")).unwrap();
    let text = std::fs::read_to_string(repo("models/training/data/public/tickets.jsonl")).unwrap();
    let cases: Vec<Case> = text.lines().map(|line| Case::parse(line.as_bytes()).unwrap()).collect();

    let asked = Arc::new(Mutex::new(Vec::new()));
    let listening = Listening { judge: Arc::clone(&judge), asked: Arc::clone(&asked) };
    let thresholds = judge.manifest().thresholds.clone();
    let pipeline = Pipeline::with(book, Box::new(listening), judge.pins(), thresholds).unwrap();
    let decided = quickest(|| {
        asked.lock().unwrap().clear();
        for cases in cases.chunks(32) {
            pipeline.decide(cases, None).unwrap();
        }
    });
    let questions = asked.lock().unwrap().clone();
    let ids = token_ids(&judge, &questions);
    let (distinct, tokens) = (ids.values().map(Vec::len).sum::<usize>(), count(&ids));
    println!("{} cases ask {} questions, {distinct} distinct, {tokens} tokens", cases.len(), questions.len());
    println!("models run on {}", config().device);
    for (task, rows) in &ids {
        println!("  {task}: {} distinct, {} tokens", rows.len(), rows.iter().map(Vec::len).sum::<usize>());
    }
    let answered = quickest(|| drop(judge.answer(&questions).unwrap()));
    let show = |what: &str, took: Duration| {
        let per_second = |n: usize| n as f64 / took.as_secs_f64();
        println!(
            "{what:<58} {:>6.2} s {:>9.0} tokens/s {:>6.0} cases/s",
            took.as_secs_f64(),
            per_second(tokens),
            per_second(cases.len())
        );
    };
    show("the pipeline, 32 cases together", decided);
    show("the judge, all questions at once", answered);
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &ids).unwrap();
    let mut alone = Command::new(std::env::current_exe().unwrap());
    alone.env(RAW, file.path()).env("PRAETOR_ORT_LIB", probe(&config()).library.unwrap());
    let said = alone.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let runs: Vec<(String, f64)> = serde_json::from_slice(&said.stdout).unwrap();
    for (what, seconds) in &runs {
        show(&format!("ONNX Runtime, {what}"), Duration::from_secs_f64(*seconds));
    }
    let best = runs.iter().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min);
    println!(
        "of ONNX Runtime's best: the judge {:.2}, the pipeline {:.2}",
        best / answered.as_secs_f64(),
        best / decided.as_secs_f64()
    );
}

fn count(ids: &Ids) -> usize {
    ids.values().flatten().map(Vec::len).sum()
}

/// The token ids of the distinct questions, cut where the models cut them.
fn token_ids(judge: &Judge, questions: &[Question]) -> Ids {
    let manifest = judge.manifest();
    let mut tokenizer = Tokenizer::from_file(judge.folder().join(&manifest.tokenizer.file)).unwrap();
    tokenizer.with_padding(None);
    let mut texts: BTreeMap<Task, Vec<&str>> = BTreeMap::new();
    for question in questions {
        texts.entry(question.task).or_default().push(&question.text);
    }
    let mut ids = Ids::new();
    for (task, mut texts) in texts {
        texts.sort_unstable();
        texts.dedup();
        let longest = manifest.models.iter().find(|model| model.id == task).unwrap().max_tokens;
        let rows = texts.iter().map(|text| {
            let mut row = tokenizer.encode_fast(*text, true).unwrap().get_ids().to_vec();
            row.truncate(longest);
            row
        });
        ids.insert(task, rows.collect());
    }
    ids
}

/// Runs the token ids of a file on every schedule and prints the quickest time of each.
fn raw(path: &Path) {
    let mut ids: Ids = serde_json::from_reader(std::fs::File::open(path).unwrap()).unwrap();
    ids.values_mut().for_each(|rows| rows.sort_by_key(Vec::len));
    let environment = ort::environment::init_from(std::env::var("PRAETOR_ORT_LIB").unwrap()).unwrap().build().unwrap();
    let manifest = Manifest::read(&repo("models")).unwrap();
    let mut runs: Vec<(String, f64)> = Vec::new();
    for rows in SCHEDULES {
        let batches: BTreeMap<Task, Vec<Array2<i64>>> =
            ids.iter().map(|(task, all)| (*task, all.chunks(rows).map(padded).collect())).collect();
        for (side_by_side, threads) in [(true, 1), (false, 2)] {
            let open = |task: Task| {
                let file = &manifest.models.iter().find(|model| model.id == task).unwrap().file;
                let builder = Session::builder(&environment).unwrap();
                let mut builder = builder.with_optimization_level(GraphOptimizationLevel::All).unwrap();
                if config().device == Device::Cuda {
                    // As the judge sets it.
                    let cuda = CUDA::default().with_device_id(0).with_tf32(false);
                    let cuda = cuda.with_conv_algorithm_search(ConvAlgorithmSearch::Default);
                    builder = builder.with_execution_providers([cuda.build().error_on_failure()]).unwrap();
                }
                builder.with_intra_threads(threads).unwrap().commit_from_file(repo("models").join(file)).unwrap()
            };
            let mut sessions: BTreeMap<Task, Session> = batches.keys().map(|task| (*task, open(*task))).collect();
            let took = quickest(|| {
                std::thread::scope(|scope| {
                    let mut running = Vec::new();
                    for (session, batches) in sessions.values_mut().zip(batches.values()) {
                        let running_one = scope.spawn(move || batches.iter().for_each(|batch| run(session, batch)));
                        if side_by_side {
                            running.push(running_one);
                        } else {
                            running_one.join().unwrap();
                        }
                    }
                    running.into_iter().for_each(|one| one.join().unwrap());
                });
            });
            let how = if side_by_side { "models side by side" } else { "one model after another" };
            runs.push((format!("{rows} rows, {how}, {threads} threads"), took.as_secs_f64()));
        }
    }
    println!("{}", serde_json::to_string(&runs).unwrap());
}

fn run(session: &mut Session, batch: &Array2<i64>) {
    let input = TensorRef::from_array_view(batch).unwrap();
    std::hint::black_box(session.run(ort::inputs!["input_ids" => input]).unwrap().len());
}

/// Rows of like length, filled up with the padding.
fn padded(rows: &[Vec<u32>]) -> Array2<i64> {
    let width = rows.iter().map(Vec::len).max().unwrap().max(1);
    Array2::from_shape_fn((rows.len(), width), |(row, place)| rows[row].get(place).map_or(0, |id| i64::from(*id)))
}
