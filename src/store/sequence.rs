//! The sequencer: gives pending leaves their places in the tree, in batches, each in one transaction with the tiles it
//! completes and a signed checkpoint. An advisory lock lets one work at a time; any number may try. It is never on the
//! path of a decision, and whenever it dies, what it did not commit is pending still.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::{PgPool, PgTransaction};
use tokio::sync::watch;

use super::Store;
use super::error::StoreError;
use super::log::tiles;
use super::tenant::{begin_statement, commit};
use crate::ledger::{Checkpoint, Hash, KeyFile, SignedCheckpoint, TileRef, Tree, leaf_hash};

/// Most leaves of one batch.
const BATCH: usize = 256;
/// Longest that a leaf waits for its batch to fill.
const PATIENCE: Duration = Duration::from_millis(250);

/// Gives leaves their places. Holds the tree's right edge between batches, and loads it anew when another was faster.
pub struct Sequencer {
    pool: PgPool,
    key_file: PathBuf,
    origin: String,
    tree: Tree,
    moved: Option<Moved>,
}

/// A look at all leaves on a cluster that counts transactions anew, while it goes on.
struct Moved {
    /// What was settled when it began.
    horizon: String,
    /// How far it has come.
    seq: i64,
}

/// Up to where leaves are settled, and by which cluster's counter of transactions.
struct Edge {
    size: i64,
    root: Vec<u8>,
    note: Option<String>,
    upto_xid: String,
    upto_seq: i64,
    system_id: i64,
}

/// A leaf without a place.
struct Pending {
    seq: i64,
    xid: String,
    commitment: Vec<u8>,
    /// All transactions before this one are settled.
    horizon: String,
}

impl Sequencer {
    /// Signs with the keys of the store's log key file, which is made if it is not there.
    pub fn new(store: &Store) -> Self {
        Self {
            pool: store.pool.clone(),
            key_file: store.log_key.clone(),
            origin: store.origin.clone(),
            tree: Tree::default(),
            moved: None,
        }
    }

    /// Gives places until none is pending that can have one; returns how many it gave. A leaf whose transaction began
    /// after one that still runs has to wait for that one.
    pub async fn drain(&mut self) -> Result<u64, StoreError> {
        let mut given = 0;
        loop {
            match self.step().await? {
                0 => return Ok(given),
                count => given += count as u64,
            }
        }
    }

    /// Gives places until told to stop: in full batches at once, else four times a second. Failures are logged and tried
    /// again, since nothing is lost by waiting.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow_and_update() {
            match self.step().await {
                Ok(BATCH) => continue,
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the ledger's sequencer failed; trying again"),
            }
            tokio::select! {
                changed = stop.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(PATIENCE) => {}
            }
        }
    }

    /// One batch; how many leaves it had.
    pub async fn step(&mut self) -> Result<usize, StoreError> {
        // Plans must not hang on statistics: these tables grow by the thousand between two looks at them.
        let begin = "BEGIN; SET LOCAL praetor.tenant = '*'; \
                     SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; \
                     SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
                     SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('praetor sequencer', 0))";
        let mut tx = begin_statement(&self.pool, begin.to_owned()).await?;
        let system_id = system_id(&mut tx).await?;
        let edge = edge(&mut tx, system_id).await?;
        let moved = (system_id != edge.system_id).then_some(&self.moved);
        let batch = match moved {
            None => pending(&mut tx, &edge).await?,
            Some(begun) => unplaced(&mut tx, begun.as_ref().map_or(0, |moved| moved.seq)).await?,
        };
        let Some(last) = batch.last() else {
            self.moved = None;
            return Ok(0);
        };
        let mut tree = self.tree_at(&mut tx, &edge).await?;
        let mut entries = (Vec::new(), Vec::new(), Vec::new());
        let mut nodes = (Vec::new(), Vec::new(), Vec::new());
        for leaf in &batch {
            let hash = leaf_hash(&leaf.commitment);
            entries.0.push(signed(tree.size()));
            entries.1.push(leaf.seq);
            entries.2.push(hash.as_bytes().to_vec());
            for tile in tree.append(hash) {
                nodes.0.push(signed(u64::from(tile.level) + 1) as i16);
                nodes.1.push(signed(tile.index));
                nodes.2.push(tile.root().as_bytes().to_vec());
            }
        }
        insert_entries(&mut tx, &entries.0, &entries.1, &entries.2).await?;
        if !nodes.0.is_empty() {
            insert_nodes(&mut tx, &nodes.0, &nodes.1, &nodes.2).await?;
        }
        // Read after the leaves are taken: see `KeyFile`.
        let keys = self.keys(edge.note.as_deref())?;
        // On a cluster that counts transactions anew, all leaves are looked at; only then does its counter rule.
        let horizon = moved.and_then(Option::as_ref).map_or(&last.horizon, |moved| &moved.horizon);
        let looking =
            (moved.is_some() && batch.len() == BATCH).then(|| Moved { horizon: horizon.clone(), seq: last.seq });
        let (upto_xid, upto_seq, system_id) = match (moved, &looking) {
            (None, _) => (last.xid.clone(), last.seq, system_id),
            (Some(_), None) => (horizon.clone(), 0, system_id),
            (Some(_), Some(_)) => (edge.upto_xid, edge.upto_seq, edge.system_id),
        };
        let checkpoint = Checkpoint { origin: self.origin.clone(), size: tree.size(), root: tree.root() };
        let next = Edge {
            size: signed(tree.size()),
            note: Some(checkpoint.sign(keys.signers())?.to_string()),
            root: tree.root().as_bytes().to_vec(),
            upto_xid,
            upto_seq,
            system_id,
        };
        insert_checkpoint(&mut tx, &next).await?;
        commit(tx).await?;
        (self.tree, self.moved) = (tree, looking);
        Ok(batch.len())
    }

    /// The keys that sign. The first one is made for an empty log only; a log goes on under a key that it knows.
    fn keys(&self, last: Option<&str>) -> Result<KeyFile, StoreError> {
        let foreign = || StoreError::ForeignLogKey { path: self.key_file.clone() };
        let Some(note) = last else {
            if let Some(folder) = self.key_file.parent() {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(|source| StoreError::Argument { what: "the log's key", source: source.into() })?;
            }
            return Ok(KeyFile::open(&self.key_file, &self.origin)?);
        };
        if !self.key_file.exists() {
            return Err(foreign());
        }
        let keys = KeyFile::open(&self.key_file, &self.origin)?;
        SignedCheckpoint::parse(note)?.verify(&keys.public_keys()).map_err(|_| foreign())?;
        Ok(keys)
    }

    /// The tree of the last checkpoint: the one at hand if that is it, else from its tiles.
    async fn tree_at(&self, tx: &mut PgTransaction<'_>, edge: &Edge) -> Result<Tree, StoreError> {
        let size = edge.size as u64;
        let fits = |tree: &Tree| tree.size() == size && tree.root().as_bytes().as_slice() == edge.root;
        if fits(&self.tree) {
            return Ok(self.tree.clone());
        }
        let wanted: Vec<TileRef> = TileRef::edge(size).collect();
        let tree = Tree::load(size, &tiles(tx, &wanted).await?)?;
        let damaged = || StoreError::Damaged { what: "tree of size", id: size.to_string(), source: None };
        if fits(&tree) { Ok(tree) } else { Err(damaged()) }
    }
}

/// Which cluster this is.
async fn system_id(tx: &mut PgTransaction<'_>) -> Result<i64, StoreError> {
    sqlx::query_scalar!(r#"SELECT system_identifier AS "id!" FROM pg_control_system()"#)
        .fetch_one(&mut **tx)
        .await
        .map_err(StoreError::query("ask which cluster this is"))
}

async fn edge(tx: &mut PgTransaction<'_>, system_id: i64) -> Result<Edge, StoreError> {
    let last = sqlx::query_as!(
        Edge,
        r#"SELECT size, root, note AS "note?", upto_xid::text AS "upto_xid!", upto_seq, system_id
           FROM praetor.checkpoints ORDER BY size DESC LIMIT 1"#,
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::query("read the last checkpoint"))?;
    let root = Hash::empty_root().as_bytes().to_vec();
    Ok(last.unwrap_or(Edge { size: 0, root, note: None, upto_xid: "0".into(), upto_seq: 0, system_id }))
}

/// The next batch: what is committed, comes after all that has a place, and before which nothing can be committed any
/// more.
async fn pending(tx: &mut PgTransaction<'_>, edge: &Edge) -> Result<Vec<Pending>, StoreError> {
    sqlx::query_as!(
        Pending,
        r#"SELECT l.seq, l.xid::text AS "xid!", l.commitment,
                  pg_snapshot_xmin(pg_current_snapshot())::text AS "horizon!"
           FROM praetor.leaves l
           WHERE (l.xid, l.seq) > ($1::text::xid8, $2) AND l.xid < pg_snapshot_xmin(pg_current_snapshot())
             AND NOT EXISTS (SELECT FROM praetor.log_entries e WHERE e.seq = l.seq)
           ORDER BY l.xid, l.seq LIMIT 256"#,
        edge.upto_xid,
        edge.upto_seq,
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::query("read the pending leaves"))
}

/// The next batch on a cluster that is not the one that counted: whatever has no place.
async fn unplaced(tx: &mut PgTransaction<'_>, after: i64) -> Result<Vec<Pending>, StoreError> {
    sqlx::query_as!(
        Pending,
        r#"SELECT l.seq, l.xid::text AS "xid!", l.commitment,
                  pg_snapshot_xmin(pg_current_snapshot())::text AS "horizon!"
           FROM praetor.leaves l
           WHERE l.seq > $1 AND NOT EXISTS (SELECT FROM praetor.log_entries e WHERE e.seq = l.seq)
           ORDER BY l.seq LIMIT 256"#,
        after,
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::query("read the pending leaves"))
}

async fn insert_entries(
    tx: &mut PgTransaction<'_>,
    places: &[i64],
    seqs: &[i64],
    hashes: &[Vec<u8>],
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"INSERT INTO praetor.log_entries (leaf_index, seq, leaf_hash)
           SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])"#,
        places,
        seqs,
        hashes,
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::query("give leaves their places"))?;
    Ok(())
}

async fn insert_nodes(
    tx: &mut PgTransaction<'_>,
    levels: &[i16],
    places: &[i64],
    hashes: &[Vec<u8>],
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"INSERT INTO praetor.log_nodes (level, node_index, hash)
           SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])"#,
        levels,
        places,
        hashes,
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::query("complete tiles"))?;
    Ok(())
}

async fn insert_checkpoint(tx: &mut PgTransaction<'_>, edge: &Edge) -> Result<(), StoreError> {
    sqlx::query!(
        r#"INSERT INTO praetor.checkpoints (size, root, note, upto_xid, upto_seq, system_id)
           VALUES ($1, $2, $3, $4::text::xid8, $5, $6)"#,
        edge.size,
        &edge.root,
        edge.note.as_deref().unwrap_or_default(),
        edge.upto_xid,
        edge.upto_seq,
        edge.system_id,
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::query("write a checkpoint"))?;
    Ok(())
}

/// A place in the tree as the database counts; no tree comes near the difference.
fn signed(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}
