//! The keys of the HTTP service. Secrets are not here: the store sees their hashes. Whatever is done to a key is recorded
//! in the same transaction, by the record of the action that comes with it.

use chrono::{DateTime, Utc};
use sqlx::PgTransaction;

use super::Store;
use super::error::StoreError;
use super::model::{Hash, NewRecord};
use super::tenant::{Intent, TenantId, TenantStore, commit};
use crate::ledger::Kind;

/// A key to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// The public part, by which it is found.
    pub key_id: String,
    /// What it may do.
    pub role: String,
    /// SHA-256 of the secret.
    pub secret_sha256: Hash,
    /// What people call it.
    pub name: Option<String>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A key as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// The public part.
    pub key_id: String,
    /// What it may do.
    pub role: String,
    /// What people call it.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// True once it is revoked.
    pub revoked: bool,
    /// The key that takes its place.
    pub successor: Option<String>,
}

/// A key that takes another's place: same tenant, role and name, and the end that was set for that one, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// The public part.
    pub key_id: String,
    /// SHA-256 of the secret.
    pub secret_sha256: Hash,
    /// How long the old key still serves, in seconds.
    pub grace_seconds: u32,
}

/// What became of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The old key serves until then.
    Until(DateTime<Utc>),
    /// This tenant has no such key.
    Unknown,
    /// The key is revoked, out of time, or has a successor already.
    Ended,
}

/// A key as it is looked up when somebody calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundApiKey {
    /// Whose data it sees.
    pub tenant: TenantId,
    /// What it may do.
    pub role: String,
    /// SHA-256 of the secret.
    pub secret_sha256: Vec<u8>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// True once it is revoked.
    pub revoked: bool,
}

impl Store {
    /// The key with this public part, whosever it is.
    pub async fn api_key(&self, key_id: &str) -> Result<Option<FoundApiKey>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT tenant AS "tenant!", role AS "role!", secret_sha256 AS "secret_sha256!", expires_at,
                      revoked AS "revoked!"
               FROM praetor.find_api_key($1)"#,
            key_id,
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::query("look a key up"))?;
        let found = row.map(|row| {
            let damaged = |_| StoreError::Damaged { what: "key", id: key_id.to_owned(), source: None };
            Ok(FoundApiKey {
                tenant: row.tenant.parse().map_err(damaged)?,
                role: row.role,
                secret_sha256: row.secret_sha256,
                expires_at: row.expires_at,
                revoked: row.revoked,
            })
        });
        found.transpose()
    }

    /// Notes that a key is used now.
    pub async fn note_key_use(&self, key_id: &str) -> Result<(), StoreError> {
        sqlx::query!("SELECT praetor.note_api_key_use($1)", key_id)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("note a key's use"))?;
        Ok(())
    }
}

impl TenantStore {
    /// Keeps a key of this tenant, which is added if it is new. `act` is the record of who did it.
    pub async fn put_api_key(&self, key: &NewApiKey, act: &NewRecord) -> Result<(), StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        self.found_in(&mut tx).await?;
        self.put_in(&mut tx, key, act).await?;
        commit(tx).await
    }

    /// Adds this tenant with its first key. False, and nothing done, if it is there already. `act` is the record of who did
    /// it, the tenant's first.
    pub async fn found_with(&self, key: &NewApiKey, act: &NewRecord) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        if !self.found_in(&mut tx).await? {
            return Ok(false);
        }
        self.put_in(&mut tx, key, act).await?;
        commit(tx).await?;
        Ok(true)
    }

    async fn put_in(&self, tx: &mut PgTransaction<'_>, key: &NewApiKey, act: &NewRecord) -> Result<(), StoreError> {
        sqlx::query!(
            r#"INSERT INTO praetor.api_keys (key_id, tenant, role, secret_sha256, name, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6)"#,
            key.key_id,
            self.tenant.as_str(),
            key.role,
            &key.secret_sha256,
            key.name,
            key.expires_at,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("keep a key"))?;
        self.append_in(tx, Kind::Access, std::slice::from_ref(act)).await?;
        Ok(())
    }

    /// This tenant's keys, newest first, at most 1,000.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            ApiKeyRow,
            r#"SELECT k.key_id, k.role, k.name, k.created_at, LEAST(k.expires_at, t.expires_at) AS expires_at,
                      u.last_used_at AS "last_used_at?", (r.key_id IS NOT NULL) AS "revoked!", t.successor AS "successor?"
               FROM praetor.api_keys k LEFT JOIN praetor.api_key_revocations r USING (key_id)
               LEFT JOIN praetor.api_key_rotations t USING (key_id)
               LEFT JOIN praetor.api_key_uses u USING (key_id)
               ORDER BY k.seq DESC LIMIT 1000"#
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("list keys"))
    }

    /// Gives a key a successor. The old one serves for the grace period, and no longer than it would have. `act` is the
    /// record of who did it.
    pub async fn rotate_api_key(&self, old: &str, new: &Successor, act: &NewRecord) -> Result<Rotated, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        if !self.has_api_key(&mut tx, old).await? {
            return Ok(Rotated::Unknown);
        }
        let made = sqlx::query!(
            r#"INSERT INTO praetor.api_keys (key_id, tenant, role, secret_sha256, name, expires_at)
               SELECT $2, k.tenant, k.role, $3, k.name, k.expires_at FROM praetor.api_keys k
               WHERE k.key_id = $1 AND (k.expires_at IS NULL OR k.expires_at > now())
                 AND NOT EXISTS (SELECT FROM praetor.api_key_revocations r WHERE r.key_id = k.key_id)"#,
            old,
            new.key_id,
            &new.secret_sha256,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("keep a key"))?
        .rows_affected();
        if made == 0 {
            return Ok(Rotated::Ended);
        }
        let until = sqlx::query_scalar!(
            r#"INSERT INTO praetor.api_key_rotations (key_id, tenant, successor, expires_at)
               SELECT k.key_id, k.tenant, $2, LEAST(k.expires_at, now() + make_interval(secs => $3))
               FROM praetor.api_keys k WHERE k.key_id = $1
               ON CONFLICT DO NOTHING RETURNING expires_at"#,
            old,
            new.key_id,
            f64::from(new.grace_seconds),
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::query("rotate a key"))?;
        // Dropped without commit, the transaction leaves no new key behind.
        let Some(until) = until else { return Ok(Rotated::Ended) };
        self.append_in(&mut tx, Kind::Access, std::slice::from_ref(act)).await?;
        commit(tx).await?;
        Ok(Rotated::Until(until))
    }

    /// Revokes a key. False if this tenant has none of that name; again is no error, and no second action. `act` is the
    /// record of who did it.
    pub async fn revoke_api_key(&self, key_id: &str, act: &NewRecord) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        if !self.has_api_key(&mut tx, key_id).await? {
            return Ok(false);
        }
        let revoked = sqlx::query!(
            r#"INSERT INTO praetor.api_key_revocations (key_id, tenant) VALUES ($1, $2) ON CONFLICT DO NOTHING"#,
            key_id,
            self.tenant.as_str(),
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("revoke a key"))?
        .rows_affected();
        if revoked == 1 {
            self.append_in(&mut tx, Kind::Access, std::slice::from_ref(act)).await?;
        }
        commit(tx).await?;
        Ok(true)
    }

    async fn has_api_key(&self, tx: &mut PgTransaction<'_>, key_id: &str) -> Result<bool, StoreError> {
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM praetor.api_keys WHERE key_id = $1) AS "known!""#, key_id)
            .fetch_one(&mut **tx)
            .await
            .map_err(StoreError::query("look a key up"))
    }
}
