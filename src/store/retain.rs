//! What only the owner of the tables does: setting months aside whose time is over, and wrapping keys anew. Neither
//! destroys anything: a month that is set aside is a table of its own, and a former master key still unwraps.

use std::collections::BTreeMap;

use chrono::{DateTime, Months, NaiveDate, Utc};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::Store;
use super::config::As;
use super::error::StoreError;
use super::kms::Wrapped;
use super::tenant::{TenantId, TenantStore};

/// How long records are kept, in whole years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct RetentionYears(u32);

/// A time for which the law does not let records be kept so shortly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("records are kept for at least {least} years (电子商务法 第三十一条), not {0}", least = RetentionYears::LEAST)]
pub struct TooShort(u32);

impl RetentionYears {
    /// What the law asks for.
    pub const LEAST: u32 = 3;
}

impl Default for RetentionYears {
    fn default() -> Self {
        Self(Self::LEAST)
    }
}

impl TryFrom<u32> for RetentionYears {
    type Error = TooShort;

    fn try_from(years: u32) -> Result<Self, TooShort> {
        if years < Self::LEAST { Err(TooShort(years)) } else { Ok(Self(years)) }
    }
}

/// A month of the partitioned tables whose time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMonth {
    /// Its first day.
    pub first: NaiveDate,
    /// Its partitions.
    pub tables: Vec<String>,
    /// Rows in them, over all tenants.
    pub rows: i64,
    /// True if some of it is under legal hold: it cannot be set aside.
    pub held: bool,
}

const PAGE: i64 = 1000;

impl Store {
    /// The months whose last day lies longer back than records are kept, oldest first.
    pub async fn past_months(&self, years: RetentionYears) -> Result<Vec<PastMonth>, StoreError> {
        let mut owner = self.connect(As::Owner).await?;
        let now = sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
            .fetch_one(&mut owner)
            .await
            .map_err(StoreError::query("ask for the time"))?;
        let tables = sqlx::query_scalar!(
            r#"SELECT c.relname::text AS "name!" FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE c.relnamespace = 'praetor'::regnamespace AND c.relkind = 'r' ORDER BY c.relname"#
        )
        .fetch_all(&mut owner)
        .await
        .map_err(StoreError::query("list the months"))?;
        let mut months: BTreeMap<NaiveDate, Vec<String>> = BTreeMap::new();
        for table in tables {
            let Some((_, first)) = split(&table) else { continue };
            let kept_until = first.checked_add_months(Months::new(1 + 12 * years.0)).unwrap_or(NaiveDate::MAX);
            if kept_until <= now.date_naive() {
                months.entry(first).or_default().push(table);
            }
        }
        let tenants = self.tenants().await?;
        let mut past = Vec::with_capacity(months.len());
        for (first, tables) in months {
            let (rows, held) = look(&mut owner, &tenants, &tables).await?;
            past.push(PastMonth { first, tables, rows, held });
        }
        owner.close().await.map_err(StoreError::query("close"))?;
        Ok(past)
    }

    /// Sets a month aside: its partitions leave their tables and stand alone, for the owner to dump and drop. Refused
    /// while some of it is under legal hold.
    pub async fn retire(&self, month: &PastMonth) -> Result<(), StoreError> {
        let mut owner = self.connect(As::Owner).await?;
        let mut tx = owner.begin().await.map_err(StoreError::query("begin"))?;
        for table in &month.tables {
            let (parent, first) =
                split(table).ok_or(StoreError::Damaged { what: "partition", id: table.clone(), source: None })?;
            let detach = format!("ALTER TABLE praetor.{parent} DETACH PARTITION praetor.{table}");
            sqlx::raw_sql(AssertSqlSafe(detach))
                .execute(&mut *tx)
                .await
                .map_err(StoreError::query("set a month aside"))?;
            let (first, until) = (midnight(first), midnight(first + Months::new(1)));
            sqlx::query!(
                "INSERT INTO praetor.retired_months (parent, first, until) VALUES ($1, $2, $3)",
                parent,
                first,
                until
            )
            .execute(&mut *tx)
            .await
            .map_err(StoreError::query("set a month aside"))?;
        }
        // After the partitions are locked, so that no hold slips in between.
        let (_, held) = look(&mut tx, &self.tenants().await?, &month.tables).await?;
        if held {
            return Err(StoreError::MonthHeld { month: month.first.format("%Y-%m").to_string() });
        }
        tx.commit().await.map_err(StoreError::query("commit"))?;
        owner.close().await.map_err(StoreError::query("close"))
    }

    /// Makes a new master key and wraps all subjects' keys by it. Returns its id and how many keys it now wraps.
    pub async fn rotate_master_key(&self) -> Result<(String, u64), StoreError> {
        let master = self.kms.rotate()?;
        let mut owner = self.connect(As::Owner).await?;
        let mut count = 0;
        for tenant in self.tenants().await? {
            let mine = self.tenant(&tenant);
            loop {
                let wrapped = mine.rewrap(&mut owner, &master).await?;
                count += wrapped;
                if wrapped < PAGE as u64 {
                    break;
                }
            }
        }
        owner.close().await.map_err(StoreError::query("close"))?;
        Ok((master, count))
    }
}

impl TenantStore {
    /// Wraps a page of keys anew that another master key wraps.
    async fn rewrap(&self, owner: &mut PgConnection, master: &str) -> Result<u64, StoreError> {
        let mut tx = owner.begin().await.map_err(StoreError::query("begin"))?;
        enter(&mut tx, &self.tenant).await?;
        let keys = sqlx::query!(
            r#"SELECT id, subject, wrapped, master FROM praetor.subject_keys
               WHERE master <> $1 ORDER BY id LIMIT $2 FOR UPDATE"#,
            master,
            PAGE,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read keys"))?;
        let (mut ids, mut wrapped, mut masters) = (Vec::new(), Vec::new(), Vec::new());
        for row in keys {
            let key = self.unwrap(&row.subject, Wrapped { master: row.master, bytes: row.wrapped })?;
            let anew = self.kms.wrap(key.bytes(), &self.place("subject_keys", &row.subject))?;
            ids.push(row.id);
            wrapped.push(anew.bytes);
            masters.push(anew.master);
        }
        sqlx::query!(
            r#"UPDATE praetor.subject_keys k SET wrapped = n.wrapped, master = n.master
               FROM unnest($1::bigint[], $2::bytea[], $3::text[]) AS n(id, wrapped, master) WHERE k.id = n.id"#,
            &ids,
            &wrapped,
            &masters,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("wrap keys anew"))?;
        tx.commit().await.map_err(StoreError::query("commit"))?;
        Ok(ids.len() as u64)
    }
}

/// Rows of some partitions over all tenants, and whether any is under hold.
async fn look(owner: &mut PgConnection, tenants: &[TenantId], tables: &[String]) -> Result<(i64, bool), StoreError> {
    let mut tx = owner.begin().await.map_err(StoreError::query("begin"))?;
    let (mut rows, mut held) = (0, false);
    for tenant in tenants {
        enter(&mut tx, tenant).await?;
        for table in tables {
            // Safe to paste: the name is one of ours, from the catalogue.
            let query = format!("SELECT count(*), coalesce(bool_or(praetor.held(key_id)), false) FROM praetor.{table}");
            let (count, under): (i64, bool) = sqlx::query_as(AssertSqlSafe(query))
                .fetch_one(&mut *tx)
                .await
                .map_err(StoreError::query("look into a month"))?;
            rows += count;
            held |= under;
        }
    }
    Ok((rows, held))
}

/// Acts for a tenant from here to the end of the transaction.
async fn enter(connection: &mut PgConnection, tenant: &TenantId) -> Result<(), StoreError> {
    sqlx::query!("SELECT set_config('praetor.tenant', $1, true)", tenant.as_str())
        .fetch_one(connection)
        .await
        .map_err(StoreError::query("act for a tenant"))?;
    Ok(())
}

/// `decisions_2026_05`: the table, and the first day of the month.
fn split(partition: &str) -> Option<(&str, NaiveDate)> {
    let mut parts = partition.rsplitn(3, '_');
    let month = parts.next()?.parse().ok()?;
    let year = parts.next()?.parse().ok()?;
    Some((parts.next()?, NaiveDate::from_ymd_opt(year, month, 1)?))
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}
