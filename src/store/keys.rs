//! The subjects' keys: found or made, and never kept in memory beyond the work at hand, so that a key which is destroyed
//! opens nothing from then on, in no process.

use std::collections::HashMap;

use sqlx::PgTransaction;

use super::error::StoreError;
use super::kms::Wrapped;
use super::model::{Body, Erased};
use super::pack::{pack, unpack};
use super::seal::{Key, place};
use super::tenant::TenantStore;

/// The subject of records about nobody: the tenant itself.
pub(super) const NOBODY: &str = "";

/// A key and its number.
pub(super) struct SubjectKey {
    pub(super) id: i64,
    pub(super) key: Key,
}

/// A key as joined to a record. Without it, the record's erasure.
pub(super) struct Joined {
    pub(super) subject: Option<String>,
    pub(super) wrapped: Option<Vec<u8>>,
    pub(super) master: Option<String>,
    pub(super) erased_by: Option<String>,
    pub(super) erased_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// The key of a row that was joined to `subject_keys` and `erasures`.
macro_rules! joined {
    ($row:expr) => {
        Joined {
            subject: $row.subject.clone(),
            wrapped: $row.wrapped.clone(),
            master: $row.master.clone(),
            erased_by: $row.erased_by.clone(),
            erased_at: $row.erased_at,
        }
    };
}
pub(super) use joined;

impl TenantStore {
    /// The keys of these subjects, made where there is none.
    pub(super) async fn keys(
        &self,
        tx: &mut PgTransaction<'_>,
        subjects: impl Iterator<Item = &str>,
    ) -> Result<HashMap<String, SubjectKey>, StoreError> {
        // One order for everybody, so that two writers of the same subjects wait for each other and never deadlock.
        let mut wanted: Vec<&str> = subjects.collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut keys = HashMap::new();
        self.find_keys(tx, &wanted, &mut keys).await?;
        wanted.retain(|subject| !keys.contains_key(*subject));
        if !wanted.is_empty() {
            self.make_keys(tx, &wanted).await?;
            // Read back: another writer may have been faster.
            self.find_keys(tx, &wanted, &mut keys).await?;
        }
        Ok(keys)
    }

    async fn find_keys(
        &self,
        tx: &mut PgTransaction<'_>,
        subjects: &[&str],
        keys: &mut HashMap<String, SubjectKey>,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            "SELECT id, subject, wrapped, master FROM praetor.subject_keys WHERE subject = ANY($1::text[])",
            subjects as _,
        )
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::query("read keys"))?;
        for row in rows {
            let key = self.unwrap(&row.subject, Wrapped { master: row.master, bytes: row.wrapped })?;
            keys.insert(row.subject, SubjectKey { id: row.id, key });
        }
        Ok(())
    }

    async fn make_keys(&self, tx: &mut PgTransaction<'_>, subjects: &[&str]) -> Result<(), StoreError> {
        if self.kms.current()?.is_none() {
            // The first master key is made for an empty vault only. Elsewhere it has been mislaid.
            let any = sqlx::query!("SELECT subject, wrapped, master FROM praetor.subject_keys LIMIT 1")
                .fetch_optional(&mut **tx)
                .await
                .map_err(StoreError::query("read keys"))?;
            if let Some(row) = any {
                self.unwrap(&row.subject, Wrapped { master: row.master, bytes: row.wrapped })?;
            }
        }
        let wrap = |subject: &&str| self.kms.wrap(Key::random().bytes(), &self.place("subject_keys", subject));
        let wrapped = subjects.iter().map(wrap).collect::<Result<Vec<_>, _>>()?;
        sqlx::query!(
            r#"INSERT INTO praetor.subject_keys (tenant, subject, wrapped, master)
               SELECT $1, * FROM unnest($2::text[], $3::bytea[], $4::text[]) ON CONFLICT (tenant, subject) DO NOTHING"#,
            self.tenant.as_str(),
            subjects as _,
            &wrapped.iter().map(|w| w.bytes.as_slice()).collect::<Vec<_>>() as _,
            &wrapped.iter().map(|w| w.master.as_str()).collect::<Vec<_>>() as _,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("make keys"))?;
        Ok(())
    }

    pub(super) fn unwrap(&self, subject: &str, wrapped: Wrapped) -> Result<Key, StoreError> {
        Ok(Key::new(self.kms.unwrap(&wrapped, &self.place("subject_keys", subject))?))
    }

    pub(super) fn place(&self, table: &str, id: &str) -> Vec<u8> {
        place(table, self.tenant.as_str(), id)
    }

    /// The key of a record, or its erasure; None where there is neither.
    pub(super) fn unlock(&self, joined: Joined) -> Result<Option<Result<Key, Erased>>, StoreError> {
        match (joined.subject, joined.wrapped, joined.master, joined.erased_by, joined.erased_at) {
            (Some(subject), Some(bytes), Some(master), ..) => {
                Ok(Some(Ok(self.unwrap(&subject, Wrapped { master, bytes })?)))
            }
            (.., Some(by), Some(at)) => Ok(Some(Err(Erased { by, at }))),
            _ => Ok(None),
        }
    }

    /// Opens what was sealed for a place.
    pub(super) fn open(
        &self,
        table: &'static str,
        id: &str,
        sealed: &[u8],
        joined: Joined,
    ) -> Result<Body, StoreError> {
        match self.unlock(joined)? {
            Some(Ok(key)) => self.open_with(table, id, sealed, &key).map(Body::Kept),
            Some(Err(erased)) => Ok(Body::Erased(erased)),
            None => Err(StoreError::Damaged { what: table, id: id.to_owned(), source: None }),
        }
    }

    /// Opens what was sealed for a place with this key.
    pub(super) fn open_with(
        &self,
        table: &'static str,
        id: &str,
        sealed: &[u8],
        key: &Key,
    ) -> Result<Vec<u8>, StoreError> {
        let damaged = || StoreError::Damaged { what: table, id: id.to_owned(), source: None };
        unpack(table, id, &key.open(&self.place(table, id), sealed).ok_or_else(damaged)?)
    }

    /// Packs and seals a text for a place.
    pub(super) fn seal(&self, table: &str, id: &str, key: &Key, text: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(key.seal(&self.place(table, id), &pack(text)?))
    }
}
