//! What the HTTP service may take: its address and its bounds. Every bound has a default that suits one machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use serde::Deserialize;

use super::{BatchConfig, JwtConfig, WebhookConfig};

/// The section `[serve]` of `praetor.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Threads that talk to clients.
    pub workers: NonZeroUsize,
    /// Open connections a worker.
    pub connections: NonZeroUsize,
    /// Cases that may be inside, from the first look to the record; more are refused with 503.
    pub queue: NonZeroUsize,
    /// Cases decided together at most.
    pub batch: NonZeroUsize,
    /// Milliseconds that a case may be expected to take; one that would take longer is refused with 503, so that the
    /// others keep their latency.
    pub longest_ms: NonZeroU64,
    /// Milliseconds a request may take.
    pub deadline_ms: u64,
    /// Requests a second of one key.
    pub rate_per_key: NonZeroU32,
    /// Requests a second of one tenant.
    pub rate_per_tenant: NonZeroU32,
    /// Milliseconds that a client may take to send a request's head, and as many again for its body, plus a second for
    /// each 16 KiB of that.
    pub read_ms: NonZeroU64,
    /// Serve HTTPS with this certificate; without it, HTTP for a proxy in front.
    pub tls: Option<TlsConfig>,
    /// Origins whose pages may call, such as `https://desk.example`; none by default.
    pub cors_origins: Vec<String>,
    /// Whose tokens of people are taken beside keys; nobody's by default.
    pub jwt: Option<JwtConfig>,
    /// Where events may be delivered to.
    pub webhooks: WebhookConfig,
    /// Backlogs: the section `[batch]`.
    #[serde(skip)]
    pub backlogs: BatchConfig,
}

/// The section `[serve.tls]` of `praetor.toml`: two PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate, followed by those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Default for ServeConfig {
    fn default() -> Self {
        let positive = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        let rate = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            connections: positive(1_024),
            queue: positive(256),
            batch: positive(32),
            longest_ms: NonZeroU64::new(500).unwrap_or(NonZeroU64::MIN),
            deadline_ms: 10_000,
            rate_per_key: rate(200),
            rate_per_tenant: rate(1_000),
            read_ms: NonZeroU64::new(10_000).unwrap_or(NonZeroU64::MIN),
            tls: None,
            cors_origins: Vec::new(),
            jwt: None,
            webhooks: WebhookConfig::default(),
            backlogs: BatchConfig::default(),
        }
    }
}
