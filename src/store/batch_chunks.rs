//! The chunks of a batch: taken up, done once whatever happens, and read back line by line. A chunk's decisions, its refused
//! lines and the word that it is done commit together.

use super::batches::{drop_inputs, lock_batch, place};
use super::error::StoreError;
use super::keys::{Joined, joined};
use super::model::{Body, NewDecision, NewRejection};
use super::tenant::{Intent, TenantStore, commit};

/// A chunk that waits to be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchChunk {
    /// The number of its first line, from 1.
    pub first_line: i64,
    /// Its lines, as handed in.
    pub text: Vec<u8>,
    /// The time of its decisions, as given.
    pub as_of: Option<String>,
}

/// A chunk that was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoneChunk {
    /// Its decisions, each with its line.
    pub decisions: Vec<(i64, NewDecision)>,
    /// The lines that were refused.
    pub rejections: Vec<NewRejection>,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLine {
    /// Its number, from 1.
    pub line: i64,
    /// The decision, unless the line was refused.
    pub decision_id: Option<String>,
    /// The ticket; like all that follows None where the decision's month was set aside.
    pub ticket_id: Option<String>,
    /// `auto` or `review`.
    pub outcome: Option<String>,
    /// The governing SOP.
    pub sop_id: Option<String>,
    /// Its version.
    pub sop_version: Option<i32>,
    /// The remedy's id.
    pub remedy_kind: Option<String>,
    /// Refund in fen.
    pub refund_fen: Option<i64>,
    /// Compensation in fen.
    pub compensation_fen: Option<i64>,
    /// Why the line was refused, as a JSON text.
    pub errors: Option<Body>,
}

/// The lines of a chunk that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkLines {
    /// Every chunk before it is done too.
    pub in_order: bool,
    /// Its lines, in order.
    pub lines: Vec<BatchLine>,
}

impl TenantStore {
    /// Takes a chunk up, and notes that its batch is running. None if it is done or its batch has ended: there is nothing
    /// to do then.
    pub async fn begin_chunk(&self, batch: &str, number: i32) -> Result<Option<BatchChunk>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let row = sqlx::query!(
            r#"SELECT i.first_line, i.sealed, b.as_of, k.subject AS "subject?", k.wrapped AS "wrapped?", k.master AS "master?",
                      e.record_id AS "erased_by?", e.created_at AS "erased_at?"
               FROM praetor.batch_inputs i JOIN praetor.batches b ON b.tenant = i.tenant AND b.id = i.batch_id
               LEFT JOIN praetor.subject_keys k ON k.id = i.key_id LEFT JOIN praetor.erasures e ON e.key_id = i.key_id
               WHERE i.batch_id = $1 AND i.number = $2"#,
            batch,
            number,
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::query("take a chunk up"))?;
        let Some(row) = row else { return Ok(None) };
        self.note_state(&mut tx, batch, "running").await?;
        commit(tx).await?;
        let text = self.open("batch_inputs", &place(batch, number), &row.sealed, joined!(row))?.kept()?.to_vec();
        Ok(Some(BatchChunk { first_line: row.first_line, text, as_of: row.as_of }))
    }

    /// Records all of a chunk, or nothing if it was done before or its batch has ended: then false.
    pub async fn finish_chunk(&self, batch: &str, number: i32, done: &DoneChunk) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        // All keys at once and in one order: see `keys`.
        let refused = done.rejections.iter().filter_map(|r| r.subject.as_deref());
        self.keys(&mut tx, done.decisions.iter().map(|(_, d)| d.subject.as_str()).chain(refused)).await?;
        let decisions: Vec<NewDecision> = done.decisions.iter().map(|(_, d)| d.clone()).collect();
        if !decisions.is_empty() {
            self.record_in(&mut tx, &decisions).await?;
        }
        self.reject_in(&mut tx, &done.rejections).await?;
        lock_batch(&mut tx, &self.tenant, batch).await?;
        let decided = done.decisions.iter().map(|(line, d)| (*line, Some(d.id.as_str())));
        let mut lines: Vec<(i64, Option<&str>)> =
            decided.chain(done.rejections.iter().map(|r| (r.line, None))).collect();
        lines.sort_unstable();
        let count = |outcome: &str| decisions.iter().filter(|d| d.outcome == outcome).count();
        let small = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let added = sqlx::query!(
            r#"INSERT INTO praetor.batch_chunks (tenant, batch_id, number, lines, decision_ids, auto, review, rejected)
               SELECT $1, $2, $3, $4, $5, $6, $7, $8
               WHERE NOT EXISTS (SELECT FROM praetor.batch_states s WHERE s.batch_id = $2 AND s.state <> 'running')
               ON CONFLICT DO NOTHING"#,
            self.tenant.as_str(),
            batch,
            number,
            &lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            &lines.iter().map(|(_, id)| *id).collect::<Vec<_>>() as _,
            small(count("auto")),
            small(count("review")),
            small(done.rejections.len()),
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("note that a chunk is done"))?
        .rows_affected();
        if added == 0 {
            return Ok(false);
        }
        drop_inputs(&mut tx, Some(batch)).await?;
        let left = sqlx::query_scalar!(
            r#"SELECT b.chunks - (SELECT count(*) FROM praetor.batch_chunks c WHERE c.batch_id = b.id) AS "left!"
               FROM praetor.batches b WHERE b.id = $1"#,
            batch,
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("count the chunks"))?;
        if left == 0 {
            self.note_state(&mut tx, batch, "done").await?;
        }
        commit(tx).await?;
        Ok(true)
    }

    /// The lines after this one of the first chunk that is done and has any.
    pub async fn batch_lines(&self, batch: &str, after: i64) -> Result<Option<ChunkLines>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let rows = sqlx::query!(
            r#"SELECT c.in_order AS "in_order!", u.line AS "line!", u.decision_id, d.ticket_id AS "ticket_id?", d.outcome AS "outcome?", d.sop_id,
                      d.sop_version, d.remedy_kind, d.refund_fen, d.compensation_fen,
                      n.seq AS "rejection?", r.sealed_errors AS "sealed_errors?", k.subject AS "subject?", k.wrapped AS "wrapped?",
                      k.master AS "master?", e.record_id AS "erased_by?", e.created_at AS "erased_at?"
               FROM (SELECT m.lines, m.decision_ids, m.number + 1 = (SELECT count(*) FROM praetor.batch_chunks o
                                                                     WHERE o.batch_id = $1 AND o.number <= m.number) AS in_order
                     FROM praetor.batch_chunks m
                     WHERE m.batch_id = $1 AND m.lines[cardinality(m.lines)] > $2 ORDER BY m.number LIMIT 1) c
               CROSS JOIN LATERAL unnest(c.lines, c.decision_ids) AS u(line, decision_id)
               LEFT JOIN praetor.leaves l ON l.kind = 'decision' AND l.record_id = u.decision_id
               LEFT JOIN praetor.decisions d ON d.seq = l.seq AND d.created_at = l.created_at
               LEFT JOIN praetor.rejection_keys n ON u.decision_id IS NULL AND n.source = 'batch:' || $1 AND n.line = u.line
               LEFT JOIN praetor.rejections r ON r.seq = n.seq AND r.created_at = n.created_at
               LEFT JOIN praetor.subject_keys k ON k.id = r.key_id LEFT JOIN praetor.erasures e ON e.key_id = r.key_id
               WHERE u.line > $2 ORDER BY u.line"#,
            batch,
            after,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read a batch's results"))?;
        let Some(in_order) = rows.first().map(|row| row.in_order) else { return Ok(None) };
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            let errors = match (row.rejection, &row.sealed_errors) {
                (Some(seq), Some(sealed)) => {
                    Some(self.open("rejection errors", &seq.to_string(), sealed, joined!(row))?)
                }
                _ => None,
            };
            lines.push(BatchLine {
                line: row.line,
                decision_id: row.decision_id,
                ticket_id: row.ticket_id,
                outcome: row.outcome,
                sop_id: row.sop_id,
                sop_version: row.sop_version,
                remedy_kind: row.remedy_kind,
                refund_fen: row.refund_fen,
                compensation_fen: row.compensation_fen,
                errors,
            });
        }
        Ok(Some(ChunkLines { in_order, lines }))
    }
}
