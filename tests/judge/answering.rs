//! Answers depend on the question alone: not on its place, its neighbours, the batch, padding, threads or callers.

use praetor::judge::text::sanitise;
use praetor::judge::{Answer, JudgeConfig, JudgeError, Task};

use super::{ask, many, open};

fn config(intra_threads: usize, token_budget: usize, max_batch: usize) -> JudgeConfig {
    JudgeConfig { intra_threads, token_budget, max_batch, ..JudgeConfig::default() }
}

#[test]
fn answers_come_in_the_order_of_the_questions() {
    let judge = open(&config(1, 300, 4));
    let questions = many();
    let answers = judge.answer(&questions).unwrap();
    assert_eq!(answers.len(), questions.len());
    for (question, answer) in questions.iter().zip(&answers) {
        let heads: Vec<&str> = answer.heads.keys().map(String::as_str).collect();
        let mut expected = question.task.heads().to_vec();
        expected.sort_unstable();
        assert_eq!(heads, expected);
        assert_eq!(std::slice::from_ref(answer), judge.answer(std::slice::from_ref(question)).unwrap());
    }
    let distinct: std::collections::BTreeSet<String> =
        answers.iter().map(|answer| serde_json::to_string(answer).unwrap()).collect();
    assert!(distinct.len() > 100, "the fixture models tell texts apart");
    assert_eq!(judge.answer(&[]).unwrap(), []);
}

#[test]
fn answers_do_not_depend_on_batch_padding_or_threads() {
    let questions = many();
    let alone: Vec<Answer> = {
        let judge = open(&config(1, 1, 1));
        questions.iter().flat_map(|question| judge.answer(std::slice::from_ref(question)).unwrap()).collect()
    };
    for (threads, budget, batch) in [(1, 8192, 32), (2, 8192, 32), (2, 1, 1), (1, 128, 64), (4, 1 << 20, 1000)] {
        let judge = open(&config(threads, budget, batch));
        assert_eq!(judge.answer(&questions).unwrap(), alone, "{threads} threads, budget {budget}, batch {batch}");
    }
}

#[test]
fn equal_questions_share_one_answer() {
    let judge = open(&config(1, 8192, 32));
    let questions = [
        ask(Task::Supports, "[TITLE]坏果[TEXT]照片"),
        ask(Task::Measure, "[TITLE]坏果[TEXT]照片"),
        ask(Task::Supports, "[TITLE]坏果[TEXT]视频"),
        ask(Task::Supports, "[TITLE]坏果[TEXT]照片"),
    ];
    let answers = judge.answer(&questions).unwrap();
    assert_eq!(answers[0], answers[3]);
    assert_ne!(answers[0], answers[2]);
    assert!(answers[1].heads.contains_key("is_value"));
}

#[test]
fn many_threads_may_ask_at_once() {
    let judge = open(&config(1, 500, 8));
    let questions = many();
    let expected = judge.answer(&questions).unwrap();
    std::thread::scope(|scope| {
        for start in 0..8 {
            let (judge, questions, expected) = (&judge, &questions[start * 5..], &expected[start * 5..]);
            scope.spawn(move || assert_eq!(judge.answer(questions).unwrap(), expected));
        }
    });
}

#[test]
fn long_inputs_lose_their_tail() {
    let judge = open(&config(1, 8192, 32));
    // 64 tokens, the first and last of them added by the tokenizer.
    let fits = "签".repeat(60) + "坏果";
    let questions = [
        ask(Task::Classify, fits.clone()),
        ask(Task::Classify, fits.clone() + "视频照片退款"),
        ask(Task::Classify, "退款".to_owned() + &fits),
    ];
    let answers = judge.answer(&questions).unwrap();
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
}

#[test]
fn a_model_that_gives_nan_gives_no_answer() {
    let judge = open(&config(1, 8192, 32));
    let good = ask(Task::Classify, "[TITLE]坏果");
    let error = judge.answer(&[good.clone(), ask(Task::Classify, "[NAN]")]).unwrap_err();
    assert!(matches!(error, JudgeError::NotFinite { task: Task::Classify, .. }), "{error}");
    assert!(error.to_string().contains("model classify: output scene is not a finite number"), "{error}");
    // The failure is that batch's alone: the session goes on.
    judge.answer(&[good]).unwrap();
}

#[test]
fn user_text_cannot_write_a_marker() {
    let judge = open(&config(1, 8192, 32));
    let forged = sanitise("[NAN]\u{200B}坏果");
    judge.answer(&[ask(Task::Classify, format!("[TITLE]{forged}"))]).unwrap();
}

#[test]
fn probabilities_of_a_head_sum_to_one() {
    let judge = open(&config(1, 8192, 32));
    for answer in judge.answer(&many()).unwrap() {
        for distribution in answer.heads.values() {
            let sum: u32 = distribution.p.iter().map(|p| p.millionths()).sum();
            assert!(sum.abs_diff(1_000_000) <= 5, "{distribution:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn session_threads_end_with_the_judge() {
    // Names are cut to 15 bytes, and tests run side by side, so only this judge's own thread ids are watched.
    let threads = || -> std::collections::BTreeSet<String> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks
            .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|n| n.starts_with("judge-")))
            .map(|task| task.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let judge = open(&config(1, 8192, 32));
        seen.extend(threads());
        drop(judge);
    }
    assert!(seen.len() >= 4);
    // 20 judges were opened and dropped here; were their threads to stay, 80 would be left.
    assert!(threads().len() < 80, "{} threads are left", threads().len());
}
