//! Recorded decisions decided again: with what they pin, kept in a real PostgreSQL, and under other models, rules and
//! facts. Nothing here rests on what the shipped models happen to answer.

mod changes;
mod models;
mod packs;
mod public;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use praetor::case::Case;
use praetor::judge::{Judge, JudgeConfig};
use praetor::pipeline::Pipeline;
use praetor::replay::{Changes, Level, Record, Replayed, Rerun, Sides, keep};
use praetor::store::{Body, NewDecision, Store, TenantStore};
use serde_json::Value;

use crate::pipeline::{BOOK, PUBLIC, repo};
use crate::store::support::{Database, own};

static JUDGE: LazyLock<Arc<Judge>> =
    LazyLock::new(|| Arc::new(Judge::open(&repo("models"), &JudgeConfig::default()).unwrap()));

/// The shipped rules and models.
fn shipped() -> Pipeline {
    let judge = JUDGE.clone();
    let (pins, thresholds) = (judge.pins().clone(), judge.manifest().thresholds.clone());
    Pipeline::with(BOOK.clone(), Box::new(judge), &pins, thresholds).unwrap()
}

/// Every n-th public case.
fn some(step: usize) -> Vec<Case> {
    PUBLIC.iter().step_by(step).map(|(case, _)| case.clone()).collect()
}

/// Decides cases as shipped.
fn decided(cases: &[Case]) -> Vec<Record> {
    let made = shipped().decide(cases, None).unwrap();
    let record = |(case, d): (&Case, praetor::pipeline::Decided)| Record {
        id: d.decision.id.clone(),
        ticket_id: d.decision.ticket_id.clone(),
        decision: Some(d.decision.canonical().unwrap()),
        trace: Some(d.trace.canonical().unwrap()),
        case: Some(case.canonical().to_vec()),
    };
    cases.iter().zip(made).map(record).collect()
}

/// Puts decisions into a database as the program does.
async fn stored(records: &TenantStore, list: &[Record]) {
    let new = |record: &Record| {
        let decision = value(record);
        NewDecision {
            id: record.id.clone(),
            subject: format!("buyer of {}", record.ticket_id),
            ticket_id: record.ticket_id.clone(),
            case_hash: hex::decode(decision["case_hash"].as_str().unwrap()).unwrap().try_into().unwrap(),
            case: record.case.clone().unwrap(),
            outcome: decision["outcome"].as_str().unwrap().to_owned(),
            sop_id: None,
            sop_version: None,
            remedy_kind: None,
            refund_fen: None,
            compensation_fen: None,
            body: record.decision.clone().unwrap(),
            trace: record.trace.clone().unwrap(),
            task: None,
        }
    };
    for chunk in list.chunks(200) {
        records.record(&chunk.iter().map(new).collect::<Vec<_>>()).await.unwrap();
    }
}

/// Reads decisions back, so many at a time, and replays them.
async fn replayed(store: &Store, records: &TenantStore, level: Level, changes: Changes) -> Vec<Replayed> {
    let mut rerun = Rerun::new(store, JudgeConfig::default(), artifacts(), level, changes);
    let (mut out, mut after) = (Vec::new(), 0);
    let text = |body: Body| body.kept().unwrap().to_vec();
    loop {
        let page = records.list_decisions(after, 50).await.unwrap();
        let Some(last) = page.last() else { return out };
        after = last.seq;
        let mut batch = Vec::new();
        for stored in page {
            batch.push(Record {
                trace: records.trace(&stored.id).await.unwrap().map(text),
                case: records.case(&stored.case_hash).await.unwrap().map(text),
                decision: Some(text(stored.body)),
                id: stored.id,
                ticket_id: stored.ticket_id,
            });
        }
        out.extend(rerun.batch(&batch).await.unwrap());
    }
}

/// Where the models of replays are laid out: found there again by the next test, and checked.
fn artifacts() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("artifacts")
}

fn value(record: &Record) -> Value {
    serde_json::from_slice(record.decision.as_ref().unwrap()).unwrap()
}

fn sides(record: &Record) -> Sides {
    Sides { decision: value(record), trace: serde_json::from_slice(record.trace.as_ref().unwrap()).unwrap() }
}

/// A database in which what the shipped pipeline pins is kept.
async fn prepared() -> (Database, Store, TenantStore) {
    let (database, store) = Database::migrated().await;
    keep(&store, &shipped(), &repo("models")).await.unwrap();
    let records = own(&store);
    (database, store, records)
}
