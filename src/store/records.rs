//! Records of the other kinds: reviews, appeals, publications, certificates, erasures, privileged actions. Each has a
//! leaf like a decision; what its body says is its writers' business.

use std::collections::HashMap;

use sqlx::PgTransaction;

use super::error::StoreError;
use super::keys::{Joined, NOBODY, joined};
use super::leaves::{NewLeaf, parts};
use super::model::{NewRecord, Recorded, StoredRecord};
use super::tenant::{Intent, TenantStore, commit};
use super::write::recorded;
use crate::ledger::Kind;

/// A row of `records` with its key.
struct Row {
    id: String,
    seq: i64,
    sealed: Vec<u8>,
    created_at: chrono::DateTime<chrono::Utc>,
    subject: Option<String>,
    wrapped: Option<Vec<u8>>,
    master: Option<String>,
    erased_by: Option<String>,
    erased_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Records with their leaves and keys; what follows FROM is all that differs between the ways to find them.
macro_rules! records {
    ($from:tt, $($argument:expr),*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT r.id, r.seq, r.sealed, r.created_at, k.subject AS "subject?", k.wrapped AS "wrapped?",
                      k.master AS "master?", e.record_id AS "erased_by?", e.created_at AS "erased_at?"
               FROM praetor.records r JOIN praetor.leaves l ON l.seq = r.seq
               LEFT JOIN praetor.subject_keys k ON k.id = r.key_id
               LEFT JOIN praetor.erasures e ON e.key_id = r.key_id "#
                + $from,
            $($argument),*
        )
    };
}

impl TenantStore {
    /// Appends records of one kind with their pending leaves, all or none. Not for decisions: see [`TenantStore::record`].
    pub async fn append_records(&self, kind: Kind, records: &[NewRecord]) -> Result<Recorded, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        let recorded = self.append_in(&mut tx, kind, records).await?;
        commit(tx).await?;
        Ok(recorded)
    }

    /// Appends records within a transaction that does more.
    pub(super) async fn append_in(
        &self,
        tx: &mut PgTransaction<'_>,
        kind: Kind,
        records: &[NewRecord],
    ) -> Result<Recorded, StoreError> {
        let subject = |r: &NewRecord| r.subject.clone().unwrap_or_else(|| NOBODY.to_owned());
        let mut order: Vec<(&NewRecord, String)> = records.iter().map(|r| (r, subject(r))).collect();
        order.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        let keys = self.keys(tx, order.iter().map(|(_, subject)| subject.as_str())).await?;
        let mut leaves = Vec::with_capacity(order.len());
        let mut of = HashMap::new();
        for (record, subject) in &order {
            let key = keys.get(subject).ok_or(StoreError::Raced)?;
            leaves.push(NewLeaf { id: &record.id, key, parts: parts([("body", record.body.as_slice())]) });
            of.entry(record.id.as_str()).or_insert((*record, key));
        }
        let added = self.insert_leaves(tx, kind, &leaves).await?;
        let (mut ids, mut seqs, mut key_ids, mut sealed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (id, seq) in &added {
            let (record, key) = of.get(id.as_str()).ok_or(StoreError::Raced)?;
            ids.push(id.as_str());
            seqs.push(*seq);
            key_ids.push(key.id);
            sealed.push(self.seal(kind.as_str(), id, &key.key, &record.body)?);
        }
        sqlx::query!(
            r#"INSERT INTO praetor.records (tenant, kind, seq, id, key_id, sealed)
               SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::bigint[], $6::bytea[])"#,
            self.tenant.as_str(),
            kind.as_str(),
            &seqs,
            &ids as _,
            &key_ids,
            &sealed,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("append records"))?;
        Ok(recorded(added.len(), records.len()))
    }

    /// The record of this kind and id.
    pub async fn get_record(&self, kind: Kind, id: &str) -> Result<Option<StoredRecord>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let row = records!("WHERE l.kind = $1 AND l.record_id = $2", kind.as_str(), id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::query("read a record"))?;
        row.map(|row| self.stored(kind, row)).transpose()
    }

    /// Records of one kind after a place in the order of records (0: from the first), at most `limit`.
    pub async fn list_records(&self, kind: Kind, after: i64, limit: i64) -> Result<Vec<StoredRecord>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let rows = records!("WHERE r.kind = $1 AND r.seq > $2 ORDER BY r.seq LIMIT $3", kind.as_str(), after, limit)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::query("read records"))?;
        rows.into_iter().map(|row| self.stored(kind, row)).collect()
    }

    fn stored(&self, kind: Kind, row: Row) -> Result<StoredRecord, StoreError> {
        let body = self.open(kind.as_str(), &row.id, &row.sealed, joined!(row))?;
        Ok(StoredRecord { id: row.id, seq: row.seq, body, created_at: row.created_at })
    }
}
