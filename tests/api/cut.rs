//! A service that dies (SIGKILL) after the database has committed a decision and before it answers: the client's retry
//! under the same key gets that decision, and there is one of it, with one leaf. A go-between on the way to the database
//! holds back the word that the commit is done, so the moment is not left to chance.
//! PRAETOR_KILL_ROUNDS says how often; the whole run is 200 rounds, a few are run always.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use praetor::api::Role;
use praetor::store::{Store, StoreConfig};
use reqwest::Client;
use sqlx::Connection;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;

use super::support::{example, key_in};
use crate::pipeline::repo;
use crate::store::support::Database;

/// What the go-between and the test know of each other.
#[derive(Default)]
struct Cut {
    /// The next commit of an answer is the last thing the service does.
    armed: AtomicBool,
    /// It is committed, and the service does not know.
    committed: Notify,
}

/// Passes a connection on. On a connection that has written an answer, the commit's acknowledgement is held back for
/// good once the trap is armed.
async fn pass(service: TcpStream, database: UnixStream, cut: Arc<Cut>) {
    let (mut from_service, mut to_service) = service.into_split();
    let (mut from_database, mut to_database) = database.into_split();
    let last = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&last);
    let armed = Arc::clone(&cut);
    tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        let mut answered = false;
        while let Ok(length @ 1..) = from_service.read(&mut buffer).await {
            let sent = &buffer[..length];
            let says = |text: &str| sent.windows(text.len()).any(|w| w == text.as_bytes());
            answered |= says("INSERT INTO praetor.answers");
            if answered && says("COMMIT") && armed.armed.swap(false, Ordering::SeqCst) {
                seen.store(true, Ordering::SeqCst);
            }
            if to_database.write_all(sent).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from_database.read(&mut buffer).await {
        // The only message on its way after COMMIT is that it is done.
        if last.load(Ordering::SeqCst) {
            cut.committed.notify_one();
            std::future::pending::<()>().await;
        }
        if to_service.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}

/// Listens for the service and passes everything on to the database's socket. Returns its port.
async fn between(socket: &Path, cut: Arc<Cut>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = socket.join(".s.PGSQL.5432");
    tokio::spawn(async move {
        while let Ok((service, _)) = listener.accept().await {
            let Ok(database) = UnixStream::connect(&socket).await else { continue };
            tokio::spawn(pass(service, database, Arc::clone(&cut)));
        }
    });
    port
}

/// The program itself; it dies with the test.
pub(super) struct Serving {
    process: Child,
    pub(super) base: String,
}

impl Serving {
    pub(super) async fn start(url: &str, folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_praetor"));
        command.args(["--lang", "en", "serve", "--listen", "127.0.0.1:0"]).current_dir(repo(""));
        command.env("DATABASE_URL", url).env("PRAETOR_DATA_DIR", folder).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let base = tokio::task::spawn_blocking(move || {
            let mut lines = lines.map(Result::unwrap);
            let base = lines.find_map(|line| line.split_once("serving at ").map(|(_, base)| base.to_owned())).unwrap();
            // Read on, or a full pipe stops the service.
            std::thread::spawn(move || lines.for_each(drop));
            base
        });
        Self { process, base: base.await.unwrap() }
    }

    pub(super) async fn decide(
        &self,
        client: &Client,
        key: &str,
        once: &str,
        ticket: &str,
    ) -> reqwest::Result<reqwest::Response> {
        let request = client.post(format!("{}/v1/decisions", self.base)).bearer_auth(key);
        let request = request.header("content-type", "application/json").header("idempotency-key", once);
        request.body(ticket.to_owned()).send().await
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A database, a folder with keys of its own, and the store on both.
pub(super) async fn apart() -> (Database, TempDir, Store) {
    let database = Database::create().await;
    let folder = tempfile::tempdir().unwrap();
    let direct = StoreConfig {
        database_url: database.config("postgres").database_url,
        data_dir: folder.path().to_owned(),
        ..StoreConfig::default()
    };
    let store = Store::open(&direct).await.unwrap();
    store.migrate().await.unwrap();
    (database, folder, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_after_death_between_commit_and_reply_gets_the_one_decision() {
    let rounds: usize = std::env::var("PRAETOR_KILL_ROUNDS").ok().map_or(2, |text| text.parse().unwrap());
    let (database, folder, store) = apart().await;
    let key = key_in(&store, Role::Caller, "default", None).await;
    let cut = Arc::new(Cut::default());
    let port = between(database.cluster.socket_dir(), Arc::clone(&cut)).await;
    let url = format!("postgres://postgres@127.0.0.1:{port}/{}?sslmode=disable", database.name);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build().unwrap();

    let mut admin = database.session("postgres", &database.name).await;
    let mut serving = Serving::start(&url, folder.path()).await;
    for round in 0..rounds {
        let mut ticket: serde_json::Value = serde_json::from_str(&example(1)).unwrap();
        ticket["ticket_id"] = format!("CUT{round}").into();
        let (ticket, once) = (ticket.to_string(), format!("once-{round}"));
        cut.armed.store(true, Ordering::SeqCst);
        let request = serving.decide(&client, &key, &once, &ticket);
        tokio::select! {
            answer = request => panic!("round {round}: answered all the same: {answer:?}"),
            () = cut.committed.notified() => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("round {round}: nothing was committed"),
        }
        serving.kill();
        let of = |sql: &'static str, value: String| sqlx::query_as::<_, (i64,)>(sql).bind(value);
        let decisions = "SELECT count(*) FROM praetor.decisions WHERE ticket_id = $1";
        let (there,) = of(decisions, format!("CUT{round}")).fetch_one(&mut admin).await.unwrap();
        assert_eq!(there, 1, "round {round}: the commit did not happen before the death");

        serving = Serving::start(&url, folder.path()).await;
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let again = serving.decide(&client, &key, &once, &ticket).await.unwrap();
            assert_eq!(
                (again.status().as_u16(), &again.headers()["idempotent-replayed"]),
                (201, &"true".parse().unwrap())
            );
            bodies.push(again.text().await.unwrap());
        }
        assert_eq!(bodies[0], bodies[1]);
        let id = serde_json::from_str::<serde_json::Value>(&bodies[0]).unwrap()["id"].as_str().unwrap().to_owned();
        let leaves = "SELECT count(*) FROM praetor.leaves WHERE kind = 'decision' AND record_id = $1";
        assert_eq!(of(leaves, id.clone()).fetch_one(&mut admin).await.unwrap(), (1,), "round {round}");
        assert_eq!(of(decisions, format!("CUT{round}")).fetch_one(&mut admin).await.unwrap(), (1,), "round {round}");
    }
    drop(serving);
    admin.close().await.unwrap();
    store.close().await.unwrap();
    database.drop().await;
}
