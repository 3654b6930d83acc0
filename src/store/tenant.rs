//! One tenant's view of the store. Each transaction says whose it is, and the database shows and takes that tenant's
//! rows alone. There is no way to a table of records but through here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgPool, PgTransaction};

use super::error::StoreError;
use super::kms::Kms;
use super::model::Rows;

/// Whose records: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

/// A text that is no tenant's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tenant is named by 1 to 64 of a-z, 0-9, _ and -")]
pub struct NotATenant;

impl TenantId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    /// The tenant that every database has.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for TenantId {
    type Err = NotATenant;

    fn from_str(text: &str) -> Result<Self, NotATenant> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        let good = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        if good { Ok(Self(text.to_owned())) } else { Err(NotATenant) }
    }
}

impl TryFrom<String> for TenantId {
    type Error = NotATenant;

    fn try_from(text: String) -> Result<Self, NotATenant> {
        text.parse()
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> String {
        id.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A tenant as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// Its name.
    pub tenant: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// What a transaction means to do with the subjects' keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// Read.
    Read,
    /// Write with them: none may be destroyed meanwhile.
    Write,
    /// Destroy one, or see that nobody does: no writer may be at work.
    Decree,
}

/// The store as one tenant sees it. Cheap to clone.
#[derive(Clone)]
pub struct TenantStore {
    pub(super) pool: PgPool,
    pub(super) kms: Arc<dyn Kms>,
    pub(super) tenant: TenantId,
    /// The month, counted from year 0, up to which partitions are known to be there.
    pub(super) month: Arc<AtomicI32>,
}

impl fmt::Debug for TenantStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantStore").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl TenantStore {
    /// Whose records these are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Adds the tenant. True if it was not there yet.
    pub async fn found(&self) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let added = self.found_in(&mut tx).await?;
        commit(tx).await?;
        Ok(added)
    }

    /// Adds the tenant within a transaction that does more. True if it was not there yet.
    pub(super) async fn found_in(&self, tx: &mut PgTransaction<'_>) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_str();
        let added = sqlx::query!("INSERT INTO praetor.tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING", tenant)
            .execute(&mut **tx)
            .await
            .map_err(StoreError::query("add the tenant"))?
            .rows_affected();
        Ok(added == 1)
    }

    /// Row counts.
    pub async fn rows(&self) -> Result<Rows, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            Rows,
            r#"SELECT (SELECT count(*) FROM praetor.decisions) AS "decisions!",
                      (SELECT count(*) FROM praetor.traces) AS "traces!",
                      (SELECT count(*) FROM praetor.cases) AS "cases!",
                      (SELECT count(*) FROM praetor.artifacts) AS "artifacts!",
                      (SELECT count(*) FROM praetor.rejections) AS "rejections!",
                      (SELECT count(*) FROM praetor.records) AS "records!",
                      (SELECT count(*) FROM praetor.leaves) AS "leaves!""#
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("count the rows"))
    }

    /// Begins a transaction of this tenant. In one message to the server: this is on the path of every record.
    pub(super) async fn begin(&self, intent: Intent) -> Result<PgTransaction<'static>, StoreError> {
        if intent != Intent::Read {
            self.ensure_months().await?;
        }
        let tenant = self.tenant.as_str();
        let lock = |function| {
            format!("SELECT pg_catalog.{function}(pg_catalog.hashtextextended('praetor keys of {tenant}', 0));")
        };
        let lock = match intent {
            Intent::Read => String::new(),
            Intent::Write => lock("pg_advisory_xact_lock_shared"),
            Intent::Decree => lock("pg_advisory_xact_lock"),
        };
        // Safe to paste: a tenant's id has no character with a meaning in SQL.
        begin_statement(&self.pool, format!("BEGIN; SET LOCAL praetor.tenant = '{tenant}'; {lock}")).await
    }

    /// Sees to the partitions of this month, once a month and process.
    async fn ensure_months(&self) -> Result<(), StoreError> {
        let today = Utc::now();
        let month = today.year() * 12 + today.month0() as i32;
        if self.month.load(Ordering::Relaxed) < month {
            sqlx::query!("SELECT praetor.ensure_months()")
                .fetch_one(&self.pool)
                .await
                .map_err(StoreError::query("make this month's partitions"))?;
            self.month.store(month, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Begins a transaction that sees all tenants, where the schema has that: tenants and leaves.
pub(super) async fn begin_for_all(pool: &PgPool) -> Result<PgTransaction<'static>, StoreError> {
    begin_statement(pool, "BEGIN; SET LOCAL praetor.tenant = '*'".to_owned()).await
}

/// Begins a transaction with a statement that does so and more.
pub(super) async fn begin_statement(pool: &PgPool, statement: String) -> Result<PgTransaction<'static>, StoreError> {
    let _waiting = Waiting::begin();
    pool.begin_with(AssertSqlSafe(statement)).await.map_err(StoreError::query("begin"))
}

/// Tasks of this process that wait for a connection to begin with.
static WAITING: AtomicU32 = AtomicU32::new(0);

/// Such tasks at the moment.
pub(super) fn waiting() -> u32 {
    WAITING.load(Ordering::Relaxed)
}

/// One of them, for as long as it waits.
struct Waiting;

impl Waiting {
    fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn commit(tx: PgTransaction<'_>) -> Result<(), StoreError> {
    tx.commit().await.map_err(StoreError::query("commit"))
}
