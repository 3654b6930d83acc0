//! The review queue: tasks as they stand, and the steps that people take. A step is a row; whoever adds one has seen the
//! one before, and of several who saw the same the primary key lets one through. Nothing is ever changed.

use chrono::{DateTime, Utc};
use sqlx::PgTransaction;

use super::error::StoreError;
use super::tenant::{Intent, TenantStore, commit};

/// Which tasks a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only in this state: `open`, `claimed` or `resolved`.
    pub state: Option<String>,
    /// Only those that are due and not resolved.
    pub overdue: bool,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this scene.
    pub scene: Option<String>,
    /// Only those that this key holds.
    pub holder: Option<String>,
    /// Only behind the task with this `seq`.
    pub after: Option<i64>,
}

/// A task as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Position in the order of writing.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// The decision it is about.
    pub decision_id: String,
    /// 0 for the decision's own task, from 1 for its appeals.
    pub nth: i16,
    /// `review`, `audit` or `appeal`.
    pub kind: String,
    /// The scene decided for.
    pub scene: String,
    /// From 0, which comes first, to 100.
    pub priority: i16,
    /// What the proposal costs in fen.
    pub amount_fen: i64,
    /// When it is due.
    pub due_at: DateTime<Utc>,
    /// Whether it is due and not resolved.
    pub overdue: bool,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// Steps taken so far.
    pub step: i32,
    /// Resolutions so far.
    pub given: i16,
    /// `open`, `claimed` or `resolved`.
    pub state: String,
    /// Whose claim holds.
    pub holder: Option<String>,
    /// Until when.
    pub held_until: Option<DateTime<Utc>>,
    /// Since when.
    pub held_since: Option<DateTime<Utc>>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It holds.
    Taken(Box<TaskRow>),
    /// There is no such task.
    Unknown,
    /// The task is resolved.
    Resolved,
    /// Another holds it.
    Held,
    /// This key has judged this decision before.
    Judged,
}

/// Tasks as they stand; what follows FROM is all that differs between the ways to find them. `o` is what a list goes
/// through in order: the tasks that wait, or all of them.
macro_rules! tasks {
    ($which:tt, $from:tt, $($argument:expr),*) => {
        sqlx::query_as!(
            TaskRow,
            r#"SELECT q.seq AS "seq!", q.id AS "id!", q.decision_id AS "decision_id!", q.nth AS "nth!", q.kind AS "kind!",
                      q.scene AS "scene!", q.priority AS "priority!", q.amount_fen AS "amount_fen!", q.due_at AS "due_at!",
                      (q.due_at < now() AND q.state <> 'resolved') AS "overdue!", q.created_at AS "created_at!",
                      q.step AS "step!", q.given AS "given!", q.state AS "state!", q.holder, q.held_until, q.held_since
               FROM praetor.review_queue q JOIN praetor."#
                + $which
                + r#" o ON o.tenant = q.tenant AND o.id = q.id "#
                + $from,
            $($argument),*
        )
    };
}

/// Tasks that a filter lets through, in order.
macro_rules! filtered {
    ($which:tt, $filter:expr, $limit:expr) => {
        tasks!(
            $which,
            "WHERE ($1::text IS NULL OR q.state = $1) AND ($2::text IS NULL OR q.kind = $2)
               AND ($3::text IS NULL OR q.scene = $3) AND ($4::text IS NULL OR q.holder = $4)
               AND (NOT $5 OR (q.due_at < now() AND q.state <> 'resolved'))
               AND ($6::bigint IS NULL OR (o.priority, o.due_at, o.seq) >
                    (SELECT t.priority, t.due_at, t.seq FROM praetor.review_tasks t WHERE t.seq = $6))
             ORDER BY o.priority, o.due_at, o.seq LIMIT $7",
            $filter.state,
            $filter.kind,
            $filter.scene,
            $filter.holder,
            $filter.overdue,
            $filter.after,
            i64::from($limit)
        )
    };
}

impl TenantStore {
    /// The tasks that a filter lets through, the most urgent first, at most `limit`.
    pub async fn tasks(&self, filter: &TaskFilter, limit: u16) -> Result<Vec<TaskRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let waits =
            filter.overdue || filter.holder.is_some() || matches!(filter.state.as_deref(), Some("open" | "claimed"));
        let found = match waits {
            true => filtered!("review_open", filter, limit).fetch_all(&mut *tx).await,
            false => filtered!("review_tasks", filter, limit).fetch_all(&mut *tx).await,
        };
        found.map_err(StoreError::query("list the tasks"))
    }

    /// The tasks of a decision, its own first.
    pub async fn decision_tasks(&self, decision_id: &str) -> Result<Vec<TaskRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        self.tasks_of(&mut tx, decision_id).await
    }

    /// The task with this id.
    pub async fn task(&self, id: &str) -> Result<Option<TaskRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        self.task_in(&mut tx, id).await
    }

    /// Claims a task for a key, so many seconds long; whoever holds it already holds it anew.
    pub async fn claim(&self, id: &str, key_id: &str, seconds: i64) -> Result<Claim, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let Some(task) = self.task_in(&mut tx, id).await? else { return Ok(Claim::Unknown) };
        if task.state == "resolved" {
            return Ok(Claim::Resolved);
        }
        if task.holder.as_deref().is_some_and(|holder| holder != key_id) {
            return Ok(Claim::Held);
        }
        let judged = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM praetor.review_steps
                              WHERE decision_id = $1 AND key_id = $2 AND what = 'resolved') AS "judged!""#,
            task.decision_id,
            key_id,
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("look at earlier resolutions"))?;
        if judged {
            return Ok(Claim::Judged);
        }
        match self.take_claim(tx, &task, key_id, seconds).await? {
            Ok(taken) => Ok(Claim::Taken(Box::new(taken))),
            Err(_) => Ok(Claim::Held),
        }
    }

    /// Claims the most urgent open task that a key may judge, of a kind and a scene if these are named.
    pub async fn claim_next(
        &self,
        key_id: &str,
        kind: Option<&str>,
        scene: Option<&str>,
        seconds: i64,
    ) -> Result<Option<TaskRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        loop {
            let next = tasks!(
                "review_open",
                "WHERE q.state = 'open' AND ($2::text IS NULL OR q.kind = $2) AND ($3::text IS NULL OR q.scene = $3)
                   AND NOT EXISTS (SELECT FROM praetor.review_steps s
                                   WHERE s.decision_id = q.decision_id AND s.key_id = $1 AND s.what = 'resolved')
                 ORDER BY o.priority, o.due_at, o.seq LIMIT 1",
                key_id,
                kind,
                scene
            )
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::query("look for a task"))?;
            let Some(next) = next else { return Ok(None) };
            // Where another was faster, the next look sees his claim.
            tx = match self.take_claim(tx, &next, key_id, seconds).await? {
                Ok(taken) => return Ok(Some(taken)),
                Err(tx) => tx,
            };
        }
    }

    /// Gives a claim up. False if the key holds none on the task.
    pub async fn release_task(&self, id: &str, key_id: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let task = self.task_in(&mut tx, id).await?;
        let Some(task) = task.filter(|task| task.holder.as_deref() == Some(key_id)) else { return Ok(false) };
        let added = sqlx::query!(
            r#"INSERT INTO praetor.review_steps (tenant, task_id, step, decision_id, what, state, given, key_id)
               VALUES ($1, $2, $3, $4, 'released', 'open', $5, $6) ON CONFLICT DO NOTHING"#,
            self.tenant.as_str(),
            task.id,
            task.step + 1,
            task.decision_id,
            task.given,
            key_id,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("release a task"))?
        .rows_affected();
        commit(tx).await?;
        Ok(added == 1)
    }

    /// Adds a claim and commits, or gives the transaction back where another was faster.
    async fn take_claim(
        &self,
        mut tx: PgTransaction<'static>,
        task: &TaskRow,
        key_id: &str,
        seconds: i64,
    ) -> Result<Result<TaskRow, PgTransaction<'static>>, StoreError> {
        let added = sqlx::query!(
            r#"INSERT INTO praetor.review_steps (tenant, task_id, step, decision_id, what, state, given, key_id, until)
               VALUES ($1, $2, $3, $4, 'claimed', 'claimed', $5, $6, now() + $7::bigint * interval '1 second')
               ON CONFLICT DO NOTHING"#,
            self.tenant.as_str(),
            task.id,
            task.step + 1,
            task.decision_id,
            task.given,
            key_id,
            seconds,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("claim a task"))?
        .rows_affected();
        if added == 0 {
            return Ok(Err(tx));
        }
        let taken = self.task_in(&mut tx, &task.id).await?.ok_or(StoreError::Raced)?;
        commit(tx).await?;
        Ok(Ok(taken))
    }

    pub(super) async fn task_in(&self, tx: &mut PgTransaction<'_>, id: &str) -> Result<Option<TaskRow>, StoreError> {
        tasks!("review_tasks", "WHERE q.id = $1", id)
            .fetch_optional(&mut **tx)
            .await
            .map_err(StoreError::query("read a task"))
    }

    pub(super) async fn tasks_of(
        &self,
        tx: &mut PgTransaction<'_>,
        decision_id: &str,
    ) -> Result<Vec<TaskRow>, StoreError> {
        tasks!("review_tasks", "WHERE q.decision_id = $1 ORDER BY q.nth", decision_id)
            .fetch_all(&mut **tx)
            .await
            .map_err(StoreError::query("read a decision's tasks"))
    }
}
