//! What `/metrics` says of the moment: connections, queue, ledger, reviews, memory. Read when somebody asks, at most once a second,
//! and never for long; what is counted over time is counted where it happens.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::store::Store;

/// The database is asked at most this often, whoever scrapes.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// And for at most this long.
const PATIENCE: Duration = Duration::from_secs(1);

/// The form of `/metrics`.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bounds in seconds of the buckets that latencies are counted in.
const SECONDS: [f64; 17] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds of the buckets that batch sizes are counted in.
const CASES: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Bounds in seconds of the buckets that people's work is counted in: half a minute to a day.
const WORK_SECONDS: [f64; 8] = [30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 7_200.0, 86_400.0];

/// When the database was asked last.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<Option<Instant>>);

impl Asked {
    fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.is_none_or(|at| now.duration_since(at) >= ASKED_EVERY);
        if due {
            *last = Some(now);
        }
        due
    }
}

/// Brings the gauges of this process and its database up to date. A database that does not answer leaves those that come
/// from it as they were.
pub(super) async fn refresh(store: &Store, asked: &Asked) {
    let (open, idle, waiting) = store.connections();
    for (kind, count) in [("open", open), ("idle", idle), ("waiting", waiting)] {
        metrics::gauge!("praetor_database_connections", "state" => kind).set(f64::from(count));
    }
    if let Some(bytes) = resident() {
        metrics::gauge!("praetor_process_resident_bytes").set(bytes);
    }
    if !asked.is_due() {
        return;
    }
    match tokio::time::timeout(PATIENCE, store.log().lag()).await {
        Ok(Ok(lag)) => {
            metrics::gauge!("praetor_ledger_pending").set(u32::try_from(lag.leaves).map_or(f64::MAX, f64::from));
            metrics::gauge!("praetor_ledger_lag_seconds").set(lag.oldest.as_secs_f64());
        }
        Ok(Err(error)) => tracing::debug!(%error, "the ledger's lag is not known"),
        Err(_) => tracing::debug!("the ledger's lag is not known in time"),
    }
    match tokio::time::timeout(PATIENCE, store.waiting()).await {
        Ok(Ok(waiting)) => {
            for kind in ["review", "audit", "appeal"] {
                let open = waiting.iter().find(|row| row.kind == kind).map_or(0, |row| row.open);
                metrics::gauge!("praetor_review_open", "kind" => kind).set(open as f64);
            }
            metrics::gauge!("praetor_review_overdue").set(waiting.iter().map(|row| row.overdue).sum::<i64>() as f64);
        }
        Ok(Err(error)) => tracing::debug!(%error, "the review queue is not counted"),
        Err(_) => tracing::debug!("the review queue is not counted in time"),
    }
}

/// Says how many cases are inside.
pub(super) fn inside(cases: usize) {
    metrics::gauge!("praetor_queue_depth").set(u32::try_from(cases).map_or(f64::MAX, f64::from));
}

/// Memory of this process that is in use, where Linux tells.
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    Some(f64::from(kilobytes.trim().parse::<u32>().ok()?) * 1_024.0)
}

/// The process's recorder of metrics; the first caller installs it.
pub(super) fn recorder() -> Result<PrometheusHandle, String> {
    static HANDLE: std::sync::OnceLock<Result<PrometheusHandle, String>> = std::sync::OnceLock::new();
    HANDLE.get_or_init(|| install().map_err(|error| error.to_string())).clone()
}

fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("praetor_batch_cases".to_owned()), &CASES)?
        .set_buckets_for_metric(Matcher::Full("praetor_review_seconds".to_owned()), &WORK_SECONDS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

/// What each of them means, as Prometheus shows it.
fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    counter!("praetor_http_requests_total", "Requests by route, method and status");
    counter!("praetor_shadow_cases_total", "Decisions that a draft in shadow was tried on");
    counter!("praetor_shadow_dropped_total", "Decisions that a draft in shadow was not tried on, for too many waited");
    histogram!("praetor_http_request_seconds", "Time from a request's head to the response");
    histogram!(
        "praetor_node_seconds",
        "Time of a batch in a node, with its wave's wait for the models if it asked them"
    );
    histogram!("praetor_judge_seconds", "Time that a wave waited for the models");
    histogram!("praetor_batch_cases", "Cases decided together");
    counter!("praetor_decisions_total", "Decisions by outcome and scene; refused tickets have no scene");
    counter!("praetor_shed_total", "Cases refused because there was no room or it would have taken too long");
    counter!("praetor_webhook_deliveries_total", "Attempts to deliver an event to a webhook, by result");
    gauge!("praetor_queue_depth", "Cases accepted and not yet answered");
    gauge!("praetor_database_connections", "Connections of the pool that are open or idle; tasks that wait for one");
    gauge!("praetor_ledger_pending", "Records that have no place in the ledger yet");
    gauge!("praetor_ledger_lag_seconds", "Age of the oldest of those");
    gauge!("praetor_review_open", "Tasks that wait for people, over all tenants, by kind");
    gauge!("praetor_review_overdue", "Of those, the ones that are due");
    histogram!("praetor_review_seconds", "Time from claim to resolution");
    counter!("praetor_review_overrides_total", "Overridden decisions by the first finding corrected");
    counter!("praetor_batch_lines_total", "Lines of backlogs by what became of them");
    histogram!("praetor_batch_chunk_seconds", "Time of a backlog's chunk until it was recorded");
    gauge!("praetor_batch_chunks_waiting", "Chunks of backlogs that are not done yet");
    gauge!("praetor_process_resident_bytes", "Memory in use");
    // There from the start: what never happened is none, not unknown.
    metrics::counter!("praetor_shed_total").increment(0);
    for result in ["delivered", "failed"] {
        metrics::counter!("praetor_webhook_deliveries_total", "result" => result).increment(0);
    }
    for outcome in ["auto", "review", "rejected"] {
        metrics::counter!("praetor_batch_lines_total", "outcome" => outcome).increment(0);
    }
    metrics::gauge!("praetor_batch_chunks_waiting").increment(0.0);
}
