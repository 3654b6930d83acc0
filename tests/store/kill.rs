//! Writers and sequencers that die at any moment (SIGKILL) lose no leaf, double none and put none out of place.
//! PRAETOR_KILL_ROUNDS says how often; the whole run is 200 rounds, a handful is run always.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use praetor::store::{Sequencer, Store, StoreConfig};
use sqlx::Connection;

use super::ledger::{check, sequence};
use super::support::{Database, close, decision, own};

const URL: &str = "PRAETOR_TEST_KILL_URL";
const KEYS: &str = "PRAETOR_TEST_KILL_KEYS";
const FIRST: &str = "PRAETOR_TEST_KILL_FIRST";
const ACKNOWLEDGED: &str = "PRAETOR_TEST_KILL_ACKNOWLEDGED";

/// Not a test: what the test runs as other processes. With a number it writes decisions from there on and notes each
/// that was acknowledged; without one it sequences. Until death.
#[tokio::test]
async fn child() {
    let (Ok(url), Some(keys)) = (std::env::var(URL), std::env::var_os(KEYS)) else { return };
    let config = StoreConfig { database_url: Some(url), data_dir: keys.into(), ..StoreConfig::default() };
    let store = Store::open(&config).await.unwrap();
    let Ok(first) = std::env::var(FIRST) else {
        let mut sequencer = Sequencer::new(&store);
        loop {
            sequencer.drain().await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let mut log = OpenOptions::new().append(true).create(true).open(std::env::var_os(ACKNOWLEDGED).unwrap()).unwrap();
    let mut next: u32 = first.parse().unwrap();
    loop {
        let batch: Vec<_> = (next..next + rand::random_range(1..30)).map(decision).collect();
        own(&store).record(&batch).await.unwrap();
        log.write_all(batch.iter().map(|d| format!("{}\n", d.id)).collect::<String>().as_bytes()).unwrap();
        next += batch.len() as u32;
    }
}

fn spawn(url: &str, folder: &Path, first: Option<u32>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store::kill::child"]).env(URL, url).env(KEYS, folder);
    command.env(ACKNOWLEDGED, folder.join("acknowledged"));
    if let Some(first) = first {
        command.env(FIRST, first.to_string());
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Processes that end with the test, however it ends.
struct Doomed(Vec<Child>);

impl Drop for Doomed {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn places(store: &Store) -> u64 {
    store.log().latest().await.unwrap().map_or(0, |last| last.size)
}

#[tokio::test]
async fn killed_writers_and_sequencers_leave_a_whole_ledger() {
    let rounds: u32 = std::env::var("PRAETOR_KILL_ROUNDS").ok().map_or(10, |text| text.parse().unwrap());
    let database = Database::create().await;
    let folder = tempfile::tempdir().unwrap();
    let url = database.config("postgres").database_url.unwrap();
    let config =
        StoreConfig { database_url: Some(url.clone()), data_dir: folder.path().to_owned(), ..StoreConfig::default() };
    let store = Store::open(&config).await.unwrap();
    store.migrate().await.unwrap();
    let mut admin = database.session("postgres", &database.name).await;
    for round in 0..rounds {
        let before = places(&store).await;
        let doomed = Doomed(vec![
            spawn(&url, folder.path(), Some(round * 10_000)),
            spawn(&url, folder.path(), Some(round * 10_000 + 5_000)),
            spawn(&url, folder.path(), None),
            spawn(&url, folder.path(), None),
        ]);
        // All of them are at work once leaves get places; then any moment will do.
        let began = Instant::now();
        while places(&store).await == before {
            assert!(began.elapsed() < Duration::from_secs(60), "round {round}: nobody works");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..150))).await;
        drop(doomed);
        // At every death the places are without a gap and the checkpoint is that of all of them.
        let (places, next, size): (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM praetor.log_entries), (SELECT coalesce(max(leaf_index) + 1, 0) FROM praetor.log_entries),
                    (SELECT coalesce(max(size), 0) FROM praetor.checkpoints)",
        )
        .fetch_one(&mut admin)
        .await
        .unwrap();
        assert!(places == next && next == size, "round {round}: {places} places up to {next}, checkpoint {size}");
    }
    admin.close().await.unwrap();
    sequence(&mut Sequencer::new(&store), &store).await;
    let size = check(&store).await;
    let rows = own(&store).rows().await.unwrap();
    assert_eq!((rows.leaves as u64, rows.decisions as u64, rows.traces as u64), (size, size, size));
    // What was acknowledged is there; what was cut off is there as a whole or not at all, as `check` saw.
    let acknowledged = std::fs::read_to_string(folder.path().join("acknowledged")).unwrap();
    for id in acknowledged.lines() {
        assert!(own(&store).leaf(praetor::ledger::Kind::Decision, id).await.unwrap().unwrap().index.is_some(), "{id}");
    }
    assert!(size >= u64::from(rounds));
    close(store, database).await;
}
