//! Appends records, many at a time, each call in one transaction. What is there already is left as it is: recording the
//! same thing twice changes nothing, recording something else under the same id is an error.

use std::collections::HashMap;

use sqlx::PgTransaction;

use super::error::StoreError;
use super::keys::SubjectKey;
use super::leaves::{NewLeaf, parts};
use super::model::{Hash, NewDecision, NewRejection, NewTask, Recorded};
use super::pack::sha256;
use super::tenant::{Intent, TenantStore, commit};
use crate::ledger::Kind;

/// A decision that was not there yet: its place in the order of records, and its key.
struct Fresh<'a> {
    seq: i64,
    new: &'a NewDecision,
    key: &'a SubjectKey,
}

impl TenantStore {
    /// Records decisions with their cases, traces and pending leaves, all or none.
    pub async fn record(&self, decisions: &[NewDecision]) -> Result<Recorded, StoreError> {
        if decisions.is_empty() {
            return Ok(Recorded::default());
        }
        let mut tx = self.begin(Intent::Write).await?;
        let recorded = self.record_in(&mut tx, decisions).await?;
        commit(tx).await?;
        Ok(recorded)
    }

    /// Records decisions within a transaction that does more.
    pub(super) async fn record_in(
        &self,
        tx: &mut PgTransaction<'_>,
        decisions: &[NewDecision],
    ) -> Result<Recorded, StoreError> {
        // One order for everybody, so that two writers of the same ids wait for each other and never deadlock.
        let mut order: Vec<&NewDecision> = decisions.iter().collect();
        order.sort_by(|a, b| a.id.cmp(&b.id));

        let keys = self.keys(tx, order.iter().map(|d| d.subject.as_str())).await?;
        let key_of = |d: &NewDecision| keys.get(&d.subject).ok_or(StoreError::Raced);
        let mut leaves = Vec::with_capacity(order.len());
        for d in &order {
            let parts = parts([("body", d.body.as_slice()), ("trace", d.trace.as_slice())]);
            leaves.push(NewLeaf { id: &d.id, key: key_of(d)?, parts });
        }
        let added = self.insert_leaves(tx, Kind::Decision, &leaves).await?;
        let by_id: HashMap<&str, &NewDecision> = order.iter().rev().map(|d| (d.id.as_str(), *d)).collect();
        let mut fresh = Vec::with_capacity(added.len());
        for (id, seq) in &added {
            let new = by_id.get(id.as_str()).ok_or(StoreError::Raced)?;
            fresh.push(Fresh { seq: *seq, new, key: key_of(new)? });
        }
        if !fresh.is_empty() {
            self.insert_cases(tx, &fresh).await?;
            self.insert_decisions(tx, &fresh).await?;
            self.insert_traces(tx, &fresh).await?;
            self.insert_tasks(tx, &fresh).await?;
        }
        Ok(recorded(added.len(), decisions.len()))
    }

    async fn insert_decisions(&self, tx: &mut PgTransaction<'_>, fresh: &[Fresh<'_>]) -> Result<(), StoreError> {
        let seal = |f: &Fresh<'_>| self.seal("decision", &f.new.id, &f.key.key, &f.new.body);
        let sealed = fresh.iter().map(seal).collect::<Result<Vec<_>, _>>()?;
        let column = |of: fn(&NewDecision) -> &str| fresh.iter().map(|f| of(f.new)).collect::<Vec<_>>();
        sqlx::query!(
            r#"INSERT INTO praetor.decisions (tenant, seq, key_id, id, ticket_id, case_hash, outcome, sop_id, sop_version,
                                              remedy_kind, refund_fen, compensation_fen, sealed)
               SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::text[],
                                        $8::text[], $9::int[], $10::text[], $11::bigint[], $12::bigint[], $13::bytea[])"#,
            self.tenant.as_str(),
            &fresh.iter().map(|f| f.seq).collect::<Vec<_>>(),
            &fresh.iter().map(|f| f.key.id).collect::<Vec<_>>(),
            &column(|d| &d.id) as _,
            &column(|d| &d.ticket_id) as _,
            &fresh.iter().map(|f| f.new.case_hash.as_slice()).collect::<Vec<_>>() as _,
            &column(|d| &d.outcome) as _,
            &fresh.iter().map(|f| f.new.sop_id.as_deref()).collect::<Vec<_>>() as _,
            &fresh.iter().map(|f| f.new.sop_version).collect::<Vec<_>>() as _,
            &fresh.iter().map(|f| f.new.remedy_kind.as_deref()).collect::<Vec<_>>() as _,
            &fresh.iter().map(|f| f.new.refund_fen).collect::<Vec<_>>() as _,
            &fresh.iter().map(|f| f.new.compensation_fen).collect::<Vec<_>>() as _,
            &sealed,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("record decisions"))?;
        Ok(())
    }

    async fn insert_traces(&self, tx: &mut PgTransaction<'_>, fresh: &[Fresh<'_>]) -> Result<(), StoreError> {
        let seal = |f: &Fresh<'_>| self.seal("trace", &f.new.id, &f.key.key, &f.new.trace);
        let sealed = fresh.iter().map(seal).collect::<Result<Vec<_>, _>>()?;
        sqlx::query!(
            r#"INSERT INTO praetor.traces (tenant, seq, key_id, decision_id, sealed)
               SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::bytea[])"#,
            self.tenant.as_str(),
            &fresh.iter().map(|f| f.seq).collect::<Vec<_>>(),
            &fresh.iter().map(|f| f.key.id).collect::<Vec<_>>(),
            &fresh.iter().map(|f| f.new.id.as_str()).collect::<Vec<_>>() as _,
            &sealed,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("record traces"))?;
        Ok(())
    }

    /// What people are to do about these decisions: one statement, or none where there is nothing to do.
    async fn insert_tasks(&self, tx: &mut PgTransaction<'_>, fresh: &[Fresh<'_>]) -> Result<(), StoreError> {
        let tasks: Vec<(&NewDecision, &NewTask)> =
            fresh.iter().filter_map(|f| Some((f.new, f.new.task.as_ref()?))).collect();
        if tasks.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            r#"INSERT INTO praetor.review_tasks (tenant, nth, id, decision_id, kind, scene, priority, amount_fen, due_at)
               SELECT $1, 0, id, decision_id, kind, scene, priority, amount_fen, now() + due_in * interval '1 second'
               FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::bigint[], $8::bigint[])
                    AS t (id, decision_id, kind, scene, priority, amount_fen, due_in)"#,
            self.tenant.as_str(),
            &tasks.iter().map(|(_, t)| t.id.as_str()).collect::<Vec<_>>() as _,
            &tasks.iter().map(|(d, _)| d.id.as_str()).collect::<Vec<_>>() as _,
            &tasks.iter().map(|(_, t)| t.kind).collect::<Vec<_>>() as _,
            &tasks.iter().map(|(_, t)| t.scene.as_str()).collect::<Vec<_>>() as _,
            &tasks.iter().map(|(_, t)| t.priority).collect::<Vec<_>>(),
            &tasks.iter().map(|(_, t)| t.amount_fen).collect::<Vec<_>>(),
            &tasks.iter().map(|(_, t)| t.due_in).collect::<Vec<_>>(),
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("queue decisions for review"))?;
        Ok(())
    }

    /// The cases of these decisions, once a month and key.
    async fn insert_cases(&self, tx: &mut PgTransaction<'_>, fresh: &[Fresh<'_>]) -> Result<(), StoreError> {
        let mut order: Vec<&Fresh<'_>> = fresh.iter().collect();
        order.sort_by_key(|f| (f.new.case_hash, f.key.id));
        let added = sqlx::query!(
            r#"INSERT INTO praetor.case_keys (tenant, case_hash, key_id)
               SELECT $1, * FROM unnest($2::bytea[], $3::bigint[]) ON CONFLICT DO NOTHING RETURNING case_hash, key_id, seq"#,
            self.tenant.as_str(),
            &order.iter().map(|f| f.new.case_hash.as_slice()).collect::<Vec<_>>() as _,
            &order.iter().map(|f| f.key.id).collect::<Vec<_>>(),
        )
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::query("record cases"))?;
        if added.is_empty() {
            return Ok(());
        }
        let of: HashMap<(&[u8], i64), &Fresh<'_>> =
            order.iter().map(|f| ((f.new.case_hash.as_slice(), f.key.id), *f)).collect();
        let mut tickets = Vec::with_capacity(added.len());
        let mut sealed = Vec::with_capacity(added.len());
        for row in &added {
            let f = of.get(&(row.case_hash.as_slice(), row.key_id)).ok_or(StoreError::Raced)?;
            tickets.push(f.new.ticket_id.as_str());
            sealed.push(self.seal("case", &hex::encode(f.new.case_hash), &f.key.key, &f.new.case)?);
        }
        sqlx::query!(
            r#"INSERT INTO praetor.cases (tenant, seq, case_hash, key_id, ticket_id, sealed)
               SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bigint[], $5::text[], $6::bytea[])"#,
            self.tenant.as_str(),
            &added.iter().map(|row| row.seq).collect::<Vec<_>>(),
            &added.iter().map(|row| row.case_hash.as_slice()).collect::<Vec<_>>() as _,
            &added.iter().map(|row| row.key_id).collect::<Vec<_>>(),
            &tickets as _,
            &sealed,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("record cases"))?;
        Ok(())
    }

    /// Quarantines inputs that are no case file. The same input from the same place is kept once.
    pub async fn reject(&self, rejections: &[NewRejection]) -> Result<Recorded, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        let recorded = self.reject_in(&mut tx, rejections).await?;
        commit(tx).await?;
        Ok(recorded)
    }

    /// Quarantines inputs within a transaction that does more.
    pub(super) async fn reject_in(
        &self,
        tx: &mut PgTransaction<'_>,
        rejections: &[NewRejection],
    ) -> Result<Recorded, StoreError> {
        if rejections.is_empty() {
            return Ok(Recorded::default());
        }
        type Place = (String, i64, Hash);
        let mut order: Vec<(Place, &NewRejection)> =
            rejections.iter().map(|r| ((storable(&r.source), r.line, sha256(&r.input)), r)).collect();
        order.sort_by(|(a, _), (b, _)| a.cmp(b));
        let subject = |r: &NewRejection, hash: &Hash| match &r.subject {
            Some(subject) => subject.clone(),
            None => format!("input:{}", hex::encode(hash)),
        };
        let subjects: Vec<String> = order.iter().map(|((_, _, hash), r)| subject(r, hash)).collect();
        let keys = self.keys(tx, subjects.iter().map(String::as_str)).await?;
        let added = sqlx::query!(
            r#"INSERT INTO praetor.rejection_keys (tenant, source, line, input_sha256)
               SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bytea[])
               ON CONFLICT DO NOTHING RETURNING source, line, input_sha256, seq"#,
            self.tenant.as_str(),
            &order.iter().map(|((source, _, _), _)| source.as_str()).collect::<Vec<_>>() as _,
            &order.iter().map(|((_, line, _), _)| *line).collect::<Vec<_>>(),
            &order.iter().map(|((_, _, hash), _)| hash.as_slice()).collect::<Vec<_>>() as _,
        )
        .fetch_all(&mut **tx)
        .await
        .map_err(StoreError::query("record rejections"))?;
        let of: HashMap<&Place, (&NewRejection, &String)> =
            order.iter().zip(&subjects).map(|((place, r), subject)| (place, (*r, subject))).collect();
        let (mut seqs, mut ids, mut inputs, mut errors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in added {
            let hash = Hash::try_from(row.input_sha256.as_slice()).map_err(|_| StoreError::Raced)?;
            let (new, subject) = of.get(&(row.source, row.line, hash)).ok_or(StoreError::Raced)?;
            let key = keys.get(*subject).ok_or(StoreError::Raced)?;
            let id = row.seq.to_string();
            seqs.push(row.seq);
            ids.push(key.id);
            inputs.push(self.seal("rejection", &id, &key.key, &new.input)?);
            errors.push(self.seal("rejection errors", &id, &key.key, new.errors.as_bytes())?);
        }
        sqlx::query!(
            r#"INSERT INTO praetor.rejections (tenant, seq, key_id, sealed, sealed_errors)
               SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])"#,
            self.tenant.as_str(),
            &seqs,
            &ids,
            &inputs,
            &errors,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("record rejections"))?;
        Ok(recorded(seqs.len(), rejections.len()))
    }
}

pub(super) fn recorded(inserted: usize, given: usize) -> Recorded {
    Recorded { inserted: inserted as u64, already: given.saturating_sub(inserted) as u64 }
}

/// PostgreSQL's text cannot hold U+0000; file names can.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}
