//! Webhooks: to whom a tenant's events go, under which secret, and every attempt to deliver one. What is done to a webhook
//! is recorded in the same transaction. Where a webhook stands follows from its attempts; nothing here is ever changed.

use chrono::{DateTime, Utc};
use sqlx::PgTransaction;

use super::Store;
use super::batches::BatchCursor;
use super::error::StoreError;
use super::keys::{Joined, NOBODY, joined};
use super::model::NewRecord;
use super::tenant::{Intent, TenantId, TenantStore, begin_for_all, commit};
use crate::ledger::Kind;

/// A webhook to keep.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// `whk_` and 32 hexadecimal digits.
    pub id: String,
    /// Where it is told.
    pub url: String,
    /// Of what, by name.
    pub events: Vec<String>,
    /// What deliveries are signed with.
    pub secret: Vec<u8>,
    /// The key that made it.
    pub created_by: String,
}

/// A webhook as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Position in the order of making.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// Where it is told.
    pub url: String,
    /// Of what, by name.
    pub events: Vec<String>,
    /// Where in the ledger it begins.
    pub from_leaf: i64,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When something was last delivered.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Attempts that failed since then.
    pub failures: i64,
    /// The first of them.
    pub failing_since: Option<DateTime<Utc>>,
}

/// An attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Position in the order of attempts; 0 for one that is not kept yet.
    pub seq: i64,
    /// `ledger`, `batch` or `test`.
    pub stream: String,
    /// Where in that stream.
    pub position: i64,
    /// The message's id, the same for every attempt.
    pub message_id: String,
    /// The event's name.
    pub event: String,
    /// The record it is about.
    pub record_id: String,
    /// Whether the receiver took it.
    pub delivered: bool,
    /// The receiver's HTTP status, if it answered.
    pub status: Option<i16>,
    /// Why it was not delivered.
    pub problem: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: i32,
    /// When, by the database's clock; ignored for one that is not kept yet.
    pub created_at: DateTime<Utc>,
}

/// Something that is recorded and has its place in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEvent {
    /// Its leaf's place.
    pub position: i64,
    /// The record's kind, as in the ledger.
    pub kind: String,
    /// The record.
    pub record_id: String,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// For a decision: the ticket.
    pub ticket_id: Option<String>,
    /// For a decision: `auto` or `review`.
    pub outcome: Option<String>,
}

/// How long a secret signs beside its successor.
pub const SECRET_OVERLAP_HOURS: i32 = 24;

/// Webhooks with where they stand; what follows FROM is all that differs between the ways to find them. A test that was
/// delivered counts: it shows that the receiver is back.
macro_rules! webhooks {
    ($from:tt, $($argument:expr),*) => {
        sqlx::query_as!(
            WebhookRow,
            r#"SELECT w.seq, w.id, w.url, w.events, w.from_leaf, w.created_by, w.created_at,
                      last.at AS "delivered_at?", failed.count AS "failures!", failed.since AS "failing_since?"
               FROM praetor.webhooks w
               LEFT JOIN LATERAL (SELECT d.seq, d.created_at AS at FROM praetor.webhook_deliveries d
                                  WHERE d.webhook_id = w.id AND d.delivered ORDER BY d.seq DESC LIMIT 1) last ON true
               LEFT JOIN LATERAL (SELECT count(*) AS count, min(d.created_at) AS since FROM praetor.webhook_deliveries d
                                  WHERE d.webhook_id = w.id AND d.seq > coalesce(last.seq, 0) AND d.stream <> 'test') failed
                      ON true
               WHERE NOT EXISTS (SELECT FROM praetor.webhook_revocations r WHERE r.webhook_id = w.id) "#
                + $from,
            $($argument),*
        )
    };
}

impl TenantStore {
    /// Keeps a webhook, from the present end of the ledger on, unless the tenant has `most` already. `act` is the record of
    /// who made it.
    pub async fn put_webhook(&self, new: &NewWebhook, most: i64, act: &NewRecord) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        let made = sqlx::query!(
            r#"INSERT INTO praetor.webhooks (id, tenant, url, events, from_leaf, created_by)
               SELECT $1, $2, $3, $4, coalesce((SELECT max(leaf_index) + 1 FROM praetor.log_entries), 0), $5
               WHERE (SELECT count(*) FROM praetor.webhooks w
                      WHERE NOT EXISTS (SELECT FROM praetor.webhook_revocations r WHERE r.webhook_id = w.id)) < $6"#,
            new.id,
            self.tenant.as_str(),
            new.url,
            &new.events,
            new.created_by,
            most,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("keep a webhook"))?
        .rows_affected();
        if made == 0 {
            return Ok(false);
        }
        self.put_secret(&mut tx, &new.id, &new.secret).await?;
        self.append_in(&mut tx, Kind::Access, std::slice::from_ref(act)).await?;
        commit(tx).await?;
        Ok(true)
    }

    /// Gives a webhook a further secret. False if this tenant has no such webhook.
    pub async fn add_webhook_secret(&self, id: &str, secret: &[u8], act: &NewRecord) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        if !self.has_webhook(&mut tx, id).await? {
            return Ok(false);
        }
        self.put_secret(&mut tx, id, secret).await?;
        self.append_in(&mut tx, Kind::Access, std::slice::from_ref(act)).await?;
        commit(tx).await?;
        Ok(true)
    }

    async fn put_secret(&self, tx: &mut PgTransaction<'_>, id: &str, secret: &[u8]) -> Result<(), StoreError> {
        let keys = self.keys(tx, std::iter::once(NOBODY)).await?;
        let key = keys.get(NOBODY).ok_or(StoreError::Raced)?;
        let secret_id = format!("{id}/{:032x}", rand::random::<u128>());
        let sealed = self.seal("webhook secret", &secret_id, &key.key, secret)?;
        sqlx::query!(
            r#"INSERT INTO praetor.webhook_secrets (tenant, webhook_id, secret_id, key_id, sealed)
               VALUES ($1, $2, $3, $4, $5)"#,
            self.tenant.as_str(),
            id,
            secret_id,
            key.id,
            sealed,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("keep a webhook's secret"))?;
        Ok(())
    }

    async fn has_webhook(&self, tx: &mut PgTransaction<'_>, id: &str) -> Result<bool, StoreError> {
        let found = webhooks!("AND w.id = $1", id).fetch_optional(&mut **tx).await;
        Ok(found.map_err(StoreError::query("look a webhook up"))?.is_some())
    }

    /// Ends a webhook. False if this tenant has no such webhook, or no more.
    pub async fn revoke_webhook(&self, id: &str, act: &NewRecord) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        if !self.has_webhook(&mut tx, id).await? {
            return Ok(false);
        }
        let revoked = sqlx::query!(
            "INSERT INTO praetor.webhook_revocations (webhook_id, tenant) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            id,
            self.tenant.as_str(),
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("end a webhook"))?
        .rows_affected();
        if revoked == 1 {
            self.append_in(&mut tx, Kind::Access, std::slice::from_ref(act)).await?;
        }
        commit(tx).await?;
        Ok(revoked == 1)
    }

    /// Webhooks made before the one with this `seq`, newest first, at most `limit`.
    pub async fn webhooks(&self, before: Option<i64>, limit: u16) -> Result<Vec<WebhookRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        webhooks!("AND ($1::bigint IS NULL OR w.seq < $1) ORDER BY w.seq DESC LIMIT $2", before, i64::from(limit))
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::query("list webhooks"))
    }

    /// The webhook of this id.
    pub async fn webhook(&self, id: &str) -> Result<Option<WebhookRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        webhooks!("AND w.id = $1", id).fetch_optional(&mut *tx).await.map_err(StoreError::query("look a webhook up"))
    }

    /// The secrets that sign at present, newest first.
    pub async fn webhook_secrets(&self, id: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let rows = sqlx::query!(
            r#"SELECT s.secret_id, s.sealed, k.subject AS "subject?", k.wrapped AS "wrapped?", k.master AS "master?",
                      NULL::text AS erased_by, NULL::timestamptz AS erased_at
               FROM (SELECT *, lead(created_at) OVER (ORDER BY seq) AS succeeded
                     FROM praetor.webhook_secrets WHERE webhook_id = $1) s
               LEFT JOIN praetor.subject_keys k ON k.id = s.key_id
               WHERE s.succeeded IS NULL OR s.succeeded > now() - make_interval(hours => $2)
               ORDER BY s.seq DESC LIMIT 4"#,
            id,
            SECRET_OVERLAP_HOURS,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read a webhook's secrets"))?;
        let opened = rows
            .into_iter()
            .map(|row| Ok(self.open("webhook secret", &row.secret_id, &row.sealed, joined!(row))?.kept()?.to_vec()));
        opened.collect()
    }

    /// What of this tenant has its place in the ledger from a position on, at most `limit`, and where to look next. Looks
    /// at 10,000 leaves of all tenants at most.
    pub async fn ledger_events(
        &self,
        from: i64,
        kinds: &[&str],
        limit: i64,
    ) -> Result<(Vec<LedgerEvent>, i64), StoreError> {
        const WINDOW: i64 = 10_000;
        let mut tx = self.begin(Intent::Read).await?;
        let end = sqlx::query_scalar!(
            r#"SELECT least($1::bigint + $2::bigint, coalesce((SELECT max(leaf_index) + 1 FROM praetor.log_entries), 0)) AS "end!""#,
            from,
            WINDOW,
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("read the ledger's size"))?;
        let found = sqlx::query_as!(
            LedgerEvent,
            r#"SELECT e.leaf_index AS position, l.kind, l.record_id, l.created_at AS recorded_at,
                      d.ticket_id AS "ticket_id?", d.outcome AS "outcome?"
               FROM praetor.log_entries e JOIN praetor.leaves l ON l.seq = e.seq
               LEFT JOIN praetor.decisions d ON l.kind = 'decision' AND d.seq = l.seq AND d.created_at = l.created_at
               WHERE e.leaf_index >= $1 AND e.leaf_index < $2 AND l.kind = ANY($3::text[])
               ORDER BY e.leaf_index LIMIT $4"#,
            from,
            end,
            kinds as _,
            limit,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read the ledger's events"))?;
        let full = i64::try_from(found.len()).is_ok_and(|count| count >= limit);
        let next = found.last().filter(|_| full).map_or(end, |last| last.position + 1);
        Ok((found, next.max(from)))
    }

    /// Where a webhook's stream goes on: after the last position that was delivered.
    pub async fn webhook_cursor(&self, id: &str, stream: &str) -> Result<Option<i64>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_scalar!(
            r#"SELECT max(position) FROM praetor.webhook_deliveries
               WHERE webhook_id = $1 AND stream = $2 AND delivered"#,
            id,
            stream,
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("read a webhook's cursor"))
    }

    /// Where a webhook's batches go on: after the last end that was delivered, else after the webhook was made.
    pub async fn webhook_batches(&self, id: &str) -> Result<BatchCursor, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let at = sqlx::query!(
            r#"SELECT coalesce(last.xid, w.xid)::text AS "xid!", coalesce(last.seq, 0) AS "seq!"
               FROM praetor.webhooks w
               LEFT JOIN LATERAL (SELECT s.xid, s.seq FROM praetor.webhook_deliveries d
                                  JOIN praetor.batch_states s ON s.seq = d.position
                                  WHERE d.webhook_id = w.id AND d.stream = 'batch' AND d.delivered
                                  ORDER BY s.xid DESC, s.seq DESC LIMIT 1) last ON true
               WHERE w.id = $1"#,
            id,
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("read a webhook's cursor"))?;
        Ok(BatchCursor { xid: at.xid, seq: at.seq })
    }

    /// Keeps an attempt.
    pub async fn put_delivery(&self, webhook: &str, new: &Delivery) -> Result<(), StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query!(
            r#"INSERT INTO praetor.webhook_deliveries (tenant, webhook_id, stream, position, message_id, event, record_id,
                                                       delivered, status, problem, took_ms)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"#,
            self.tenant.as_str(),
            webhook,
            new.stream,
            new.position,
            new.message_id,
            new.event,
            new.record_id,
            new.delivered,
            new.status,
            new.problem,
            new.took_ms,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("keep a delivery"))?;
        commit(tx).await
    }

    /// Attempts before the one with this `seq`, newest first, at most `limit`.
    pub async fn deliveries(
        &self,
        webhook: &str,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            Delivery,
            r#"SELECT seq, stream, position, message_id, event, record_id, delivered, status, problem, took_ms, created_at
               FROM praetor.webhook_deliveries
               WHERE webhook_id = $1 AND ($2::bigint IS NULL OR seq < $2) ORDER BY seq DESC LIMIT $3"#,
            webhook,
            before,
            i64::from(limit),
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("list deliveries"))
    }
}

impl Store {
    /// The webhooks of all tenants that have not been ended.
    pub async fn all_webhooks(&self) -> Result<Vec<(TenantId, String)>, StoreError> {
        let mut tx = begin_for_all(&self.pool).await?;
        let rows = sqlx::query!(
            r#"SELECT w.tenant, w.id FROM praetor.webhooks w
               WHERE NOT EXISTS (SELECT FROM praetor.webhook_revocations r WHERE r.webhook_id = w.id) ORDER BY w.seq"#
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("list webhooks"))?;
        let damaged = |id: &str| StoreError::Damaged { what: "webhook", id: id.to_owned(), source: None };
        rows.into_iter().map(|row| Ok((row.tenant.parse().map_err(|_| damaged(&row.id))?, row.id))).collect()
    }

    /// Tries to become the one dispatcher of this database. A connection of its own holds the lock and loses it when it
    /// goes, however it goes.
    pub async fn dispatch(&self) -> Result<Option<DispatchLock>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(StoreError::query("connect"))?.detach();
        let locked =
            sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock(hashtextextended('praetor webhooks', 0)) AS "locked!""#)
                .fetch_one(&mut connection)
                .await
                .map_err(StoreError::query("lock the webhooks"))?;
        if locked {
            return Ok(Some(DispatchLock(connection)));
        }
        sqlx::Connection::close(connection).await.map_err(StoreError::query("close"))?;
        Ok(None)
    }
}

/// The right to dispatch, for as long as its connection lives.
pub struct DispatchLock(sqlx::PgConnection);

impl DispatchLock {
    /// An error once the lock is lost.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        sqlx::query!("SELECT 1 AS one").fetch_one(&mut self.0).await.map_err(StoreError::query("answer"))?;
        Ok(())
    }

    /// Lets another dispatch.
    pub async fn release(self) -> Result<(), StoreError> {
        sqlx::Connection::close(self.0).await.map_err(StoreError::query("close"))
    }
}
