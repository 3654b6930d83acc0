//! W3C Trace Context: a span goes on with the trace that its request names.

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes a span that was not entered yet a child of the one that the headers `traceparent` and `tracestate` name. What is
/// no traceparent is ignored.
pub fn adopt<'a>(span: &Span, header: impl Fn(&str) -> Option<&'a str>) {
    if let Some(parent) = header("traceparent") {
        let named = TraceContextPropagator::new().extract(&Named { parent, state: header("tracestate") });
        // Without a collector there is nothing that could take it, and no harm.
        let _ = span.set_parent(named);
    }
}

struct Named<'a> {
    parent: &'a str,
    state: Option<&'a str>,
}

impl Extractor for Named<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.parent),
            "tracestate" => self.state,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}
