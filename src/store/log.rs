//! The log as it stands: checkpoints, cosignatures, tiles, and which record is which leaf. Reads, save for cosignatures.
//! Holds no tenant's text: commitments and hashes alone.

use std::time::Duration;

use sqlx::{PgPool, PgTransaction};

use super::Store;
use super::error::StoreError;
use super::tenant::{TenantStore, begin_for_all, commit};
use crate::ledger::{Hash, Kind, TileRef, TileSet};

/// The log of a store, over all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    pub(super) pool: PgPool,
}

/// A checkpoint as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// The signed note, without cosignatures.
    pub note: String,
    /// Signature lines of witnesses, in the order in which they came.
    pub cosignatures: Vec<String>,
}

/// A record's leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its place, from 0; None while it is pending.
    pub index: Option<u64>,
    /// What it commits to.
    pub commitment: Hash,
    /// When the record was written.
    pub recorded_at: chrono::DateTime<chrono::Utc>,
}

/// Leaves that wait for their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// How many.
    pub leaves: u64,
    /// For how long the first of them, by the database's clock.
    pub oldest: Duration,
}

/// Checkpoints with their cosignatures; what follows FROM is all that differs between the ways to find them.
macro_rules! checkpoints {
    ($from:tt, $($argument:expr),*) => {
        sqlx::query!(
            r#"SELECT c.size, c.root, c.note,
                      ARRAY(SELECT s.line FROM praetor.cosignatures s WHERE s.size = c.size
                            ORDER BY s.created_at, s.line) AS "lines!"
               FROM praetor.checkpoints c "#
                + $from,
            $($argument),*
        )
    };
}

macro_rules! stored {
    ($row:expr) => {{
        let row = $row;
        let root = hash(&row.root, "checkpoint of size", row.size)?;
        StoredCheckpoint { size: row.size as u64, root, note: row.note, cosignatures: row.lines }
    }};
}

impl Store {
    /// The log.
    pub fn log(&self) -> Log {
        Log { pool: self.pool.clone() }
    }
}

impl Log {
    /// The checkpoint of the whole tree; None before the first leaf has its place.
    pub async fn latest(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        let row = checkpoints!("ORDER BY c.size DESC LIMIT 1",)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("read the last checkpoint"))?;
        row.map(|row| Ok(stored!(row))).transpose()
    }

    /// Checkpoints of trees larger than `after`, smallest first, at most `limit`.
    pub async fn checkpoints(&self, after: u64, limit: i64) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let rows = checkpoints!("WHERE c.size > $1 ORDER BY c.size LIMIT $2", after as i64, limit)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("read checkpoints"))?;
        rows.into_iter().map(|row| Ok(stored!(row))).collect()
    }

    /// Keeps a witness's signature line for the checkpoint of that size. The same line is kept once.
    pub async fn cosign(&self, size: u64, line: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO praetor.cosignatures (size, line) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            size as i64,
            line
        )
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("keep a cosignature"))?;
        Ok(())
    }

    /// These tiles, full ones and edges alike. One that is not there has no or fewer hashes.
    pub async fn tiles(&self, wanted: &[TileRef]) -> Result<TileSet, StoreError> {
        let mut tx = begin_for_all(&self.pool).await?;
        tiles(&mut tx, wanted).await
    }

    /// Leaves that wait for their place.
    pub async fn lag(&self) -> Result<Lag, StoreError> {
        let mut tx = begin_for_all(&self.pool).await?;
        let row = sqlx::query!(
            r#"SELECT count(*) AS "count!",
                      coalesce(extract(epoch FROM now() - min(l.created_at)) * 1000, 0)::bigint AS "oldest!"
               FROM praetor.leaves l
               WHERE (l.xid, l.seq) > (coalesce((SELECT upto_xid FROM praetor.checkpoints ORDER BY size DESC LIMIT 1), '0'),
                                       coalesce((SELECT upto_seq FROM praetor.checkpoints ORDER BY size DESC LIMIT 1), 0))
                 AND NOT EXISTS (SELECT FROM praetor.log_entries e WHERE e.seq = l.seq)"#
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("count the pending leaves"))?;
        let positive = |n| u64::try_from(n).unwrap_or(0);
        Ok(Lag { leaves: positive(row.count), oldest: Duration::from_millis(positive(row.oldest)) })
    }

    /// How many leaves wait for their place.
    pub async fn pending(&self) -> Result<u64, StoreError> {
        Ok(self.lag().await?.leaves)
    }
}

impl TenantStore {
    /// The leaf of a record.
    pub async fn leaf(&self, kind: Kind, id: &str) -> Result<Option<Leaf>, StoreError> {
        let mut tx = self.begin(super::tenant::Intent::Read).await?;
        let row = sqlx::query!(
            r#"SELECT e.leaf_index AS "leaf_index?", l.commitment, l.created_at, l.seq
               FROM praetor.leaves l LEFT JOIN praetor.log_entries e ON e.seq = l.seq
               WHERE l.kind = $1 AND l.record_id = $2"#,
            kind.as_str(),
            id,
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::query("read a leaf"))?;
        commit(tx).await?;
        row.map(|row| {
            Ok(Leaf {
                index: row.leaf_index.map(|index| index as u64),
                commitment: hash(&row.commitment, "leaf", row.seq)?,
                recorded_at: row.created_at,
            })
        })
        .transpose()
    }
}

/// Reads tiles, each by one range of rows.
pub(super) async fn tiles(tx: &mut PgTransaction<'_>, wanted: &[TileRef]) -> Result<TileSet, StoreError> {
    let mut set = TileSet::default();
    for at in wanted {
        let first = (at.index * crate::ledger::TILE_WIDTH) as i64;
        let until = first + at.width as i64;
        let rows = match at.level {
            0 => {
                sqlx::query_scalar!(
                    "SELECT leaf_hash FROM praetor.log_entries WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index",
                    first,
                    until,
                )
                .fetch_all(&mut **tx)
                .await
            }
            level => {
                sqlx::query_scalar!(
                    r#"SELECT hash FROM praetor.log_nodes WHERE level = $1 AND node_index >= $2 AND node_index < $3
                       ORDER BY node_index"#,
                    level as i16,
                    first,
                    until,
                )
                .fetch_all(&mut **tx)
                .await
            }
        };
        let rows = rows.map_err(StoreError::query("read a tile"))?;
        let hashes = rows.iter().map(|bytes| hash(bytes, "tile", first)).collect::<Result<Vec<_>, _>>()?;
        set.insert(at.level, at.index, hashes);
    }
    Ok(set)
}

pub(super) fn hash(bytes: &[u8], what: &'static str, id: i64) -> Result<Hash, StoreError> {
    Hash::try_from(bytes).map_err(|_| StoreError::Damaged { what, id: id.to_string(), source: None })
}
