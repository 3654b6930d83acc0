//! The real program, `praetor serve`, as a process of its own with a database of its own, and what it says.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use praetor::api::Role;
use reqwest::Client;

use super::support::key_in;
use crate::pipeline::repo;
use crate::store::support::{Database, url};

pub(super) struct Program {
    pub(super) client: Client,
    pub(super) base: String,
    pub(super) key: String,
    database: Database,
    child: Child,
    said: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Program {
    /// Starts it with these variables and an operator's key, and waits until it listens.
    pub(super) async fn start(variables: &[(&str, &str)]) -> Self {
        let (database, store) = Database::migrated().await;
        let key = key_in(&store, Role::Operator, "default", None).await;
        store.close().await.unwrap();
        let (folder, config) = (tempfile::tempdir().unwrap(), database.config("postgres"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_praetor"))
            .args(["--lang", "en", "serve", "--listen", "127.0.0.1:0"])
            .current_dir(repo("."))
            .env("DATABASE_URL", url(database.cluster.socket_dir(), "postgres", &database.name))
            .env("PRAETOR_DATA_DIR", folder.path())
            .env("PRAETOR_LOG_KEY", config.log_key())
            .env("PRAETOR_MASTER_KEY", config.master_key.unwrap())
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (found, address) = mpsc::channel();
        let said = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&said);
        let reading = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let at = line.find("127.0.0.1:").filter(|_| line.contains("serving"));
                if let Some(at) = at {
                    let address: String = line[at..].chars().take_while(|c| !"\" ".contains(*c)).collect();
                    let _ = found.send(address);
                }
                shared.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let waited = tokio::task::spawn_blocking(move || address.recv_timeout(Duration::from_secs(120))).await.unwrap();
        let base = waited.unwrap_or_else(|_| panic!("it does not listen: {}", said.lock().unwrap()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { client, base: format!("http://{base}"), key, database, child, said, reading, _folder: folder }
    }

    /// Has a ticket decided.
    pub(super) async fn decide(&self, ticket: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.client.post(format!("{}/v1/decisions", self.base)).bearer_auth(&self.key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.header("content-type", "application/json").body(ticket.to_owned()).send().await.unwrap()
    }

    /// Asks it to end, waits until it has, and gives what it wrote to standard error.
    pub(super) async fn stop(mut self) -> String {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        let status = tokio::task::spawn_blocking(move || self.child.wait().unwrap()).await.unwrap();
        self.reading.join().unwrap();
        let said = self.said.lock().unwrap().clone();
        assert!(status.success(), "{said}");
        self.database.drop().await;
        said
    }
}
