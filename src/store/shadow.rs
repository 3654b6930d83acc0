//! What a draft in shadow would have made of new decisions, as it was found. Nothing here is about anybody: ids, remedies,
//! sums.

use super::error::StoreError;
use super::tenant::{Intent, TenantStore, commit};

/// A decision that was made under a draft as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowCase {
    /// The decision in force.
    pub decision_id: String,
    /// Whether the draft gives another remedy or sum.
    pub remedy_differs: bool,
    /// Whether the draft makes the facts certain that were not, or the other way round.
    pub outcome_differs: bool,
    /// Both beside each other, a JSON text.
    pub change: String,
}

/// A case that came out differently, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowRow {
    /// Position in the order of finding.
    pub seq: i64,
    /// The decision in force.
    pub decision_id: String,
    /// Both beside each other, a JSON text.
    pub change: String,
}

/// How many cases a draft was tried on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShadowSums {
    /// Cases compared.
    pub cases: i64,
    /// Those with another remedy or sum.
    pub remedies: i64,
    /// Those with another outcome.
    pub outcomes: i64,
}

impl TenantStore {
    /// Keeps a comparison. The same decision is compared once.
    pub async fn put_shadow_case(&self, publication: &str, case: &ShadowCase) -> Result<(), StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query!(
            r#"INSERT INTO praetor.shadow_cases (tenant, publication, decision_id, remedy_differs, outcome_differs, change)
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"#,
            self.tenant.as_str(),
            publication,
            case.decision_id,
            case.remedy_differs,
            case.outcome_differs,
            case.change,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("keep a comparison"))?;
        commit(tx).await
    }

    /// Sums over all comparisons of a publication.
    pub async fn shadow_sums(&self, publication: &str) -> Result<ShadowSums, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            ShadowSums,
            r#"SELECT count(*) AS "cases!", count(*) FILTER (WHERE remedy_differs) AS "remedies!",
                      count(*) FILTER (WHERE outcome_differs) AS "outcomes!"
               FROM praetor.shadow_cases WHERE publication = $1"#,
            publication,
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::query("sum comparisons up"))
    }

    /// The cases of a publication that came out differently, newest first, at most `limit`, before a place in their order.
    pub async fn shadow_differences(
        &self,
        publication: &str,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Vec<ShadowRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        sqlx::query_as!(
            ShadowRow,
            r#"SELECT seq, decision_id, change FROM praetor.shadow_cases
               WHERE publication = $1 AND (remedy_differs OR outcome_differs) AND ($2::bigint IS NULL OR seq < $2)
               ORDER BY seq DESC LIMIT $3"#,
            publication,
            before,
            i64::from(limit),
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("list comparisons"))
    }
}
