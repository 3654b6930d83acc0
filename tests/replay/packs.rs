//! Two packs over the same cases: only what a rule governs changes, and recorded answers serve as well as asking anew.

use praetor::judge::JudgeConfig;
use praetor::replay::{Cause, Compared, Packs, Transitions, diverge};
use praetor::sop::{Changed, RuleBook, SourceFile, compile, diff, read_pack};

use super::{JUDGE, artifacts, decided, prepared, sides, some};
use crate::pipeline::{BOOK, repo};
use crate::store::support::close;

/// The demo pack with something else in one of its files.
fn other(file: &str, from: &str, to: &str) -> RuleBook {
    let mut files: Vec<SourceFile> = read_pack(&repo("sop_rules/demo")).unwrap();
    let file = files.iter_mut().find(|f| f.name == file).unwrap();
    assert!(file.text.contains(from), "{from}");
    file.text = file.text.replace(from, to);
    compile(&files).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_clock_parts_decisions_by_the_rule_alone() {
    let (database, store, _) = prepared().await;
    let cases = some(4);
    let list = decided(&cases);
    // Whatever governs most of these cases gets a clock of one second.
    let sops: Vec<String> =
        list.iter().map(|r| sides(r).decision["sop"]["id"].as_str().unwrap_or("-").to_owned()).collect();
    let count = |id: &String| sops.iter().filter(|sop| *sop == id).count();
    let id = sops.iter().max_by_key(|id| count(id)).unwrap().clone();
    let within = BOOK.sop(&id).unwrap().clock.within;
    let written = format!("within: {}", praetor::sop::duration::format_duration(within));
    let strict = other(&format!("{id}.yaml"), &written, "within: 1s");
    let changes = diff(&BOOK, &strict);
    assert_eq!(changes.len(), 1);
    assert_eq!((&changes[0].id.0, changes[0].version), (&id, 1));
    let Changed::Parts(parts) = &changes[0].change else { panic!("{changes:?}") };
    assert!(parts.contains(&"clock".to_owned()), "{parts:?}");

    let asked = Packs::over(&BOOK, &strict, JUDGE.clone()).unwrap().cases(cases).unwrap();
    let mut sums = Transitions::default();
    for (one, sop) in asked.iter().zip(&sops) {
        sums.add(&one.change, one.divergence.as_ref());
        match &one.divergence {
            None => assert!(!one.change.matters()),
            Some(d) => {
                // The policy node may read the clocks of the SOPs that it considers.
                assert!(["policy", "timeliness"].contains(&d.node.as_str()) && d.cause == Cause::Rule, "{one:?}");
                assert!(d.node == "policy" || *sop == id, "{one:?}");
            }
        }
    }
    assert!(sums.changed > 0, "{sums:?}");

    let manifest = JUDGE.manifest().sha256.clone();
    let recorded = Packs::recorded((&BOOK, &strict), &store, JudgeConfig::default(), artifacts(), &manifest).await;
    let recorded = recorded.unwrap().records(&list).unwrap();
    let bare = |list: Vec<Compared>| list.into_iter().map(|c| (c.ticket_id, c.change)).collect::<Vec<_>>();
    assert_eq!(bare(recorded), bare(asked));
    close(store, database).await;
}

#[test]
fn a_question_that_was_never_asked_is_asked_now() {
    let cases = some(110);
    let mut files = read_pack(&repo("sop_rules/demo")).unwrap();
    for file in &mut files {
        // Every requirement that accepts a photo of the goods is worded otherwise.
        file.text = file.text.replace("照片或视频", "影像资料");
    }
    let reworded = compile(&files).unwrap_or_else(|error| panic!("{error}"));
    assert_ne!(reworded.hash(), BOOK.hash());
    let out = Packs::over(&BOOK, &reworded, JUDGE.clone()).unwrap().cases(cases).unwrap();
    for one in out {
        // The words of rules are read by the policy node and asked about by the evidence node.
        if let Some(d) = one.divergence {
            assert!(["policy", "evidence", "decision"].contains(&d.node.as_str()), "{d:?}");
            assert_eq!(d.cause, Cause::Rule);
        }
    }
}

#[test]
fn a_decision_does_not_part_from_itself() {
    for record in decided(&some(330)) {
        assert_eq!(diverge(&sides(&record), &sides(&record), false), None);
    }
}
