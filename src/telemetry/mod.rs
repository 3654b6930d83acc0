//! What the program tells of itself while it runs: logs to standard error, and spans to an OpenTelemetry collector if one
//! is named. Neither ever holds a text of a party, a name or a secret: spans carry ids, counts and times.

mod context;
mod otlp;

use std::io::{self, IsTerminal};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use context::adopt;

/// The section `[log]` of `praetor.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// How a line is written.
    pub format: LogFormat,
    /// What is written: a level, or directives such as `info,praetor=debug`. By default what the command asks for.
    pub level: Option<String>,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(TelemetryError::Format(other.to_owned())),
        }
    }
}

/// The section `[telemetry]` of `praetor.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// The collector's address (OTLP over HTTP), without `/v1/traces`. Without one no span leaves the process.
    pub otlp_endpoint: Option<String>,
}

/// Logging or tracing cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The format is none.
    #[error("the log's format `{0}` is neither text nor json")]
    Format(String),
    /// The level is none.
    #[error("the log's level `{level}` is not understood: {reason}")]
    Level {
        /// As given.
        level: String,
        /// Why.
        reason: String,
    },
    /// The collector's address is none.
    #[error("the collector `{endpoint}` cannot be used: {reason}")]
    Collector {
        /// As given.
        endpoint: String,
        /// Why.
        reason: String,
    },
}

/// Logging and tracing at work.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Starts logging and, if a collector is named, tracing. `level` is what is logged unless the configuration says
/// otherwise. Must be called on a tokio runtime. A second call in one process changes nothing.
pub fn start(log: &LogConfig, telemetry: &TelemetryConfig, level: &str) -> Result<Telemetry, TelemetryError> {
    let level = log.level.as_deref().unwrap_or(level);
    let refused = |error: tracing_subscriber::filter::ParseError| TelemetryError::Level {
        level: level.to_owned(),
        reason: error.to_string(),
    };
    let wanted = EnvFilter::builder().parse(level).map_err(refused)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    let provider = telemetry.otlp_endpoint.as_deref().map(otlp::provider).transpose()?;
    // Only our own spans: those of the exporter's client would beget spans without end.
    let ours = Targets::new().with_target("praetor", LevelFilter::INFO);
    let spans = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("praetor")).with_filter(ours));
    let _ = tracing_subscriber::registry().with(lines.with_filter(wanted)).with(spans).try_init();
    Ok(Telemetry { provider })
}

impl Telemetry {
    /// Sends what has not been sent yet, for a few seconds at most.
    pub async fn finish(self) {
        let Some(provider) = self.provider else { return };
        let sent = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::warn!("the last spans did not reach the collector");
        }
    }
}
