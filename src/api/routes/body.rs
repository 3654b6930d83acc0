//! Bodies that are read by serde: JSON of one form, with no field that the form does not have. And how long a body may be
//! where it is no ticket.

use actix_web::HttpRequest;
use actix_web::http::header;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::error::ApiError;

/// The longest body of a path, in bytes after decompression.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct BodyLimit(pub usize);

/// Reads a body, or says where it is not what is expected.
pub(super) fn json<T: DeserializeOwned>(request: &HttpRequest, body: &[u8]) -> Result<T, ApiError> {
    json_only(request)?;
    if body.trim_ascii_start().first() != Some(&b'{') {
        // serde would also take an array of the fields in their order.
        return Err(ApiError::Body("expected an object at line 1 column 1".to_owned()));
    }
    serde_json::from_slice(body).or_else(|error| {
        // JSON has one kind of number: 9.0 is the integer 9. Without such a number, what was wrong stays wrong.
        let read: Option<Value> = serde_json::from_slice(body).ok();
        let whole = read.and_then(|value| Some(integral(value.clone())).filter(|whole| *whole != value));
        whole.and_then(|value| serde_json::from_value(value).ok()).ok_or_else(|| ApiError::Body(error.to_string()))
    })
}

/// The largest number up to which every integer is a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Floats that are integers, written as integers.
fn integral(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => Value::from(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(list) => list.into_iter().map(integral).collect(),
        Value::Object(map) => map.into_iter().map(|(name, value)| (name, integral(value))).collect(),
        other => other,
    }
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
