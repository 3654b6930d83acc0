//! The same case gets the same bytes, whatever is decided with it, before it, or at another time.

use std::collections::BTreeSet;

use praetor::case::{Case, Party};
use praetor::decision::Gate;
use praetor::judge::{Answer, Judge, JudgeConfig, Question, SecondPassMode, Task, probe};
use praetor::nodes::requirements;
use praetor::nodes::text::{MeasureKind, candidates, classify, first_report, relevant, supports};
use praetor::pipeline::Pipeline;

use super::{BOOK, PUBLIC, repo};

/// Bytes of the decision and of the trace of each case, decided so many at a time.
fn decide(pipeline: &Pipeline, cases: &[Case], batch: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decide = |group: &[Case]| pipeline.decide(group, None).unwrap();
    let bytes = |d: praetor::pipeline::Decided| (d.decision.canonical().unwrap(), d.trace.canonical().unwrap());
    cases.chunks(batch).flat_map(decide).map(bytes).collect()
}

fn shipped(cfg: &JudgeConfig) -> Judge {
    if let Some(problem) = probe(cfg).problem {
        panic!("{problem}\nrun `cargo xtask test`, which fetches the library");
    }
    Judge::open(&repo("models"), cfg).unwrap()
}

/// Distinct questions that real cases raise, so many of a task at most, spread over all cases.
fn real(task: Task, most: usize) -> Vec<Question> {
    let mut texts = BTreeSet::new();
    for (case, gold) in PUBLIC.iter() {
        let sop = BOOK.sop(&gold.sop).unwrap();
        match task {
            Task::Classify => drop(texts.insert(classify(case))),
            Task::Relevant => drop(texts.insert(relevant(case, sop, BOOK.head.time_zone, 70))),
            Task::FirstReport => {
                let said = case.dialogue.iter().enumerate().filter(|(_, m)| m.from == Party::Buyer);
                texts.extend(said.map(|(i, _)| first_report(case, i)));
            }
            Task::Supports => {
                for item in &case.evidence {
                    let asked = requirements(sop, item.party, &item.kind);
                    texts.extend(asked.iter().map(|r| supports(case, item, &r.text.zh, &[], BOOK.head.time_zone)));
                }
            }
            Task::Measure => {
                let kinds =
                    if gold.quantities.severity_ratio.is_some() { MeasureKind::Ratio } else { MeasureKind::Receipt };
                texts.extend(candidates(case, kinds).into_iter().map(|c| c.text));
            }
            // Not among the tasks of the manifest; see `second_pass`.
            Task::Verify | Task::Reflect => {}
        }
    }
    let step = texts.len().div_ceil(most).max(1);
    texts.into_iter().step_by(step).map(|text| Question { task, text }).collect()
}

/// The gate on the shipped weights: an answer's bits depend on the question alone.
#[test]
fn the_shipped_models_answer_the_same_in_every_batch_padding_and_thread_count() {
    let questions: Vec<Question> = Task::ALL
        .into_iter()
        .flat_map(|task| {
            let questions = real(task, 400);
            assert!(questions.len() >= 200, "{task}: {}", questions.len());
            questions
        })
        .collect();
    let config = |intra_threads, token_budget, max_batch| JudgeConfig {
        intra_threads,
        token_budget,
        max_batch,
        ..JudgeConfig::default()
    };
    // One at a time: as little padding as there can be.
    let alone = shipped(&config(1, 1, 1)).answer(&questions).unwrap();
    let same = |name: &str, answers: Vec<Answer>| {
        assert_eq!(answers.len(), questions.len());
        for (question, (a, b)) in questions.iter().zip(alone.iter().zip(&answers)) {
            assert_eq!(a, b, "{name}: {question:?}");
        }
    };
    // Threads, tokens a batch, questions a batch. A huge budget pads every question of a task to the longest of them.
    for (threads, budget, batch) in [
        (1, 8_192, 32),
        (2, 8_192, 32),
        (2, 1, 1),
        (1, 64, 32),
        (1, 128, 32),
        (2, 1_024, 7),
        (1, 16_384, 64),
        (2, 1 << 22, 1_000),
    ] {
        let judge = shipped(&config(threads, budget, batch));
        same(&format!("{threads} threads, {budget} tokens, batch {batch}"), judge.answer(&questions).unwrap());
    }
    // Neighbours and order.
    let judge = shipped(&JudgeConfig::default());
    let reversed: Vec<Question> = questions.iter().rev().cloned().collect();
    let mut back = judge.answer(&reversed).unwrap();
    back.reverse();
    same("reversed", back);
}

#[test]
fn decisions_do_not_depend_on_the_batch_the_order_or_the_run() {
    let open = |cfg: &JudgeConfig| Pipeline::new(BOOK.clone(), shipped(cfg)).unwrap().gated(Gate::Open);
    let pipeline = open(&JudgeConfig::default());
    let cases: Vec<Case> = PUBLIC.iter().step_by(6).take(200).map(|(case, _)| case.clone()).collect();
    assert_eq!(cases.len(), 200);
    let first = decide(&pipeline, &cases, 32);
    let same = |name: &str, other: Vec<(Vec<u8>, Vec<u8>)>| {
        for (case, (a, b)) in cases.iter().zip(first.iter().zip(&other)) {
            assert_eq!(String::from_utf8_lossy(&a.0), String::from_utf8_lossy(&b.0), "{}: {name}", case.ticket_id);
            assert!(a.1 == b.1, "{}: {name}: the traces differ", case.ticket_id);
        }
        assert_eq!(first.len(), other.len());
    };
    same("one by one", decide(&pipeline, &cases, 1));
    // Another process would open the models anew.
    let fresh = open(&JudgeConfig { intra_threads: 2, max_batch: 7, token_budget: 4_096, ..JudgeConfig::default() });
    same("opened anew", decide(&fresh, &cases, 32));
    let reversed: Vec<Case> = cases.iter().rev().cloned().collect();
    let mut back = decide(&pipeline, &reversed, 32);
    back.reverse();
    same("reversed", back);
}

#[test]
fn with_the_second_pass_too_decisions_do_not_depend_on_the_batch_or_the_run() {
    let open = |intra_threads| {
        let config = JudgeConfig { intra_threads, second_pass: SecondPassMode::On, ..JudgeConfig::default() };
        Pipeline::new(BOOK.clone(), shipped(&config)).unwrap().gated(Gate::Open)
    };
    let pipeline = open(1);
    let cases: Vec<Case> = PUBLIC.iter().step_by(50).map(|(case, _)| case.clone()).collect();
    assert!(cases.len() >= 24);
    let together = decide(&pipeline, &cases, 32);
    assert!(together == decide(&pipeline, &cases, 1), "one by one");
    assert!(together == decide(&open(2), &cases, 7), "opened anew");
    let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["verification"].clone();
    assert!(together.iter().all(|(decision, _)| read(decision)["first_token"].is_number()));
}
