//! Reads records back. Whatever carries a hash is checked against it before it is handed out; what was sealed for
//! another place does not open.

use super::error::StoreError;
use super::keys::{Joined, joined};
use super::model::{Body, Hash, StoredDecision, StoredRejection};
use super::pack::proven;
use super::tenant::{Intent, TenantStore};

/// A row of `decisions`, its leaf and its key, as the driver gives it.
struct DecisionRow {
    id: String,
    seq: i64,
    ticket_id: String,
    case_hash: Vec<u8>,
    outcome: String,
    sop_id: Option<String>,
    sop_version: Option<i32>,
    remedy_kind: Option<String>,
    refund_fen: Option<i64>,
    compensation_fen: Option<i64>,
    sealed: Vec<u8>,
    created_at: chrono::DateTime<chrono::Utc>,
    subject: Option<String>,
    wrapped: Option<Vec<u8>>,
    master: Option<String>,
    erased_by: Option<String>,
    erased_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Decisions with their leaves and keys; what follows FROM is all that differs between the ways to find them.
macro_rules! decisions {
    ($from:tt, $($argument:expr),*) => {
        sqlx::query_as!(
            DecisionRow,
            r#"SELECT d.id, d.seq, d.ticket_id, d.case_hash, d.outcome, d.sop_id, d.sop_version, d.remedy_kind,
                      d.refund_fen, d.compensation_fen, d.sealed, d.created_at,
                      k.subject AS "subject?", k.wrapped AS "wrapped?", k.master AS "master?",
                      e.record_id AS "erased_by?", e.created_at AS "erased_at?"
               FROM praetor.decisions d JOIN praetor.leaves l ON l.seq = d.seq AND l.created_at = d.created_at
               LEFT JOIN praetor.subject_keys k ON k.id = d.key_id
               LEFT JOIN praetor.erasures e ON e.key_id = d.key_id "#
                + $from,
            $($argument),*
        )
    };
}

impl TenantStore {
    /// The decision with this id.
    pub async fn decision(&self, id: &str) -> Result<Option<StoredDecision>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let row = decisions!("WHERE l.kind = 'decision' AND l.record_id = $1", id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::query("read a decision"))?;
        row.map(|row| self.stored_decision(row)).transpose()
    }

    /// All decisions on a ticket, newest first.
    pub async fn by_ticket(&self, ticket_id: &str) -> Result<Vec<StoredDecision>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let rows = decisions!("WHERE d.ticket_id = $1 ORDER BY d.seq DESC", ticket_id)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::query("read a ticket's decisions"))?;
        rows.into_iter().map(|row| self.stored_decision(row)).collect()
    }

    /// Decisions after a place in the order of records (0: from the first), at most `limit`.
    pub async fn list_decisions(&self, after: i64, limit: i64) -> Result<Vec<StoredDecision>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let rows = decisions!("WHERE d.seq > $1 ORDER BY d.seq LIMIT $2", after, limit)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::query("read decisions"))?;
        rows.into_iter().map(|row| self.stored_decision(row)).collect()
    }

    fn stored_decision(&self, row: DecisionRow) -> Result<StoredDecision, StoreError> {
        let body = self.open("decision", &row.id, &row.sealed, joined!(row))?;
        let damaged = || StoreError::Damaged { what: "decision", id: row.id.clone(), source: None };
        Ok(StoredDecision {
            case_hash: Hash::try_from(row.case_hash.as_slice()).map_err(|_| damaged())?,
            id: row.id,
            seq: row.seq,
            ticket_id: row.ticket_id,
            outcome: row.outcome,
            sop_id: row.sop_id,
            sop_version: row.sop_version,
            remedy_kind: row.remedy_kind,
            refund_fen: row.refund_fen,
            compensation_fen: row.compensation_fen,
            body,
            created_at: row.created_at,
        })
    }

    /// The trace of a decision, canonical JSON.
    pub async fn trace(&self, decision_id: &str) -> Result<Option<Body>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let row = sqlx::query!(
            r#"SELECT t.sealed, k.subject AS "subject?", k.wrapped AS "wrapped?", k.master AS "master?",
                      e.record_id AS "erased_by?", e.created_at AS "erased_at?"
               FROM praetor.leaves l JOIN praetor.traces t ON t.seq = l.seq AND t.created_at = l.created_at
               LEFT JOIN praetor.subject_keys k ON k.id = t.key_id LEFT JOIN praetor.erasures e ON e.key_id = t.key_id
               WHERE l.kind = 'decision' AND l.record_id = $1"#,
            decision_id,
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::query("read a trace"))?;
        let Some(row) = row else { return Ok(None) };
        self.open("trace", decision_id, &row.sealed, joined!(row)).map(Some)
    }

    /// The case file with this hash, canonical JSON. Erased only if every copy is.
    pub async fn case(&self, hash: &Hash) -> Result<Option<Body>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let row = sqlx::query!(
            r#"SELECT c.sealed, k.subject AS "subject?", k.wrapped AS "wrapped?", k.master AS "master?",
                      e.record_id AS "erased_by?", e.created_at AS "erased_at?"
               FROM praetor.case_keys n JOIN praetor.cases c ON c.seq = n.seq AND c.created_at = n.created_at
               LEFT JOIN praetor.subject_keys k ON k.id = c.key_id LEFT JOIN praetor.erasures e ON e.key_id = c.key_id
               WHERE n.case_hash = $1 ORDER BY k.id IS NULL, n.seq DESC LIMIT 1"#,
            hash,
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::query("read a case"))?;
        let Some(row) = row else { return Ok(None) };
        let id = hex::encode(hash);
        proven("case", &id, self.open("case", &id, &row.sealed, joined!(row))?, hash).map(Some)
    }

    /// Quarantined inputs from one place, in order of recording.
    pub async fn rejections(&self, source: &str) -> Result<Vec<StoredRejection>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let rows = sqlx::query!(
            r#"SELECT n.seq, n.input_sha256, n.source, n.line, r.sealed, r.sealed_errors, n.created_at,
                      k.subject AS "subject?", k.wrapped AS "wrapped?", k.master AS "master?",
                      e.record_id AS "erased_by?", e.created_at AS "erased_at?"
               FROM praetor.rejection_keys n JOIN praetor.rejections r ON r.seq = n.seq AND r.created_at = n.created_at
               LEFT JOIN praetor.subject_keys k ON k.id = r.key_id LEFT JOIN praetor.erasures e ON e.key_id = r.key_id
               WHERE n.source = $1 ORDER BY n.seq"#,
            source,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read rejections"))?;
        let stored = rows.into_iter().map(|row| {
            let id = row.seq.to_string();
            let input = self.open("rejection", &id, &row.sealed, joined!(row))?;
            Ok(StoredRejection {
                id: row.seq,
                errors: self.open("rejection errors", &id, &row.sealed_errors, joined!(row))?,
                input: proven("rejection", &id, input, &row.input_sha256)?,
                source: row.source,
                line: row.line,
                created_at: row.created_at,
            })
        });
        stored.collect()
    }
}
