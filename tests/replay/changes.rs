//! What would have been under other facts, thresholds and case files, and at another time.

use praetor::case::Timestamp;
use praetor::judge::Probability;
use praetor::pipeline::Edit;
use praetor::replay::{CaseEdit, Cause, Changes, Level, Replayed, Status, Transitions};
use serde_json::Value;

use super::{decided, prepared, replayed, some, stored, value};
use crate::pipeline::PUBLIC;
use crate::store::support::close;

fn sums(out: &[Replayed]) -> Transitions {
    let mut sums = Transitions::default();
    for one in out {
        sums.add(one.change.as_ref().unwrap(), one.divergence.as_ref());
    }
    sums
}

fn facts(list: &[&str]) -> Changes {
    Changes { facts: list.iter().map(|text| text.parse::<Edit>().unwrap()).collect(), ..Changes::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_fact_moves_its_node_and_what_follows_from_it() {
    let (database, store, records) = prepared().await;
    let list = decided(&some(20));
    stored(&records, &list).await;
    let late = replayed(&store, &records, Level::R3, facts(&["timeliness=expired"])).await;
    let mut flipped = 0;
    for one in &late {
        let change = one.change.as_ref().unwrap();
        assert_eq!(one.agrees, !change.matters(), "{one:?}");
        let Some(d) = &one.divergence else { continue };
        assert_eq!((d.node.as_str(), d.cause), ("timeliness", Cause::Input), "{one:?}");
        let decision = one.decision.as_ref().unwrap();
        assert_eq!(decision.pointer("/timeliness/verdict"), Some(&Value::from("expired")));
        flipped += u64::from(change.matters());
    }
    assert!(flipped > 10, "{flipped}");
    let sums = sums(&late);
    assert_eq!((sums.cases, sums.changed), (list.len() as u64, flipped));
    assert_eq!(sums.outcomes.cells().map(|(.., cell)| cell.cases).sum::<u64>(), sums.cases);
    assert_eq!(sums.remedies.cells().map(|(.., cell)| cell.cases).sum::<u64>(), sums.cases);
    // Money before is what was decided, whatever is asked.
    let fen = |text: &Value| text.as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
    let paid: i64 =
        list.iter().map(value).map(|d| fen(&d["remedy"]["refund"]) + fen(&d["remedy"]["compensation"])).sum();
    assert_eq!(sums.fen()[0], paid);
    assert_eq!(sums.nodes.keys().collect::<Vec<_>>(), ["timeliness"]);

    // A fact set to what was found already changes no remedy.
    let same = replayed(&store, &records, Level::R3, facts(&["missing_count=1", "missing_count=1"])).await;
    assert!(same.iter().filter(|one| value_of(&list, one)["measures"] == Value::Array(vec![])).all(|one| one.agrees));
    assert_eq!(records.rows().await.unwrap().decisions, list.len() as i64);
    close(store, database).await;
}

fn value_of(list: &[praetor::replay::Record], one: &Replayed) -> Value {
    value(list.iter().find(|record| record.id == one.id).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn thresholds_move_certainty_alone_and_case_files_are_parsed_anew() {
    let (database, store, records) = prepared().await;
    let list = decided(&some(20));
    stored(&records, &list).await;
    let thresholds = ["scene", "goods_type", "first_report", "evidence", "measure"];
    let none = Changes {
        thresholds: thresholds.iter().map(|name| ((*name).to_owned(), Probability::ZERO)).collect(),
        ..Changes::default()
    };
    let out = replayed(&store, &records, Level::R3, none).await;
    for one in &out {
        let change = one.change.as_ref().unwrap();
        assert_eq!(change.remedy[0], change.remedy[1]);
        assert_eq!(change.fen[0], change.fen[1]);
    }
    let unknown = Changes { thresholds: vec![("luck".into(), Probability::ZERO)], ..Changes::default() };
    let mut rerun = praetor::replay::Rerun::new(&store, Default::default(), super::artifacts(), Level::R3, unknown);
    let error = rerun.batch(&list[..1]).await.unwrap_err().to_string();
    assert!(error.contains("luck") && error.contains("first_report"), "{error}");

    let edit = |text: &str| Changes { case: vec![text.parse::<CaseEdit>().unwrap()], ..Changes::default() };
    let dear = replayed(&store, &records, Level::R3, edit("$.order.order_id=another")).await;
    assert!(dear.iter().all(|one| one.agrees && one.status != Status::Unavailable), "no rule asks for the order's id");
    let broken = replayed(&store, &records, Level::R3, edit("$.order.total=nothing")).await;
    for one in &broken {
        assert_eq!((one.status, one.agrees), (Status::Unavailable, false));
        assert!(one.problems[0].contains("$.order.total"), "{:?}", one.problems);
    }
    close(store, database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_time_only_what_was_there_is_known() {
    let (database, store, records) = prepared().await;
    // Evidence of which some came before the middle of the dispute, and some after.
    let (case, at) = PUBLIC
        .iter()
        .find_map(|(case, _)| {
            let mut times: Vec<Timestamp> = case.evidence.iter().map(|e| e.submitted_at).collect();
            times.sort();
            let middle = *times.get(times.len() / 2)?;
            let split = *times.first()? < middle && case.claim.filed_at < *times.first()?;
            let last = times.iter().rfind(|t| **t < middle).copied();
            (split).then(|| (case.clone(), last)).and_then(|(case, last)| Some((case, last?)))
        })
        .unwrap();
    stored(&records, &decided(std::slice::from_ref(&case))).await;
    let then = Changes { as_of: Some(at), ..Changes::default() };
    let one = replayed(&store, &records, Level::R4, then).await.remove(0);
    let known = one.known.unwrap();
    assert_eq!(known.evidence, [case.evidence.iter().filter(|e| e.submitted_at <= at).count(), case.evidence.len()]);
    assert_eq!(known.messages, [case.dialogue.iter().filter(|m| m.at <= at).count(), case.dialogue.len()]);
    assert!(known.claim && known.evidence[0] < known.evidence[1]);
    let decision = one.decision.unwrap();
    assert_eq!(decision["decided_as_of"], Value::from(at.to_string()));
    assert_eq!(decision["evidence"]["items"].as_array().unwrap().len(), known.evidence[0]);
    assert!(one.in_force.unwrap().ends_with(" v1"));
    assert_eq!(one.divergence.unwrap().cause, Cause::Input);

    // Before there was a claim there was nothing to decide.
    let early = Changes { as_of: Some(case.order.paid_at), ..Changes::default() };
    let one = replayed(&store, &records, Level::R4, early).await.remove(0);
    assert_eq!((one.known.unwrap().claim, one.change, one.agrees), (false, None, false));
    close(store, database).await;
}
