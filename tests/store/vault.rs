//! Personal data: sealed where it lies, gone with its key, kept under hold, set aside when its time is over.

use std::os::unix::fs::PermissionsExt;

use praetor::ledger::Kind;
use praetor::store::{Body, LeafContent, NewRecord, NewRejection, RetentionYears, Sequencer, Store, StoreError, Whose};
use sqlx::{AssertSqlSafe, Executor};

use super::ledger::{check, sequence};
use super::support::{Database, close, decision, own};

fn why(id: &str, key: i64) -> Vec<u8> {
    format!(r#"{{"id":"{id}","key":{key}}}"#).into_bytes()
}

fn buyer(n: u32) -> Whose {
    Whose::Subject(format!("buyer-{n}"))
}

#[tokio::test]
async fn nothing_of_a_ticket_lies_open_in_the_database() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let mut told = decision(1);
    let secret = "SECRETWORD";
    told.case = format!(r#"{{"statement":"{secret}"}}"#).into_bytes();
    told.case_hash = <sha2::Sha256 as sha2::Digest>::digest(&told.case).into();
    told.body = told.case.clone();
    told.trace = told.case.clone();
    records.record(std::slice::from_ref(&told)).await.unwrap();
    let bad = NewRejection {
        source: "-".into(),
        line: 1,
        errors: format!(r#"["{secret}"]"#),
        subject: None,
        input: secret.into(),
    };
    records.reject(&[bad]).await.unwrap();
    let note = NewRecord { id: "rev_1".into(), subject: Some("buyer-1".into()), body: secret.into() };
    records.append_records(Kind::Review, &[note]).await.unwrap();
    // Rows as text, with their bytes unescaped.
    let mut admin = database.session("postgres", &database.name).await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'praetor'::regnamespace AND relkind = 'r'",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    for table in tables {
        let found = format!(
            "SELECT count(*) FROM praetor.{table} t WHERE encode(convert_to(t::text, 'UTF8'), 'escape') LIKE '%{secret}%' OR t::text LIKE '%' || encode('{secret}', 'hex') || '%'"
        );
        let found: i64 = sqlx::query_scalar(AssertSqlSafe(found)).fetch_one(&mut admin).await.unwrap();
        assert_eq!(found, 0, "{table}");
    }
    assert_eq!(records.decision(&told.id).await.unwrap().unwrap().body, Body::Kept(told.body));
    close(store, database).await;
}

#[tokio::test]
async fn what_was_sealed_for_one_place_opens_in_no_other() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    // One subject, one key: only the place differs.
    let mut two = [decision(1), decision(2)];
    two[1].subject = two[0].subject.clone();
    records.record(&two).await.unwrap();
    let mut admin = database.session("postgres", &database.name).await;
    admin.execute("SET session_replication_role = replica").await.unwrap();
    for table in ["decisions", "traces", "cases"] {
        let sql = format!(
            "ALTER TABLE praetor.{table} DISABLE TRIGGER append_only;
             UPDATE praetor.{table} a SET sealed = b.sealed FROM praetor.{table} b WHERE a.seq <> b.seq"
        );
        admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    for one in &two {
        assert!(matches!(records.decision(&one.id).await, Err(StoreError::Damaged { what: "decision", .. })));
        assert!(matches!(records.trace(&one.id).await, Err(StoreError::Damaged { what: "trace", .. })));
        assert!(matches!(records.case(&one.case_hash).await, Err(StoreError::Damaged { what: "case", .. })));
    }
    let leaves = store.export_unplaced(10).await.unwrap();
    assert!(leaves.iter().all(|leaf| leaf.content == LeafContent::Damaged));
    close(store, database).await;
}

#[tokio::test]
async fn an_erased_subject_is_gone_and_every_proof_stands() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    records.record(&[decision(1), decision(2)]).await.unwrap();
    let note = NewRecord { id: "rev_1".into(), subject: Some("buyer-1".into()), body: b"{}".to_vec() };
    records.append_records(Kind::Review, &[note]).await.unwrap();
    sequence(&mut Sequencer::new(&store), &store).await;
    let before = store.log().latest().await.unwrap().unwrap();
    let leaf = records.leaf(Kind::Decision, &decision(1).id).await.unwrap();

    let by = records.erase(&buyer(1), why).await.unwrap();
    assert_eq!(by.len(), 1);
    for body in [
        records.decision(&decision(1).id).await.unwrap().unwrap().body,
        records.trace(&decision(1).id).await.unwrap().unwrap(),
        records.case(&decision(1).case_hash).await.unwrap().unwrap(),
        records.get_record(Kind::Review, "rev_1").await.unwrap().unwrap().body,
    ] {
        assert!(matches!(&body, Body::Erased(erased) if erased.by == by[0]), "{body:?}");
        assert!(matches!(body.kept(), Err(StoreError::Erased { .. })));
    }
    assert!(matches!(records.decision(&decision(2).id).await.unwrap().unwrap().body, Body::Kept(_)));
    assert!(records.get_record(Kind::Erasure, &by[0]).await.unwrap().unwrap().body.kept().is_ok());
    // The leaf is as it was, the tree grew by the erasure, and all of it is proved.
    sequence(&mut Sequencer::new(&store), &store).await;
    assert_eq!(records.leaf(Kind::Decision, &decision(1).id).await.unwrap(), leaf);
    assert_eq!(check(&store).await, before.size + 1);
    assert!(matches!(store.export(0, 1).await.unwrap()[0].content, LeafContent::Erased(_)));
    assert!(matches!(records.erase(&buyer(1), why).await, Err(StoreError::NoSubject)));

    // Decided again, the same decision stands erased; a new one about the same person has a new key.
    assert_eq!(records.record(&[decision(1)]).await.unwrap().already, 1);
    let mut later = decision(1);
    (later.id, later.body) = ("dec_later".into(), b"{}".to_vec());
    records.record(&[later.clone()]).await.unwrap();
    assert_eq!(records.decision("dec_later").await.unwrap().unwrap().body, Body::Kept(later.body));
    assert_eq!(records.case(&later.case_hash).await.unwrap().unwrap(), Body::Kept(later.case));
    // Of a ticket, too, and of a refused input.
    assert_eq!(records.erase(&Whose::Ticket("T1".into()), why).await.unwrap().len(), 1);
    let bad = NewRejection { source: "-".into(), line: 1, errors: "[]".into(), subject: None, input: b"x".to_vec() };
    records.reject(&[bad]).await.unwrap();
    let input = "input:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    records.erase(&Whose::Subject(input.into()), why).await.unwrap();
    assert!(matches!(records.rejections("-").await.unwrap()[0].input, Body::Erased(_)));
    close(store, database).await;
}

#[tokio::test]
async fn a_key_goes_in_no_other_way() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    records.record(&[decision(1)]).await.unwrap();
    let mut app = database.session("praetor_app", &database.name).await;
    app.execute("SET praetor.tenant = 'default'").await.unwrap();
    for forbidden in [
        "DELETE FROM praetor.subject_keys",
        "UPDATE praetor.subject_keys SET wrapped = ''",
        // No record of it in this transaction; no such key; the tenant's own.
        "SELECT praetor.erase_subject((SELECT min(id) FROM praetor.subject_keys WHERE subject <> ''), 'era_1')",
        "SELECT praetor.erase_subject(99, 'era_1')",
    ] {
        assert!(app.execute(forbidden).await.is_err(), "{forbidden}");
    }
    for user in ["praetor_owner", "postgres"] {
        let mut session = database.session(user, &database.name).await;
        session.execute("SET praetor.tenant = 'default'").await.unwrap();
        for forbidden in ["DELETE FROM praetor.subject_keys", "UPDATE praetor.subject_keys SET subject = 'other'"] {
            let error = session.execute(forbidden).await.unwrap_err();
            assert_eq!(error.as_database_error().unwrap().code().unwrap(), "23001", "{user}: {forbidden}");
        }
    }
    let other = "other".parse().unwrap();
    store.tenant(&other).found().await.unwrap();
    assert!(matches!(store.tenant(&other).erase(&buyer(1), why).await, Err(StoreError::NoSubject)));
    assert!(records.decision(&decision(1).id).await.unwrap().unwrap().body.kept().is_ok());
    close(store, database).await;
}

#[tokio::test]
async fn a_hold_forbids_erasure_until_it_is_released() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    records.record(&[decision(1)]).await.unwrap();
    let holds = [
        records.hold(&buyer(1), why).await.unwrap().remove(0),
        records.hold(&Whose::Ticket("T1".into()), why).await.unwrap().remove(0),
    ];
    let leaves = records.rows().await.unwrap().leaves;
    for hold in &holds {
        assert!(matches!(records.erase(&buyer(1), why).await, Err(StoreError::Held { .. })));
        assert!(records.release(hold, |id| why(id, 0)).await.unwrap());
        assert!(!records.release(hold, |id| why(id, 0)).await.unwrap());
    }
    assert!(!records.release("hold_none", |id| why(id, 0)).await.unwrap());
    let listed = records.holds().await.unwrap();
    assert!(listed.len() == 2 && listed.iter().all(|h| h.subject == "buyer-1" && h.released_at.is_some()));
    // Nothing is left of what was refused; each release has its leaf.
    assert_eq!(records.rows().await.unwrap().leaves, leaves + 2);
    records.erase(&buyer(1), why).await.unwrap();
    assert!(matches!(records.hold(&buyer(1), why).await, Err(StoreError::NoSubject)));
    close(store, database).await;
}

#[tokio::test]
async fn master_keys_rotate_and_are_missed() {
    let database = Database::create().await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = database.config("postgres");
    let path = folder.path().join("keys/master.key");
    config.master_key = Some(path.clone());
    let store = Store::open(&config).await.unwrap();
    store.migrate().await.unwrap();
    own(&store).record(&[decision(1), decision(2)]).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let first = std::fs::read_to_string(&path).unwrap();
    // Another process that has the file open learns of the new key when it meets it.
    let other = Store::open(&config).await.unwrap();
    assert_eq!(store.rotate_master_key().await.unwrap().1, 2);
    assert!(own(&other).decision(&decision(1).id).await.unwrap().unwrap().body.kept().is_ok());
    own(&other).record(&[decision(3)]).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    other.close().await.unwrap();
    store.close().await.unwrap();

    // The first key opens nothing any more; without a file no new one is made beside keys that need it.
    for text in [Some(first), None] {
        std::fs::remove_file(&path).unwrap();
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let store = Store::open(&config).await.unwrap();
        let missing = |error| matches!(error, StoreError::Kms(praetor::store::KmsError::Missing { .. }));
        assert!(missing(own(&store).decision(&decision(1).id).await.unwrap_err()));
        assert!(path.exists() || missing(own(&store).record(&[decision(4)]).await.unwrap_err()));
        store.close().await.unwrap();
        std::fs::write(&path, "no key").unwrap();
        assert!(matches!(Store::open(&config).await, Err(StoreError::Kms(praetor::store::KmsError::Shape { .. }))));
    }
    database.drop().await;
}

#[tokio::test]
async fn only_months_past_retention_are_set_aside_and_none_under_hold() {
    assert!(RetentionYears::try_from(2).is_err());
    let years = RetentionYears::try_from(4).unwrap();
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    records.record(&[decision(1), decision(2)]).await.unwrap();
    // As if recorded long ago: the same rows in months of then, and one month that is old, but not enough.
    let mut admin = database.session("postgres", &database.name).await;
    let mut owner = database.session("praetor_owner", &database.name).await;
    let young = "date_trunc('month', now() - interval '3 years 6 months')";
    for (n, month) in [(1, "'2020-01-01'"), (2, "'2020-02-01'"), (0, young)] {
        let months = format!(
            "SELECT praetor.add_month(t, {month}) FROM unnest(ARRAY['cases', 'decisions', 'traces', 'rejections']) AS t"
        );
        owner.execute(AssertSqlSafe(months)).await.unwrap();
        let sql = format!(
            "ALTER TABLE praetor.leaves DISABLE TRIGGER append_only;
             UPDATE praetor.leaves SET created_at = {month} WHERE record_id = 'dec_0000000{n}';
             INSERT INTO praetor.decisions SELECT seq, tenant, id, ticket_id, case_hash, key_id, outcome, sop_id, sop_version,
                    remedy_kind, refund_fen, compensation_fen, sealed, {month} FROM praetor.decisions WHERE id = 'dec_0000000{n}'"
        );
        admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    admin
        .execute("DO $$ BEGIN EXECUTE 'ALTER TABLE praetor.decisions_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') || ' DISABLE TRIGGER append_only';
             ALTER TABLE praetor.decisions DISABLE TRIGGER append_only; END $$;
             DELETE FROM praetor.decisions WHERE created_at > now() - interval '1 year'"
        )
        .await
        .unwrap();
    let hold = records.hold(&buyer(2), why).await.unwrap().remove(0);
    let past = store.past_months(years).await.unwrap();
    let seen: Vec<_> = past.iter().map(|m| (m.first.to_string(), m.tables.len(), m.rows, m.held)).collect();
    assert_eq!(seen, [("2020-01-01".into(), 4, 1, false), ("2020-02-01".into(), 4, 1, true)]);
    assert!(matches!(store.retire(&past[1]).await, Err(StoreError::MonthHeld { .. })));
    store.retire(&past[0]).await.unwrap();
    assert_eq!(store.past_months(years).await.unwrap().len(), 1);
    assert!(records.decision(&decision(1).id).await.unwrap().is_none());
    assert!(records.decision(&decision(2).id).await.unwrap().is_some());
    let content = |leaves: &[praetor::store::LeafRecord], n: u32| {
        leaves.iter().find(|leaf| leaf.id == decision(n).id).unwrap().content.clone()
    };
    let leaves = store.export_unplaced(10).await.unwrap();
    assert_eq!(content(&leaves, 1), LeafContent::Expired);
    assert!(matches!(content(&leaves, 2), LeafContent::Kept(_)));
    // It is a table of its own now, still append-only and still apart from other tenants.
    assert!(owner.execute("DELETE FROM praetor.decisions_2020_01").await.is_err());
    records.release(&hold, |id| why(id, 0)).await.unwrap();
    store.retire(&past[1]).await.unwrap();
    assert!(store.past_months(years).await.unwrap().is_empty());
    close(store, database).await;
}

#[tokio::test]
async fn a_row_without_its_month_is_refused_not_swallowed() {
    let (database, store) = Database::migrated().await;
    own(&store).record(&[decision(1)]).await.unwrap();
    let mut owner = database.session("praetor_owner", &database.name).await;
    owner.execute("SET praetor.tenant = 'default'").await.unwrap();
    let error = owner
        .execute(
            "INSERT INTO praetor.traces (seq, tenant, decision_id, key_id, sealed, created_at)
             VALUES (9, 'default', 'x', 1, '', '2001-01-01')",
        )
        .await
        .unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "23514");
    let defaults: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_partitioned_table WHERE partdefid <> 0")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert_eq!(defaults, 0);
    // Whoever comes to a month without partitions makes them as it writes.
    let months: Vec<String> = sqlx::query_scalar("SELECT inhrelid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'r' AND c.relname LIKE 'traces%'").fetch_all(&mut owner).await.unwrap();
    for month in months {
        let gone = format!("ALTER TABLE praetor.traces DETACH PARTITION {month}; DROP TABLE {month}");
        owner.execute(AssertSqlSafe(gone)).await.unwrap();
    }
    let fresh = Store::open(&database.config("praetor_app")).await.unwrap();
    own(&fresh).record(&[decision(2)]).await.unwrap();
    fresh.close().await.unwrap();
    close(store, database).await;
}
