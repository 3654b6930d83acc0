//! Pending leaves: written with their records, in the same transaction. A leaf is also what says that a record exists.

use sqlx::PgTransaction;

use super::error::StoreError;
use super::model::{Hash, RecordKind};
use super::tenant::TenantStore;

/// A record that wants a leaf.
pub(super) struct NewLeaf<'a> {
    pub(super) id: &'a str,
    pub(super) key_id: i64,
    pub(super) commitment: Hash,
}

impl TenantStore {
    /// Adds leaves and returns, of those that were not there, id and place in the order of records. A record of the same
    /// id with another content is a conflict; one whose key was destroyed since cannot be compared and stands.
    pub(super) async fn insert_leaves(
        &self,
        tx: &mut PgTransaction<'_>,
        kind: RecordKind,
        leaves: &[NewLeaf<'_>],
    ) -> Result<Vec<(String, i64)>, StoreError> {
        let ids: Vec<&str> = leaves.iter().map(|l| l.id).collect();
        let keys: Vec<i64> = leaves.iter().map(|l| l.key_id).collect();
        let commitments: Vec<&[u8]> = leaves.iter().map(|l| l.commitment.as_slice()).collect();
        let added = sqlx::query!(
            r#"INSERT INTO praetor.leaves (tenant, kind, record_id, key_id, commitment)
               SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[], $5::bytea[])
               ON CONFLICT (tenant, kind, record_id) DO NOTHING RETURNING record_id, seq"#,
            self.tenant.as_str(),
            kind.as_str(),
            &ids as _,
            &keys,
            &commitments as _,
        )
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::query("add leaves"))?;
        if added.len() < leaves.len() {
            // A later statement sees what a concurrent writer committed while ours waited for it.
            let conflicts = sqlx::query_scalar!(
                r#"SELECT DISTINCT l.record_id FROM unnest($2::text[], $3::bigint[], $4::bytea[]) AS new(id, key, hash)
                   JOIN praetor.leaves l ON l.record_id = new.id AND l.kind = $1
                   WHERE l.key_id = new.key AND l.commitment <> new.hash ORDER BY l.record_id LIMIT 20"#,
                kind.as_str(),
                &ids as _,
                &keys,
                &commitments as _,
            )
            .fetch_all(&mut **tx)
            .await
            .map_err(StoreError::query("compare records"))?;
            if !conflicts.is_empty() {
                return Err(StoreError::Conflict { ids: conflicts });
            }
        }
        Ok(added.into_iter().map(|row| (row.record_id, row.seq)).collect())
    }
}
