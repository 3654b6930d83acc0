//! Tries drafts on decisions that were just made, off the path of any request: one case at a time, and only while nobody
//! waits for the models. Changes no decision.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::case::{Case, Timestamp};
use crate::pipeline::{Decided, Pipeline};
use crate::replay::{Change, Sides};
use crate::store::{ShadowCase, Store, TenantId};

/// Decisions that may wait to be tried; more are let go.
pub(super) const WAITING: usize = 512;

/// How long the shadow steps back while somebody waits for the models.
const BACK: Duration = Duration::from_millis(20);

/// A decision to be tried under a draft.
#[derive(Debug)]
pub(super) struct Observed {
    tenant: TenantId,
    publication: String,
    pipeline: Arc<Pipeline>,
    case: Case,
    as_of: Option<Timestamp>,
    decided: Decided,
}

impl Observed {
    pub(super) fn new(
        tenant: &TenantId,
        publication: String,
        pipeline: Arc<Pipeline>,
        case: &Case,
        as_of: Option<Timestamp>,
        decided: &Decided,
    ) -> Self {
        Self { tenant: tenant.clone(), publication, pipeline, case: case.clone(), as_of, decided: decided.clone() }
    }

    /// The decision in force beside the draft's. An outcome is compared as if neither had a certificate.
    fn compare(&self) -> Result<ShadowCase, String> {
        let now = self.pipeline.decide(std::slice::from_ref(&self.case), self.as_of).map_err(|e| e.to_string())?;
        let now = now.first().ok_or("no decision")?;
        let (mut was, now) = (Sides::of(&self.decided), Sides::of(now));
        if let Ok(was) = &mut was {
            let certain = was.decision.get("certain").and_then(Value::as_bool).unwrap_or_default();
            was.decision["outcome"] = if certain { "auto" } else { "review" }.into();
        }
        let (was, now) = (was.map_err(|e| e.to_string())?, now.map_err(|e| e.to_string())?);
        let change = Change::between(&was.decision, &now.decision);
        Ok(ShadowCase {
            decision_id: self.decided.decision.id.clone(),
            remedy_differs: change.remedy[0] != change.remedy[1] || change.fen[0] != change.fen[1],
            outcome_differs: change.outcome[0] != change.outcome[1],
            change: serde_json::to_string(&change).map_err(|e| e.to_string())?,
        })
    }
}

/// Tries drafts on what it is handed.
pub struct Shadower {
    store: Arc<Store>,
    waiting: mpsc::Receiver<Observed>,
}

impl std::fmt::Debug for Shadower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadower").finish_non_exhaustive()
    }
}

impl Shadower {
    pub(super) fn new(store: Arc<Store>, waiting: mpsc::Receiver<Observed>) -> Self {
        Self { store, waiting }
    }

    /// Works until nobody can hand it anything any more. `busy` says whether somebody waits for the models.
    pub async fn run(mut self, busy: impl Fn() -> bool) {
        while let Some(observed) = self.waiting.recv().await {
            while busy() {
                tokio::time::sleep(BACK).await;
            }
            let work = tokio::task::spawn_blocking(move || {
                let compared = observed.compare();
                (observed.tenant, observed.publication, compared)
            });
            let Ok((tenant, publication, compared)) = work.await else { continue };
            let kept = match compared {
                Ok(case) => {
                    metrics::counter!("praetor_shadow_cases_total").increment(1);
                    self.store.tenant(&tenant).put_shadow_case(&publication, &case).await.map_err(|e| e.to_string())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                tracing::warn!(%error, publication, "a draft was not tried on a decision");
            }
        }
    }
}
