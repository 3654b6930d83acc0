//! What every handler shares: the way into the pipeline, the store, the limits.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, watch};

use super::ServeError;
use super::admission::Admission;
use super::auth::Caller;
use super::error::ApiError;
use super::gauges::Asked;
use super::jwt::Issuer;
use super::queue::Adjudicator;
use super::webhooks::Targets;
use crate::config::{BatchConfig, ReviewConfig, ServeConfig, WebhookConfig};
use crate::live::Live;
use crate::pipeline::Pipeline;
use crate::store::{Store, TenantId};

/// What every handler shares.
#[derive(Debug)]
pub(super) struct AppState {
    /// Which rules each tenant is decided by.
    pub live: Arc<Live>,
    /// The records.
    pub store: Arc<Store>,
    /// Requests a second.
    pub limits: RateLimits,
    /// How people's work is ordered.
    pub review: ReviewConfig,
    /// How long a request may take.
    pub deadline: Duration,
    /// Where `/metrics` comes from.
    pub metrics: PrometheusHandle,
    /// How long a body may take to arrive.
    pub patience: Duration,
    /// Whose tokens of people are taken.
    pub issuer: Option<Issuer>,
    /// Receivers of events that may be called.
    pub targets: Targets,
    /// How patiently.
    pub webhooks: WebhookConfig,
    /// When the database was last asked for figures.
    pub asked: Asked,
    /// Leave for work that takes long: packs that are checked, decisions that are made again.
    heavy: Arc<Semaphore>,
    /// Bounds of backlogs.
    pub batch: BatchConfig,
    /// Uploads under way take one each.
    pub uploads: Arc<Semaphore>,
    /// Streams of progress take one each.
    pub streams: Arc<Semaphore>,
    /// True once the process was told to end.
    pub ending: watch::Sender<bool>,
    /// When each key's last use was written down.
    uses: Mutex<HashMap<String, Instant>>,
    /// Who may come in.
    pub admission: Admission,
    /// The way into the pipeline. The last field: when its thread ends, all else here has been let go.
    pub adjudicator: Adjudicator,
}

/// Long work that goes on at once.
const HEAVY: usize = 2;

/// A key's last use is written at most this often.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

impl AppState {
    /// State over opened parts.
    pub(super) fn new(
        adjudicator: Adjudicator,
        live: Arc<Live>,
        store: Arc<Store>,
        config: &ServeConfig,
        review: ReviewConfig,
        metrics: PrometheusHandle,
    ) -> Result<Self, ServeError> {
        Ok(Self {
            live,
            store,
            review,
            limits: RateLimits::new(config.rate_per_key, config.rate_per_tenant),
            deadline: Duration::from_millis(config.deadline_ms),
            metrics,
            patience: Duration::from_millis(config.read_ms.get()),
            issuer: config.jwt.as_ref().map(Issuer::open).transpose()?,
            targets: Targets::new(&config.webhooks).map_err(|e| ServeError::Start(e.to_string()))?,
            webhooks: config.webhooks.clone(),
            asked: Asked::default(),
            heavy: Arc::new(Semaphore::new(HEAVY)),
            batch: config.backlogs.clone(),
            uploads: Arc::new(Semaphore::new(config.backlogs.uploads)),
            streams: Arc::new(Semaphore::new(config.backlogs.streams)),
            ending: watch::Sender::new(false),
            uses: Mutex::default(),
            admission: Admission::new(
                config.queue.get(),
                Duration::from_millis(config.longest_ms.get().min(config.deadline_ms)),
            ),
            adjudicator,
        })
    }

    /// The pipeline that decides for a tenant now.
    pub(super) fn pipeline(&self, tenant: &TenantId) -> Result<Arc<Pipeline>, ApiError> {
        self.live.of(tenant).ok_or(ApiError::Internal)
    }

    /// Runs long work off the threads that talk to clients: a few at a time, and no longer than a request may take.
    pub(super) async fn heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let deadline = tokio::time::Instant::now() + self.deadline;
        let leave = tokio::time::timeout_at(deadline, Arc::clone(&self.heavy).acquire_owned()).await;
        let Ok(Ok(leave)) = leave else {
            return Err(ApiError::Overloaded { retry_after: self.deadline.as_secs().max(1) });
        };
        // Work that is given up on keeps its leave until it ends, so that no more than a few ever go on.
        let work = move || {
            let _leave = leave;
            work()
        };
        match tokio::time::timeout_at(deadline, tokio::task::spawn_blocking(work)).await {
            Ok(done) => done.map_err(|_| ApiError::Internal),
            Err(_) => Err(ApiError::DeadlineExceeded),
        }
    }

    /// Writes down that a key was used, now and then. A failure costs the note, not the request.
    pub(super) async fn note_use(&self, key_id: &str) {
        if self.is_due(key_id)
            && let Err(error) = self.store.note_key_use(key_id).await
        {
            tracing::warn!(%error, "a key's last use is not noted");
        }
    }

    fn is_due(&self, key_id: &str) -> bool {
        let now = Instant::now();
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let due = uses.get(key_id).is_none_or(|at| now.duration_since(*at) >= USE_NOTED_EVERY);
        if due {
            uses.insert(key_id.to_owned(), now);
        }
        due
    }
}

/// Requests a second of a key and of a tenant, each with a burst of one second's worth.
#[derive(Debug)]
pub(super) struct RateLimits {
    per_key: DefaultKeyedRateLimiter<String>,
    per_tenant: DefaultKeyedRateLimiter<String>,
}

impl RateLimits {
    /// Limits in requests a second.
    fn new(per_key: NonZeroU32, per_tenant: NonZeroU32) -> Self {
        Self {
            per_key: DefaultKeyedRateLimiter::keyed(Quota::per_second(per_key)),
            per_tenant: DefaultKeyedRateLimiter::keyed(Quota::per_second(per_tenant)),
        }
    }

    /// Counts a request, or refuses it.
    pub(super) fn check(&self, caller: &Caller) -> Result<(), ApiError> {
        for (limiter, who) in [(&self.per_key, caller.key_id.as_str()), (&self.per_tenant, caller.tenant.as_str())] {
            if let Err(until) = limiter.check_key(&who.to_owned()) {
                let wait = until.wait_time_from(DefaultClock::default().now());
                return Err(ApiError::RateLimited { retry_after: wait.as_secs() + 1 });
            }
        }
        Ok(())
    }
}
