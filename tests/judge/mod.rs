//! The judge against real ONNX sessions: tiny models with known labels and random weights.
//! They fail, never skip, when the ONNX Runtime library is not there.

mod answering;
mod opening;

use std::path::{Path, PathBuf};

use praetor::judge::{Judge, JudgeConfig, Question, Task, probe};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/judge")
}

/// Fails with what to do when the library is missing.
fn need_library() {
    if let Some(problem) = probe(&JudgeConfig::default()).problem {
        panic!("{problem}\nrun `cargo xtask test`, which fetches the library");
    }
}

fn open(cfg: &JudgeConfig) -> Judge {
    need_library();
    Judge::open(&fixtures().join("good"), cfg).unwrap()
}

fn ask(task: Task, text: impl Into<String>) -> Question {
    Question { task, text: text.into() }
}

/// Questions of every task and many lengths, some of them past the models' 64 tokens.
fn many() -> Vec<Question> {
    let alphabet: Vec<char> = "签收48小时内坏果约35%，照片视频。买家说少件退款".chars().collect();
    (0..120)
        .map(|i: usize| {
            let body: String = (0..(i * 7) % 90).map(|j| alphabet[(i * 13 + j * 5) % alphabet.len()]).collect();
            ask(Task::ALL[i % Task::ALL.len()], format!("[TITLE]{i}[TEXT]{body}"))
        })
        .collect()
}
