//! Figures over the review queue: what waits, what came of what was judged, where two people judged the same.

use chrono::{DateTime, Utc};

use super::Store;
use super::error::StoreError;
use super::tenant::{Intent, TenantStore};

/// Tasks of a kind that wait, over all tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// `review`, `audit` or `appeal`.
    pub kind: String,
    /// Not resolved.
    pub open: i64,
    /// Of these, due.
    pub overdue: i64,
}

/// Tasks of a scene and a kind, with what came of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The scene decided for.
    pub scene: String,
    /// `review` or `audit`.
    pub kind: String,
    /// Whether they are resolved.
    pub resolved: bool,
    /// The finding corrected first; none where no finding was.
    pub reason: Option<String>,
    /// How many.
    pub tasks: i64,
}

/// The first two, independent resolutions of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twice {
    /// Whether the proposal stands, by the first and by the second.
    pub stands: (bool, bool),
    /// The remedy's kind, by the first and by the second.
    pub remedy_kind: (String, String),
    /// Whether both decided the same remedy in every part.
    pub same: bool,
}

/// A resolved task as calibration needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Position of the task in the order of writing.
    pub seq: i64,
    /// The task.
    pub task_id: String,
    /// The decision.
    pub decision_id: String,
    /// `review`, `audit` or `appeal`.
    pub kind: String,
    /// Whether the proposed remedy stands.
    pub stands: bool,
}

impl Store {
    /// What waits for people, over all tenants.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        sqlx::query_as!(
            Waiting,
            r#"SELECT kind AS "kind!", open AS "open!", overdue AS "overdue!" FROM praetor.count_reviews()"#
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("count the tasks"))
    }
}

impl TenantStore {
    /// Tasks written since then, appeals left out, by scene, kind and what came of them.
    pub async fn judged(&self, since: Option<DateTime<Utc>>) -> Result<Vec<Judged>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            Judged,
            r#"SELECT t.scene, t.kind, s.record_id IS NOT NULL AS "resolved!", s.reason AS "reason?", count(*) AS "tasks!"
               FROM praetor.review_tasks t LEFT JOIN praetor.review_steps s
                    ON s.tenant = t.tenant AND s.task_id = t.id AND s.state = 'resolved'
               WHERE t.kind <> 'appeal' AND ($1::timestamptz IS NULL OR t.created_at >= $1)
               GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"#,
            since,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("count the resolutions"))
    }

    /// How many decisions were automatic since then.
    pub async fn automatic(&self, since: Option<DateTime<Utc>>) -> Result<i64, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM praetor.decisions
               WHERE outcome = 'auto' AND ($1::timestamptz IS NULL OR created_at >= $1)"#,
            since,
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("count the automatic decisions"))
    }

    /// Tasks written since then that two people judged, oldest first.
    pub async fn judged_twice(&self, since: Option<DateTime<Utc>>) -> Result<Vec<Twice>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let rows = sqlx::query!(
            r#"SELECT a.stands AS "a_stands!", b.stands AS "b_stands!", a.remedy_kind AS "a_kind!", b.remedy_kind AS "b_kind!",
                      (a.remedy_kind, a.refund_fen, a.compensation_fen, a.freight_by, a.return_goods) =
                      (b.remedy_kind, b.refund_fen, b.compensation_fen, b.freight_by, b.return_goods) AS "same!"
               FROM praetor.review_tasks t
               JOIN praetor.review_steps a ON a.tenant = t.tenant AND a.task_id = t.id AND a.what = 'resolved' AND a.given = 1
               JOIN praetor.review_steps b ON b.tenant = t.tenant AND b.task_id = t.id AND b.what = 'resolved' AND b.given = 2
               WHERE $1::timestamptz IS NULL OR t.created_at >= $1 ORDER BY t.seq"#,
            since,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read double reviews"))?;
        let twice = rows.into_iter().map(|row| Twice {
            stands: (row.a_stands, row.b_stands),
            remedy_kind: (row.a_kind, row.b_kind),
            same: row.same,
        });
        Ok(twice.collect())
    }

    /// Resolved tasks behind a place in the order of tasks (0: from the first), at most `limit`.
    pub async fn outcomes(&self, after: i64, limit: i64) -> Result<Vec<Outcome>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            Outcome,
            r#"SELECT t.seq, t.id AS task_id, t.decision_id, t.kind, s.stands AS "stands!"
               FROM praetor.review_tasks t JOIN praetor.review_steps s
                    ON s.tenant = t.tenant AND s.task_id = t.id AND s.state = 'resolved'
               WHERE t.seq > $1 ORDER BY t.seq LIMIT $2"#,
            after,
            limit,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read outcomes of reviews"))
    }
}
