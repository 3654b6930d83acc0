//! Pending leaves: written with their records, in the same transaction. A leaf is also what says that a record exists.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::PgTransaction;

use super::error::StoreError;
use super::keys::SubjectKey;
use super::tenant::TenantStore;
use crate::ledger::{Entry, Hash, Kind};

/// A record that wants a leaf.
pub(super) struct NewLeaf<'a> {
    pub(super) id: &'a str,
    pub(super) key: &'a SubjectKey,
    /// The record's parts by name.
    pub(super) parts: BTreeMap<String, Hash>,
}

/// The hash of each part of a record.
pub(super) fn parts<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> BTreeMap<String, Hash> {
    parts.into_iter().map(|(name, bytes)| (name.to_owned(), Hash::of(bytes))).collect()
}

impl TenantStore {
    /// What a record's leaf commits to.
    pub(super) fn entry(&self, kind: Kind, id: &str, at: DateTime<Utc>, parts: BTreeMap<String, Hash>) -> Entry {
        Entry { tenant: self.tenant.to_string(), kind, id: id.to_owned(), recorded_at: at, parts }
    }

    /// Adds leaves and returns, of those that were not there, id and place in the order of records. A record of the same
    /// id with another content is a conflict; one whose key was destroyed since cannot be compared and stands.
    pub(super) async fn insert_leaves(
        &self,
        tx: &mut PgTransaction<'_>,
        kind: Kind,
        leaves: &[NewLeaf<'_>],
    ) -> Result<Vec<(String, i64)>, StoreError> {
        // The transaction's time, which every row of it bears.
        let now = sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
            .fetch_one(&mut **tx)
            .await
            .map_err(StoreError::query("ask for the time"))?;
        let commit = |leaf: &NewLeaf<'_>, at| {
            *self.entry(kind, leaf.id, at, leaf.parts.clone()).commitment(&*leaf.key.key.salt(leaf.id)).as_bytes()
        };
        let commitments: Vec<[u8; 32]> = leaves.iter().map(|leaf| commit(leaf, now)).collect();
        let added = sqlx::query!(
            r#"INSERT INTO praetor.leaves (tenant, kind, record_id, key_id, commitment)
               SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[], $5::bytea[])
               ON CONFLICT (tenant, kind, record_id) DO NOTHING RETURNING record_id, seq"#,
            self.tenant.as_str(),
            kind.as_str(),
            &leaves.iter().map(|l| l.id).collect::<Vec<_>>() as _,
            &leaves.iter().map(|l| l.key.id).collect::<Vec<_>>(),
            &commitments.iter().map(|c| c.as_slice()).collect::<Vec<_>>() as _,
        )
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::query("add leaves"))?;
        if added.len() < leaves.len() {
            // A later statement sees what a concurrent writer committed while ours waited for it.
            let there = sqlx::query!(
                r#"SELECT record_id, key_id, commitment, created_at FROM praetor.leaves
                   WHERE kind = $1 AND record_id = ANY($2::text[])"#,
                kind.as_str(),
                &leaves.iter().map(|l| l.id).collect::<Vec<_>>() as _,
            )
            .fetch_all(&mut **tx)
            .await
            .map_err(StoreError::query("compare records"))?;
            let there: HashMap<_, _> =
                there.into_iter().map(|row| (row.record_id, (row.key_id, row.commitment, row.created_at))).collect();
            let differs = |leaf: &&NewLeaf<'_>| {
                there.get(leaf.id).is_some_and(|(key, old, at)| *key == leaf.key.id && *old != commit(leaf, *at))
            };
            let mut ids: Vec<String> = leaves.iter().filter(differs).map(|leaf| leaf.id.to_owned()).collect();
            if !ids.is_empty() {
                ids.sort_unstable();
                ids.dedup();
                ids.truncate(20);
                return Err(StoreError::Conflict { ids });
            }
        }
        Ok(added.into_iter().map(|row| (row.record_id, row.seq)).collect())
    }
}
