//! What every request passes: a request id, a span, errors rendered in the client's language, security headers, counts.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use rand::RngExt;
use tracing::Instrument;
use tracing::field::Empty;

use super::error::ApiError;
use super::routes::BodyLimit;
use super::slow;
use super::state::AppState;
use super::watch::{Connection, Held};
use crate::lang::Lang;
use crate::telemetry;

/// The header of the request's id, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The language a request asks for.
pub(super) fn lang_of(request: &HttpRequest) -> Lang {
    let header = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    header.map_or_else(Lang::default, Lang::from_accept_language)
}

/// A request's id: the client's, if it gave a plain one, else a random one.
fn request_id(request: &ServiceRequest) -> String {
    let plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = request.headers().get(REQUEST_ID).and_then(|v| v.to_str().ok()).filter(plain);
    given.map_or_else(|| format!("{:032x}", rand::rng().random::<u128>()), str::to_owned)
}

/// Wraps every request.
pub(super) async fn around<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request_id(&request);
    let lang = lang_of(request.request());
    let method = known(request.method());
    let secure = request.app_config().secure();
    let pattern = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let started = Instant::now();
    let span = tracing::info_span!(
        "request", otel.kind = "server", otel.name = format!("{method} {pattern}"), request_id = %id, method, route = pattern,
        tenant = Empty, key_id = Empty, status = Empty,
    );
    let connection = request.conn_data::<Arc<Connection>>().cloned();
    let asked = connection.as_ref().map(Connection::ask);
    telemetry::adopt(&span, |name| request.headers().get(name).and_then(|value| value.to_str().ok()));
    if let Some(state) = request.app_data::<web::Data<AppState>>() {
        let patience = state.patience;
        let body = slow::bounded(request.take_payload(), patience);
        request.set_payload(body);
    }
    let response = next.call(request).instrument(span.clone()).await?;
    let refused = response.response().error().map(|error| match error.as_error::<ApiError>() {
        Some(error) => error.respond(lang, &id),
        None => {
            let limit = response.request().app_data::<BodyLimit>().map_or(super::MAX_TICKET, |limit| limit.0);
            foreign(error, limit).respond(lang, &id)
        }
    });
    let mut response = match refused {
        Some(rendered) => response.into_response(rendered),
        None => response.map_into_boxed_body(),
    };
    let status = response.status().as_u16();
    let took = started.elapsed();
    span.record("status", status);
    span.in_scope(|| tracing::info!(ms = took.as_secs_f64() * 1e3, "answered"));
    let labels = [("route", pattern), ("method", method.to_owned()), ("status", status.to_string())];
    metrics::counter!("praetor_http_requests_total", &labels).increment(1);
    metrics::histogram!("praetor_http_request_seconds", &labels[..2]).record(took.as_secs_f64());
    if let Some(connection) = connection.filter(|_| response.status() == StatusCode::REQUEST_TIMEOUT) {
        connection.close_soon();
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in SECURITY {
        let name = HeaderName::from_static(name);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response.map_body(|_, body| BoxBody::new(Held::new(body, asked))))
}

/// A method by its name. One that no route knows has none: a client must not be able to fill the memory with names.
fn known(method: &Method) -> &'static str {
    let all = [Method::GET, Method::POST, Method::DELETE, Method::PUT, Method::PATCH, Method::HEAD, Method::OPTIONS];
    let names = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"];
    all.iter().zip(names).find(|(known, _)| *known == method).map_or("other", |(_, name)| name)
}

/// An error that actix made itself, as one of ours.
fn foreign(error: &Error, limit: usize) -> ApiError {
    use actix_web::error::{PathError, PayloadError, QueryPayloadError};
    if let Some(error) = error.as_error::<PayloadError>() {
        return match error {
            PayloadError::Overflow => ApiError::TooLarge { limit },
            PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut => ApiError::TooSlow,
            _ => ApiError::Body("Content-Encoding, Content-Length".to_owned()),
        };
    }
    if let Some(error) = error.as_error::<QueryPayloadError>() {
        return ApiError::parameter("query", &error.to_string(), "查询参数无法识别", "the query cannot be read");
    }
    if error.as_error::<PathError>().is_some() {
        return ApiError::NotFound;
    }
    match error.as_response_error().status_code().as_u16() {
        404 => ApiError::NotFound,
        413 => ApiError::TooLarge { limit },
        415 => ApiError::MediaType,
        400..=499 => ApiError::Body(String::new()),
        _ => {
            tracing::error!(%error, "an unexpected error");
            ApiError::Internal
        }
    }
}

/// No page of this service is ever framed, sniffed or run, except the documentation, which sets its own policy.
const SECURITY: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];
