//! Bodies that are read by serde: JSON of one form, with no field that the form does not have.

use actix_web::HttpRequest;
use actix_web::http::header;
use serde::de::DeserializeOwned;

use super::super::error::ApiError;

/// Reads a body, or says where it is not what is expected.
pub(super) fn json<T: DeserializeOwned>(request: &HttpRequest, body: &[u8]) -> Result<T, ApiError> {
    json_only(request)?;
    serde_json::from_slice(body).map_err(|error| ApiError::Body(error.to_string()))
}

/// Refuses a body that is declared as something else than JSON.
pub(super) fn json_only(request: &HttpRequest) -> Result<(), ApiError> {
    let given = request.headers().get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or("?"));
    let essence = given.map(|v| v.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some("application/json") => Ok(()),
        _ => Err(ApiError::MediaType),
    }
}
