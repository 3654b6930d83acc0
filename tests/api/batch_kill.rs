//! Workers in processes of their own, one of which dies (SIGKILL) with a chunk in hand: the others take it over, and every
//! line has one decision, recorded once.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use praetor::api::Role;
use praetor::config::BatchConfig;
use praetor::store::{Store, StoreConfig};
use tokio::sync::watch;

use super::batches::{ended, json, results, small_chunks, tickets, upload};
use super::support::{Service, worker};

const URL: &str = "PRAETOR_TEST_WORKER_URL";
const MASTER: &str = "PRAETOR_TEST_WORKER_MASTER";
const LOG: &str = "PRAETOR_TEST_WORKER_LOG";

fn quick() -> BatchConfig {
    let seconds = |n| NonZeroU32::new(n).unwrap();
    BatchConfig { heartbeat_seconds: seconds(1), dead_after_seconds: seconds(3), ..small_chunks(20) }
}

/// Not a test: what the test runs as other processes.
#[tokio::test]
async fn child() {
    let (Ok(url), Some(master), Some(log)) = (std::env::var(URL), std::env::var_os(MASTER), std::env::var_os(LOG))
    else {
        return;
    };
    let config = StoreConfig {
        database_url: Some(url),
        data_dir: "/nonexistent".into(),
        master_key: Some(master.into()),
        log_key: Some(log.into()),
        origin: None,
    };
    let store = Arc::new(Store::open(&config).await.unwrap());
    let (_stop, stopped) = watch::channel(false);
    let worker = tokio::task::spawn_blocking(move || worker(&store, &quick())).await.unwrap();
    worker.run(stopped).await;
}

/// A process that ends with the test, however it ends.
struct Doomed(Child);

impl Doomed {
    fn spawn(config: &StoreConfig) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "api::batch_kill::child"]).env(URL, config.database_url.as_ref().unwrap());
        command.env(MASTER, config.master_key.as_ref().unwrap()).env(LOG, config.log_key());
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_its_chunk_to_the_others() {
    let service = Service::with_batch(&quick()).await;
    let key = service.key(Role::Operator, "default").await;
    let sent = tickets(400);
    let response = upload(&service, &key, "", sent.join("\n")).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let config = service.store_config();
    let (first, second) = (Doomed::spawn(&config), Doomed::spawn(&config));
    let began = Instant::now();
    let locked = "SELECT count(DISTINCT locked_by) FROM praetor_jobs._private_jobs WHERE locked_by IS NOT NULL";
    while service.count(locked).await < 2 {
        assert!(began.elapsed() < Duration::from_secs(120), "no two workers are at work");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(first);
    let batch = ended(&service, &key, &location).await;
    assert_eq!((batch["state"].as_str(), batch["chunks_done"].as_i64()), (Some("done"), Some(20)), "{batch}");
    drop(second);
    let lines = results(&service, &key, &location, "").await;
    assert_eq!(lines.iter().map(|l| l["line"].as_i64().unwrap()).collect::<Vec<_>>(), (1..=400).collect::<Vec<_>>());
    let ids: HashSet<&str> = lines.iter().map(|l| l["decision_id"].as_str().unwrap()).collect();
    let count = ids.len() as i64;
    assert_eq!(service.count("SELECT count(*) FROM praetor.leaves WHERE kind = 'decision'").await, count);
    assert_eq!(service.count("SELECT count(*) FROM praetor.decisions").await, count);
    for (line, ticket) in lines.iter().zip(&sent).step_by(37) {
        let key = service.key(Role::Caller, "default").await;
        assert_eq!(json(service.decide(&key, ticket).await, 201).await["id"], line["decision_id"]);
    }
    service.stop().await;
}

#[tokio::test]
async fn the_program_works_until_it_is_told_to_stop() {
    let service = Service::with_batch(&quick()).await;
    let key = service.key(Role::Operator, "default").await;
    let response = upload(&service, &key, "", tickets(60).join("\n")).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let config = service.store_config();
    let mut command = Command::new(env!("CARGO_BIN_EXE_praetor"));
    command.args(["--lang", "en", "worker", "--concurrency", "2"]).current_dir(crate::pipeline::repo("."));
    command.env("DATABASE_URL", config.database_url.as_ref().unwrap()).env("PRAETOR_LOG", "error");
    command.env("PRAETOR_MASTER_KEY", config.master_key.as_ref().unwrap()).env("PRAETOR_LOG_KEY", config.log_key());
    let mut worker = Doomed(command.stderr(Stdio::piped()).spawn().unwrap());
    let batch = ended(&service, &key, &location).await;
    assert_eq!((batch["state"].as_str(), batch["chunks_done"].as_i64()), (Some("done"), Some(3)), "{batch}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&worker.0), rustix::process::Signal::TERM).unwrap();
    let (status, said) = tokio::task::spawn_blocking(move || {
        let said = std::io::read_to_string(worker.0.stderr.take().unwrap()).unwrap();
        (worker.0.wait().unwrap(), said)
    })
    .await
    .unwrap();
    assert!(status.success(), "{said}");
    assert_eq!(said, "the worker is running\n");
    service.stop().await;
}
