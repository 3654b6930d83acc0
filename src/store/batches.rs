//! Batches: how they come in, how far they are, how they end. The chunks' work is in `batch_chunks`.

use chrono::{DateTime, Utc};
use sqlx::PgTransaction;

use super::error::StoreError;
use super::keys::NOBODY;
use super::model::{Hash, NewRecord};
use super::tenant::{Intent, TenantId, TenantStore, commit};
use crate::ledger::Kind;

/// A batch whose chunks are all stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Its id, `bat_…`.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// The time of its decisions, as given.
    pub as_of: Option<String>,
    /// Tickets in it.
    pub lines: i64,
    /// Its chunks.
    pub chunks: i32,
    /// SHA-256 of the idempotency key.
    pub key_sha256: Option<Hash>,
    /// SHA-256 of all that the batch was made of.
    pub request_sha256: Hash,
    /// Who handed it in.
    pub created_by: String,
    /// How often a chunk is tried.
    pub attempts: i16,
}

/// A batch and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRow {
    /// Position in the order of batches.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// The time of its decisions, as given.
    pub as_of: Option<String>,
    /// SHA-256 of all that the batch was made of.
    pub request_sha256: Vec<u8>,
    /// `received`, `running`, `done`, `cancelled` or `failed`.
    pub state: String,
    /// Tickets in it.
    pub lines: i64,
    /// Its chunks.
    pub chunks: i32,
    /// Chunks that are done.
    pub chunks_done: i64,
    /// Tickets decided automatically.
    pub auto: i64,
    /// Tickets left to a person.
    pub review: i64,
    /// Lines that were refused.
    pub rejected: i64,
    /// When it was received.
    pub created_at: DateTime<Utc>,
    /// When a worker began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was done, cancelled or failed.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Where a reader of the batches' ends stands. The default is before the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchCursor {
    /// The transaction's number, as text.
    pub xid: String,
    /// The position within.
    pub seq: i64,
}

/// The end of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchEnd {
    /// Where to go on reading.
    pub cursor: BatchCursor,
    /// Which batch.
    pub batch: String,
    /// `done`, `cancelled` or `failed`.
    pub state: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What became of a wish to end a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It ended by this.
    Now,
    /// It had ended in the same way.
    Already,
    /// It had ended in another way.
    Otherwise,
    /// There is no such batch.
    Unknown,
}

/// Batches with their states and sums; what follows is all that differs between the ways to find them.
macro_rules! batches {
    ($where:tt, $($argument:expr),*) => {
        sqlx::query_as!(
            BatchRow,
            r#"SELECT b.seq, b.id, b.name, b.as_of, b.request_sha256,
                      coalesce(e.state, r.state, 'received') AS "state!", b.lines, b.chunks,
                      s.done AS "chunks_done!", s.auto AS "auto!", s.review AS "review!", s.rejected AS "rejected!",
                      b.created_at, r.created_at AS "started_at?", e.created_at AS "ended_at?"
               FROM praetor.batches b
               LEFT JOIN praetor.batch_states r ON r.tenant = b.tenant AND r.batch_id = b.id AND r.state = 'running'
               LEFT JOIN praetor.batch_states e ON e.tenant = b.tenant AND e.batch_id = b.id AND e.state <> 'running'
               CROSS JOIN LATERAL (
                   SELECT count(*) AS done, coalesce(sum(c.auto), 0)::bigint AS auto,
                          coalesce(sum(c.review), 0)::bigint AS review, coalesce(sum(c.rejected), 0)::bigint AS rejected
                   FROM praetor.batch_chunks c WHERE c.tenant = b.tenant AND c.batch_id = b.id
               ) s "#
                + $where,
            $($argument),*
        )
    };
}

impl TenantStore {
    /// Keeps a chunk of an upload: text of whole lines, of which the first has this number. It belongs to no batch yet.
    pub async fn put_batch_input(
        &self,
        batch: &str,
        number: i32,
        first_line: i64,
        text: &[u8],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        let keys = self.keys(&mut tx, [NOBODY].into_iter()).await?;
        let key = keys.get(NOBODY).ok_or(StoreError::Raced)?;
        let sealed = self.seal("batch_inputs", &place(batch, number), &key.key, text)?;
        sqlx::query!(
            r#"INSERT INTO praetor.batch_inputs (tenant, batch_id, number, first_line, key_id, sealed)
               VALUES ($1, $2, $3, $4, $5, $6)"#,
            self.tenant.as_str(),
            batch,
            number,
            first_line,
            key.id,
            sealed,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("keep a chunk"))?;
        commit(tx).await
    }

    /// Makes the batch of chunks that were kept, with a job for each: from here on it runs. If another was made under its
    /// idempotency key meanwhile, nothing happens but that the chunks go, and that one is returned.
    pub async fn receive_batch(&self, new: &NewBatch) -> Result<Option<BatchRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let made = sqlx::query!(
            r#"INSERT INTO praetor.batches (tenant, id, name, as_of, lines, chunks, key_sha256, request_sha256, created_by)
               SELECT $1, $2, $3, $4, $5, $6::int, $7, $8, $9
               WHERE (SELECT count(*) FROM praetor.batch_inputs WHERE batch_id = $2) = $6::int
               ON CONFLICT (tenant, key_sha256) DO NOTHING"#,
            self.tenant.as_str(),
            new.id,
            new.name,
            new.as_of,
            new.lines,
            new.chunks,
            new.key_sha256.as_ref().map(Hash::as_slice),
            new.request_sha256.as_slice(),
            new.created_by,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("make a batch"))?
        .rows_affected();
        if made == 1 {
            self.add_jobs(&mut tx, &new.id, new.chunks, new.attempts).await?;
            commit(tx).await?;
            return Ok(None);
        }
        drop(tx);
        self.drop_batch_inputs(Some(&new.id)).await?;
        let before = match &new.key_sha256 {
            Some(key) => self.batch_by_key(key).await?,
            None => None,
        };
        before.map(Some).ok_or(StoreError::Raced)
    }

    /// Removes chunks that nobody needs any more: of this batch, or all that are a day old. A batch that goes on loses none.
    pub async fn drop_batch_inputs(&self, batch: Option<&str>) -> Result<i64, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let gone = drop_inputs(&mut tx, batch).await?;
        commit(tx).await?;
        Ok(gone)
    }

    /// A batch and how far it is.
    pub async fn batch(&self, id: &str) -> Result<Option<BatchRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        batches!("WHERE b.id = $1", id).fetch_optional(&mut *tx).await.map_err(StoreError::query("read a batch"))
    }

    /// The batch that was made under an idempotency key.
    pub async fn batch_by_key(&self, key_sha256: &Hash) -> Result<Option<BatchRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        batches!("WHERE b.key_sha256 = $1", key_sha256.as_slice())
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::query("read a batch"))
    }

    /// Batches, newest first, before a place in their order, at most `limit`.
    pub async fn batches(&self, before: Option<i64>, limit: u16) -> Result<Vec<BatchRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        batches!("WHERE ($1::bigint IS NULL OR b.seq < $1) ORDER BY b.seq DESC LIMIT $2", before, i64::from(limit))
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::query("list batches"))
    }

    /// Ends a batch before it is done, as `cancelled` or `failed`, with the record of who did it, if somebody did. No chunk
    /// is recorded after that.
    pub async fn end_batch(&self, id: &str, state: &str, act: Option<NewRecord>) -> Result<Ended, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        if let Some(act) = act {
            self.append_in(&mut tx, Kind::Access, &[act]).await?;
        }
        lock_batch(&mut tx, &self.tenant, id).await?;
        let Some(before) = batches!("WHERE b.id = $1", id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::query("read a batch"))?
        else {
            return Ok(Ended::Unknown);
        };
        if before.ended_at.is_some() {
            return Ok(if before.state == state { Ended::Already } else { Ended::Otherwise });
        }
        self.note_state(&mut tx, id, state).await?;
        drop_inputs(&mut tx, Some(id)).await?;
        commit(tx).await?;
        Ok(Ended::Now)
    }

    /// Ends of batches after a place, in an order that never changes behind a reader, at most `limit`.
    pub async fn batch_ends_after(&self, after: &BatchCursor, limit: i64) -> Result<Vec<BatchEnd>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let xid = if after.xid.is_empty() { "0" } else { &after.xid };
        let rows = sqlx::query!(
            r#"SELECT s.xid::text AS "xid!", s.seq, s.batch_id, s.state, s.created_at FROM praetor.batch_states s
               WHERE s.state <> 'running' AND (s.xid, s.seq) > ($1::text::xid8, $2)
                 AND s.xid < pg_snapshot_xmin(pg_current_snapshot())
               ORDER BY s.xid, s.seq LIMIT $3"#,
            xid,
            after.seq,
            limit,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read the ends of batches"))?;
        let end = rows.into_iter().map(|row| BatchEnd {
            cursor: BatchCursor { xid: row.xid, seq: row.seq },
            batch: row.batch_id,
            state: row.state,
            at: row.created_at,
        });
        Ok(end.collect())
    }

    /// Notes a state that the batch is not known to have had.
    pub(super) async fn note_state(&self, tx: &mut PgTransaction<'_>, id: &str, state: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO praetor.batch_states (tenant, batch_id, state) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            self.tenant.as_str(),
            id,
            state,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("note a batch's state"))?;
        Ok(())
    }
}

/// Where a chunk's text is sealed for.
pub(super) fn place(batch: &str, number: i32) -> String {
    format!("{batch}/{number}")
}

/// Makes whoever ends a batch or a chunk of it wait for each other. Taken last, so that nobody waits while holding it.
pub(super) async fn lock_batch(tx: &mut PgTransaction<'_>, tenant: &TenantId, id: &str) -> Result<(), StoreError> {
    let what = format!("praetor batch {tenant} {id}");
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", what)
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("wait for a batch"))?;
    Ok(())
}

pub(super) async fn drop_inputs(tx: &mut PgTransaction<'_>, batch: Option<&str>) -> Result<i64, StoreError> {
    sqlx::query_scalar!(r#"SELECT praetor.drop_batch_inputs($1) AS "gone!""#, batch)
        .fetch_one(&mut **tx)
        .await
        .map_err(StoreError::query("remove a batch's inputs"))
}
