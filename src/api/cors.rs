//! Which pages of other origins may call: none, or those that the configuration names one by one. Never all, and never
//! with cookies.

use actix_cors::Cors;
use actix_web::http::{Uri, header};
use actix_web::middleware::Condition;

/// The longest that a browser remembers what it may, in seconds.
const REMEMBERED: usize = 600;

/// Refuses what is no origin: scheme, host and port, nothing else.
pub(super) fn check(origins: &[String]) -> Result<(), String> {
    let exact = |origin: &str| {
        origin.parse::<Uri>().is_ok_and(|uri| match (uri.scheme_str(), uri.authority()) {
            (Some(scheme @ ("http" | "https")), Some(authority)) => {
                origin == format!("{scheme}://{authority}") && !origin.contains(['*', '@'])
            }
            _ => false,
        })
    };
    origins.iter().find(|origin| !exact(origin)).map_or(Ok(()), |bad| Err(bad.clone()))
}

/// Answers browsers for these origins.
pub(super) fn layer(origins: &[String]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "DELETE"])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::ACCEPT_LANGUAGE,
            header::IF_NONE_MATCH,
            header::HeaderName::from_static("idempotency-key"),
            header::HeaderName::from_static("x-request-id"),
        ])
        .expose_headers(["etag", "location", "retry-after", "x-request-id", "idempotent-replayed"])
        .max_age(REMEMBERED);
    Condition::new(!origins.is_empty(), origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::check;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        let one = |origin: &str| check(&[origin.to_owned()]);
        for good in ["https://desk.example", "http://127.0.0.1:5173", "https://desk.example:8443"] {
            assert_eq!(one(good), Ok(()), "{good}");
        }
        for bad in
            ["*", "null", "", "desk.example", "https://*.example", "https://desk.example/", "ftp://x", "https://a@b"]
        {
            assert_eq!(one(bad), Err(bad.to_owned()));
        }
    }
}
