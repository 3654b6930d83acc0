//! Lists come in pages: at most so many items, and a cursor to the next.

use serde::{Deserialize, Serialize};

use super::super::error::ApiError;

/// Items of a page unless the client says otherwise.
const DEFAULT: u16 = 50;

/// Items of a page at most.
const MOST: u16 = 200;

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Page<T> {
    /// The items.
    items: Vec<T>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page from one row more than it holds: the surplus row says that there is a next page.
    pub(super) fn of(rows: Vec<T>, limit: u16, seq: impl Fn(&T) -> i64) -> Self {
        Self::by(rows, limit, |last| cursor(seq(last)))
    }

    /// The same with cursors of another kind.
    pub(super) fn by(mut rows: Vec<T>, limit: u16, cursor: impl Fn(&T) -> String) -> Self {
        let more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let next_cursor = rows.last().filter(|_| more).map(cursor);
        Self { items: rows, next_cursor }
    }

    /// Each item in another form.
    pub(super) fn map<U>(self, form: impl Fn(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(form).collect(), next_cursor: self.next_cursor }
    }
}

/// Query of a list that is not filtered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Items of the page at most.
    pub limit: Option<String>,
    /// Where it begins.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// Limit and place, for lists in an order of recording.
    pub(super) fn bounds(&self) -> Result<(u16, Option<i64>), ApiError> {
        Ok((limit(self.limit.as_deref())?, self.cursor.as_deref().map(read_cursor).transpose()?))
    }
}

/// Reads `limit`.
pub(super) fn limit(text: Option<&str>) -> Result<u16, ApiError> {
    limit_from(1, text)
}

/// Reads `limit` where a page has a least length too.
pub(super) fn limit_from(least: u16, text: Option<&str>) -> Result<u16, ApiError> {
    let Some(text) = text else { return Ok(DEFAULT) };
    text.parse().ok().filter(|n| (least..=MOST).contains(n)).ok_or_else(|| {
        ApiError::parameter(
            "limit",
            text,
            format!("应为 {least} 至 {MOST} 的整数"),
            format!("is an integer from {least} to {MOST}"),
        )
    })
}

/// Takes an id to filter by: 1 to 64 characters.
pub(super) fn id(name: &'static str, text: Option<String>) -> Result<Option<String>, ApiError> {
    match text {
        Some(text) if !(1..=64).contains(&text.chars().count()) => {
            Err(ApiError::parameter(name, &text, "应为 1 至 64 个字符", "is 1 to 64 characters"))
        }
        text => Ok(text),
    }
}

/// Writes a place in an order of recording as `read_cursor` reads it.
pub(super) fn cursor(seq: i64) -> String {
    format!("{seq:016x}")
}

/// Takes a record's id from a path: a prefix of these and 32 hexadecimal digits. What cannot be one does not exist.
pub(super) fn record_id<'a>(prefixes: &[&str], text: &'a str) -> Result<&'a str, ApiError> {
    let number = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    let good = number.is_some_and(|n| n.len() == 32 && n.bytes().all(|b| b.is_ascii_hexdigit()));
    if good { Ok(text) } else { Err(ApiError::NotFound) }
}

/// Reads `cursor`.
pub(super) fn read_cursor(text: &str) -> Result<i64, ApiError> {
    let plain = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    plain.then(|| i64::from_str_radix(text, 16).ok()).flatten().ok_or_else(|| {
        ApiError::parameter("cursor", text, "应为上一页的 next_cursor", "is the next_cursor of the page before")
    })
}
