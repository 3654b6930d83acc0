//! The review queue in the database: tasks come with their decisions, one at a time holds a task, and who lost it cannot
//! use it.

use std::collections::BTreeSet;

use praetor::store::{
    Appealed, Claim, NewAppeal, NewDecision, NewResolution, NewTask, RecordKind, RemedyColumns, TaskFilter, TaskRow,
    TenantStore,
};

use super::support::{Database, close, decision, own};

fn task(id: &str, kind: &'static str, priority: i16) -> NewTask {
    NewTask { id: id.to_owned(), kind, scene: "invoice".to_owned(), priority, amount_fen: 6145, due_in: 3600 }
}

/// The n-th sample decision, for a person.
fn waiting(n: u32, priority: i16) -> NewDecision {
    NewDecision {
        outcome: "review".to_owned(),
        task: Some(task(&format!("rev_{n:08}"), "review", priority)),
        ..decision(n)
    }
}

fn remedy(refund_fen: i64) -> RemedyColumns {
    RemedyColumns {
        kind: "partial_refund".to_owned(),
        refund_fen,
        compensation_fen: 0,
        freight_by: "none".to_owned(),
        return_goods: false,
    }
}

fn resolution(task: &TaskRow, key_id: &str, refund_fen: i64, closes: bool) -> NewResolution {
    let record_id = format!("rvw_{}_{key_id}", task.id);
    NewResolution {
        task_id: task.id.clone(),
        step: task.step,
        key_id: key_id.to_owned(),
        body: format!(r#"{{"id":"{record_id}"}}"#).into_bytes(),
        record_id,
        closes,
        stands: refund_fen == 6145,
        reason: (refund_fen != 6145).then(|| "amount".to_owned()),
        remedy: remedy(refund_fen),
    }
}

async fn claimed(records: &TenantStore, id: &str, key_id: &str) -> TaskRow {
    match records.claim(id, key_id, 600).await.unwrap() {
        Claim::Taken(task) => *task,
        other => panic!("{key_id} did not get {id}: {other:?}"),
    }
}

fn open() -> TaskFilter {
    TaskFilter { state: Some("open".to_owned()), ..TaskFilter::default() }
}

#[tokio::test]
async fn a_task_comes_with_its_decision_once_and_the_list_is_in_order() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let audited = NewDecision { task: Some(task("rev_00000009", "audit", 90)), ..decision(9) };
    let batch = [waiting(1, 70), decision(2), waiting(3, 10), audited, waiting(4, 70)];
    records.record(&batch).await.unwrap();
    records.record(&batch).await.unwrap();
    let all = records.tasks(&TaskFilter::default(), 10).await.unwrap();
    let ids: Vec<&str> = all.iter().map(|t| t.id.as_str()).collect();
    assert_eq!(ids, ["rev_00000003", "rev_00000001", "rev_00000004", "rev_00000009"]);
    assert!(all.iter().all(|t| t.state == "open" && !t.overdue && t.given == 0 && t.holder.is_none()));
    assert_eq!((all[0].due_at - all[0].created_at).num_seconds(), 3600);
    let after = TaskFilter { after: Some(all[1].seq), ..open() };
    let rest: Vec<String> = records.tasks(&after, 10).await.unwrap().into_iter().map(|t| t.id).collect();
    assert_eq!(rest, ["rev_00000004", "rev_00000009"]);
    let audits = TaskFilter { kind: Some("audit".to_owned()), ..TaskFilter::default() };
    assert_eq!(records.tasks(&audits, 10).await.unwrap().len(), 1);
    let late = NewDecision { task: Some(NewTask { due_in: -1, ..task("rev_5", "review", 1) }), ..waiting(5, 1) };
    records.record(&[late]).await.unwrap();
    let overdue = TaskFilter { overdue: true, ..TaskFilter::default() };
    assert_eq!(records.tasks(&overdue, 10).await.unwrap()[0].id, "rev_5");
    let waiting = store.waiting().await.unwrap();
    let of = |kind: &str| waiting.iter().find(|w| w.kind == kind).map(|w| (w.open, w.overdue));
    assert_eq!((of("review"), of("audit"), of("appeal")), (Some((4, 1)), Some((1, 0)), None));
    // A stranger sees none of it.
    let other = store.tenant(&"other".parse().unwrap());
    other.found().await.unwrap();
    assert!(other.tasks(&TaskFilter::default(), 10).await.unwrap().is_empty());
    assert_eq!(other.claim("rev_00000001", "k", 60).await.unwrap(), Claim::Unknown);
    close(store, database).await;
}

#[tokio::test]
async fn of_fifty_who_claim_at_once_each_task_has_one_winner() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let batch: Vec<NewDecision> = (0..20).map(|n| waiting(n, 50)).collect();
    records.record(&batch).await.unwrap();
    let mut race = tokio::task::JoinSet::new();
    for n in 0..50 {
        let records = records.clone();
        race.spawn(async move { records.claim_next(&format!("key{n}"), None, None, 600).await.unwrap() });
    }
    let won: Vec<TaskRow> = race.join_all().await.into_iter().flatten().collect();
    assert_eq!(won.len(), 20);
    assert_eq!(won.iter().map(|t| &t.id).collect::<BTreeSet<_>>().len(), 20);
    assert_eq!(won.iter().map(|t| &t.holder).collect::<BTreeSet<_>>().len(), 20);
    assert!(records.tasks(&open(), 10).await.unwrap().is_empty());

    records.record(&[waiting(20, 50)]).await.unwrap();
    let mut race = tokio::task::JoinSet::new();
    for n in 0..50 {
        let records = records.clone();
        race.spawn(async move { records.claim("rev_00000020", &format!("key{n}"), 600).await.unwrap() });
    }
    let outcomes = race.join_all().await;
    assert_eq!(outcomes.iter().filter(|claim| matches!(claim, Claim::Taken(_))).count(), 1);
    assert_eq!(outcomes.iter().filter(|claim| **claim == Claim::Held).count(), 49);
    close(store, database).await;
}

#[tokio::test]
async fn a_claim_that_is_over_is_anybodys_and_only_the_holder_acts() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    records.record(&[waiting(1, 50)]).await.unwrap();
    let id = "rev_00000001";
    let Claim::Taken(over) = records.claim(id, "slow", 0).await.unwrap() else { panic!("not claimed") };
    assert_eq!((over.state.as_str(), over.holder.as_ref()), ("open", None));
    let held = claimed(&records, id, "quick").await;
    assert_eq!(records.claim(id, "slow", 600).await.unwrap(), Claim::Held);
    assert!(!records.release_task(id, "slow").await.unwrap());
    for (task, key) in [(&*over, "slow"), (&held, "slow"), (&*over, "quick")] {
        assert!(!records.resolve(&resolution(task, key, 6145, true)).await.unwrap(), "{key} at step {}", task.step);
    }
    assert!(records.list_records(RecordKind::Review, 0, 10).await.unwrap().is_empty(), "what fails leaves nothing");
    assert!(records.release_task(id, "quick").await.unwrap());
    assert!(!records.release_task(id, "quick").await.unwrap());
    let held = claimed(&records, id, "slow").await;
    // Two at once by the same hand: one of them counts.
    let twice = [resolution(&held, "slow", 6145, true), resolution(&held, "slow", 100, true)];
    let (a, b) = tokio::join!(records.resolve(&twice[0]), async {
        let mut other = twice[1].clone();
        other.record_id.push('b');
        records.resolve(&other).await
    });
    assert_eq!(usize::from(a.unwrap()) + usize::from(b.unwrap()), 1);
    assert_eq!(records.claim(id, "quick", 600).await.unwrap(), Claim::Resolved);
    assert_eq!(records.list_records(RecordKind::Review, 0, 10).await.unwrap().len(), 1);
    assert_eq!(records.outcomes(0, 10).await.unwrap().len(), 1);
    close(store, database).await;
}

#[tokio::test]
async fn nobody_judges_a_decision_twice_and_an_appeal_is_one_of_several() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    records.record(&[waiting(1, 50), decision(2)]).await.unwrap();
    let appeal = |nth: u32, on: u32, most| NewAppeal {
        decision_id: decision(on).id,
        task: task(&format!("app_{on}_{nth}"), "appeal", 5),
        body: b"{}".to_vec(),
        most,
    };
    assert_eq!(records.appeal(&appeal(1, 1, 2)).await.unwrap(), Appealed::Waits);
    let held = claimed(&records, "rev_00000001", "first").await;
    assert!(records.resolve(&resolution(&held, "first", 9_000, false)).await.unwrap());
    assert_eq!(records.claim("rev_00000001", "first", 600).await.unwrap(), Claim::Judged);
    assert_eq!(records.claim_next("first", None, None, 600).await.unwrap(), None);
    let held = records.claim_next("second", None, None, 600).await.unwrap().unwrap();
    assert_eq!(held.given, 1);
    assert!(records.resolve(&resolution(&held, "second", 9_000, true)).await.unwrap());
    let twice = records.judged_twice(None).await.unwrap();
    assert_eq!((twice.len(), twice[0].stands, twice[0].same), (1, (false, false), true));

    // Of several appeals at once one is queued.
    let mut race = tokio::task::JoinSet::new();
    for nth in 0..10 {
        let (records, appeal) = (records.clone(), appeal(nth, 1, 2));
        race.spawn(async move { records.appeal(&appeal).await.unwrap() });
    }
    assert_eq!(race.join_all().await.iter().filter(|a| **a == Appealed::Queued).count(), 1);
    assert_eq!(records.list_records(RecordKind::Appeal, 0, 10).await.unwrap().len(), 1);
    for judge in ["first", "second"] {
        assert_eq!(records.claim_next(judge, None, None, 600).await.unwrap(), None);
    }
    let held = records.claim_next("third", Some("appeal"), Some("invoice"), 600).await.unwrap().unwrap();
    assert!(records.resolve(&resolution(&held, "third", 6145, true)).await.unwrap());
    assert_eq!(records.appeal(&appeal(20, 1, 1)).await.unwrap(), Appealed::TooMany);
    assert_eq!(records.appeal(&appeal(21, 1, 2)).await.unwrap(), Appealed::Queued);
    assert_eq!(records.appeal(&appeal(1, 2, 2)).await.unwrap(), Appealed::Queued);
    let given = records.resolutions(&decision(1).id).await.unwrap();
    let said: Vec<_> = given.iter().map(|r| (r.nth, r.key_id.as_str(), r.closes, r.stands)).collect();
    assert_eq!(said, [(0, "first", false, false), (0, "second", true, false), (1, "third", true, true)]);
    close(store, database).await;
}
