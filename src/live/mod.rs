//! Which rules each tenant is decided by: the configured pack until it publishes one of its own, and then that, in every
//! process, without a restart. Whoever decides takes a pipeline once and keeps it to the end, so that nobody sees half a
//! switch. The models are shared by all. Nothing is published here: the store says what is in force, and this follows.

mod shadow;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use crate::case::{Case, Timestamp};
use crate::decision::{Certified, Gate, Pins};
use crate::pipeline::{Decided, Pipeline, PipelineError};
use crate::replay::{ReplayError, keep_certificate, kept_book};
use crate::sop::RuleBook;
use crate::store::{Hash, InForce, NewRecord, RecordKind, Store, StoreError, TenantId};

pub use shadow::Shadower;
use shadow::{Observed, WAITING};

/// What may be automatic under other rules: the gate for what a pipeline pins.
pub type GateOf = Arc<dyn Fn(&Pins) -> Gate + Send + Sync>;

/// How often a process asks which rules are in force.
const EVERY: Duration = Duration::from_secs(1);

/// The rules in force cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A kept rule book cannot be read, or a certificate kept.
    #[error(transparent)]
    Kept(#[from] ReplayError),
    /// A pipeline cannot be made of it.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The work was cut off.
    #[error("the work was cut off")]
    CutOff,
}

/// A draft that is tried on new decisions.
#[derive(Debug, Clone)]
struct Draft {
    publication: String,
    pipeline: Arc<Pipeline>,
}

/// What a tenant's decisions are made by.
#[derive(Debug, Clone)]
pub struct Ruling {
    /// The pipeline; None where what is in force cannot be opened, so that nothing may be decided.
    pub pipeline: Option<Arc<Pipeline>>,
    /// The publication in force; None for the book that the tenant began with.
    pub publication: Option<String>,
    draft: Option<Draft>,
}

/// Which rules each tenant is decided by, in this process.
pub struct Live {
    store: Arc<Store>,
    base: Arc<Pipeline>,
    gate_of: GateOf,
    now: ArcSwap<HashMap<TenantId, Ruling>>,
    /// One refresh at a time, so that an older answer of the database never replaces a newer one. Inside, which certificates
    /// this process entered for whom.
    entered: tokio::sync::Mutex<HashSet<(TenantId, String)>>,
    observed: mpsc::Sender<Observed>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Live {
    /// Begins with the configured pipeline for every tenant; call [`refresh`](Self::refresh) before anything is decided.
    /// `gate_of` says what may be automatic under rules that are published later. The second part tries drafts and has to be
    /// run.
    pub fn new(store: Arc<Store>, base: Arc<Pipeline>, gate_of: GateOf) -> (Self, Shadower) {
        let (observed, waiting) = mpsc::channel(WAITING);
        let shadower = Shadower::new(Arc::clone(&store), waiting);
        let now = ArcSwap::from_pointee(HashMap::new());
        (Self { store, base, gate_of, now, entered: tokio::sync::Mutex::default(), observed }, shadower)
    }

    /// The pipeline that decides for a tenant now. None where its rules cannot be opened here: then nothing is decided.
    pub fn of(&self, tenant: &TenantId) -> Option<Arc<Pipeline>> {
        self.ruling(tenant).pipeline
    }

    /// The same with the publication it comes from.
    pub fn ruling(&self, tenant: &TenantId) -> Ruling {
        let begun = || Ruling { pipeline: Some(Arc::clone(&self.base)), publication: None, draft: None };
        self.now.load().get(tenant).cloned().unwrap_or_else(begun)
    }

    /// The hash of the configured rules, with which every tenant begins.
    pub fn base(&self) -> Hash {
        self.base.book().hash().0
    }

    /// A pipeline of these rules over the shared models, with nothing automatic.
    pub async fn under(&self, book: RuleBook) -> Result<Pipeline, LiveError> {
        let base = Arc::clone(&self.base);
        let made = tokio::task::spawn_blocking(move || base.under(book)).await.map_err(|_| LiveError::CutOff)?;
        Ok(made?)
    }

    /// Hands a decision just made to the tenant's draft in shadow, if there is one. Never waits; what cannot be taken is
    /// counted and let go.
    pub fn observe(&self, tenant: &TenantId, case: &Case, as_of: Option<Timestamp>, decided: &Decided) {
        let Some(draft) = self.ruling(tenant).draft else { return };
        let observed = Observed::new(tenant, draft.publication, draft.pipeline, case, as_of, decided);
        if self.observed.try_send(observed).is_err() {
            metrics::counter!("praetor_shadow_dropped_total").increment(1);
        }
    }

    /// Asks the database which rules are in force and switches to them.
    pub async fn refresh(&self) -> Result<(), LiveError> {
        let mut entered = self.entered.lock().await;
        let wanted = self.store.rules_in_force().await?;
        let before = self.now.load_full();
        let mut after = HashMap::with_capacity(wanted.len());
        for tenant in wanted {
            let known = before.get(&tenant.tenant);
            let ruling = self.ruled(&tenant, known, &before).await?;
            if known.is_none_or(|known| known.publication != ruling.publication) {
                let publication = ruling.publication.as_deref().unwrap_or("-");
                tracing::info!(tenant = %tenant.tenant, publication, "other rules are in force");
            }
            after.insert(tenant.tenant, ruling);
        }
        // Before a tenant decides by a pipeline, its certificate is among the tenant's records.
        for tenant in self.store.tenants().await? {
            let pipeline = after.get(&tenant).map_or(Some(&self.base), |ruling| ruling.pipeline.as_ref());
            if let Some(Gate::Certified(certified)) = pipeline.map(|pipeline| pipeline.gate()) {
                let mark = (tenant, certified.hash());
                if !entered.contains(&mark) {
                    self.enter(&mark.0, certified).await?;
                    entered.insert(mark);
                }
            }
        }
        self.now.store(Arc::new(after));
        Ok(())
    }

    /// Follows what is in force. Never ends.
    pub async fn follow(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "it is not known whether other rules are in force");
            }
        }
    }

    async fn ruled(
        &self,
        wanted: &InForce,
        known: Option<&Ruling>,
        all: &HashMap<TenantId, Ruling>,
    ) -> Result<Ruling, LiveError> {
        let hash = wanted.live.unwrap_or_else(|| self.base());
        let same = |pipeline: &&Arc<Pipeline>| pipeline.book().hash().0 == hash;
        let open = all.values().filter_map(|ruling| ruling.pipeline.as_ref()).chain([&self.base]).find(same);
        let pipeline = match open {
            Some(pipeline) => Some(Arc::clone(pipeline)),
            None => match self.open(hash).await {
                Ok(pipeline) => {
                    let gate = (self.gate_of)(pipeline.pins());
                    Some(Arc::new(pipeline.gated(gate)))
                }
                Err(LiveError::Kept(ReplayError::Store(error))) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(%error, tenant = %wanted.tenant, "the rules in force cannot be opened: nothing is decided");
                    None
                }
            },
        };
        let draft = match &wanted.shadow {
            None => None,
            Some((publication, hash)) => match known.and_then(|known| known.draft.clone()) {
                Some(draft) if draft.publication == *publication => Some(draft),
                _ => match self.open(*hash).await {
                    // No certificate is for a draft: what is certain counts as automatic.
                    Ok(pipeline) => {
                        let pipeline = Arc::new(pipeline.gated(Gate::Open));
                        Some(Draft { publication: publication.clone(), pipeline })
                    }
                    Err(error) => {
                        tracing::warn!(%error, publication, "a draft cannot be tried");
                        None
                    }
                },
            },
        };
        Ok(Ruling { pipeline, publication: wanted.publication.clone(), draft })
    }

    async fn open(&self, hash: Hash) -> Result<Pipeline, LiveError> {
        self.under(kept_book(&self.store, &hex::encode(hash)).await?).await
    }

    /// Keeps a certificate that decisions are going to pin, and enters it among the tenant's records.
    async fn enter(&self, tenant: &TenantId, certified: &Certified) -> Result<(), LiveError> {
        keep_certificate(&self.store, certified).await?;
        let record = NewRecord { id: certified.hash(), subject: None, body: certified.certificate.clone() };
        self.store.tenant(tenant).append_records(RecordKind::Certificate, &[record]).await?;
        Ok(())
    }
}
