//! Delivers, one dispatcher for a database however many processes serve. Each webhook has its own pace: one that is slow
//! or away holds nobody up, and its own events stay in order behind the one that fails. Whatever dies in between, the
//! attempts that were kept say where to go on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::message::{Event, Message};
use super::target::Targets;
use crate::api::ApiError;
use crate::config::WebhookConfig;
use crate::store::{DispatchLock, Store, StoreError, TenantId, TenantStore, WebhookRow};

/// How often it looks for what is new.
const TICK: Duration = Duration::from_millis(500);

/// How long a process waits before it tries again to be the dispatcher.
const TURN: Duration = Duration::from_secs(5);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// How often a paused webhook is looked at, at least: a test that succeeded wakes it.
const PAUSED_LOOK: Duration = Duration::from_secs(30);

/// How often the ends of batches are looked for.
const BATCHES_LOOK: Duration = Duration::from_secs(1);

/// Webhooks served at a time.
const AT_ONCE: usize = 16;

/// Events delivered to a webhook before others have their turn.
const IN_A_ROW: i64 = 500;

/// Tells receivers of what is recorded.
pub struct Dispatcher {
    store: Arc<Store>,
    targets: Targets,
    config: WebhookConfig,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Where a webhook stands.
#[derive(Debug, Clone)]
struct Place {
    tenant: TenantId,
    id: String,
    /// The next leaf to look at; None before the attempts were read.
    from: Option<i64>,
    /// Whether it is told of batches, whose ends are looked for time and again.
    batches: bool,
    /// Not before.
    due: Instant,
}

impl Dispatcher {
    /// A dispatcher for a store.
    pub fn new(store: Arc<Store>, config: &WebhookConfig) -> Result<Self, reqwest::Error> {
        Ok(Self { store, targets: Targets::new(config)?, config: config.clone() })
    }

    /// Delivers until told to stop, whenever it is this process's turn. Failures are logged and tried again.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let this = Arc::new(self);
        while !*stop.borrow() {
            let wait = match this.store.dispatch().await {
                Ok(Some(lock)) => {
                    if let Err(error) = this.serve(lock, &mut stop).await {
                        tracing::warn!(%error, "webhooks are not served for a moment");
                    }
                    TICK
                }
                Ok(None) => TURN,
                Err(error) => {
                    tracing::warn!(%error, "webhooks cannot be served");
                    TURN
                }
            };
            tokio::select! {
                changed = stop.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn serve(
        self: &Arc<Self>,
        mut lock: DispatchLock,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let mut idle: HashMap<String, Place> = HashMap::new();
        let mut served: HashSet<String> = HashSet::new();
        let mut running: JoinSet<Place> = JoinSet::new();
        while !*stop.borrow() {
            lock.check().await?;
            let size = self.store.log().latest().await?.map_or(0, |checkpoint| checkpoint.size);
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            let now = Instant::now();
            let fresh = |(tenant, id): (TenantId, String)| {
                let known = idle.remove(&id);
                known.unwrap_or(Place { tenant, id, from: None, batches: false, due: now })
            };
            let all = self.store.all_webhooks().await?.into_iter();
            let mut waiting: Vec<Place> = all.filter(|(_, id)| !served.contains(id)).map(fresh).collect();
            // Whoever was served last waits longest.
            waiting.sort_by_key(|place| place.due);
            for place in waiting {
                let news = place.due <= now && (place.batches || place.from.is_none_or(|from| from < size));
                if !news || served.len() >= AT_ONCE {
                    idle.insert(place.id.clone(), place);
                    continue;
                }
                served.insert(place.id.clone());
                let this = Arc::clone(self);
                running.spawn(async move { this.visit(place).await });
            }
            let tick = tokio::time::sleep(TICK);
            tokio::pin!(tick);
            loop {
                tokio::select! {
                    changed = stop.changed() => { if changed.is_err() { return Ok(()) } break },
                    () = &mut tick => break,
                    Some(done) = running.join_next() => match done {
                        Ok(place) => {
                            served.remove(&place.id);
                            idle.insert(place.id.clone(), place);
                        }
                        // Begin again, from what was kept.
                        Err(panicked) => {
                            tracing::error!(%panicked, "the delivery to a webhook broke");
                            return lock.release().await;
                        }
                    },
                }
            }
        }
        // What is on its way may arrive; what is not kept will be sent again.
        while running.join_next().await.is_some() {}
        lock.release().await
    }

    /// Delivers what is new to one webhook, until something fails.
    async fn visit(&self, mut place: Place) -> Place {
        let wait = match self.deliver(&mut place).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(webhook = place.id, %error, "a webhook is not served for a moment");
                TURN
            }
        };
        place.due = Instant::now() + wait;
        place
    }

    /// How long to wait after it.
    async fn deliver(&self, place: &mut Place) -> Result<Duration, ApiError> {
        let records = self.store.tenant(&place.tenant);
        let Some(webhook) = records.webhook(&place.id).await? else { return Ok(PAUSED_LOOK) };
        if paused(&webhook, &self.config) {
            return Ok(Duration::from_millis(self.config.retry_ms.get()).min(PAUSED_LOOK));
        }
        let mut from = match place.from {
            Some(from) => from,
            None => records.webhook_cursor(&place.id, "ledger").await?.map_or(webhook.from_leaf, |last| last + 1),
        };
        let events: Vec<Event> = webhook.events.iter().filter_map(|event| event.parse().ok()).collect();
        let kinds: Vec<&str> = events.iter().filter_map(|event| Some(event.kind()?.as_str())).collect();
        let secrets = records.webhook_secrets(&place.id).await?;
        let (found, next) = records.ledger_events(from, &kinds, IN_A_ROW).await?;
        for event in &found {
            place.from = Some(from);
            if let Some(message) = Message::of(&records, &place.id, event).await?
                && !self.tell(&records, &webhook, &secrets, &message).await?
            {
                return self.wait(&records, &place.id).await;
            }
            from = event.position + 1;
        }
        place.from = Some(next);
        place.batches = events.contains(&Event::BatchFinished);
        if !place.batches {
            return Ok(Duration::ZERO);
        }
        let after = records.webhook_batches(&place.id).await?;
        for end in records.batch_ends_after(&after, IN_A_ROW).await? {
            if !self.tell(&records, &webhook, &secrets, &Message::of_batch(&place.id, &end)).await? {
                return self.wait(&records, &place.id).await;
            }
        }
        Ok(BATCHES_LOOK)
    }

    /// Sends a message and keeps the attempt; whether it was delivered.
    async fn tell(
        &self,
        records: &TenantStore,
        webhook: &WebhookRow,
        secrets: &[Vec<u8>],
        message: &Message,
    ) -> Result<bool, ApiError> {
        let attempt = self.targets.send(&webhook.url, secrets, message).await;
        records.put_delivery(&webhook.id, &attempt).await?;
        Ok(attempt.delivered)
    }

    /// How long to wait after a failure.
    async fn wait(&self, records: &TenantStore, id: &str) -> Result<Duration, ApiError> {
        Ok(self.wait_after(records.webhook(id).await?.map_or(1, |webhook| webhook.failures)))
    }

    /// The wait after so many failures in a row: twice as long each time, a fifth more or less.
    fn wait_after(&self, failures: i64) -> Duration {
        let doubled = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(24);
        let wait = Duration::from_millis(self.config.retry_ms.get()).saturating_mul(1 << doubled).min(LONGEST_WAIT);
        wait.mul_f64(rand::random_range(0.8..1.2))
    }
}

/// True for a webhook that has failed for so long that nothing is sent until a test succeeds.
pub(in super::super) fn paused(webhook: &WebhookRow, config: &WebhookConfig) -> bool {
    let most = i64::try_from(config.give_up_seconds.get()).unwrap_or(i64::MAX);
    webhook.failing_since.is_some_and(|since| (Utc::now() - since).num_seconds() >= most)
}
