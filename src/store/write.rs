//! Appends records, many at a time, each call in one transaction. What is there already is left as it is: recording the
//! same thing twice changes nothing, recording something else under the same id is an error.

use super::Store;
use super::error::StoreError;
use super::model::{Hash, NewDecision, NewRejection, NewRulebook, Recorded};
use super::pack::{pack, sha256};

impl Store {
    /// Records decisions with their cases and traces, all or none.
    pub async fn record(&self, decisions: &[NewDecision]) -> Result<Recorded, StoreError> {
        // One order for everybody, so that two writers of the same ids wait for each other and never deadlock.
        let mut order: Vec<&NewDecision> = decisions.iter().collect();
        order.sort_by(|a, b| a.id.cmp(&b.id));

        let mut tx = self.pool.begin().await.map_err(StoreError::query("begin"))?;
        self.insert_cases(&mut tx, &order).await?;
        let shas: Vec<Hash> = order.iter().map(|d| sha256(&d.body)).collect();
        let ids: Vec<&str> = order.iter().map(|d| d.id.as_str()).collect();
        let sha_column: Vec<&[u8]> = shas.iter().map(Hash::as_slice).collect();
        let inserted = sqlx::query!(
            r#"INSERT INTO praetor.decisions (id, ticket_id, case_hash, outcome, sop_id, sop_version, remedy_kind,
                                              refund_fen, compensation_fen, body, body_sha256)
               SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::int[], $7::text[],
                                    $8::bigint[], $9::bigint[], $10::bytea[], $11::bytea[])
               ON CONFLICT (id) DO NOTHING"#,
            &ids as _,
            &order.iter().map(|d| d.ticket_id.as_str()).collect::<Vec<_>>() as _,
            &order.iter().map(|d| d.case_hash.as_slice()).collect::<Vec<_>>() as _,
            &order.iter().map(|d| d.outcome.as_str()).collect::<Vec<_>>() as _,
            &order.iter().map(|d| d.sop_id.as_deref()).collect::<Vec<_>>() as _,
            &order.iter().map(|d| d.sop_version).collect::<Vec<_>>() as _,
            &order.iter().map(|d| d.remedy_kind.as_deref()).collect::<Vec<_>>() as _,
            &order.iter().map(|d| d.refund_fen).collect::<Vec<_>>() as _,
            &order.iter().map(|d| d.compensation_fen).collect::<Vec<_>>() as _,
            &order.iter().map(|d| d.body.as_slice()).collect::<Vec<_>>() as _,
            &sha_column as _,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("record decisions"))?
        .rows_affected();

        // A later statement sees what a concurrent writer committed while ours waited for it.
        let conflicts = sqlx::query_scalar!(
            r#"SELECT DISTINCT d.id FROM unnest($1::text[], $2::bytea[]) AS new(id, sha)
               JOIN praetor.decisions d USING (id) WHERE d.body_sha256 <> new.sha ORDER BY d.id LIMIT 20"#,
            &ids as _,
            &sha_column as _,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("compare decisions"))?;
        if !conflicts.is_empty() {
            return Err(StoreError::Conflict { ids: conflicts });
        }

        let packed = order.iter().map(|d| pack(&d.trace)).collect::<Result<Vec<_>, _>>()?;
        let traced: Vec<Hash> = order.iter().map(|d| sha256(&d.trace)).collect();
        sqlx::query!(
            r#"INSERT INTO praetor.traces (decision_id, packed, sha256)
               SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[]) ON CONFLICT (decision_id) DO NOTHING"#,
            &ids as _,
            &packed,
            &traced.iter().map(Hash::as_slice).collect::<Vec<_>>() as _,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("record traces"))?;
        tx.commit().await.map_err(StoreError::query("commit"))?;
        Ok(recorded(inserted, decisions.len()))
    }

    async fn insert_cases(&self, tx: &mut sqlx::PgTransaction<'_>, order: &[&NewDecision]) -> Result<(), StoreError> {
        let mut cases = order.to_vec();
        cases.sort_by_key(|d| d.case_hash);
        cases.dedup_by_key(|d| d.case_hash);
        let packed = cases.iter().map(|d| pack(&d.case)).collect::<Result<Vec<_>, _>>()?;
        sqlx::query!(
            r#"INSERT INTO praetor.cases (case_hash, ticket_id, packed)
               SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[]) ON CONFLICT (case_hash) DO NOTHING"#,
            &cases.iter().map(|d| d.case_hash.as_slice()).collect::<Vec<_>>() as _,
            &cases.iter().map(|d| d.ticket_id.as_str()).collect::<Vec<_>>() as _,
            &packed,
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::query("record cases"))?;
        Ok(())
    }

    /// Quarantines inputs that are no case file. The same input from the same place is kept once.
    pub async fn reject(&self, rejections: &[NewRejection]) -> Result<Recorded, StoreError> {
        let mut order: Vec<(&NewRejection, Hash)> = rejections.iter().map(|r| (r, sha256(&r.input))).collect();
        order.sort_by(|(a, x), (b, y)| (&a.source, a.line, x).cmp(&(&b.source, b.line, y)));
        let errors = order.iter().map(|(r, _)| storable_json(&r.errors)).collect::<Result<Vec<_>, _>>()?;
        let packed = order.iter().map(|(r, _)| pack(&r.input)).collect::<Result<Vec<_>, _>>()?;
        let inserted = sqlx::query!(
            r#"INSERT INTO praetor.rejections (input_sha256, source, line, errors, packed)
               SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::jsonb[], $5::bytea[])
               ON CONFLICT (source, line, input_sha256) DO NOTHING"#,
            &order.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<_>>() as _,
            &order.iter().map(|(r, _)| storable(&r.source)).collect::<Vec<_>>(),
            &order.iter().map(|(r, _)| r.line).collect::<Vec<_>>(),
            &errors,
            &packed,
        )
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("record rejections"))?
        .rows_affected();
        Ok(recorded(inserted, rejections.len()))
    }

    /// Keeps a rule book. True if it was not there yet.
    pub async fn put_rulebook(&self, rulebook: &NewRulebook) -> Result<bool, StoreError> {
        let inserted = sqlx::query!(
            r#"INSERT INTO praetor.rulebooks (hash, pack_id, packed) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING"#,
            &rulebook.hash,
            rulebook.pack_id,
            pack(&rulebook.bytes)?,
        )
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("keep the rule book"))?
        .rows_affected();
        Ok(inserted == 1)
    }
}

fn recorded(inserted: u64, given: usize) -> Recorded {
    let given = u64::try_from(given).unwrap_or(u64::MAX);
    Recorded { inserted, already: given.saturating_sub(inserted) }
}

/// PostgreSQL's text cannot hold U+0000; inputs that are no case file can.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

fn storable_json(text: &str) -> Result<serde_json::Value, StoreError> {
    fn clean(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(storable(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(clean).collect()),
            Value::Object(fields) => Value::Object(fields.into_iter().map(|(k, v)| (storable(&k), clean(v))).collect()),
            other => other,
        }
    }
    serde_json::from_str(text)
        .map(clean)
        .map_err(|error| StoreError::Argument { what: "the list of errors", source: error.into() })
}
