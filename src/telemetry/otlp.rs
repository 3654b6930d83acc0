//! Spans to a collector: OTLP over HTTP, in protobuf. The standard variables (OTEL_EXPORTER_OTLP_HEADERS,
//! OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, …) do what the specification says. A collector that is away costs spans, never
//! a request.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter as Export};
use tokio::runtime::Handle;

use super::TelemetryError;

/// A collector has this long to take a batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// A provider that sends in batches to the collector of this address.
pub(super) fn provider(endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let refused = |reason: String| TelemetryError::Collector { endpoint: endpoint.to_owned(), reason };
    let web = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https");
    if !endpoint.parse().as_ref().is_ok_and(web) {
        return Err(refused("it is no http or https address".to_owned()));
    }
    // Somebody else may have installed one: any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client.map_err(|error| refused(error.to_string()))?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| refused(error.to_string()))?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("praetor");
    }
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(OnRuntime { exporter: Arc::new(exporter), runtime: Handle::current() })
        .with_resource(resource.build())
        .build())
}

/// An exporter that works on the tokio runtime: the SDK calls it from a thread of its own, the client needs the runtime.
#[derive(Debug)]
struct OnRuntime {
    exporter: Arc<SpanExporter>,
    runtime: Handle,
}

impl Export for OnRuntime {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let exporter = Arc::clone(&self.exporter);
        let sending = self.runtime.spawn(async move { exporter.export(batch).await });
        async move {
            let sent = sending.await.unwrap_or_else(|gone| Err(OTelSdkError::InternalFailure(gone.to_string())));
            if let Err(error) = &sent {
                tracing::warn!(%error, "a batch of spans did not reach the collector");
            }
            sent
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}
