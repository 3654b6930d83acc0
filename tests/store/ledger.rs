//! The ledger in the database: every record gets one leaf and one place, whoever writes, sequences, and dies.

use std::collections::HashSet;

use praetor::ledger::{Hash, Kind, SignedCheckpoint, TileRef, inclusion, inclusion_tiles, leaf_hash, verify_inclusion};
use praetor::store::{LeafContent, NewRecord, Sequencer, Store};
use sqlx::Executor;

use super::support::{Database, close, decision, own};

/// Every leaf has one place, in one unbroken order; the tiles give the signed root; and every record is proved in it.
pub(crate) async fn check(store: &Store) -> u64 {
    let log = store.log();
    let Some(last) = log.latest().await.unwrap() else { return 0 };
    assert_eq!(log.pending().await.unwrap(), 0);
    let leaves = store.export(0, last.size + 10).await.unwrap();
    assert_eq!(leaves.len() as u64, last.size);
    let mut seen = HashSet::new();
    for (place, leaf) in leaves.iter().enumerate() {
        assert_eq!(leaf.index, Some(place as u64));
        assert!(seen.insert((leaf.tenant.clone(), leaf.kind, leaf.id.clone())), "{} has two places", leaf.id);
        assert!(!matches!(leaf.content, LeafContent::Missing | LeafContent::Damaged), "{leaf:?}");
    }
    assert!(store.export_unplaced(10).await.unwrap().is_empty());
    let tiles = log.tiles(&TileRef::all(last.size).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(praetor::ledger::root(last.size, &tiles).unwrap(), last.root);
    let note = SignedCheckpoint::parse(&last.note).unwrap();
    assert_eq!((note.unproven().size, note.unproven().root), (last.size, last.root));
    for leaf in leaves.iter().step_by(leaves.len() / 20 + 1) {
        let index = leaf.index.unwrap();
        let tiles = log.tiles(&inclusion_tiles(index, last.size).unwrap()).await.unwrap();
        let proof = inclusion(index, last.size, &tiles).unwrap();
        let hash = leaf_hash(leaf.commitment.unwrap().as_bytes());
        verify_inclusion(&hash, index, last.size, &proof, &last.root).unwrap();
    }
    last.size
}

/// Gives places until nothing is pending. Tests beside this one may run a transaction that has to be waited for.
pub(crate) async fn sequence(sequencer: &mut Sequencer, store: &Store) -> u64 {
    let mut given = 0;
    loop {
        given += sequencer.drain().await.unwrap();
        if store.log().pending().await.unwrap() == 0 {
            return given;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn records_of_all_kinds_get_places_and_commit_to_what_was_recorded() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    assert_eq!(Sequencer::new(&store).drain().await.unwrap(), 0);
    records.record(&(0..300).map(decision).collect::<Vec<_>>()).await.unwrap();
    let review = NewRecord { id: "rev_1".into(), subject: Some("buyer-1".into()), body: b"{}".to_vec() };
    records.append_records(Kind::Review, &[review]).await.unwrap();
    assert_eq!(store.log().pending().await.unwrap(), 301);
    let pending = store.export_unplaced(1000).await.unwrap();
    assert!(pending.len() == 301 && pending.iter().all(|leaf| leaf.index.is_none() && leaf.commitment.is_some()));
    let mut sequencer = Sequencer::new(&store);
    assert_eq!(sequence(&mut sequencer, &store).await, 301);
    // Another one goes on where the first stopped, from the tiles.
    records.record(&[decision(300)]).await.unwrap();
    assert_eq!(sequence(&mut Sequencer::new(&store), &store).await, 1);
    records.record(&[decision(301)]).await.unwrap();
    assert_eq!(sequence(&mut sequencer, &store).await, 1);
    assert_eq!(check(&store).await, 303);
    assert!(store.log().checkpoints(0, 100).await.unwrap().len() >= 4);

    for leaf in store.export(0, 303).await.unwrap() {
        let LeafContent::Kept(kept) = leaf.content else { panic!("{}", leaf.id) };
        let entry = praetor::ledger::Entry {
            tenant: leaf.tenant,
            kind: leaf.kind,
            id: leaf.id.clone(),
            recorded_at: leaf.recorded_at,
            parts: kept.parts.iter().map(|(name, bytes)| ((*name).to_owned(), Hash::of(bytes))).collect(),
        };
        assert_eq!(Some(entry.commitment(&kept.salt)), leaf.commitment);
        if leaf.kind == Kind::Decision {
            let n: u32 = leaf.id[4..].parse().unwrap();
            let whole = decision(n);
            assert_eq!((&kept.parts["body"], &kept.parts["trace"]), (&whole.body, &whole.trace));
            assert_eq!((kept.case, kept.columns.unwrap().refund_fen), (Some(whole.case), whole.refund_fen));
        }
    }
    let leaf = records.leaf(Kind::Review, "rev_1").await.unwrap().unwrap();
    assert_eq!(leaf.index, Some(300));
    assert!(records.get_record(Kind::Review, "rev_1").await.unwrap().unwrap().body.kept().unwrap() == b"{}");
    assert_eq!(records.list_records(Kind::Review, 0, 10).await.unwrap().len(), 1);
    close(store, database).await;
}

#[tokio::test]
async fn a_transaction_that_commits_late_loses_no_leaf() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    records.record(&[decision(0)]).await.unwrap();
    let mut sequencer = Sequencer::new(&store);
    assert_eq!(sequence(&mut sequencer, &store).await, 1);
    let mut slow = database.session("praetor_app", &database.name).await;
    slow.execute(
        "BEGIN; SET LOCAL praetor.tenant = 'default';
         INSERT INTO praetor.leaves (tenant, kind, record_id, key_id, commitment)
         VALUES ('default', 'certificate', 'slow', 1, sha256(''))",
    )
    .await
    .unwrap();
    // What began after it waits for it, lest the slow one's leaf come before the end of what is settled.
    records.record(&[decision(1)]).await.unwrap();
    assert_eq!(sequencer.drain().await.unwrap(), 0);
    assert_eq!(store.log().pending().await.unwrap(), 1);
    slow.execute("COMMIT").await.unwrap();
    assert_eq!(sequence(&mut sequencer, &store).await, 2);
    close(store, database).await;
}

#[tokio::test]
async fn two_sequencers_and_four_writers_at_once_do_no_harm() {
    let (database, store) = Database::migrated().await;
    let stop = tokio::sync::watch::channel(false);
    let sequencers: Vec<_> = (0..2).map(|_| tokio::spawn(Sequencer::new(&store).run(stop.1.clone()))).collect();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4u32 {
        let records = own(&store);
        writers.spawn(async move {
            for round in 0..20 {
                // Some of them the same as another writer's.
                let first = writer / 2 * 1000 + round * 20;
                records.record(&(first..first + 20).map(decision).collect::<Vec<_>>()).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    stop.0.send(true).unwrap();
    for sequencer in sequencers {
        sequencer.await.unwrap();
    }
    sequence(&mut Sequencer::new(&store), &store).await;
    assert_eq!(check(&store).await, 800);
    close(store, database).await;
}

#[tokio::test]
async fn a_dump_restored_on_a_cluster_that_counts_anew_loses_no_leaf() {
    let (database, store) = Database::migrated().await;
    let records = own(&store);
    records.record(&(0..10).map(decision).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(sequence(&mut Sequencer::new(&store), &store).await, 10);
    records.record(&(10..600).map(decision).collect::<Vec<_>>()).await.unwrap();
    // As after a restore: numbers of transactions from elsewhere, all of them far ahead of this cluster's.
    let mut admin = database.session("postgres", &database.name).await;
    admin
        .execute(
            "ALTER TABLE praetor.leaves DISABLE TRIGGER ALL; ALTER TABLE praetor.checkpoints DISABLE TRIGGER ALL;
             UPDATE praetor.leaves SET xid = (xid::text::bigint + 1000000000)::text::xid8;
             UPDATE praetor.checkpoints SET upto_xid = (upto_xid::text::bigint + 1000000000)::text::xid8, system_id = 7;
             ALTER TABLE praetor.leaves ENABLE ALWAYS TRIGGER append_only;
             ALTER TABLE praetor.checkpoints ENABLE ALWAYS TRIGGER append_only",
        )
        .await
        .unwrap();
    records.record(&[decision(600)]).await.unwrap();
    let mut sequencer = Sequencer::new(&store);
    assert_eq!(sequencer.drain().await.unwrap(), 591);
    records.record(&[decision(601)]).await.unwrap();
    assert_eq!(sequence(&mut sequencer, &store).await, 1);
    let last = store.log().latest().await.unwrap().unwrap();
    assert_eq!(last.size, 602);
    close(store, database).await;
}

#[tokio::test]
async fn a_log_goes_on_under_its_own_key_only() {
    let (database, store) = Database::migrated().await;
    own(&store).record(&[decision(0)]).await.unwrap();
    sequence(&mut Sequencer::new(&store), &store).await;
    own(&store).record(&[decision(1)]).await.unwrap();
    store.close().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = database.config("postgres");
    config.log_key = Some(folder.path().join("log.key"));
    let store = Store::open(&config).await.unwrap();
    for _ in 0..2 {
        let error = loop {
            match Sequencer::new(&store).drain().await {
                Ok(given) => assert_eq!(given, 0),
                Err(error) => break error,
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        assert!(matches!(error, praetor::store::StoreError::ForeignLogKey { .. }), "{error}");
        // Neither none nor another one.
        praetor::ledger::KeyFile::open(&folder.path().join("log.key"), "praetor").unwrap();
    }
    assert_eq!(store.log().pending().await.unwrap(), 1);
    close(store, database).await;
}
