//! A server of one's own, through a URL: who may do what, what errors say, and what they keep to themselves.

use praetor::store::{Store, StoreConfig, StoreError};
use sqlx::{AssertSqlSafe, Executor};

use super::support::{Database, decision, own, private, session};

/// All that an error says, its causes included.
fn text(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(" {inner}");
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn a_database_without_schema_says_so() {
    let database = Database::create().await;
    let store = Store::open(&database.config("postgres")).await.unwrap();
    let status = store.status().await.unwrap();
    assert!(!status.is_current() && status.cluster.is_none());
    assert!(matches!(own(&store).decision("dec_1").await, Err(StoreError::NotMigrated { .. })));
    assert!(matches!(own(&store).record(&[decision(1)]).await, Err(StoreError::NotMigrated { .. })));
    store.close().await.unwrap();
    database.drop().await;
}

#[tokio::test]
async fn an_ordinary_user_migrates_and_works_once_granted_both_roles() {
    let database = Database::create().await;
    let (name, user) = (&database.name, format!("deployer_{}", database.name));
    let mut admin = database.session("postgres", "postgres").await;
    let run = |sql: String| AssertSqlSafe(sql);
    admin.execute(run(format!("CREATE ROLE {user} LOGIN"))).await.unwrap();
    admin.execute(run(format!("ALTER DATABASE {name} OWNER TO {user}"))).await.unwrap();

    let store = Store::open(&database.config(&user)).await.unwrap();
    let error = store.migrate().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Privilege { reason, .. } if reason.contains("GRANT praetor_owner TO")),
        "{error}"
    );

    admin.execute(run(format!("GRANT praetor_owner, praetor_app TO {user}"))).await.unwrap();
    store.migrate().await.unwrap();
    own(&store).record(&[decision(1)]).await.unwrap();
    // It may be anybody outside; inside the store it is the runtime role.
    let url = store.url();
    assert!(url.contains(&user), "{url}");
    store.close().await.unwrap();

    // A user with the runtime role alone works on what others migrated, and cannot migrate.
    let worker = format!("worker_{name}");
    admin.execute(run(format!("CREATE ROLE {worker} LOGIN IN ROLE praetor_app"))).await.unwrap();
    let store = Store::open(&database.config(&worker)).await.unwrap();
    assert!(store.status().await.unwrap().is_current());
    assert_eq!(own(&store).record(&[decision(1), decision(2)]).await.unwrap().inserted, 1);
    assert!(matches!(store.migrate().await, Err(StoreError::Privilege { .. })));
    store.close().await.unwrap();

    let cluster = database.cluster.clone();
    database.drop().await;
    admin.execute(run(format!("DROP ROLE {user}, {worker}"))).await.unwrap();
    drop(admin);
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}

#[tokio::test]
async fn a_password_is_used_and_never_shown() {
    const PASSWORD: &str = "s3cr3t/p@ss";
    const ENCODED: &str = "s3cr3t%2Fp%40ss";
    let folder = tempfile::tempdir().unwrap();
    let host = Store::open(&private(folder.path())).await.unwrap();
    let status = host.status().await.unwrap();
    let socket_dir = status.url.split(['=', '&']).nth(1).unwrap().to_owned();
    let hba = status.cluster.unwrap().join("pg_hba.conf");
    let rules = std::fs::read_to_string(&hba).unwrap();
    std::fs::write(&hba, format!("local all service scram-sha-256\n{rules}")).unwrap();
    let mut admin = session(socket_dir.as_ref(), "postgres", "postgres").await;
    admin.execute("CREATE ROLE service SUPERUSER LOGIN PASSWORD 's3cr3t/p@ss'").await.unwrap();
    admin.execute("CREATE DATABASE elsewhere OWNER service").await.unwrap();
    admin.execute("SELECT pg_reload_conf()").await.unwrap();
    drop(admin);

    let config = |password: &str| StoreConfig {
        database_url: Some(format!("postgres:///elsewhere?host={socket_dir}&user=service&password={password}")),
        data_dir: "/nonexistent".into(),
        ..StoreConfig::default()
    };
    let mut said = format!("{:?}", config(ENCODED));
    // The reload is asynchronous: until it is done any password will do.
    let refused = loop {
        match Store::open(&config("wr0ng-one")).await {
            Ok(store) => store.close().await.map(drop).unwrap(),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Connect { .. }));
    assert!(!text(&refused).contains("wr0ng-one"), "{}", text(&refused));

    let store = Store::open(&config(ENCODED)).await.unwrap();
    store.migrate().await.unwrap();
    said += &format!("{store:?} {} {} {:?}", store.url(), store.owner_url(), store.status().await.unwrap());
    store.close().await.unwrap();
    for bad in [
        format!("postgres://service:{ENCODED}@127.0.0.1:1/elsewhere"),
        format!("postgres://service:{ENCODED}@127.0.0.1:port/elsewhere"),
        format!("postgres:///elsewhere?host=/nonexistent&user=service&password={ENCODED}"),
        format!("mysql service {PASSWORD}"),
    ] {
        let config = StoreConfig { database_url: Some(bad), data_dir: "/nonexistent".into(), ..StoreConfig::default() };
        said += &text(&Store::open(&config).await.unwrap_err());
    }
    assert!(!said.contains(PASSWORD) && !said.contains(ENCODED), "{said}");
    host.close().await.unwrap();
}
