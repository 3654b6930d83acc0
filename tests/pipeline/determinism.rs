//! The same case gets the same bytes, whatever is decided with it, before it, or at another time.

use praetor::case::Case;
use praetor::judge::{Judge, JudgeConfig, probe};
use praetor::pipeline::Pipeline;

use super::{BOOK, PUBLIC, repo};

/// Bytes of the decision and of the trace of each case, decided so many at a time.
fn decide(pipeline: &Pipeline, cases: &[Case], batch: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decide = |group: &[Case]| pipeline.decide(group, None).unwrap();
    let bytes = |d: praetor::pipeline::Decided| (d.decision.canonical().unwrap(), d.trace.canonical().unwrap());
    cases.chunks(batch).flat_map(decide).map(bytes).collect()
}

#[test]
fn decisions_do_not_depend_on_the_batch_the_order_or_the_run() {
    if let Some(problem) = probe(&JudgeConfig::default()).problem {
        panic!("{problem}\nrun `cargo xtask test`, which fetches the library");
    }
    let open = |cfg: &JudgeConfig| {
        let judge = Judge::open(&repo("models"), cfg).unwrap();
        Pipeline::new(BOOK.clone(), judge).unwrap()
    };
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
