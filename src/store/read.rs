//! Reads records back. Whatever carries a hash is checked against it before it is handed out.

use super::Store;
use super::error::StoreError;
use super::model::{Hash, StoredDecision, StoredRejection};
use super::pack::{proven, unpack};

/// A row of `decisions` as the driver gives it.
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
    body: Vec<u8>,
    body_sha256: Vec<u8>,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl TryFrom<DecisionRow> for StoredDecision {
    type Error = StoreError;

    fn try_from(row: DecisionRow) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged { what: "decision", id: row.id.clone(), source: None };
        Ok(Self {
            case_hash: Hash::try_from(row.case_hash.as_slice()).map_err(|_| damaged())?,
            body: proven("decision", &row.id, row.body, &row.body_sha256)?,
            id: row.id,
            seq: row.seq,
            ticket_id: row.ticket_id,
            outcome: row.outcome,
            sop_id: row.sop_id,
            sop_version: row.sop_version,
            remedy_kind: row.remedy_kind,
            refund_fen: row.refund_fen,
            compensation_fen: row.compensation_fen,
            created_at: row.created_at,
        })
    }
}

impl Store {
    /// The decision with this id.
    pub async fn decision(&self, id: &str) -> Result<Option<StoredDecision>, StoreError> {
        let row = sqlx::query_as!(
            DecisionRow,
            r#"SELECT id, seq, ticket_id, case_hash, outcome, sop_id, sop_version, remedy_kind, refund_fen,
                      compensation_fen, body, body_sha256, created_at
               FROM praetor.decisions WHERE id = $1"#,
            id,
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::query("read a decision"))?;
        row.map(StoredDecision::try_from).transpose()
    }

    /// All decisions on a ticket, newest first.
    pub async fn by_ticket(&self, ticket_id: &str) -> Result<Vec<StoredDecision>, StoreError> {
        let rows = sqlx::query_as!(
            DecisionRow,
            r#"SELECT id, seq, ticket_id, case_hash, outcome, sop_id, sop_version, remedy_kind, refund_fen,
                      compensation_fen, body, body_sha256, created_at
               FROM praetor.decisions WHERE ticket_id = $1 ORDER BY seq DESC"#,
            ticket_id,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("read a ticket's decisions"))?;
        rows.into_iter().map(StoredDecision::try_from).collect()
    }

    /// The trace of a decision, canonical JSON.
    pub async fn trace(&self, decision_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query!("SELECT packed, sha256 FROM praetor.traces WHERE decision_id = $1", decision_id)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("read a trace"))?;
        row.map(|row| proven("trace", decision_id, unpack("trace", decision_id, &row.packed)?, &row.sha256)).transpose()
    }

    /// The case file with this hash, canonical JSON.
    pub async fn case(&self, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let packed = sqlx::query_scalar!("SELECT packed FROM praetor.cases WHERE case_hash = $1", hash)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("read a case"))?;
        let id = hex::encode(hash);
        packed.map(|packed| proven("case", &id, unpack("case", &id, &packed)?, hash)).transpose()
    }

    /// The rule book with this hash.
    pub async fn rulebook(&self, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let packed = sqlx::query_scalar!("SELECT packed FROM praetor.rulebooks WHERE hash = $1", hash)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("read a rule book"))?;
        packed.map(|packed| unpack("rule book", &hex::encode(hash), &packed)).transpose()
    }

    /// Quarantined inputs from one place, in order of recording.
    pub async fn rejections(&self, source: &str) -> Result<Vec<StoredRejection>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT id, input_sha256, source, line, errors::text AS "errors!", packed, created_at
               FROM praetor.rejections WHERE source = $1 ORDER BY id"#,
            source,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("read rejections"))?;
        let stored = rows.into_iter().map(|row| {
            let id = row.id.to_string();
            Ok(StoredRejection {
                id: row.id,
                source: row.source,
                line: row.line,
                errors: row.errors,
                input: proven("rejection", &id, unpack("rejection", &id, &row.packed)?, &row.input_sha256)?,
                created_at: row.created_at,
            })
        });
        stored.collect()
    }
}
