//! Records: they come back as they went in, once, and nobody changes them.

use praetor::store::{NewRejection, NewRulebook, Recorded, Store, StoreError};
use sqlx::{AssertSqlSafe, Executor};

use super::support::{Database, decision};

#[tokio::test]
async fn decisions_come_back_with_case_and_trace() {
    let (database, store) = Database::migrated().await;
    let mut plain = decision(2);
    (plain.outcome, plain.sop_id, plain.sop_version) = ("review".into(), None, None);
    (plain.remedy_kind, plain.refund_fen, plain.compensation_fen) = (None, None, None);
    let given = [decision(3), plain.clone(), decision(1)];
    assert_eq!(store.record(&given).await.unwrap(), Recorded { inserted: 3, already: 0 });

    for wanted in &given {
        let found = store.decision(&wanted.id).await.unwrap().unwrap();
        assert_eq!(found.body, wanted.body);
        assert_eq!((&found.ticket_id, found.case_hash), (&wanted.ticket_id, wanted.case_hash));
        assert_eq!((&found.outcome, &found.sop_id), (&wanted.outcome, &wanted.sop_id));
        assert_eq!((found.sop_version, &found.remedy_kind), (wanted.sop_version, &wanted.remedy_kind));
        assert_eq!((found.refund_fen, found.compensation_fen), (wanted.refund_fen, wanted.compensation_fen));
        assert_eq!(store.trace(&wanted.id).await.unwrap().unwrap(), wanted.trace);
        assert_eq!(store.case(&wanted.case_hash).await.unwrap().unwrap(), wanted.case);
    }
    assert_eq!(store.decision("dec_none").await.unwrap(), None);
    assert_eq!(store.trace("dec_none").await.unwrap(), None);
    assert_eq!(store.case(&[0; 32]).await.unwrap(), None);
    close(store, database).await;
}

#[tokio::test]
async fn a_tickets_decisions_are_listed_newest_first() {
    let (database, store) = Database::migrated().await;
    let mut second = decision(1);
    (second.id, second.body) = ("dec_0000000a".into(), b"{}".to_vec());
    let mut third = second.clone();
    (third.id, third.body) = ("dec_00000000".into(), b"[]".to_vec());
    for one in [decision(1), second, third, decision(2)] {
        store.record(&[one]).await.unwrap();
    }
    let ids: Vec<_> = store.by_ticket("T1").await.unwrap().into_iter().map(|d| d.id).collect();
    assert_eq!(ids, ["dec_00000000", "dec_0000000a", "dec_00000001"]);
    close(store, database).await;
}

#[tokio::test]
async fn recording_twice_changes_nothing() {
    let (database, store) = Database::migrated().await;
    assert_eq!(store.record(&[]).await.unwrap(), Recorded::default());
    store.record(&[decision(1)]).await.unwrap();
    // The same decision may be reached by another way and in another time: its first trace stands.
    let mut again = decision(1);
    again.trace = b"{}".to_vec();
    let batch = [again, decision(2), decision(2)];
    assert_eq!(store.record(&batch).await.unwrap(), Recorded { inserted: 1, already: 2 });
    assert_eq!(store.trace(&decision(1).id).await.unwrap().unwrap(), decision(1).trace);
    close(store, database).await;
}

#[tokio::test]
async fn other_bytes_under_the_same_id_are_refused_with_their_batch() {
    let (database, store) = Database::migrated().await;
    store.record(&[decision(1)]).await.unwrap();
    let mut forged = decision(1);
    forged.body = br#"{"refund":"9999.00"}"#.to_vec();
    let error = store.record(&[decision(2), forged.clone()]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict { ids } if *ids == [forged.id.clone()]), "{error:?}");
    assert_eq!(store.decision(&decision(2).id).await.unwrap(), None);
    // Within one batch as well.
    let mut twin = decision(3);
    twin.body = b"{}".to_vec();
    assert!(matches!(store.record(&[decision(3), twin]).await, Err(StoreError::Conflict { .. })));
    close(store, database).await;
}

#[tokio::test]
async fn concurrent_writers_of_the_same_decisions_agree() {
    let (database, store) = Database::migrated().await;
    let forward: Vec<_> = (0..200).map(decision).collect();
    let backward: Vec<_> = forward.iter().rev().cloned().collect();
    let (a, b) = tokio::join!(store.record(&forward), store.record(&backward));
    assert_eq!(a.unwrap().inserted + b.unwrap().inserted, 200);
    assert_eq!(store.status().await.unwrap().rows.unwrap().decisions, 200);
    close(store, database).await;
}

#[tokio::test]
async fn rejections_and_rulebooks_are_kept_once() {
    let (database, store) = Database::migrated().await;
    let bad = NewRejection {
        source: "tickets.jsonl".into(),
        line: 7,
        errors: r#"[{"path":"$.order","value":"a\u0000b"}]"#.into(),
        input: b"{\"order\":\"a\0b\xff".to_vec(),
    };
    assert_eq!(store.reject(std::slice::from_ref(&bad)).await.unwrap().inserted, 1);
    assert_eq!(store.reject(std::slice::from_ref(&bad)).await.unwrap(), Recorded { inserted: 0, already: 1 });
    let kept = store.rejections("tickets.jsonl").await.unwrap();
    assert_eq!((kept.len(), kept[0].line, &kept[0].input), (1, 7, &bad.input));
    assert!(kept[0].errors.contains("a\u{FFFD}b"), "{}", kept[0].errors);
    let nonsense = NewRejection { errors: "{".into(), ..bad };
    assert!(matches!(store.reject(&[nonsense]).await, Err(StoreError::Argument { .. })));

    let rules = NewRulebook { hash: [7; 32], pack_id: "demo".into(), bytes: b"{\"sops\":[]}".to_vec() };
    assert!(store.put_rulebook(&rules).await.unwrap());
    assert!(!store.put_rulebook(&rules).await.unwrap());
    assert_eq!(store.rulebook(&rules.hash).await.unwrap().unwrap(), rules.bytes);
    close(store, database).await;
}

const TABLES: [&str; 5] = ["decisions", "traces", "cases", "rulebooks", "rejections"];

/// UPDATE, DELETE and TRUNCATE on every table.
fn changes() -> impl Iterator<Item = String> {
    TABLES.into_iter().flat_map(|table| {
        let column = match table {
            "traces" => "decision_id",
            "decisions" | "cases" => "ticket_id",
            "rulebooks" => "pack_id",
            _ => "source",
        };
        [
            format!("UPDATE praetor.{table} SET {column} = 'x'"),
            format!("DELETE FROM praetor.{table}"),
            format!("TRUNCATE praetor.{table} CASCADE"),
        ]
    })
}

#[tokio::test]
async fn the_runtime_role_owns_nothing_and_may_not_change_anything() {
    let (database, store) = Database::migrated().await;
    store.record(&[decision(1)]).await.unwrap();
    let mut app = database.session("praetor_app", &database.name).await;
    for change in changes() {
        let error = app.execute(AssertSqlSafe(change.clone())).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{change}");
    }
    for forbidden in [
        "CREATE TABLE praetor.mine (x int)",
        "CREATE TABLE public.mine (x int)",
        "ALTER TABLE praetor.decisions DISABLE TRIGGER ALL",
        "DROP TABLE praetor.traces",
        "INSERT INTO praetor.migrations VALUES (99, '', now(), true, '', 0)",
        "SET session_replication_role = replica",
        "SET ROLE praetor_owner",
    ] {
        assert!(app.execute(forbidden).await.is_err(), "{forbidden}");
    }
    let owned: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_class WHERE relowner = 'praetor_app'::regrole)
              + (SELECT count(*) FROM pg_namespace WHERE nspowner = 'praetor_app'::regrole)
              + (SELECT count(*) FROM pg_proc WHERE proowner = 'praetor_app'::regrole)
              + (SELECT count(*) FROM pg_roles WHERE rolname = 'praetor_app'
                 AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication))",
    )
    .fetch_one(&mut app)
    .await
    .unwrap();
    assert_eq!(owned, 0);
    close(store, database).await;
}

#[tokio::test]
async fn not_even_the_owner_or_a_superuser_changes_a_record() {
    let (database, store) = Database::migrated().await;
    store.record(&[decision(1)]).await.unwrap();
    for user in ["praetor_owner", "postgres"] {
        let mut session = database.session(user, &database.name).await;
        if user == "postgres" {
            // Ordinary triggers sleep in this mode.
            session.execute("SET session_replication_role = replica").await.unwrap();
        }
        for change in changes() {
            let error = session.execute(AssertSqlSafe(change.clone())).await.unwrap_err();
            let error = error.as_database_error().unwrap();
            assert_eq!(error.code().unwrap(), "23001", "{user}: {change}: {error}");
        }
    }
    assert!(store.decision(&decision(1).id).await.unwrap().is_some());
    close(store, database).await;
}

#[tokio::test]
async fn every_table_is_guarded() {
    let (database, store) = Database::migrated().await;
    let mut session = database.session("praetor_owner", &database.name).await;
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'praetor'::regnamespace AND c.relkind = 'r'
           AND c.relname <> 'migrations'
           AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only' AND t.tgenabled = 'A')",
    )
    .fetch_all(&mut session)
    .await
    .unwrap();
    assert!(open.is_empty(), "{open:?}");
    close(store, database).await;
}

#[tokio::test]
async fn the_database_itself_refuses_a_body_that_does_not_match_its_hash() {
    let (database, store) = Database::migrated().await;
    store.record(&[decision(1)]).await.unwrap();
    let mut app = database.session("praetor_app", &database.name).await;
    let error = app
        .execute(
            "INSERT INTO praetor.decisions (id, ticket_id, case_hash, outcome, body, body_sha256)
             SELECT 'dec_forged', ticket_id, case_hash, outcome, 'other', body_sha256 FROM praetor.decisions",
        )
        .await
        .unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "23514");
    close(store, database).await;
}

#[tokio::test]
async fn migrations_go_down_and_up_again() {
    let (database, store) = Database::migrated().await;
    assert_eq!(store.migrate().await.unwrap(), 0);
    store.record(&[decision(1)]).await.unwrap();
    let known = store.status().await.unwrap().migrations.len();
    store.undo(0).await.unwrap();
    let status = store.status().await.unwrap();
    assert!(status.migrations.iter().all(|m| !m.applied) && status.rows.is_none());
    assert!(matches!(
        store.decision("dec_1").await,
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
    assert_eq!(store.record(&[decision(1)]).await.unwrap().inserted, 1);
    close(store, database).await;
}

async fn close(store: Store, database: Database) {
    store.close().await.unwrap();
    database.drop().await;
}
