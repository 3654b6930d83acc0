//! Where events may be delivered to, and how patiently. By default to public addresses over HTTPS alone.

use std::num::NonZeroU64;

use serde::Deserialize;

/// The section `[serve.webhooks]` of `praetor.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Hosts of one's own network that may be called, also without TLS and at private addresses: names or IP addresses as
    /// they stand in the URL, without port.
    pub allowed_hosts: Vec<String>,
    /// Milliseconds that a receiver may take to answer.
    pub timeout_ms: NonZeroU64,
    /// Milliseconds until the first retry; each further one waits twice as long, up to an hour.
    pub retry_ms: NonZeroU64,
    /// Seconds of failures after which a webhook is paused.
    pub give_up_seconds: NonZeroU64,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        let positive = |n| NonZeroU64::new(n).unwrap_or(NonZeroU64::MIN);
        Self {
            allowed_hosts: Vec::new(),
            timeout_ms: positive(10_000),
            retry_ms: positive(5_000),
            give_up_seconds: positive(72 * 3_600),
        }
    }
}
