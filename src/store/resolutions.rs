//! What people decide: resolutions and appeals. Each is a sealed record with a leaf, under the key of the decision's
//! subject, and beside it, in the same transaction, the columns that the queue goes by.

use chrono::{DateTime, Utc};
use sqlx::PgTransaction;

use super::error::StoreError;
use super::model::{NewRecord, NewTask};
use super::reviews::TaskRow;
use super::tenant::{Intent, TenantStore, commit};
use crate::ledger::Kind;

/// A remedy in columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemedyColumns {
    /// The remedy's id.
    pub kind: String,
    /// Refund in fen.
    pub refund_fen: i64,
    /// Compensation in fen.
    pub compensation_fen: i64,
    /// `seller`, `buyer` or `none`.
    pub freight_by: String,
    /// Whether the goods go back.
    pub return_goods: bool,
}

/// A resolution to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResolution {
    /// The task.
    pub task_id: String,
    /// The task's steps when it was made; it is refused once there are more.
    pub step: i32,
    /// The reviewer's key, which must hold the task.
    pub key_id: String,
    /// The record's id.
    pub record_id: String,
    /// The record's canonical bytes.
    pub body: Vec<u8>,
    /// Whether it closes the task.
    pub closes: bool,
    /// Whether the proposed remedy stands.
    pub stands: bool,
    /// The finding corrected first.
    pub reason: Option<String>,
    /// The remedy decided.
    pub remedy: RemedyColumns,
}

/// A resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolutionRow {
    /// The task.
    pub task_id: String,
    /// The task's number among the decision's.
    pub nth: i16,
    /// The reviewer's key.
    pub key_id: String,
    /// The record's id.
    pub record_id: String,
    /// Whether it closed the task.
    pub closes: bool,
    /// Whether the proposed remedy stands.
    pub stands: bool,
    /// The finding corrected first.
    pub reason: Option<String>,
    /// The remedy decided.
    pub remedy: RemedyColumns,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// An appeal to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAppeal {
    /// The decision.
    pub decision_id: String,
    /// The task it becomes; the record has the same id.
    pub task: NewTask,
    /// The record's canonical bytes.
    pub body: Vec<u8>,
    /// Appeals that a decision admits.
    pub most: i16,
}

/// What became of an appeal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appealed {
    /// It is in the queue.
    Queued,
    /// The decision waits for a person anyway.
    Waits,
    /// There were as many as a decision admits.
    TooMany,
}

impl TenantStore {
    /// Adds a resolution and its record. False, and nothing is recorded, unless the key holds the task and no step was
    /// taken since.
    pub async fn resolve(&self, new: &NewResolution) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        let held = |task: &TaskRow| task.step == new.step && task.holder.as_ref() == Some(&new.key_id);
        let Some(task) = self.task_in(&mut tx, &new.task_id).await?.filter(held) else { return Ok(false) };
        let subject = self.subject_of(&mut tx, &task.decision_id).await?;
        let record = NewRecord { id: new.record_id.clone(), subject: Some(subject), body: new.body.clone() };
        self.append_in(&mut tx, Kind::Review, &[record]).await?;
        let added = sqlx::query!(
            r#"INSERT INTO praetor.review_steps (tenant, task_id, step, decision_id, what, state, given, key_id, record_id,
                                                 stands, reason, remedy_kind, refund_fen, compensation_fen, freight_by,
                                                 return_goods)
               VALUES ($1, $2, $3, $4, 'resolved', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
               ON CONFLICT DO NOTHING"#,
            self.tenant.as_str(),
            task.id,
            task.step + 1,
            task.decision_id,
            if new.closes { "resolved" } else { "open" },
            task.given + 1,
            new.key_id,
            new.record_id,
            new.stands,
            new.reason,
            new.remedy.kind,
            new.remedy.refund_fen,
            new.remedy.compensation_fen,
            new.remedy.freight_by,
            new.remedy.return_goods,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("resolve a task"))?
        .rows_affected();
        if added == 1 {
            commit(tx).await?;
        }
        Ok(added == 1)
    }

    /// Adds an appeal, its record and its task.
    pub async fn appeal(&self, new: &NewAppeal) -> Result<Appealed, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        let tasks = self.tasks_of(&mut tx, &new.decision_id).await?;
        if tasks.iter().any(|task| task.state != "resolved" && task.kind != "audit") {
            return Ok(Appealed::Waits);
        }
        let nth = tasks.last().map_or(0, |task| task.nth) + 1;
        if nth > new.most {
            return Ok(Appealed::TooMany);
        }
        let subject = self.subject_of(&mut tx, &new.decision_id).await?;
        let record = NewRecord { id: new.task.id.clone(), subject: Some(subject), body: new.body.clone() };
        self.append_in(&mut tx, Kind::Appeal, &[record]).await?;
        let added = sqlx::query!(
            r#"INSERT INTO praetor.review_tasks (tenant, id, decision_id, nth, kind, scene, priority, amount_fen, due_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::bigint * interval '1 second') ON CONFLICT DO NOTHING"#,
            self.tenant.as_str(),
            new.task.id,
            new.decision_id,
            nth,
            new.task.kind,
            new.task.scene,
            new.task.priority,
            new.task.amount_fen,
            new.task.due_in,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("queue an appeal"))?
        .rows_affected();
        if added == 0 {
            return Ok(Appealed::Waits);
        }
        commit(tx).await?;
        Ok(Appealed::Queued)
    }

    /// The resolutions of all tasks of a decision, in the order in which they were given.
    pub async fn resolutions(&self, decision_id: &str) -> Result<Vec<ResolutionRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let rows = sqlx::query!(
            r#"SELECT s.task_id, t.nth, s.key_id, s.record_id AS "record_id!", s.state, s.stands AS "stands!", s.reason,
                      s.remedy_kind AS "remedy_kind!", s.refund_fen AS "refund_fen!",
                      s.compensation_fen AS "compensation_fen!", s.freight_by AS "freight_by!",
                      s.return_goods AS "return_goods!", s.created_at
               FROM praetor.review_steps s JOIN praetor.review_tasks t ON t.tenant = s.tenant AND t.id = s.task_id
               WHERE s.decision_id = $1 AND s.what = 'resolved' ORDER BY t.nth, s.step"#,
            decision_id,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read resolutions"))?;
        let rows = rows.into_iter().map(|row| ResolutionRow {
            task_id: row.task_id,
            nth: row.nth,
            key_id: row.key_id,
            record_id: row.record_id,
            closes: row.state == "resolved",
            stands: row.stands,
            reason: row.reason,
            remedy: RemedyColumns {
                kind: row.remedy_kind,
                refund_fen: row.refund_fen,
                compensation_fen: row.compensation_fen,
                freight_by: row.freight_by,
                return_goods: row.return_goods,
            },
            created_at: row.created_at,
        });
        Ok(rows.collect())
    }

    /// Whose data a decision is about.
    async fn subject_of(&self, tx: &mut PgTransaction<'_>, decision_id: &str) -> Result<String, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT k.subject FROM praetor.leaves l JOIN praetor.subject_keys k ON k.id = l.key_id
               WHERE l.kind = 'decision' AND l.record_id = $1"#,
            decision_id,
        )
        .fetch_optional(&mut **tx)
        .await
        .map_err(StoreError::query("look for a decision's subject"))?
        .ok_or(StoreError::NoSubject)
    }
}
