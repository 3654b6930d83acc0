//! No tenant ever sees another's rows, however transactions of many tenants share the pool's connections: some end, some
//! are dropped half-way, some are refused by the database, and the next one on that connection is another tenant's.

use std::sync::Arc;
use std::time::Duration;

use praetor::store::{DecisionFilter, NewRecord, RecordKind, Store, TenantId};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::support::{Database, close, decision};

const TENANTS: u32 = 4;
const EACH: u32 = 5;
const INTERLEAVINGS: u32 = 10_000;

fn tenant(n: u32) -> TenantId {
    format!("tenant-{n}").parse().unwrap()
}

/// The decisions of a tenant are known by their numbers.
fn number(of: u32, n: u32) -> u32 {
    of * 1_000_000 + n
}

/// One transaction of a tenant, ended in one of the ways a transaction ends. Returns how many rows it was shown.
async fn one(store: &Store, of: u32, how: u32, wait: Duration, n: u32) -> usize {
    let records = store.tenant(&tenant(of));
    let filter = DecisionFilter::default();
    match how {
        // Read to the end.
        0 | 1 => {
            let rows = records.decisions(&filter, 100).await.unwrap();
            for row in &rows {
                let shown: u32 = row.id["dec_".len()..].parse().unwrap();
                assert_eq!(shown / 1_000_000, of, "tenant {of} is shown {}", row.id);
            }
            assert!(rows.len() >= EACH as usize);
            rows.len()
        }
        // Given up half-way: the connection goes back with the transaction open, or is closed.
        2 => {
            let _ = tokio::time::timeout(wait, records.decisions(&filter, 100)).await;
            0
        }
        // A write that is given up half-way: all of it is there, or nothing.
        3 => {
            let record = NewRecord { id: format!("acc_{of}_{n}"), subject: None, body: b"{}".to_vec() };
            let _ = tokio::time::timeout(wait, records.append_records(RecordKind::Access, &[record])).await;
            0
        }
        // Another's row by its id: not there.
        _ => {
            let id = decision(number(of % TENANTS + 1, n % EACH)).id;
            assert!(records.decision(&id).await.unwrap().is_none(), "tenant {of} reads {id}");
            assert!(records.trace(&id).await.unwrap().is_none(), "tenant {of} reads the trace of {id}");
            0
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_interleavings_over_pooled_connections_leak_nothing() {
    let (database, store) = Database::migrated().await;
    let store = Arc::new(store);
    for of in 1..=TENANTS {
        let records = store.tenant(&tenant(of));
        records.found().await.unwrap();
        let decisions: Vec<_> = (0..EACH).map(|n| decision(number(of, n))).collect();
        records.record(&decisions).await.unwrap();
    }
    let seed: u64 = rand::random();
    let mut tasks = Vec::new();
    for worker in 0..20 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let mut random = SmallRng::seed_from_u64(seed + worker);
            let mut shown = 0;
            for n in 0..INTERLEAVINGS / 20 {
                let (of, how) = (random.random_range(1..=TENANTS), random.random_range(0..5));
                let wait = Duration::from_micros(random.random_range(0..3_000));
                shown += one(&store, of, how, wait, u32::try_from(worker).unwrap() * 1_000 + n).await;
            }
            shown
        }));
    }
    let mut shown = 0;
    for task in tasks {
        shown += task.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    // Two in five read to the end, and each read shows at least what the tenant has.
    assert!(shown > (INTERLEAVINGS / 4 * EACH) as usize, "seed {seed}: only {shown} rows were looked at");
    close(Arc::into_inner(store).unwrap(), database).await;
}
