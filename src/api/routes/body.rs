//! Bodies that are read by serde: JSON of one form, with no field that the form does not have. And how long a body may be
//! where it is no ticket.

use actix_web::HttpRequest;
use actix_web::http::header;
use serde::de::{DeserializeOwned, IgnoredAny};

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
    serde_json::from_slice(body)
        .or_else(|error| match integral(body) {
            // JSON has one kind of number: 9.0 is the integer 9. What else is wrong stays wrong.
            Some(whole) => serde_json::from_slice(&whole),
            None => Err(error),
        })
        .map_err(|error| ApiError::Body(error.to_string()))
}

/// The largest number up to which every integer is a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Valid JSON with its floats that are integers written as integers, as long as before where they are no longer than
/// before; `None` when there are none.
fn integral(json: &[u8]) -> Option<Vec<u8>> {
    serde_json::from_slice::<IgnoredAny>(json).ok()?;
    let mut written = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(&byte) = rest.first() {
        let length = match byte {
            b'"' => string(rest),
            b'-' | b'0'..=b'9' => rest.iter().take_while(|b| b"+-.eE0123456789".contains(b)).count(),
            _ => 1,
        };
        let (token, after) = rest.split_at(length);
        let float = str::from_utf8(token).ok().filter(|t| byte != b'"' && t.contains(['.', 'e', 'E']));
        match float.and_then(|t| t.parse::<f64>().ok()).filter(|f| f.fract() == 0.0 && f.abs() <= EXACT) {
            Some(float) => written.extend(format!("{:<length$}", float as i64).bytes()),
            None => written.extend(token),
        }
        rest = after;
    }
    (written != json).then_some(written)
}

/// The length of the string that valid JSON begins with, quotes included.
fn string(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = json.get(at).filter(|byte| **byte != b'"') {
        at += if *byte == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(json.len())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whole_floats_are_integers_and_nothing_else_changes() {
        let read = |json: &str| integral(json.as_bytes()).map(|whole| String::from_utf8(whole).unwrap());
        let given = r#"{"a": 9.0, "9.0\\": "1.0 \" 2.0", "a": [-1e2,0.5 , 1E400]}"#;
        let whole = r#"{"a": 9  , "9.0\\": "1.0 \" 2.0", "a": [-100,0.5 , 1E400]}"#;
        assert_eq!(read(given).as_deref(), Some(whole));
        for same in [r#"{"a": "9.0"}"#, "[9]", "[9.0", "[9.]", "[9007199254740994.0]"] {
            assert_eq!(read(same), None, "{same}");
        }
    }
}
