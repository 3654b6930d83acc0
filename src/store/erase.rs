//! Erasure and legal hold. A subject's key is destroyed, by the database's own function and with a record of it; while
//! a hold is on it, it cannot be. Both are for good to see: each leaves a record with a leaf.

use chrono::{DateTime, Utc};
use sqlx::PgTransaction;

use super::error::StoreError;
use super::model::NewRecord;
use super::tenant::{Intent, TenantStore, commit};
use crate::ledger::Kind;

/// Whose data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A subject, by name.
    Subject(String),
    /// All subjects of the decisions on a ticket.
    Ticket(String),
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id, `hold_…`.
    pub id: String,
    /// Whose data it keeps.
    pub subject: String,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// When it was released; None while it is in force.
    pub released_at: Option<DateTime<Utc>>,
}

impl TenantStore {
    /// Destroys the keys of these subjects and returns the ids of the records that say so, one a key. `body` writes such
    /// a record from its id and the key's number; it must not name the subject, for the record stays.
    pub async fn erase(&self, whose: &Whose, body: impl Fn(&str, i64) -> Vec<u8>) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin(Intent::Decree).await?;
        let keys = self.keys_of(&mut tx, whose).await?;
        let mut ids = Vec::with_capacity(keys.len());
        for key in keys {
            let id = new_id("era");
            let record = NewRecord { id: id.clone(), subject: None, body: body(&id, key) };
            self.append_in(&mut tx, Kind::Erasure, &[record]).await?;
            sqlx::query!("SELECT praetor.erase_subject($1, $2)", key, id)
                .fetch_one(&mut *tx)
                .await
                .map_err(StoreError::query("destroy a key"))?;
            ids.push(id);
        }
        commit(tx).await?;
        Ok(ids)
    }

    /// Places a hold on each of these subjects and returns their ids. `body` writes the record of it from the hold's id
    /// and the key's number; it must not name the subject.
    pub async fn hold(&self, whose: &Whose, body: impl Fn(&str, i64) -> Vec<u8>) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin(Intent::Decree).await?;
        let mut ids = Vec::new();
        for key in self.keys_of(&mut tx, whose).await? {
            let id = new_id("hold");
            sqlx::query!(
                "INSERT INTO praetor.holds (id, tenant, key_id) VALUES ($1, $2, $3)",
                id,
                self.tenant.as_str(),
                key
            )
            .execute(&mut *tx)
            .await
            .map_err(StoreError::query("place a hold"))?;
            let record = NewRecord { id: id.clone(), subject: None, body: body(&id, key) };
            self.append_in(&mut tx, Kind::Access, &[record]).await?;
            ids.push(id);
        }
        commit(tx).await?;
        Ok(ids)
    }

    /// Releases a hold. False if there is none of that id in force. `body` writes the record of it from the record's id.
    pub async fn release(&self, hold: &str, body: impl Fn(&str) -> Vec<u8>) -> Result<bool, StoreError> {
        let mut tx = self.begin(Intent::Decree).await?;
        let released = sqlx::query!(
            r#"INSERT INTO praetor.hold_releases (hold_id, tenant)
               SELECT h.id, h.tenant FROM praetor.holds h WHERE h.id = $1 ON CONFLICT DO NOTHING"#,
            hold,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("release a hold"))?
        .rows_affected();
        if released == 1 {
            let id = new_id("release");
            let record = NewRecord { id: id.clone(), subject: None, body: body(&id) };
            self.append_in(&mut tx, Kind::Access, &[record]).await?;
            commit(tx).await?;
        }
        Ok(released == 1)
    }

    /// All holds, oldest first.
    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            Hold,
            r#"SELECT h.id AS "id!", coalesce(k.subject, '') AS "subject!", h.created_at AS "placed_at!",
                      r.created_at AS "released_at?"
               FROM praetor.holds h LEFT JOIN praetor.subject_keys k ON k.id = h.key_id
               LEFT JOIN praetor.hold_releases r ON r.hold_id = h.id ORDER BY h.created_at, h.id"#
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("list the holds"))
    }

    async fn keys_of(&self, tx: &mut PgTransaction<'_>, whose: &Whose) -> Result<Vec<i64>, StoreError> {
        let found = match whose {
            Whose::Subject(subject) => {
                sqlx::query_scalar!("SELECT id FROM praetor.subject_keys WHERE subject = $1 AND subject <> ''", subject)
                    .fetch_all(&mut **tx)
                    .await
            }
            Whose::Ticket(ticket) => {
                sqlx::query_scalar!(
                    r#"SELECT id FROM praetor.subject_keys
                       WHERE id IN (SELECT key_id FROM praetor.decisions WHERE ticket_id = $1) AND subject <> ''
                       ORDER BY id"#,
                    ticket
                )
                .fetch_all(&mut **tx)
                .await
            }
        };
        let found = found.map_err(StoreError::query("look for a subject"))?;
        if found.is_empty() { Err(StoreError::NoSubject) } else { Ok(found) }
    }
}

/// An id that nothing else has.
fn new_id(prefix: &str) -> String {
    format!("{prefix}_{:032x}", rand::random::<u128>())
}
