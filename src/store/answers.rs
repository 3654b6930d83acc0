//! Answers under an idempotency key: the key is kept in the transaction that records the decision, so that either both
//! are there or neither.

use super::error::StoreError;
use super::model::{Hash, NewDecision, StoredDecision};
use super::tenant::{Intent, TenantStore, commit};

/// A request that is answered once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// SHA-256 of the key.
    pub key_sha256: Hash,
    /// SHA-256 of all that the answer depends on.
    pub request_sha256: Hash,
}

/// The answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// SHA-256 of the request it was given to.
    pub request_sha256: Hash,
    /// The answer.
    pub decision: StoredDecision,
}

impl TenantStore {
    /// The answer given under this key before.
    pub async fn answered(&self, once: &Once) -> Result<Option<Answered>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let row = sqlx::query!(
            "SELECT request_sha256, decision_id FROM praetor.answers WHERE key_sha256 = $1",
            &once.key_sha256,
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::query("look an answer up"))?;
        commit(tx).await?;
        let Some(row) = row else { return Ok(None) };
        let damaged = || StoreError::Damaged { what: "answer", id: row.decision_id.clone(), source: None };
        let request_sha256 = Hash::try_from(row.request_sha256.as_slice()).map_err(|_| damaged())?;
        let decision = self.decision(&row.decision_id).await?.ok_or_else(damaged)?;
        Ok(Some(Answered { request_sha256, decision }))
    }

    /// Records a decision and its key together. If another request was answered under the key meanwhile, nothing is
    /// recorded and that answer is returned.
    pub async fn record_once(&self, decision: NewDecision, once: &Once) -> Result<Option<Answered>, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        let id = decision.id.clone();
        // A concurrent request under the same key waits here until this one is decided.
        let taken = sqlx::query!(
            r#"INSERT INTO praetor.answers (tenant, key_sha256, request_sha256, decision_id) VALUES ($1, $2, $3, $4)
               ON CONFLICT DO NOTHING"#,
            self.tenant.as_str(),
            &once.key_sha256,
            &once.request_sha256,
            id,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("keep an answer"))?
        .rows_affected();
        if taken == 0 {
            drop(tx);
            return self.answered(once).await;
        }
        self.record_in(&mut tx, &[decision]).await?;
        commit(tx).await?;
        Ok(None)
    }
}
