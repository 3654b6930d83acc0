//! Batches in the store: a chunk counts once however often it is done, an end is an end, and inputs go with it.

use std::time::{Duration, Instant};

use praetor::store::{BatchCursor, DoneChunk, Ended, NewBatch, NewRejection, Store, StoreError};

use super::support::{Database, close, decision, own};

fn id(n: u8) -> String {
    format!("bat_{:032x}", n)
}

async fn batch(store: &Store, n: u8, chunks: i32) -> String {
    let id = id(n);
    for number in 0..chunks {
        let text = format!("line {number}\n");
        own(store).put_batch_input(&id, number, i64::from(number) + 1, text.as_bytes()).await.unwrap();
    }
    assert_eq!(own(store).receive_batch(&new(&id, chunks)).await.unwrap(), None);
    id
}

fn new(id: &str, chunks: i32) -> NewBatch {
    NewBatch {
        id: id.to_owned(),
        name: None,
        as_of: None,
        lines: i64::from(chunks),
        chunks,
        key_sha256: None,
        request_sha256: [1; 32],
        created_by: "000000000000".into(),
        attempts: 3,
    }
}

fn done(line: i64, n: u32) -> DoneChunk {
    DoneChunk { decisions: vec![(line, decision(n))], rejections: Vec::new() }
}

#[tokio::test]
async fn a_chunk_that_is_done_twice_counts_once() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let id = batch(&store, 1, 2).await;
    let chunk = records.begin_chunk(&id, 0).await.unwrap().unwrap();
    assert_eq!((chunk.first_line, chunk.text.as_slice()), (1, b"line 0\n".as_slice()));
    assert_eq!(records.batch(&id).await.unwrap().unwrap().state, "running");
    let runs = (0..8).map(|_| {
        let (records, id) = (records.clone(), id.clone());
        tokio::spawn(async move { records.finish_chunk(&id, 0, &done(1, 1)).await.unwrap() })
    });
    let mut counted = 0;
    for run in runs.collect::<Vec<_>>() {
        counted += usize::from(run.await.unwrap());
    }
    assert_eq!(counted, 1);
    assert_eq!(records.begin_chunk(&id, 0).await.unwrap(), None, "its input is gone");
    // Another chunk with the same decision: the line has it, the ledger has it once.
    assert!(records.finish_chunk(&id, 1, &done(2, 1)).await.unwrap());
    let rows = records.rows().await.unwrap();
    assert_eq!((rows.decisions, rows.leaves), (1, 1));
    let ended = records.batch(&id).await.unwrap().unwrap();
    assert_eq!((ended.state.as_str(), ended.auto, ended.chunks_done), ("done", 2, 2));
    let second = records.batch_lines(&id, 1).await.unwrap().unwrap();
    assert!(second.in_order);
    assert_eq!(second.lines[0].decision_id.as_deref(), Some(decision(1).id.as_str()));
    assert_eq!(records.batch_lines(&id, 2).await.unwrap(), None);
    assert_eq!(records.end_batch(&id, "cancelled", None).await.unwrap(), Ended::Otherwise);
    close(store, database).await;
}

#[tokio::test]
async fn nothing_is_recorded_after_the_end() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let id = batch(&store, 1, 3).await;
    assert!(records.finish_chunk(&id, 1, &done(2, 2)).await.unwrap());
    assert!(!records.batch_lines(&id, 0).await.unwrap().unwrap().in_order, "the chunk before it is not done");
    assert_eq!(records.end_batch(&id, "cancelled", None).await.unwrap(), Ended::Now);
    assert_eq!(records.end_batch(&id, "cancelled", None).await.unwrap(), Ended::Already);
    assert_eq!(records.end_batch("bat_none", "cancelled", None).await.unwrap(), Ended::Unknown);
    let mut late = done(1, 1);
    let bad =
        NewRejection { source: format!("batch:{id}"), line: 3, errors: "[]".into(), subject: None, input: vec![1] };
    late.rejections.push(bad);
    assert!(!records.finish_chunk(&id, 0, &late).await.unwrap());
    assert_eq!(records.begin_chunk(&id, 0).await.unwrap(), None);
    let rows = records.rows().await.unwrap();
    assert_eq!((rows.decisions, rows.rejections), (1, 0));
    let other = batch(&store, 2, 1).await;
    assert_eq!(records.end_batch(&other, "failed", None).await.unwrap(), Ended::Now);
    // Seen once every older transaction of the server is over.
    let began = Instant::now();
    let ends = loop {
        let ends = records.batch_ends_after(&BatchCursor::default(), 10).await.unwrap();
        if ends.len() == 2 {
            break ends;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{ends:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        ends.iter().map(|e| (e.batch.as_str(), e.state.as_str())).collect::<Vec<_>>(),
        [(id.as_str(), "cancelled"), (&other, "failed")]
    );
    let rest = records.batch_ends_after(&ends[0].cursor, 10).await.unwrap();
    assert_eq!(rest, ends[1..]);
    close(store, database).await;
}

#[tokio::test]
async fn a_batch_is_made_of_all_its_chunks_or_not_at_all() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    let id = id(1);
    records.put_batch_input(&id, 0, 1, b"line\n").await.unwrap();
    assert!(matches!(records.receive_batch(&new(&id, 2)).await, Err(StoreError::Raced)));
    assert_eq!(records.batch(&id).await.unwrap(), None);
    assert_eq!(store.jobs_waiting().await.unwrap(), 0);
    assert_eq!(records.drop_batch_inputs(Some(&id)).await.unwrap(), 0, "they went with the attempt");
    // What a batch that goes on needs does not go.
    let id = batch(&store, 2, 2).await;
    assert_eq!(store.jobs_waiting().await.unwrap(), 2);
    for which in [Some(id.as_str()), None] {
        assert_eq!(records.drop_batch_inputs(which).await.unwrap(), 0);
    }
    assert!(records.begin_chunk(&id, 1).await.unwrap().is_some());
    close(store, database).await;
}
