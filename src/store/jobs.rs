//! The job queue in the database (graphile_worker): its schema, its workers' connections, and the jobs of a batch. A job
//! names a chunk and holds nothing else; that the chunk is done is said by its record, not by its job.

use graphile_worker::{JobSpec, RawJobSpec, Worker, WorkerOptions, WorkerUtils};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, PgTransaction, Row};

use super::Store;
use super::config::As;
use super::error::StoreError;
use super::tenant::{TenantId, TenantStore};

/// The schema of the queue.
const SCHEMA: &str = "praetor_jobs";

/// The name of a chunk's task in the queue.
pub const CHUNK_TASK: &str = "praetor_batch_chunk";

/// Later chunks of a batch stand behind the first ones of others, so that a large batch does not keep a small one waiting.
const LAST_PRIORITY: i16 = 1_000;

/// A chunk to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkJob {
    /// Whose batch.
    pub tenant: TenantId,
    /// The batch.
    pub batch: String,
    /// The chunk's number in it, from 0.
    pub chunk: i32,
}

impl Store {
    /// Brings the queue's tables up to date, as the owner, and grants the runtime role what it needs of them.
    pub(super) async fn migrate_jobs(&self) -> Result<(), StoreError> {
        // One connection, whose session holds a lock: several processes may come to a new database at once.
        let owner = PgPoolOptions::new().max_connections(1).connect_lazy_with(self.address.options(As::Owner));
        let migrated = migrate(&owner).await;
        owner.close().await;
        migrated
    }

    /// A worker on the queue, with connections of its own, so that it takes none from requests.
    pub fn worker(&self) -> WorkerOptions {
        Worker::options().pg_pool(self.jobs.clone()).schema(SCHEMA)
    }

    /// Jobs that wait for a worker or are with one.
    pub async fn jobs_waiting(&self) -> Result<i64, StoreError> {
        let query = format!("SELECT count(*) FROM {SCHEMA}._private_jobs WHERE attempts < max_attempts");
        sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::query("count the jobs"))
    }

    /// Takes jobs out of the queue that failed for the last time, and returns their chunks.
    pub async fn take_exhausted_jobs(&self) -> Result<Vec<ChunkJob>, StoreError> {
        let query = format!(
            "DELETE FROM {SCHEMA}._private_jobs WHERE attempts >= max_attempts AND locked_at IS NULL RETURNING payload"
        );
        let rows = sqlx::query(AssertSqlSafe(query))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("look for failed jobs"))?;
        let chunk = |row: &sqlx::postgres::PgRow| serde_json::from_value(row.try_get("payload").ok()?).ok();
        Ok(rows.iter().filter_map(chunk).collect())
    }
}

async fn migrate(owner: &PgPool) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('praetor jobs', 0))")
        .execute(owner)
        .await
        .map_err(StoreError::query("wait for another migration"))?;
    WorkerUtils::new(owner.clone(), SCHEMA).migrate().await.map_err(|error| StoreError::Migration {
        reason: "that of the job queue failed".to_owned(),
        source: error.into(),
    })?;
    sqlx::raw_sql(include_str!("jobs.sql")).execute(owner).await.map_err(StoreError::query("grant the job queue"))?;
    Ok(())
}

impl TenantStore {
    /// Adds a job for each chunk of a batch, within the transaction that makes the batch.
    pub(super) async fn add_jobs(
        &self,
        tx: &mut PgTransaction<'static>,
        batch: &str,
        chunks: i32,
        attempts: i16,
    ) -> Result<(), StoreError> {
        let job = |chunk: i32| {
            let payload = ChunkJob { tenant: self.tenant.clone(), batch: batch.to_owned(), chunk };
            let priority = i16::try_from(chunk).unwrap_or(LAST_PRIORITY).min(LAST_PRIORITY);
            Ok(RawJobSpec {
                identifier: CHUNK_TASK.to_owned(),
                payload: serde_json::to_value(payload)?,
                spec: JobSpec { max_attempts: Some(attempts), priority: Some(priority), ..JobSpec::default() },
            })
        };
        let failed =
            |error: Box<dyn std::error::Error + Send + Sync>| StoreError::Query { what: "add jobs", source: error };
        let jobs: Vec<RawJobSpec> =
            (0..chunks).map(job).collect::<Result<_, serde_json::Error>>().map_err(|error| failed(error.into()))?;
        let utils = WorkerUtils::new(self.pool.clone(), SCHEMA);
        utils.with_executor(tx).add_raw_jobs(&jobs).await.map_err(|error| failed(error.into()))?;
        Ok(())
    }
}
