//! What is recorded stays, and stays with its tenant: privileges, triggers and row-level security of every table.

use praetor::store::{NewRecord, NewRejection, RecordKind, Store, TenantId};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::support::{Database, artifact, close, decision, own};

/// A record in every table that tenants fill.
async fn fill(store: &Store) {
    let records = own(store);
    records.record(&[decision(1)]).await.unwrap();
    let bad = NewRejection { source: "-".into(), line: 1, errors: "[]".into(), subject: None, input: vec![1] };
    records.reject(&[bad]).await.unwrap();
    store.put_artifact(&artifact(b"{}")).await.unwrap();
    let record = NewRecord { id: "cert_1".into(), subject: None, body: b"{}".to_vec() };
    records.append_records(RecordKind::Certificate, &[record]).await.unwrap();
}

/// What holds no records: rows of it go, or change.
const NO_RECORDS: &str = "c.relname IN ('batch_inputs')";

/// Tables and partitions of ours, but for what the migrations keep, and what is no record: when a key was last used, which reviews
/// are open.
async fn tables(session: &mut PgConnection, which: &str) -> Vec<String> {
    let query = format!(
        "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'praetor'::regnamespace
           AND c.relkind IN ('r', 'p') AND c.relname NOT IN ('migrations', 'api_key_uses', 'review_open') AND {which} ORDER BY 1"
    );
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(session).await.unwrap()
}

/// UPDATE, DELETE and TRUNCATE on a table.
async fn changes(session: &mut PgConnection, table: &str) -> [String; 3] {
    let column: String = sqlx::query_scalar(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = ('praetor.' || $1)::regclass AND attname = 'created_at'
         UNION ALL SELECT attname::text FROM pg_attribute WHERE attrelid = ('praetor.' || $1)::regclass AND attnum = 1
         LIMIT 1",
    )
    .bind(table)
    .fetch_one(session)
    .await
    .unwrap();
    [
        format!("UPDATE praetor.{table} SET {column} = NULL"),
        format!("DELETE FROM praetor.{table}"),
        format!("TRUNCATE praetor.{table} CASCADE"),
    ]
}

#[tokio::test]
async fn the_runtime_role_owns_nothing_and_may_only_read_and_append() {
    let (database, store) = Database::migrated().await;
    fill(&store).await;
    let mut app = database.session("praetor_app", &database.name).await;
    app.execute("SET praetor.tenant = 'default'").await.unwrap();
    for table in tables(&mut app, "true").await {
        for change in changes(&mut app, &table).await {
            let error = app.execute(AssertSqlSafe(change.clone())).await.unwrap_err();
            assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{change}");
        }
    }
    for forbidden in [
        "CREATE TABLE praetor.mine (x int)",
        "CREATE TABLE public.mine (x int)",
        "ALTER TABLE praetor.decisions DISABLE TRIGGER ALL",
        "ALTER TABLE praetor.decisions NO FORCE ROW LEVEL SECURITY",
        "DROP TABLE praetor.traces",
        "INSERT INTO praetor.migrations VALUES (99, '', now(), true, '', 0)",
        "INSERT INTO praetor.erasures VALUES (1, 'default', 'era_1')",
        // Neither the time nor the order of a record is said by who writes it.
        "INSERT INTO praetor.leaves (tenant, kind, record_id, key_id, commitment, created_at)
         VALUES ('default', 'review', 'r', 1, sha256(''), '2020-01-01')",
        "INSERT INTO praetor.leaves (tenant, kind, record_id, key_id, commitment, xid)
         VALUES ('default', 'review', 'r', 1, sha256(''), '1')",
        "SELECT praetor.add_month('decisions', '2020-01-01')",
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
    let privileges: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT privilege_type::text FROM pg_class, aclexplode(relacl)
         WHERE relnamespace = 'praetor'::regnamespace AND grantee IN (0, 'praetor_app'::regrole)
         UNION SELECT DISTINCT privilege_type::text FROM pg_attribute, aclexplode(attacl) WHERE grantee IN (0, 'praetor_app'::regrole)
         ORDER BY 1",
    )
    .fetch_all(&mut app)
    .await
    .unwrap();
    assert_eq!(privileges, ["INSERT", "SELECT"]);
    close(store, database).await;
}

#[tokio::test]
async fn not_even_the_owner_or_a_superuser_changes_a_record() {
    let (database, store) = Database::migrated().await;
    fill(&store).await;
    for user in ["praetor_owner", "postgres"] {
        let mut session = database.session(user, &database.name).await;
        session.execute("SET praetor.tenant = 'default'").await.unwrap();
        if user == "postgres" {
            // Ordinary triggers sleep in this mode.
            session.execute("SET session_replication_role = replica").await.unwrap();
        }
        for table in tables(&mut session, &format!("NOT {NO_RECORDS}")).await {
            for change in changes(&mut session, &table).await {
                let error = session.execute(AssertSqlSafe(change.clone())).await.unwrap_err();
                let error = error.as_database_error().unwrap();
                assert_eq!(error.code().unwrap(), "23001", "{user}: {change}: {error}");
            }
        }
    }
    assert!(own(&store).decision(&decision(1).id).await.unwrap().is_some());
    close(store, database).await;
}

#[tokio::test]
async fn every_table_with_a_tenant_is_isolated_and_every_partition_like_its_table() {
    let (database, store) = Database::migrated().await;
    let mut session = database.session("praetor_owner", &database.name).await;
    let open = "EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant')
         AND NOT (c.relrowsecurity AND c.relforcerowsecurity
                  AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant'))";
    assert!(tables(&mut session, open).await.is_empty());
    let unguarded = "NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only' AND t.tgenabled = 'A')";
    assert!(tables(&mut session, &format!("{unguarded} AND NOT {NO_RECORDS}")).await.is_empty());
    assert_eq!(tables(&mut session, "c.relispartition").await.len(), 12);
    // Whoever reaches for a partition itself finds the same walls.
    let mut app = database.session("praetor_app", &database.name).await;
    for partition in tables(&mut session, "c.relispartition").await {
        assert!(app.execute(AssertSqlSafe(format!("SELECT FROM praetor.{partition}"))).await.is_err());
    }
    close(store, database).await;
}

#[tokio::test]
async fn a_forgotten_tenant_sees_nothing_and_writes_nothing() {
    let (database, store) = Database::migrated().await;
    fill(&store).await;
    for user in ["praetor_app", "praetor_owner"] {
        let mut session = database.session(user, &database.name).await;
        // As a connection of the pool is left behind: the setting is known, and empty.
        session.execute("BEGIN; SET LOCAL praetor.tenant = 'default'; COMMIT").await.unwrap();
        for table in tables(&mut session, "c.relrowsecurity AND NOT c.relispartition").await {
            let count = format!("SELECT count(*) FROM praetor.{table}");
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut session).await.unwrap();
            assert_eq!(count, 0, "{user} sees {table}");
        }
        for write in [
            "INSERT INTO praetor.tenants (tenant) VALUES ('other')",
            "INSERT INTO praetor.leaves (tenant, kind, record_id, key_id, commitment)
             VALUES ('default', 'review', 'r', 1, sha256(''))",
            "INSERT INTO praetor.decisions (seq, tenant, id, ticket_id, case_hash, key_id, outcome, sealed)
             VALUES (9, 'default', 'dec_9', 'T', sha256(''), 1, 'auto', '')",
            "INSERT INTO praetor.subject_keys (tenant, subject, wrapped, master) VALUES ('default', 's', '', 'm')",
        ] {
            let error = session.execute(write).await.unwrap_err();
            assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{user}: {write}: {error}");
        }
        session.close().await.unwrap();
    }
    close(store, database).await;
}

#[tokio::test]
async fn two_tenants_never_meet_in_two_thousand_interleavings() {
    let (database, store) = Database::migrated().await;
    let names: [TenantId; 2] = ["default".parse().unwrap(), "other".parse().unwrap()];
    assert!(store.tenant(&names[1]).found().await.unwrap());
    assert_eq!(store.tenants().await.unwrap(), names);
    // The same ids on both sides: each tenant has its own record of that name.
    for name in &names {
        let mine = store.tenant(name);
        let decisions: Vec<_> = (0..20)
            .map(|n| {
                let mut d = decision(n);
                d.subject = format!("{name} {n}");
                d
            })
            .collect();
        assert_eq!(mine.record(&decisions).await.unwrap().inserted, 20);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..2_000u32 {
        let (mine, name) = (store.tenant(&names[(n % 2) as usize]), names[(n % 2) as usize].clone());
        tasks.spawn(async move {
            match n % 5 {
                0 => {
                    let mut own = decision(1000 + n);
                    own.ticket_id = format!("{name} alone");
                    mine.record(&[own]).await.unwrap();
                }
                1 => assert!(mine.decision(&decision(1000 + n + 4).id).await.is_ok()),
                2 => assert_eq!(mine.by_ticket("T3").await.unwrap().len(), 1),
                3 => assert!(mine.list_decisions(0, 30).await.unwrap().len() <= 30),
                _ => {
                    let theirs = if name.as_str() == "other" { "default alone" } else { "other alone" };
                    assert!(mine.by_ticket(theirs).await.unwrap().is_empty());
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for name in &names {
        let rows = store.tenant(name).rows().await.unwrap();
        assert_eq!((rows.decisions, rows.cases, rows.leaves), (220, 220, 220));
        assert_eq!(store.tenant(name).by_ticket(&format!("{name} alone")).await.unwrap().len(), 200);
    }
    let nobody = store.tenant(&"nobody".parse().unwrap());
    assert!(matches!(nobody.record(&[decision(1)]).await, Err(praetor::store::StoreError::NoTenant { .. })));
    close(store, database).await;
}
