//! The records themselves, and deciding them again as they were decided.

use praetor::ledger::{KeyFile, PublicKey};
use praetor::replay::{Changes, Level, Prover, Record, Rerun, Status, verify};
use praetor::store::{NewArtifact, Sequencer};
use sha2::{Digest, Sha256};

use super::{decided, prepared, replayed, some, stored};
use crate::store::support::{Database, close, own};

/// All of the public benchmark, through the database, with the artifacts kept in it.
#[tokio::test(flavor = "multi_thread")]
async fn every_public_decision_comes_out_byte_for_byte_again() {
    let (database, store, records) = prepared().await;
    stored(&records, &decided(&some(1))).await;
    let rows = records.rows().await.unwrap();
    assert_eq!(rows.decisions, 1_320);
    let again = replayed(&store, &records, Level::R1, Changes::default()).await;
    assert_eq!(again.len(), 1_320);
    for one in &again {
        assert!(one.agrees && one.status == Status::Identical, "{one:?}");
    }
    assert_eq!(records.rows().await.unwrap(), rows, "a replay records nothing");
    close(store, database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_what_its_hashes_say_is_named_and_not_decided() {
    let (database, store, records) = prepared().await;
    let list = decided(&some(400));
    stored(&records, &list).await;
    let whole = replayed(&store, &records, Level::R0, Changes::default()).await;
    assert!(whole.iter().all(|r| r.agrees && r.status == Status::Whole));
    let [a, b] = [&list[0], &list[1]];
    let problems = |record: Record| verify(&record).join(", ");
    assert_eq!(problems(a.clone()), "");
    assert!(problems(Record { trace: b.trace.clone(), ..a.clone() }).contains("trace"));
    assert!(problems(Record { case: b.case.clone(), ..a.clone() }).contains("case"));
    assert!(problems(Record { decision: b.decision.clone(), ..a.clone() }).contains("decision"));
    // The same content, written otherwise.
    let mut spaced = a.decision.clone().unwrap();
    spaced.insert(1, b' ');
    assert!(problems(Record { decision: Some(spaced), ..a.clone() }).contains("decision"));
    let mut rerun =
        praetor::replay::Rerun::new(&store, Default::default(), super::artifacts(), Level::R1, Changes::default());
    let forged = Record { trace: b.trace.clone(), ..a.clone() };
    let erased = Record { case: None, trace: None, ..a.clone() };
    let out = rerun.batch(&[forged, a.clone(), erased]).await.unwrap();
    let status: Vec<Status> = out.iter().map(|r| r.status).collect();
    assert_eq!(status, [Status::Damaged, Status::Identical, Status::Unavailable]);
    assert_eq!(out.iter().map(|r| r.agrees).collect::<Vec<_>>(), [false, true, false]);
    close(store, database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_artifacts_a_decision_is_unavailable_and_says_what_is_missing() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    stored(&records, &decided(&some(660))).await;
    let out = replayed(&store, &records, Level::R1, Changes::default()).await;
    assert_eq!(out.len(), 2);
    for one in &out {
        assert_eq!((one.status, one.agrees), (Status::Unavailable, false));
        assert!(one.problems[0].starts_with("the rule book ") && one.problems[0].contains("is not kept"), "{one:?}");
    }
    // Bytes under the pinned hash that are no rule book do not come in at all.
    let book = crate::pipeline::BOOK.hash().0;
    let forged = NewArtifact { hash: book, kind: "rulebook", bytes: b"{}".to_vec() };
    assert!(store.put_artifact(&forged).await.is_err());
    close(store, database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_this_program_cannot_open_spoil_their_own_decisions_alone() {
    let (database, store, _) = prepared().await;
    let list = decided(&some(660));
    let manifest = b"format = 0\n".to_vec();
    let hash = Sha256::digest(&manifest);
    store.put_artifact(&NewArtifact { hash: hash.into(), kind: "model", bytes: manifest }).await.unwrap();
    // The first decision, had it been made with those.
    let mut decision = super::value(&list[0]);
    decision["pins"]["manifest"] = hex::encode(hash).into();
    decision.as_object_mut().unwrap().remove("id");
    let canonical = |value: &serde_json::Value| serde_json_canonicalizer::to_vec(value).unwrap();
    let id = format!("dec_{}", &hex::encode(Sha256::digest(canonical(&decision)))[..32]);
    decision["id"] = id.clone().into();
    let other = Record { id, decision: Some(canonical(&decision)), ..list[0].clone() };
    let mut rerun = Rerun::new(&store, Default::default(), super::artifacts(), Level::R1, Changes::default());
    let out = rerun.batch(&[other, list[1].clone()]).await.unwrap();
    assert_eq!((out[0].status, out[1].status), (Status::Unavailable, Status::Identical));
    assert!(out[0].problems[0].contains("manifest"), "{:?}", out[0].problems);
    close(store, database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_r0_a_record_is_proved_to_be_in_the_log() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let list = decided(&some(300));
    stored(&records, &list).await;
    let config = database.config("postgres");
    let keys = KeyFile::open(&config.log_key(), config.origin()).unwrap().public_keys();
    let prove = async |keys: Vec<PublicKey>| {
        let prover = Prover::new(records.clone(), store.log(), keys);
        let rerun = Rerun::new(&store, Default::default(), super::artifacts(), Level::R0, Changes::default());
        rerun.proving(prover).batch(&list).await.unwrap()
    };
    for one in prove(keys.clone()).await {
        assert_eq!((one.status, one.agrees, one.included), (Status::Whole, false, None), "it has no place yet");
    }
    Sequencer::new(&store).drain().await.unwrap();
    let proved = prove(keys).await;
    let mut places: Vec<u64> = proved.iter().map(|one| one.included.as_ref().unwrap().leaf).collect();
    places.sort_unstable();
    assert_eq!(places, (0..list.len() as u64).collect::<Vec<_>>());
    assert!(proved.iter().all(|one| one.agrees));
    // A log that somebody else signed proves nothing.
    let folder = tempfile::tempdir().unwrap();
    let stranger = KeyFile::open(&folder.path().join("log.key"), config.origin()).unwrap().public_keys();
    assert!(prove(stranger).await.iter().all(|one| !one.agrees && one.status == Status::Damaged));
    close(store, database).await;
}
