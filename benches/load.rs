//! The service under load on this machine's loopback: `praetor serve` as it is, with a private database, and clients in
//! this process. Latency (p50, p99, milliseconds) and throughput at 1, 16 and 256 connections; then four times as many
//! requests as it can take; then a backlog, which nobody waits for.
//!
//! Once with the shipped models, once with the tests' tiny ones, which cost next to nothing: models excluded. Every
//! request is another ticket, is decided and is recorded. Figures are printed, nothing is asserted.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;

/// How long each measurement runs, after a tenth of it that is not counted.
const SECONDS: u64 = 15;

/// Tickets of the long backlog.
const BACKLOG: usize = 13_200;

const CONNECTIONS: [usize; 3] = [1, 16, 256];

const SERVICE: &str = "[serve]\nrate_per_key = 1000000\nrate_per_tenant = 1000000\n";

fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A running service with a folder of its own.
struct Serving {
    process: Child,
    url: String,
    key: String,
    operator: String,
    _folder: tempfile::TempDir,
}

impl Serving {
    fn start(models: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("praetor-load-").tempdir_in("/tmp").unwrap();
        let config = folder.path().join("praetor.toml");
        std::fs::write(&config, SERVICE).unwrap();
        let praetor = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_praetor"));
            command.current_dir(repo("")).env_remove("DATABASE_URL").env("PRAETOR_CONFIG", &config);
            command.args(["--lang", "en", "--models", models, "--data-dir"]).arg(folder.path().join("data"));
            command
        };
        let key = |role: &str| {
            let made = praetor().args(["key", "create", "--role", role, "--raw"]).output().unwrap();
            String::from_utf8(made.stdout).unwrap().trim().to_owned()
        };
        let (key, operator) = (key("caller"), key("operator"));
        let mut process = praetor()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("PRAETOR_LOG", "off")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.split_once("serving at ").map(|(_, url)| url.to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url, key, operator, _folder: folder }
    }

    /// Resident memory of the process, in MiB.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default().to_owned();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// Tickets to send, each time under another name.
struct Tickets {
    texts: Vec<String>,
    next: AtomicU64,
}

impl Tickets {
    fn read() -> Self {
        let text = std::fs::read_to_string(repo("models/training/data/public/tickets.jsonl")).unwrap();
        Self { texts: text.lines().map(str::to_owned).collect(), next: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let mut ticket: serde_json::Value = serde_json::from_str(&self.texts[n as usize % self.texts.len()]).unwrap();
        ticket["ticket_id"] = format!("LOAD{n}").into();
        ticket.to_string()
    }
}

/// What came back: latencies in microseconds by status.
type Seen = BTreeMap<u16, Vec<u64>>;

/// Sends one ticket; 0 stands for no answer.
async fn send(client: &Client, serving: (&str, &str), ticket: String) -> (u16, u64) {
    let (url, key) = serving;
    let request = client.post(format!("{url}/v1/decisions")).bearer_auth(key);
    let began = Instant::now();
    let answer = request.header("content-type", "application/json").body(ticket).send().await;
    let status = match answer {
        Ok(answer) => {
            let status = answer.status().as_u16();
            if answer.bytes().await.is_ok() { status } else { 0 }
        }
        Err(_) => 0,
    };
    (status, began.elapsed().as_micros() as u64)
}

fn merge(all: &mut Seen, some: Seen) {
    for (status, times) in some {
        all.entry(status).or_default().extend(times);
    }
}

/// Each connection sends its next ticket when the last is answered.
async fn closed(serving: &Serving, tickets: &Arc<Tickets>, connections: usize) -> (Seen, f64) {
    let (began, length) = (Instant::now(), Duration::from_secs(SECONDS));
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (tickets, url, key) = (Arc::clone(tickets), serving.url.clone(), serving.key.clone());
            tokio::spawn(async move {
                let client = Client::builder().no_proxy().pool_max_idle_per_host(1).build().unwrap();
                let mut seen = Seen::new();
                while began.elapsed() < length + length / 10 {
                    let (status, micros) = send(&client, (&url, &key), tickets.next()).await;
                    if began.elapsed() > length / 10 {
                        seen.entry(status).or_default().push(micros);
                    }
                }
                seen
            })
        })
        .collect();
    let mut all = Seen::new();
    for task in tasks {
        merge(&mut all, task.await.unwrap());
    }
    let answered = all.get(&201).map_or(0, Vec::len);
    (all, answered as f64 / length.as_secs_f64())
}

/// Requests at a fixed rate, whether or not the ones before are answered.
async fn open(serving: &Serving, tickets: &Arc<Tickets>, rate: f64) -> (Seen, u64) {
    let client = Client::builder().no_proxy().build().unwrap();
    let length = Duration::from_secs(SECONDS);
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let (began, mut tasks, mut most) = (Instant::now(), Vec::new(), 0);
    while began.elapsed() < length {
        tick.tick().await;
        if tasks.len() % 100 == 0 {
            most = most.max(serving.resident());
        }
        let (client, url, key, ticket) = (client.clone(), serving.url.clone(), serving.key.clone(), tickets.next());
        tasks.push(tokio::spawn(async move { send(&client, (&url, &key), ticket).await }));
    }
    let mut all = Seen::new();
    for task in tasks {
        let (status, micros) = task.await.unwrap();
        all.entry(status).or_default().push(micros);
    }
    (all, most)
}

/// Hands so many tickets in as one upload and waits until all are recorded. Gives the time of the upload, the time until the
/// end, and the most memory seen.
async fn backlog(serving: &Serving, tickets: &Tickets, lines: usize) -> (Duration, Duration, u64) {
    let client = Client::builder().no_proxy().build().unwrap();
    let upload: String = (0..lines).map(|_| tickets.next() + "\n").collect();
    let (mut most, began) = (serving.resident(), Instant::now());
    let request = client.post(format!("{}/v1/batches", serving.url)).bearer_auth(&serving.operator);
    let answer = request.header("content-type", "application/x-ndjson").body(upload).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let uploaded = began.elapsed();
    let batch: serde_json::Value = serde_json::from_str(&text).unwrap();
    let url = format!("{}/v1/batches/{}", serving.url, batch["id"].as_str().unwrap_or_else(|| panic!("{text}")));
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        most = most.max(serving.resident());
        let text = client.get(&url).bearer_auth(&serving.operator).send().await.unwrap().text().await.unwrap();
        let batch: serde_json::Value = serde_json::from_str(&text).unwrap();
        match batch["state"].as_str() {
            Some("received" | "running") => {}
            Some("done") => return (uploaded, began.elapsed(), most),
            _ => panic!("{text}"),
        }
    }
}

fn quantile(times: &mut [u64], q: f64) -> f64 {
    times.sort_unstable();
    let place = ((times.len() as f64 * q).ceil() as usize).clamp(1, times.len()) - 1;
    times[place] as f64 / 1000.0
}

fn show(what: &str, mut seen: Seen, per_second: f64) {
    for (status, times) in &mut seen {
        let (p50, p99) = (quantile(times, 0.5), quantile(times, 0.99));
        println!(
            "{what:<34} {status:>3}: {:>7} answers, p50 {p50:>8.2} ms, p99 {p99:>8.2} ms, p99/p50 {:>5.2}",
            times.len(),
            p99 / p50
        );
    }
    println!("{what:<34} {per_second:.0} decisions a second");
}

async fn measure(name: &str, models: &str, tickets: &Arc<Tickets>) {
    let serving = Serving::start(models);
    let idle = serving.resident();
    let mut most = 0.0_f64;
    for connections in CONNECTIONS {
        let (seen, per_second) = closed(&serving, tickets, connections).await;
        show(&format!("{name}, {connections} connections"), seen, per_second);
        most = most.max(per_second);
    }
    let loaded = serving.resident();
    let (seen, peak) = open(&serving, tickets, 4.0 * most).await;
    let accepted = seen.get(&201).map_or(0, Vec::len) as f64 / SECONDS as f64;
    show(&format!("{name}, {:.0} requests a second", 4.0 * most), seen, accepted);
    println!("{name}, resident: {idle} MiB idle, {loaded} MiB loaded, {peak} MiB at most in overload");
}

async fn measure_backlog(tickets: &Tickets) {
    let serving = Serving::start("models");
    for lines in [1_000, BACKLOG] {
        let (uploaded, ended, most) = backlog(&serving, tickets, lines).await;
        let per_second = lines as f64 / ended.as_secs_f64();
        println!(
            "a backlog of {lines}: uploaded in {:.1} s, done in {:.1} s, {per_second:.0} decisions a second, {most} MiB at most",
            uploaded.as_secs_f64(),
            ended.as_secs_f64()
        );
    }
}

fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return; // `cargo test --benches` only sees that it builds
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let tickets = Arc::new(Tickets::read());
    runtime.block_on(async {
        measure("models excluded", "tests/fixtures/judge/good", &tickets).await;
        measure("models included", "models", &tickets).await;
        measure_backlog(&tickets).await;
    });
}
