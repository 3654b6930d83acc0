//! All that the ledger is about, leaf by leaf, for those who verify it. Trusts nothing: what is missing, damaged or
//! nobody's is handed out as such, not as an error.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::error::StoreError;
use super::keys::{Joined, joined};
use super::log::Log;
use super::model::Erased;
use super::tenant::{Intent, TenantStore, begin_for_all};
use super::{Store, TenantId};
use crate::ledger::{Hash, Kind};

/// A leaf with its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRecord {
    /// Place in the log, from 0; None for a record that is pending or that has no leaf.
    pub index: Option<u64>,
    /// What the leaf commits to; None for a record without a leaf.
    pub commitment: Option<Hash>,
    /// Whose record it is.
    pub tenant: String,
    /// What kind of record.
    pub kind: Kind,
    /// The record's id.
    pub id: String,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The record.
    pub content: LeafContent,
}

/// What is there of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeafContent {
    /// All of it.
    Kept(Box<KeptRecord>),
    /// The subject's key was destroyed.
    Erased(Erased),
    /// Its month was set aside when its time was over.
    Expired,
    /// There is no record.
    Missing,
    /// It cannot be read.
    Damaged,
}

/// A record that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRecord {
    /// The salt of its commitment.
    pub salt: [u8; 32],
    /// The bytes of its parts by name: `body`, and of a decision `trace`.
    pub parts: BTreeMap<&'static str, Vec<u8>>,
    /// The case file that a decision names by its hash.
    pub case: Option<Vec<u8>>,
    /// What the database repeats of a decision to search by.
    pub columns: Option<DecisionColumns>,
}

/// The columns of a decision that repeat its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionColumns {
    /// The ticket decided upon.
    pub ticket_id: String,
    /// Hash of the case file.
    pub case_hash: Vec<u8>,
    /// `auto`, `review` or `rejected_input`.
    pub outcome: String,
    /// The governing SOP.
    pub sop_id: Option<String>,
    /// The SOP's version.
    pub sop_version: Option<i32>,
    /// The remedy's id.
    pub remedy_kind: Option<String>,
    /// Refund in fen.
    pub refund_fen: Option<i64>,
    /// Compensation in fen.
    pub compensation_fen: Option<i64>,
}

/// A leaf as the log has it, before its record is looked for.
struct Row {
    seq: i64,
    index: Option<i64>,
    tenant: String,
    kind: String,
    record_id: String,
    commitment: Option<Vec<u8>>,
    created_at: DateTime<Utc>,
}

impl Store {
    /// Leaves in the order of the log from a place on, at most `limit` places. A place whose leaf is gone is left out.
    pub async fn export(&self, from: u64, limit: u64) -> Result<Vec<LeafRecord>, StoreError> {
        let (first, until) = (from as i64, from.saturating_add(limit) as i64);
        let mut tx = begin_for_all(&self.pool).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT l.seq, e.leaf_index AS "index?", l.tenant, l.kind, l.record_id, l.commitment AS "commitment?",
                      l.created_at
               FROM praetor.log_entries e JOIN praetor.leaves l ON l.seq = e.seq
               WHERE e.leaf_index >= $1 AND e.leaf_index < $2 ORDER BY e.leaf_index"#,
            first,
            until,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read the log"))?;
        drop(tx);
        self.with_records(rows).await
    }

    /// A tenant's records of one kind or all, in the order of recording, after a place in it (0: from the first), at most
    /// `limit`; each with its place.
    pub async fn export_of(
        &self,
        tenant: &TenantId,
        kind: Option<Kind>,
        after: i64,
        limit: u16,
    ) -> Result<Vec<(i64, LeafRecord)>, StoreError> {
        let mut tx = self.tenant(tenant).begin(Intent::Read).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT l.seq, e.leaf_index AS "index?", l.tenant, l.kind, l.record_id, l.commitment AS "commitment?",
                      l.created_at
               FROM praetor.leaves l LEFT JOIN praetor.log_entries e ON e.seq = l.seq
               WHERE l.seq > $1 AND ($2::text IS NULL OR l.kind = $2) ORDER BY l.seq LIMIT $3"#,
            after,
            kind.map(Kind::as_str),
            i64::from(limit),
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read a tenant's leaves"))?;
        drop(tx);
        let order: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        Ok(order.into_iter().zip(self.with_records(rows).await?).collect())
    }

    /// What has no place in the log, at most `limit` of each: leaves that are pending, and records that have no leaf.
    pub async fn export_unplaced(&self, limit: i64) -> Result<Vec<LeafRecord>, StoreError> {
        let mut tx = begin_for_all(&self.pool).await?;
        let mut rows = sqlx::query_as!(
            Row,
            r#"SELECT l.seq, NULL::bigint AS "index?", l.tenant, l.kind, l.record_id, l.commitment AS "commitment?",
                      l.created_at
               FROM praetor.leaves l
               WHERE NOT EXISTS (SELECT FROM praetor.log_entries e WHERE e.seq = l.seq) ORDER BY l.seq LIMIT $1"#,
            limit,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read the pending leaves"))?;
        drop(tx);
        for tenant in self.tenants().await? {
            rows.extend(self.tenant(&tenant).strays(limit).await?);
        }
        self.with_records(rows).await
    }

    async fn with_records(&self, rows: Vec<Row>) -> Result<Vec<LeafRecord>, StoreError> {
        let mut by_tenant: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        let order: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        for row in rows {
            by_tenant.entry(row.tenant.clone()).or_default().push(row);
        }
        let mut found = BTreeMap::new();
        for (tenant, rows) in by_tenant {
            let id: TenantId =
                tenant.parse().map_err(|_| StoreError::Damaged { what: "tenant", id: tenant.clone(), source: None })?;
            let mine = self.tenant(&id);
            let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
            let mut contents = mine.contents(&seqs).await?;
            let retired = self.log().retired().await?;
            for row in rows {
                let expired =
                    || row.kind == "decision" && retired.iter().any(|(a, b)| (a..b).contains(&&row.created_at));
                let content = match contents.remove(&row.seq) {
                    Some((id, content)) if id == row.record_id => content,
                    Some(_) => LeafContent::Damaged,
                    None if expired() => LeafContent::Expired,
                    None => LeafContent::Missing,
                };
                found.insert(row.seq, record(row, content)?);
            }
        }
        Ok(order.iter().filter_map(|seq| found.remove(seq)).collect())
    }
}

fn record(row: Row, content: LeafContent) -> Result<LeafRecord, StoreError> {
    let damaged = || StoreError::Damaged { what: "leaf", id: row.seq.to_string(), source: None };
    let commitment = row.commitment.as_deref().map(|bytes| Hash::try_from(bytes).map_err(|_| damaged()));
    Ok(LeafRecord {
        index: row.index.map(|index| index as u64),
        commitment: commitment.transpose()?,
        kind: row.kind.parse().map_err(|_| damaged())?,
        tenant: row.tenant,
        id: row.record_id,
        recorded_at: row.created_at,
        content,
    })
}

impl TenantStore {
    /// Decisions and records that have no leaf of their own.
    async fn strays(&self, limit: i64) -> Result<Vec<Row>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            Row,
            r#"SELECT r.seq AS "seq!", NULL::bigint AS "index?", r.tenant AS "tenant!", r.kind AS "kind!",
                      r.id AS "record_id!", NULL::bytea AS "commitment?", r.created_at AS "created_at!"
               FROM (SELECT seq, tenant, 'decision' AS kind, id, created_at FROM praetor.decisions
                     UNION ALL SELECT seq, tenant, kind, id, created_at FROM praetor.records) r
               WHERE NOT EXISTS (SELECT FROM praetor.leaves l
                                 WHERE l.seq = r.seq AND l.kind = r.kind AND l.record_id = r.id)
               ORDER BY r.seq LIMIT $1"#,
            limit,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("look for records without a leaf"))
    }

    /// The records at these places in the order of records, with their ids.
    async fn contents(&self, seqs: &[i64]) -> Result<BTreeMap<i64, (String, LeafContent)>, StoreError> {
        let mut found = BTreeMap::new();
        let mut tx = self.begin(Intent::Read).await?;
        let decisions = sqlx::query!(
            r#"SELECT d.seq AS "seq!", d.id AS "id!", d.ticket_id AS "ticket_id!", d.case_hash AS "case_hash!",
                      d.outcome AS "outcome!", d.sop_id, d.sop_version, d.remedy_kind, d.refund_fen, d.compensation_fen,
                      d.sealed AS "sealed!", t.sealed AS "trace?", c.sealed AS "case?",
                      k.subject AS "subject?", k.wrapped AS "wrapped?", k.master AS "master?",
                      e.record_id AS "erased_by?", e.created_at AS "erased_at?"
               FROM praetor.decisions d
               LEFT JOIN praetor.traces t ON t.seq = d.seq AND t.created_at = d.created_at
               LEFT JOIN praetor.case_keys n ON n.case_hash = d.case_hash AND n.key_id = d.key_id
                     AND n.month = date_trunc('month', d.created_at AT TIME ZONE 'UTC')::date
               LEFT JOIN praetor.cases c ON c.seq = n.seq AND c.created_at = n.created_at
               LEFT JOIN praetor.subject_keys k ON k.id = d.key_id LEFT JOIN praetor.erasures e ON e.key_id = d.key_id
               WHERE d.seq = ANY($1)"#,
            seqs,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read decisions"))?;
        for row in decisions {
            let case_id = hex::encode(&row.case_hash);
            let mut parts = vec![("body", "decision", row.sealed)];
            parts.extend(row.trace.map(|sealed| ("trace", "trace", sealed)));
            let columns = DecisionColumns {
                ticket_id: row.ticket_id,
                case_hash: row.case_hash,
                outcome: row.outcome,
                sop_id: row.sop_id,
                sop_version: row.sop_version,
                remedy_kind: row.remedy_kind,
                refund_fen: row.refund_fen,
                compensation_fen: row.compensation_fen,
            };
            let case = row.case.map(|sealed| (case_id, sealed));
            let joined = Joined {
                subject: row.subject,
                wrapped: row.wrapped,
                master: row.master,
                erased_by: row.erased_by,
                erased_at: row.erased_at,
            };
            let content = self.content(&row.id, joined, parts, case, Some(columns))?;
            found.insert(row.seq, (row.id, content));
        }
        let records = sqlx::query!(
            r#"SELECT r.seq AS "seq!", r.id AS "id!", r.kind AS "kind!", r.sealed AS "sealed!", k.subject AS "subject?", k.wrapped AS "wrapped?",
                      k.master AS "master?", e.record_id AS "erased_by?", e.created_at AS "erased_at?"
               FROM praetor.records r
               LEFT JOIN praetor.subject_keys k ON k.id = r.key_id LEFT JOIN praetor.erasures e ON e.key_id = r.key_id
               WHERE r.seq = ANY($1)"#,
            seqs,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read records"))?;
        for row in records {
            let joined = joined!(row);
            let content = match row.kind.parse::<Kind>() {
                Ok(kind) => self.content(&row.id, joined, vec![("body", kind.as_str(), row.sealed)], None, None)?,
                Err(_) => LeafContent::Damaged,
            };
            found.insert(row.seq, (row.id, content));
        }
        Ok(found)
    }

    fn content(
        &self,
        id: &str,
        joined: Joined,
        sealed: Vec<(&'static str, &'static str, Vec<u8>)>,
        case: Option<(String, Vec<u8>)>,
        columns: Option<DecisionColumns>,
    ) -> Result<LeafContent, StoreError> {
        // A master key that is not there is no damage to the record: that error is handed on.
        let key = match self.unlock(joined) {
            Ok(Some(Ok(key))) => key,
            Ok(Some(Err(erased))) => return Ok(LeafContent::Erased(erased)),
            Ok(None) | Err(StoreError::Kms(super::KmsError::Damaged)) => return Ok(LeafContent::Damaged),
            Err(error) => return Err(error),
        };
        let mut parts = BTreeMap::new();
        for (name, table, sealed) in sealed {
            let Ok(bytes) = self.open_with(table, id, &sealed, &key) else { return Ok(LeafContent::Damaged) };
            parts.insert(name, bytes);
        }
        let case = match case.map(|(id, sealed)| self.open_with("case", &id, &sealed, &key)) {
            Some(Err(_)) => return Ok(LeafContent::Damaged),
            Some(Ok(case)) => Some(case),
            None => None,
        };
        Ok(LeafContent::Kept(Box::new(KeptRecord { salt: *key.salt(id), parts, case, columns })))
    }
}

impl Log {
    /// The times whose decisions were set aside.
    async fn retired(&self) -> Result<Vec<(DateTime<Utc>, DateTime<Utc>)>, StoreError> {
        let rows = sqlx::query!("SELECT first, until FROM praetor.retired_months WHERE parent = 'decisions'")
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("read the retired months"))?;
        Ok(rows.into_iter().map(|row| (row.first, row.until)).collect())
    }
}
