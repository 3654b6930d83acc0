//! Lists of decisions by what is searched for; what is sealed stays sealed.

use chrono::{DateTime, Utc};

use super::error::StoreError;
use super::tenant::{Intent, TenantStore};

/// Which decisions a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Only this ticket's.
    pub ticket_id: Option<String>,
    /// Only of this outcome.
    pub outcome: Option<String>,
    /// Only of this SOP.
    pub sop_id: Option<String>,
    /// Recorded at or after.
    pub from: Option<DateTime<Utc>>,
    /// Recorded before.
    pub to: Option<DateTime<Utc>>,
    /// Recorded before the decision with this `seq`.
    pub before: Option<i64>,
}

/// A decision in a list: what is searched for, without what is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRow {
    /// Position in the order of recording.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// The ticket decided upon.
    pub ticket_id: String,
    /// `auto` or `review`.
    pub outcome: String,
    /// The governing SOP.
    pub sop_id: Option<String>,
    /// The SOP's version.
    pub sop_version: Option<i32>,
    /// The remedy's id.
    pub remedy_kind: Option<String>,
    /// Refund in fen.
    pub refund_fen: Option<i64>,
    /// Compensation in fen.
    pub compensation_fen: Option<i64>,
    /// When it was recorded, by the database's clock.
    pub created_at: DateTime<Utc>,
}

impl TenantStore {
    /// The decisions that a filter lets through, newest first, at most `limit`.
    pub async fn decisions(&self, filter: &DecisionFilter, limit: u16) -> Result<Vec<DecisionRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            DecisionRow,
            r#"SELECT seq, id, ticket_id, outcome, sop_id, sop_version, remedy_kind, refund_fen, compensation_fen, created_at
               FROM praetor.decisions
               WHERE ($1::text IS NULL OR ticket_id = $1) AND ($2::text IS NULL OR outcome = $2)
                 AND ($3::text IS NULL OR sop_id = $3) AND ($4::timestamptz IS NULL OR created_at >= $4)
                 AND ($5::timestamptz IS NULL OR created_at < $5) AND ($6::bigint IS NULL OR seq < $6)
               ORDER BY seq DESC LIMIT $7"#,
            filter.ticket_id,
            filter.outcome,
            filter.sop_id,
            filter.from,
            filter.to,
            filter.before,
            i64::from(limit),
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("list decisions"))
    }
}
