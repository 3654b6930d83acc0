//! What the ledger costs. First its writes (pack, seal, salt, record with key and leaf) against plain UNNEST inserts into
//! tables without partitions, tenants, triggers or leaves, in interleaved turns: of the same content as it was given, and
//! of the same sealed bytes as the ledger wrote. Then the sequencing of a leaf in a log of up to `PRAETOR_BENCH_LEAVES`
//! leaves (1,000,000), and a proof's reads. In a database of its own, which is then removed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use praetor::ledger::{TileRef, inclusion, inclusion_tiles};
use praetor::store::embedded::Cluster;
use praetor::store::{NewDecision, Sequencer, Store, StoreConfig, TenantId};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

/// Decisions of one transaction.
const BATCH: usize = 256;
const PAIRS: usize = 60;
const WARM_UP: usize = 5;

/// Plain tables: one a kind of row, with the key that finds it.
const PLAIN: &str = "
    CREATE SCHEMA plain;
    CREATE TABLE plain.cases (case_hash bytea PRIMARY KEY, ticket_id text, sealed bytea, created_at timestamptz DEFAULT now());
    CREATE TABLE plain.decisions (id text PRIMARY KEY, ticket_id text, case_hash bytea, outcome text, sop_id text, sop_version int,
        remedy_kind text, refund_fen bigint, compensation_fen bigint, sealed bytea, created_at timestamptz DEFAULT now());
    CREATE TABLE plain.traces (decision_id text PRIMARY KEY, sealed bytea, created_at timestamptz DEFAULT now())";

/// Bytes as large as those of a decision of the public cases, and as hard to pack.
fn bytes(seed: &str, len: usize) -> Vec<u8> {
    let words = (0u32..).flat_map(|n| {
        hex::encode(&Sha256::digest(format!("{seed}{n}"))[..6]).into_bytes().into_iter().chain(*b"\",\"field\":\"")
    });
    words.take(len).collect()
}

fn decision(n: usize) -> NewDecision {
    let case = bytes(&format!("case {n}"), 6_000);
    NewDecision {
        id: format!("dec_{:032x}", n as u128 * 0x9e37_79b9_7f4a_7c15_f39c),
        subject: format!("buyer-{n}"),
        ticket_id: format!("T{n}"),
        case_hash: Sha256::digest(&case).into(),
        case,
        outcome: "auto".into(),
        sop_id: Some("fresh_spoiled.produce".into()),
        sop_version: Some(1),
        remedy_kind: Some("partial_refund".into()),
        refund_fen: Some(6145),
        compensation_fen: Some(0),
        body: bytes(&format!("body {n}"), 9_000),
        trace: bytes(&format!("trace {n}"), 14_000),
        task: None,
    }
}

/// What the store wrote for a batch, as it lies there.
struct Written {
    cases: (Vec<Vec<u8>>, Vec<String>, Vec<Vec<u8>>),
    decisions: Vec<Vec<u8>>,
    traces: Vec<Vec<u8>>,
}

async fn written(admin: &mut PgConnection, batch: &[NewDecision]) -> Written {
    let ids: Vec<&str> = batch.iter().map(|d| d.id.as_str()).collect();
    let decisions: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT d.sealed, t.sealed FROM praetor.decisions d JOIN praetor.traces t USING (seq)
         JOIN unnest($1::text[]) WITH ORDINALITY AS n(id, at) USING (id) ORDER BY n.at",
    )
    .bind(&ids)
    .fetch_all(&mut *admin)
    .await
    .unwrap();
    let cases: Vec<(Vec<u8>, String, Vec<u8>)> =
        sqlx::query_as("SELECT case_hash, ticket_id, sealed FROM praetor.cases WHERE case_hash = ANY($1)")
            .bind(batch.iter().map(|d| d.case_hash.to_vec()).collect::<Vec<_>>())
            .fetch_all(&mut *admin)
            .await
            .unwrap();
    let (mut hashes, mut tickets, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
    for (hash, ticket, bytes) in cases {
        hashes.push(hash);
        tickets.push(ticket);
        sealed.push(bytes);
    }
    let (decisions, traces) = decisions.into_iter().unzip();
    Written { cases: (hashes, tickets, sealed), decisions, traces }
}

/// The same bytes in the plain way: three inserts and a commit.
async fn plain(connection: &mut PgConnection, batch: &[NewDecision], bytes: &Written) -> f64 {
    connection.execute("TRUNCATE plain.cases, plain.decisions, plain.traces").await.unwrap();
    let ids: Vec<&str> = batch.iter().map(|d| d.id.as_str()).collect();
    let started = Instant::now();
    let mut tx = connection.begin().await.unwrap();
    sqlx::query("INSERT INTO plain.cases (case_hash, ticket_id, sealed) SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[])")
        .bind(&bytes.cases.0)
        .bind(&bytes.cases.1)
        .bind(&bytes.cases.2)
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO plain.decisions (id, ticket_id, case_hash, outcome, sop_id, sop_version, remedy_kind, refund_fen, compensation_fen, sealed)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::int[], $7::text[], $8::bigint[], $9::bigint[], $10::bytea[])",
    )
    .bind(&ids)
    .bind(batch.iter().map(|d| d.ticket_id.as_str()).collect::<Vec<_>>())
    .bind(batch.iter().map(|d| d.case_hash.as_slice()).collect::<Vec<_>>())
    .bind(batch.iter().map(|d| d.outcome.as_str()).collect::<Vec<_>>())
    .bind(batch.iter().map(|d| d.sop_id.as_deref()).collect::<Vec<_>>())
    .bind(batch.iter().map(|d| d.sop_version).collect::<Vec<_>>())
    .bind(batch.iter().map(|d| d.remedy_kind.as_deref()).collect::<Vec<_>>())
    .bind(batch.iter().map(|d| d.refund_fen).collect::<Vec<_>>())
    .bind(batch.iter().map(|d| d.compensation_fen).collect::<Vec<_>>())
    .bind(&bytes.decisions)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query("INSERT INTO plain.traces (decision_id, sealed) SELECT * FROM unnest($1::text[], $2::bytea[])")
        .bind(&ids)
        .bind(&bytes.traces)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    started.elapsed().as_secs_f64() * 1e6 / BATCH as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn content(batch: &[NewDecision]) -> Written {
    Written {
        cases: (
            batch.iter().map(|d| d.case_hash.to_vec()).collect(),
            batch.iter().map(|d| d.ticket_id.clone()).collect(),
            batch.iter().map(|d| d.case.clone()).collect(),
        ),
        decisions: batch.iter().map(|d| d.body.clone()).collect(),
        traces: batch.iter().map(|d| d.trace.clone()).collect(),
    }
}

impl Written {
    fn size(&self) -> usize {
        self.decisions.iter().chain(&self.traces).chain(&self.cases.2).map(Vec::len).sum::<usize>() / BATCH
    }
}

/// Writes: the plain way's time over the ledger's, turn by turn.
async fn writes(store: &Store, admin: &mut PgConnection) {
    admin.execute(PLAIN).await.unwrap();
    let records = store.tenant(&TenantId::default());
    let (mut ours, mut given, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut against_given, mut against_sealed, mut sizes) = (Vec::new(), Vec::new(), (0, 0));
    for pair in 0..PAIRS + WARM_UP {
        let batch: Vec<_> = (pair * BATCH..(pair + 1) * BATCH).map(decision).collect();
        let content = content(&batch);
        // The plain insert of the content comes before the ledger's write and after it, in turn.
        let mut plainly = 0.0;
        if pair % 2 == 0 {
            plainly = plain(admin, &batch, &content).await;
        }
        let started = Instant::now();
        records.record(&batch).await.unwrap();
        let ledger = started.elapsed().as_secs_f64() * 1e6 / BATCH as f64;
        if pair % 2 == 1 {
            plainly = plain(admin, &batch, &content).await;
        }
        let written = written(admin, &batch).await;
        let again = plain(admin, &batch, &written).await;
        if pair >= WARM_UP {
            against_given.push(plainly / ledger);
            against_sealed.push(again / ledger);
            ours.push(ledger);
            given.push(plainly);
            sealed.push(again);
            sizes = (content.size(), written.size());
        }
    }
    println!(
        "writes: {:.2} of plain inserts of the same content, {:.2} of plain inserts of the sealed bytes \
         (medians of {PAIRS} pairs of {BATCH} decisions; {} bytes a decision, sealed {})",
        median(against_given),
        median(against_sealed),
        sizes.0,
        sizes.1
    );
    println!(
        "writes: {:.0} µs a decision; plain {:.0} µs, plain and sealed {:.0} µs",
        median(ours),
        median(given),
        median(sealed)
    );
}

/// Sequencing: cost of a leaf in each tenth of the log as it grows.
async fn sequencing(store: &Store, admin: &mut PgConnection, leaves: u64) {
    let mut sequencer = Sequencer::new(store);
    sequencer.drain().await.unwrap();
    let from = store.log().latest().await.unwrap().map_or(0, |last| last.size);
    admin.execute("SET praetor.tenant = 'default'").await.unwrap();
    let step = leaves / 10;
    let mut costs = Vec::new();
    for tenth in 0..10 {
        let (first, until) = (from + tenth * step, from + (tenth + 1) * step);
        sqlx::query(
            "INSERT INTO praetor.leaves (tenant, kind, record_id, key_id, commitment)
             SELECT 'default', 'review', 'r' || n, 1, sha256(n::text::bytea) FROM generate_series($1::bigint, $2 - 1) AS n",
        )
        .bind(first as i64)
        .bind(until as i64)
        .execute(&mut *admin)
        .await
        .unwrap();
        let mut batches = Vec::new();
        loop {
            let started = Instant::now();
            let count = sequencer.step().await.unwrap();
            if count == 0 {
                break;
            }
            batches.push(started.elapsed().as_secs_f64() * 1e6 / count as f64);
        }
        let cost = median(batches);
        println!("sequencing: {until:>9} leaves: {cost:.1} µs a leaf (median batch)");
        costs.push(cost);
    }
    let (least, most) = costs.iter().fold((f64::MAX, 0.0f64), |(a, b), &c| (a.min(c), b.max(c)));
    println!("sequencing: last tenth / first {:.2}, dearest / cheapest {:.2}", costs[9] / costs[0], most / least);
}

async fn proofs(store: &Store) {
    let last = store.log().latest().await.unwrap().unwrap();
    let mut times = Vec::new();
    let mut reads = 0;
    for n in 0..500 {
        let index = n * (last.size / 500);
        let started = Instant::now();
        let wanted: Vec<TileRef> = inclusion_tiles(index, last.size).unwrap();
        let tiles = store.log().tiles(&wanted).await.unwrap();
        inclusion(index, last.size, &tiles).unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e6);
        reads = reads.max(wanted.len());
    }
    println!("proofs: {:.0} µs (median of 500) in {} leaves, at most {reads} tiles read", median(times), last.size);
}

#[tokio::main]
async fn main() {
    let leaves = std::env::var("PRAETOR_BENCH_LEAVES").ok().map_or(1_000_000, |text| text.parse().unwrap());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    let cluster = {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || Cluster::attach(&folder)).await.unwrap().unwrap()
    };
    let url = |database: &str| format!("postgres:///{database}?host={}&user=postgres", cluster.socket_dir().display());
    let connect = async |database: &str| {
        let options: sqlx::postgres::PgConnectOptions = url(database).parse().unwrap();
        options.application_name("praetor").connect().await.unwrap()
    };
    let mut admin = connect("postgres").await;
    for statement in ["DROP DATABASE IF EXISTS bench WITH (FORCE)", "CREATE DATABASE bench"] {
        admin.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    }
    let config = StoreConfig { database_url: Some(url("bench")), data_dir: folder, ..StoreConfig::default() };
    let store = Store::open(&config).await.unwrap();
    store.migrate().await.unwrap();
    let mut inside = connect("bench").await;
    writes(&store, &mut inside).await;
    sequencing(&store, &mut inside, leaves).await;
    proofs(&store).await;
    inside.close().await.unwrap();
    store.close().await.unwrap();
    admin.execute("DROP DATABASE bench WITH (FORCE)").await.unwrap();
    admin.close().await.unwrap();
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}
