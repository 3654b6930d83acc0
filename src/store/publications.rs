//! Rule books on their way into force: drafts, the steps they take, and which book is in force for whom. Each step and its
//! record go into one transaction; steps of a tenant wait for each other. What a rule book says is not known here.

use chrono::{DateTime, Utc};
use sqlx::PgTransaction;

use super::Store;
use super::error::StoreError;
use super::model::{Hash, NewRecord};
use super::tenant::{Intent, TenantId, TenantStore, begin_for_all, commit};
use crate::ledger::Kind;

/// A checked draft to keep. Its rule book is an artifact that is kept already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPublication {
    /// Its id, `pub_…`.
    pub id: String,
    /// The compiled rules.
    pub rulebook: Hash,
    /// Pack and version, for people.
    pub pack: String,
    /// What its maker says of it.
    pub note: Option<String>,
    /// The key that made it.
    pub maker: String,
}

/// A publication as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicationRow {
    /// Position in the order of making.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// The compiled rules.
    pub rulebook: Vec<u8>,
    /// Pack and version.
    pub pack: String,
    /// What its maker says of it.
    pub note: Option<String>,
    /// The key that made it.
    pub maker: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// `draft`, `shadow`, `live` or `retired`.
    pub status: String,
}

/// A step that a publication took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// `shadow`, `live` or `rollback`.
    pub step: String,
    /// The key that took it.
    pub actor: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What a step brings into force, for its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The publication; None for the book that the tenant began with.
    pub publication: Option<String>,
    /// The compiled rules.
    pub rulebook: Hash,
    /// What was in force before.
    pub before: Hash,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stepped {
    /// It is taken.
    Taken(Step),
    /// This tenant has no such publication.
    Unknown,
    /// The publication is in another state, which is named.
    Not(String),
    /// Whoever made it may not bring it into force.
    SameMaker,
    /// There is nothing to go back to.
    Nothing,
}

/// Which rules a tenant has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Whose.
    pub tenant: TenantId,
    /// In force; None while it is the configured book.
    pub live: Option<Hash>,
    /// The publication in force; None for the book that the tenant began with.
    pub publication: Option<String>,
    /// The publication in shadow and its book.
    pub shadow: Option<(String, Hash)>,
}

/// The step in force within a transaction.
struct Current {
    seq: i64,
    rulebook: Vec<u8>,
    over: Option<i64>,
    over_rulebook: Option<Vec<u8>>,
}

/// Publications with their states; what follows WHERE is all that differs between the ways to find them.
macro_rules! publications {
    ($where:tt, $($argument:expr),*) => {
        sqlx::query_as!(
            PublicationRow,
            r#"SELECT p.seq, p.id, p.rulebook, p.pack, p.note, p.maker, p.created_at,
                      CASE WHEN p.id = (SELECT s.publication FROM praetor.publication_steps s
                                        WHERE s.tenant = p.tenant AND s.step <> 'shadow' ORDER BY s.seq DESC LIMIT 1)
                               THEN 'live'
                           WHEN EXISTS (SELECT FROM praetor.publication_steps s
                                        WHERE s.tenant = p.tenant AND s.publication = p.id AND s.step = 'live')
                               THEN 'retired'
                           WHEN p.id = (SELECT s.publication FROM praetor.publication_steps s
                                        WHERE s.tenant = p.tenant AND s.step = 'shadow' ORDER BY s.seq DESC LIMIT 1)
                               THEN 'shadow'
                           ELSE 'draft' END AS "status!"
               FROM praetor.publications p WHERE "#
                + $where,
            $($argument),*
        )
    };
}

impl Store {
    /// What is in force for every tenant that ever published.
    pub async fn rules_in_force(&self) -> Result<Vec<InForce>, StoreError> {
        let mut tx = begin_for_all(&self.pool).await?;
        let rows = sqlx::query!(
            r#"SELECT DISTINCT ON (s.tenant, s.step = 'shadow') s.tenant, s.step = 'shadow' AS "shadow!", s.publication,
                      s.rulebook,
                      EXISTS (SELECT FROM praetor.publication_steps l
                              WHERE l.tenant = s.tenant AND l.publication = s.publication AND l.step = 'live') AS "was_live!"
               FROM praetor.publication_steps s ORDER BY s.tenant, s.step = 'shadow', s.seq DESC"#
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read which rules are in force"))?;
        let mut out: Vec<InForce> = Vec::new();
        for row in rows {
            let damaged = |_| StoreError::Damaged { what: "tenant", id: row.tenant.clone(), source: None };
            let tenant: TenantId = row.tenant.parse().map_err(damaged)?;
            if out.last().is_none_or(|last| last.tenant != tenant) {
                out.push(InForce { tenant, live: None, publication: None, shadow: None });
            }
            let (Some(last), rulebook) = (out.last_mut(), rulebook(&row.rulebook)?) else { continue };
            match (row.shadow, row.publication) {
                (false, publication) => (last.live, last.publication) = (Some(rulebook), publication),
                (true, Some(publication)) if !row.was_live => last.shadow = Some((publication, rulebook)),
                (true, _) => {}
            }
        }
        Ok(out)
    }
}

impl TenantStore {
    /// Keeps a draft. `record` says who made it.
    pub async fn put_publication(&self, new: &NewPublication, record: &NewRecord) -> Result<(), StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        sqlx::query!(
            r#"INSERT INTO praetor.publications (tenant, id, rulebook, pack, note, maker) VALUES ($1, $2, $3, $4, $5, $6)"#,
            self.tenant.as_str(),
            new.id,
            &new.rulebook,
            new.pack,
            new.note,
            new.maker,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("keep a draft"))?;
        self.append_in(&mut tx, Kind::SopPublication, std::slice::from_ref(record)).await?;
        commit(tx).await
    }

    /// Publications, newest first, at most `limit`, before a place in their order.
    pub async fn publications(&self, before: Option<i64>, limit: u16) -> Result<Vec<PublicationRow>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        publications!("($1::bigint IS NULL OR p.seq < $1) ORDER BY p.seq DESC LIMIT $2", before, i64::from(limit))
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::query("list publications"))
    }

    /// The publication of this id, and the steps it took.
    pub async fn publication(&self, id: &str) -> Result<Option<(PublicationRow, Vec<StepRow>)>, StoreError> {
        let mut tx = self.begin(Intent::Read).await?;
        let Some(row) = self.publication_in(&mut tx, id).await? else { return Ok(None) };
        let steps = sqlx::query_as!(
            StepRow,
            "SELECT step, actor, created_at FROM praetor.publication_steps WHERE publication = $1 ORDER BY seq",
            id,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::query("read a publication's steps"))?;
        Ok(Some((row, steps)))
    }

    /// Lets a draft be tried beside what is in force. It takes the place of another one in shadow. `record` writes the
    /// record of the step; `base` is the book in force while the tenant has published none.
    pub async fn to_shadow(
        &self,
        id: &str,
        actor: &str,
        base: Hash,
        record: impl Fn(&Step) -> NewRecord,
    ) -> Result<Stepped, StoreError> {
        let mut tx = self.begin_step().await?;
        let Some(row) = self.publication_in(&mut tx, id).await? else { return Ok(Stepped::Unknown) };
        if row.status != "draft" {
            return Ok(Stepped::Not(row.status));
        }
        let before = self.current(&mut tx).await?.map_or(Ok(base), |now| rulebook(&now.rulebook))?;
        let step = Step { publication: Some(row.id), rulebook: rulebook(&row.rulebook)?, before };
        self.take(tx, "shadow", step, (None, None), actor, record).await
    }

    /// Brings a publication that is in shadow into force, if another than its maker does it.
    pub async fn to_live(
        &self,
        id: &str,
        actor: &str,
        base: Hash,
        record: impl Fn(&Step) -> NewRecord,
    ) -> Result<Stepped, StoreError> {
        let mut tx = self.begin_step().await?;
        let Some(row) = self.publication_in(&mut tx, id).await? else { return Ok(Stepped::Unknown) };
        if row.status != "shadow" {
            return Ok(Stepped::Not(row.status));
        }
        if self.same_holder(&mut tx, &row.maker, actor).await? {
            return Ok(Stepped::SameMaker);
        }
        let now = self.current(&mut tx).await?;
        let before = now.as_ref().map_or(Ok(base), |now| rulebook(&now.rulebook))?;
        let step = Step { publication: Some(row.id), rulebook: rulebook(&row.rulebook)?, before };
        self.take(tx, "live", step, (now.map(|now| now.seq), Some(before)), actor, record).await
    }

    /// Brings what was in force before back into force.
    pub async fn roll_back(&self, actor: &str, record: impl Fn(&Step) -> NewRecord) -> Result<Stepped, StoreError> {
        let mut tx = self.begin_step().await?;
        let Some(now) = self.current(&mut tx).await? else { return Ok(Stepped::Nothing) };
        let before = rulebook(&now.rulebook)?;
        let Some(beneath) = now.over_rulebook.as_deref().map(rulebook).transpose()? else {
            return Ok(Stepped::Nothing);
        };
        let (publication, over) = match now.over {
            None => (None, (None, None)),
            Some(seq) => {
                let row = sqlx::query!(
                    "SELECT publication, over, over_rulebook FROM praetor.publication_steps WHERE seq = $1",
                    seq,
                )
                .fetch_one(&mut *tx)
                .await
                .map_err(StoreError::query("read a step"))?;
                (row.publication, (row.over, row.over_rulebook.as_deref().map(rulebook).transpose()?))
            }
        };
        self.take(tx, "rollback", Step { publication, rulebook: beneath, before }, over, actor, record).await
    }

    async fn publication_in(&self, tx: &mut PgTransaction<'_>, id: &str) -> Result<Option<PublicationRow>, StoreError> {
        publications!("p.id = $1", id).fetch_optional(&mut **tx).await.map_err(StoreError::query("read a publication"))
    }

    /// Begins a transaction in which no other step of this tenant is taken.
    async fn begin_step(&self) -> Result<PgTransaction<'static>, StoreError> {
        let mut tx = self.begin(Intent::Write).await?;
        sqlx::query!(
            "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('praetor rules of ' || $1, 0))",
            self.tenant.as_str(),
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("wait for other steps"))?;
        Ok(tx)
    }

    async fn current(&self, tx: &mut PgTransaction<'_>) -> Result<Option<Current>, StoreError> {
        sqlx::query_as!(
            Current,
            r#"SELECT seq, rulebook, over, over_rulebook FROM praetor.publication_steps
               WHERE step <> 'shadow' ORDER BY seq DESC LIMIT 1"#
        )
        .fetch_optional(&mut **tx)
        .await
        .map_err(StoreError::query("read which rules are in force"))
    }

    /// Whether two keys are one, or follow from one another by rotation.
    async fn same_holder(&self, tx: &mut PgTransaction<'_>, a: &str, b: &str) -> Result<bool, StoreError> {
        sqlx::query_scalar!(
            r#"WITH RECURSIVE same AS (
                   SELECT $1::text AS key_id
                   UNION SELECT CASE WHEN r.key_id = s.key_id THEN r.successor ELSE r.key_id END
                   FROM praetor.api_key_rotations r JOIN same s ON s.key_id IN (r.key_id, r.successor))
               SELECT EXISTS (SELECT FROM same WHERE key_id = $2) AS "same!""#,
            a,
            b,
        )
        .fetch_one(&mut **tx)
        .await
        .map_err(StoreError::query("compare keys"))
    }

    async fn take(
        &self,
        mut tx: PgTransaction<'_>,
        name: &str,
        step: Step,
        (over, over_rulebook): (Option<i64>, Option<Hash>),
        actor: &str,
        record: impl Fn(&Step) -> NewRecord,
    ) -> Result<Stepped, StoreError> {
        sqlx::query!(
            r#"INSERT INTO praetor.publication_steps (tenant, step, publication, rulebook, over, over_rulebook, actor)
               VALUES ($1, $2, $3, $4, $5, $6, $7)"#,
            self.tenant.as_str(),
            name,
            step.publication,
            &step.rulebook,
            over,
            over_rulebook.as_ref().map(Hash::as_slice),
            actor,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::query("take a step"))?;
        self.append_in(&mut tx, Kind::SopPublication, &[record(&step)]).await?;
        commit(tx).await?;
        Ok(Stepped::Taken(step))
    }
}

fn rulebook(bytes: &[u8]) -> Result<Hash, StoreError> {
    let damaged = |_| StoreError::Damaged { what: "rule book's hash", id: hex::encode(bytes), source: None };
    Hash::try_from(bytes).map_err(damaged)
}
