//! Records: they come back as they went in, once, and nobody changes them.

use praetor::store::{Body, NewArtifact, NewDecision, NewRejection, Recorded, StoreError};

use super::support::{Database, artifact, close, decision, own};

#[tokio::test]
async fn decisions_come_back_with_case_and_trace() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let mut plain = decision(2);
    (plain.outcome, plain.sop_id, plain.sop_version) = ("review".into(), None, None);
    (plain.remedy_kind, plain.refund_fen, plain.compensation_fen) = (None, None, None);
    let given = [decision(3), plain.clone(), decision(1)];
    assert_eq!(records.record(&given).await.unwrap(), Recorded { inserted: 3, already: 0 });

    for wanted in &given {
        let found = records.decision(&wanted.id).await.unwrap().unwrap();
        assert_eq!(found.body, Body::Kept(wanted.body.clone()));
        assert_eq!((&found.ticket_id, found.case_hash), (&wanted.ticket_id, wanted.case_hash));
        assert_eq!((&found.outcome, &found.sop_id), (&wanted.outcome, &wanted.sop_id));
        assert_eq!((found.sop_version, &found.remedy_kind), (wanted.sop_version, &wanted.remedy_kind));
        assert_eq!((found.refund_fen, found.compensation_fen), (wanted.refund_fen, wanted.compensation_fen));
        assert_eq!(records.trace(&wanted.id).await.unwrap().unwrap(), Body::Kept(wanted.trace.clone()));
        assert_eq!(records.case(&wanted.case_hash).await.unwrap().unwrap(), Body::Kept(wanted.case.clone()));
    }
    assert_eq!(records.decision("dec_none").await.unwrap(), None);
    assert_eq!(records.trace("dec_none").await.unwrap(), None);
    assert_eq!(records.case(&[0; 32]).await.unwrap(), None);
    close(store, database).await;
}

#[tokio::test]
async fn a_tickets_decisions_are_listed_newest_first() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let mut second = decision(1);
    (second.id, second.body) = ("dec_0000000a".into(), b"{}".to_vec());
    let mut third = second.clone();
    (third.id, third.body) = ("dec_00000000".into(), b"[]".to_vec());
    for one in [decision(1), second, third, decision(2)] {
        records.record(&[one]).await.unwrap();
    }
    let ids: Vec<_> = records.by_ticket("T1").await.unwrap().into_iter().map(|d| d.id).collect();
    assert_eq!(ids, ["dec_00000000", "dec_0000000a", "dec_00000001"]);
    close(store, database).await;
}

#[tokio::test]
async fn recording_twice_changes_nothing() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    assert_eq!(records.record(&[]).await.unwrap(), Recorded::default());
    records.record(&[decision(1)]).await.unwrap();
    let batch = [decision(1), decision(2), decision(2)];
    assert_eq!(records.record(&batch).await.unwrap(), Recorded { inserted: 1, already: 2 });
    assert_eq!(records.trace(&decision(1).id).await.unwrap().unwrap(), Body::Kept(decision(1).trace));
    close(store, database).await;
}

#[tokio::test]
async fn other_bytes_under_the_same_id_are_refused_with_their_batch() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    records.record(&[decision(1)]).await.unwrap();
    let mut forged = decision(1);
    forged.body = br#"{"refund":"9999.00"}"#.to_vec();
    let error = records.record(&[decision(2), forged.clone()]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict { ids } if *ids == [forged.id.clone()]), "{error:?}");
    assert_eq!(records.decision(&decision(2).id).await.unwrap(), None);
    // What led to it is part of the record.
    let retraced = NewDecision { trace: b"{}".to_vec(), ..decision(1) };
    assert!(matches!(records.record(&[retraced]).await, Err(StoreError::Conflict { .. })));
    // Within one batch as well.
    let mut twin = decision(3);
    twin.body = b"{}".to_vec();
    assert!(matches!(records.record(&[decision(3), twin]).await, Err(StoreError::Conflict { .. })));
    close(store, database).await;
}

#[tokio::test]
async fn concurrent_writers_of_the_same_decisions_agree() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let forward: Vec<_> = (0..200).map(decision).collect();
    let backward: Vec<_> = forward.iter().rev().cloned().collect();
    let (a, b) = tokio::join!(records.record(&forward), records.record(&backward));
    assert_eq!(a.unwrap().inserted + b.unwrap().inserted, 200);
    assert_eq!(records.rows().await.unwrap().decisions, 200);
    close(store, database).await;
}

#[tokio::test]
async fn rejections_are_kept_once() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let bad = NewRejection {
        source: "tickets.jsonl".into(),
        line: 7,
        errors: r#"[{"path":"$.order","value":"a\u0000b"}]"#.into(),
        subject: None,
        input: b"{\"order\":\"a\0b\xff".to_vec(),
    };
    assert_eq!(records.reject(std::slice::from_ref(&bad)).await.unwrap().inserted, 1);
    assert_eq!(records.reject(std::slice::from_ref(&bad)).await.unwrap(), Recorded { inserted: 0, already: 1 });
    let kept = records.rejections("tickets.jsonl").await.unwrap();
    assert_eq!((kept.len(), kept[0].line, kept[0].input.kept().unwrap()), (1, 7, bad.input.as_slice()));
    assert_eq!(kept[0].errors.kept().unwrap(), bad.errors.as_bytes());

    close(store, database).await;
}

#[tokio::test]
async fn artifacts_are_kept_once_under_their_hash() {
    let (database, store) = Database::migrated().await;
    let (rules, other) = (artifact(b"{\"sops\":[]}"), artifact(b"{}"));
    let hashes = [rules.hash, other.hash];
    assert_eq!(store.missing_artifacts(&hashes).await.unwrap(), hashes);
    store.put_artifact(&rules).await.unwrap();
    store.put_artifact(&rules).await.unwrap();
    assert_eq!(store.missing_artifacts(&hashes).await.unwrap(), [other.hash]);
    assert_eq!(store.artifact(&rules.hash).await.unwrap(), Some(rules.bytes));
    assert_eq!(store.artifact(&other.hash).await.unwrap(), None);
    let forged = NewArtifact { hash: [7; 32], ..other };
    assert!(matches!(store.put_artifact(&forged).await, Err(StoreError::Damaged { .. })));
    close(store, database).await;
}

#[tokio::test]
async fn migrations_go_down_and_up_again() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    assert_eq!(store.migrate().await.unwrap(), 0);
    records.record(&[decision(1)]).await.unwrap();
    let known = store.status().await.unwrap().migrations.len();
    store.undo(0).await.unwrap();
    let status = store.status().await.unwrap();
    assert!(status.migrations.iter().all(|m| !m.applied));
    assert!(matches!(
        records.decision("dec_1").await,
        Err(StoreError::NotMigrated { .. } | StoreError::Privilege { .. })
    ));
    let mut session = database.session("praetor_owner", &database.name).await;
    let rest: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'praetor'::regnamespace AND relkind <> 'i'
         UNION SELECT proname::text FROM pg_proc WHERE pronamespace = 'praetor'::regnamespace",
    )
    .fetch_all(&mut session)
    .await
    .unwrap();
    assert_eq!(rest, ["migrations"]);
    assert_eq!(store.migrate().await.unwrap(), known);
    assert!(store.status().await.unwrap().is_current());
    assert_eq!(records.record(&[decision(1)]).await.unwrap().inserted, 1);
    close(store, database).await;
}
