//! The keys of the HTTP service. Secrets are not here: the store sees their hashes.

use chrono::{DateTime, Utc};

use super::Store;
use super::error::StoreError;
use super::model::Hash;
use super::tenant::{Intent, TenantId, TenantStore, commit};

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
    /// Keeps a key of this tenant, which is added if it is new.
    pub async fn put_api_key(&self, key: &NewApiKey) -> Result<(), StoreError> {
        self.found().await?;
        let mut tx = self.begin(Intent::Read).await?;
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
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("keep a key"))?;
        commit(tx).await
    }

    /// This tenant's keys, newest first, at most 1,000.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            ApiKeyRow,
            r#"SELECT k.key_id, k.role, k.name, k.created_at, k.expires_at, u.last_used_at AS "last_used_at?",
                      (r.key_id IS NOT NULL) AS "revoked!"
               FROM praetor.api_keys k LEFT JOIN praetor.api_key_revocations r USING (key_id)
               LEFT JOIN praetor.api_key_uses u USING (key_id)
               ORDER BY k.seq DESC LIMIT 1000"#
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("list keys"))
    }

    /// Revokes a key. False if this tenant has none of that name; again is no error.
    pub async fn revoke_api_key(&self, key_id: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM praetor.api_keys WHERE key_id = $1) AS "known!""#,
            key_id
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("look a key up"))?;
        if known {
            sqlx::query!(
                r#"INSERT INTO praetor.api_key_revocations (key_id, tenant) VALUES ($1, $2) ON CONFLICT DO NOTHING"#,
                key_id,
                self.tenant.as_str(),
            )
            .execute(&mut *tx)
            .await
            .map_err(StoreError::query("revoke a key"))?;
        }
        commit(tx).await?;
        Ok(known)
    }
}
