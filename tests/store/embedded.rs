//! The private server: created, shared, stopped, and recovered after every kind of sudden death.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use praetor::store::embedded::{EmbeddedError, Left};
use praetor::store::{Store, StoreError};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::Executor;

use super::support::{decision, own, private, session};

const DATA_DIR: &str = "PRAETOR_TEST_CHILD_DATA_DIR";
const NUMBER: &str = "PRAETOR_TEST_CHILD_NUMBER";

/// Not a test: what the other tests run as another process. Records one decision, or without a number waits for death.
#[tokio::test]
async fn child() {
    let Some(data_dir) = std::env::var_os(DATA_DIR) else { return };
    let store = Store::open(&private(Path::new(&data_dir))).await.unwrap();
    store.migrate().await.unwrap();
    match std::env::var(NUMBER).ok().and_then(|n| n.parse().ok()) {
        Some(n) => {
            own(&store).record(&[decision(n)]).await.unwrap();
            store.close().await.unwrap();
        }
        None => {
            std::fs::write(Path::new(&data_dir).join("holding"), "").unwrap();
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
    }
}

fn spawn(data_dir: &Path, number: Option<u32>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store::embedded::child"]).env(DATA_DIR, data_dir);
    if let Some(number) = number {
        command.env(NUMBER, number.to_string());
    }
    command.stdout(Stdio::null()).spawn().unwrap()
}

fn postmaster(cluster: &Path) -> Option<Pid> {
    let file = std::fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    Pid::from_raw(file.lines().next()?.parse().ok()?)
}

async fn cluster_of(store: &Store) -> PathBuf {
    store.status().await.unwrap().cluster.unwrap()
}

/// Opens, migrates, records decision `n`, and returns the store with its data folder.
async fn used(data_dir: &Path, n: u32) -> (Store, PathBuf) {
    let store = Store::open(&private(data_dir)).await.unwrap();
    store.migrate().await.unwrap();
    own(&store).record(&[decision(n)]).await.unwrap();
    let cluster = cluster_of(&store).await;
    (store, cluster)
}

#[tokio::test]
async fn a_new_folder_becomes_a_private_utf8_cluster_that_stops_with_its_last_user() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster) = used(folder.path(), 1).await;
    let url = store.url();
    let socket_dir = PathBuf::from(url.split(['=', '&']).nth(1).unwrap());
    assert!(url.contains("user=praetor_app"), "{url}");
    for private in [&socket_dir, &cluster, &cluster.parent().unwrap().to_owned()] {
        let mode = std::fs::metadata(private).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", private.display());
    }
    let mut app = session(&socket_dir, "praetor_app", "praetor").await;
    let (encoding, tcp, user): (String, String, String) = sqlx::query_as(
        "SELECT current_setting('server_encoding'), current_setting('listen_addresses'), current_user::text",
    )
    .fetch_one(&mut app)
    .await
    .unwrap();
    assert_eq!((encoding.as_str(), tcp.as_str(), user.as_str()), ("UTF8", "", "praetor_app"));
    drop(app);

    let second = Store::open(&private(folder.path())).await.unwrap();
    assert_eq!(store.close().await.unwrap(), Left::Running);
    assert!(own(&second).decision(&decision(1).id).await.unwrap().is_some());
    assert!(matches!(Store::stop(&private(folder.path())).await, Err(StoreError::Embedded(EmbeddedError::InUse))));
    assert_eq!(second.close().await.unwrap(), Left::Stopped);
    assert!(postmaster(&cluster).is_none());
}

#[tokio::test]
async fn a_store_that_is_only_dropped_stops_its_server_too() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster) = used(folder.path(), 1).await;
    tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
    assert!(postmaster(&cluster).is_none());
}

#[tokio::test]
async fn psql_keeps_the_server_up_and_stop_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster) = used(folder.path(), 1).await;
    let url = store.url();
    assert_eq!(store.leave_running().await.unwrap(), Left::Running);
    let options = url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().application_name("psql");
    let mut psql = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let (store, _) = used(folder.path(), 2).await;
    assert_eq!(store.close().await.unwrap(), Left::Running);
    psql.execute("SELECT 1").await.unwrap();
    sqlx::Connection::close(psql).await.unwrap();
    // On a busy machine the server takes a moment to let go of a connection that is closed.
    let mut patience = 100;
    while let Err(error) = Store::stop(&private(folder.path())).await {
        patience -= 1;
        assert!(patience > 0 && format!("{error:?}") == "Embedded(InUse)", "{error:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(postmaster(&cluster).is_none());
    Store::stop(&private(folder.path())).await.unwrap();
}

#[tokio::test]
async fn many_processes_share_one_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..6).map(|n| spawn(folder.path(), Some(n))).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let store = Store::open(&private(folder.path())).await.unwrap();
    assert_eq!(own(&store).rows().await.unwrap().decisions, 6);
    let cluster = cluster_of(&store).await;
    assert_eq!(store.close().await.unwrap(), Left::Stopped);
    assert!(postmaster(&cluster).is_none());
}

#[tokio::test]
async fn a_killed_process_leaves_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = spawn(folder.path(), None);
    let began = Instant::now();
    while !folder.path().join("holding").exists() {
        assert!(began.elapsed() < Duration::from_secs(120));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (store, cluster) = used(folder.path(), 1).await;
    // The dead process's sessions go when the server notices, which it does at once.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(store.close().await.unwrap(), Left::Stopped);
    assert!(postmaster(&cluster).is_none());
}

#[tokio::test]
async fn a_killed_server_is_recovered_with_all_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster) = used(folder.path(), 1).await;
    let before = postmaster(&cluster).unwrap();
    kill_process(before, Signal::KILL).unwrap();
    // At once, while its children may still be on their way out, and with the first store still open.
    let again = Store::open(&private(folder.path())).await.unwrap();
    assert!(own(&again).decision(&decision(1).id).await.unwrap().is_some());
    assert_ne!(postmaster(&cluster), Some(before));
    // The first store finds its way to the new server.
    assert_eq!(own(&store).record(&[decision(2)]).await.unwrap().inserted, 1);
    assert_eq!(again.close().await.unwrap(), Left::Running);
    assert_eq!(store.close().await.unwrap(), Left::Stopped);
}

#[tokio::test]
async fn a_pid_file_of_a_dead_server_whose_number_lives_on_elsewhere_is_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster) = used(folder.path(), 1).await;
    let file = std::fs::read_to_string(cluster.join("postmaster.pid")).unwrap();
    let dead = postmaster(&cluster).unwrap();
    kill_process(dead, Signal::KILL).unwrap();
    store.close().await.unwrap();
    while test_kill_process(dead).is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // As after a restart of a container: the same number, another process (here: this one).
    let rest = file.split_once('\n').unwrap().1;
    std::fs::write(cluster.join("postmaster.pid"), format!("{}\n{rest}", std::process::id())).unwrap();
    let store = Store::open(&private(folder.path())).await.unwrap();
    assert!(own(&store).decision(&decision(1).id).await.unwrap().is_some());
    assert_eq!(store.close().await.unwrap(), Left::Stopped);
}

#[tokio::test]
async fn a_deep_folder_still_gets_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("数据".repeat(20)).join("it's a \"deep\" folder & $(more) ".repeat(3));
    let (store, cluster) = used(&deep, 1).await;
    assert!(store.url().len() < 120, "{}", store.url());
    assert_eq!(store.close().await.unwrap(), Left::Stopped);
    assert!(postmaster(&cluster).is_none());
}

#[tokio::test]
async fn a_folder_of_another_major_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, cluster) = used(folder.path(), 1).await;
    store.close().await.unwrap();
    let version = std::fs::read(cluster.join("PG_VERSION")).unwrap();
    std::fs::write(cluster.join("PG_VERSION"), "12\n").unwrap();
    let error = Store::open(&private(folder.path())).await.unwrap_err();
    assert!(matches!(&error, StoreError::Embedded(EmbeddedError::VersionMismatch { .. })), "{error:?}");
    assert!(error.to_string().contains("PostgreSQL 12"), "{error}");
    std::fs::write(cluster.join("PG_VERSION"), version).unwrap();
    let store = Store::open(&private(folder.path())).await.unwrap();
    assert_eq!(store.close().await.unwrap(), Left::Stopped);
}
