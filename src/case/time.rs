//! Points in time that know their offset (RFC 3339).
//! Nothing here reads a clock or assumes a time zone: a text without an offset is refused.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone};
use serde::{Deserialize, Serialize};

use super::Rule;

/// A point in time between the years 2000 and 2099, with the offset it was written in.
///
/// Equality and order are those of the instant; the text keeps the offset. The years keep out the zero dates of databases
/// (0001-01-01, 1970-01-01), from which every elapsed time would be nonsense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(DateTime<FixedOffset>);

/// The years that a timestamp may lie in, in its own offset.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2099;

/// How people write times when they forget the offset.
const WITHOUT_OFFSET: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

impl Timestamp {
    /// A timestamp of this point in time; `None` outside the years 2000 to 2099.
    pub fn new(at: DateTime<FixedOffset>) -> Option<Timestamp> {
        YEARS.contains(&at.year()).then_some(Timestamp(at))
    }

    /// The point in time, in the offset it was written in.
    pub const fn datetime(self) -> DateTime<FixedOffset> {
        self.0
    }

    /// The day it falls on in a time zone.
    pub fn day_in(self, zone: &impl TimeZone) -> NaiveDate {
        self.0.with_timezone(zone).date_naive()
    }

    /// The time that passed since an earlier one; negative when that one is later.
    pub fn since(self, earlier: Timestamp) -> TimeDelta {
        self.0.signed_duration_since(earlier.0)
    }

    /// The timestamp so much later, in the same offset; `None` when it leaves the years 2000 to 2099.
    pub fn checked_add(self, span: TimeDelta) -> Option<Timestamp> {
        self.0.checked_add_signed(span).and_then(Timestamp::new)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with the original offset; a fraction of a second is shown only when there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, false))
    }
}

impl FromStr for Timestamp {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Self, Rule> {
        match DateTime::parse_from_rfc3339(text) {
            Ok(at) => Timestamp::new(at).ok_or(Rule::TimeRange),
            Err(_) if WITHOUT_OFFSET.iter().any(|form| NaiveDateTime::parse_from_str(text, form).is_ok()) => {
                Err(Rule::TimeOffsetMissing)
            }
            Err(_) => Err(Rule::TimeFormat),
        }
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Rule;

    fn try_from(text: String) -> Result<Self, Rule> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> String {
        at.to_string()
    }
}

impl From<Timestamp> for DateTime<FixedOffset> {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}

impl PartialEq<DateTime<FixedOffset>> for Timestamp {
    fn eq(&self, other: &DateTime<FixedOffset>) -> bool {
        self.0 == *other
    }
}

impl PartialOrd<DateTime<FixedOffset>> for Timestamp {
    fn partial_cmp(&self, other: &DateTime<FixedOffset>) -> Option<Ordering> {
        self.0.partial_cmp(other)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_offset_is_kept_and_the_instant_compared() {
        let (shanghai, utc) = (at("2026-03-14T10:18:52+08:00"), at("2026-03-14T02:18:52Z"));
        assert_eq!(shanghai, utc);
        assert_eq!(shanghai.to_string(), "2026-03-14T10:18:52+08:00");
        assert_eq!(utc.to_string(), "2026-03-14T02:18:52+00:00");
        assert_eq!(at("2026-03-14T10:18:52.250+08:00").to_string(), "2026-03-14T10:18:52.250+08:00");
        assert!(at("2026-03-14T10:18:53+08:00") > utc);
    }

    #[test]
    fn a_missing_offset_is_an_error_of_its_own() {
        for text in ["2026-03-14T10:18:52", "2026-03-14 10:18:52", "2026-03-14T10:18:52.5", "2026-03-14 10:18"] {
            assert_eq!(text.parse::<Timestamp>(), Err(Rule::TimeOffsetMissing), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_breaks_the_format() {
        for text in [
            "",
            "2026-03-14",
            "2026-02-30T00:00:00+08:00",
            "2026-03-14T25:00:00+08:00",
            "1773454732",
            "昨天",
            "2026/03/14 10:18:52",
            "2026-03-14T10:18:52+0800",
            "2026-03-14T10:18:52 CST",
            "2026-03-14T10:18+08:00",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(Rule::TimeFormat), "{text}");
        }
    }

    #[test]
    fn zero_dates_and_far_futures_are_out_of_range() {
        for text in
            ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1999-12-31T23:59:59+08:00", "9999-12-31T23:59:59Z"]
        {
            assert_eq!(text.parse::<Timestamp>(), Err(Rule::TimeRange), "{text}");
        }
        assert_eq!(at("2099-12-31T23:00:00+08:00").checked_add(TimeDelta::hours(1)), None);
    }

    proptest! {
        #[test]
        fn a_timestamp_survives_its_text(
            seconds in 946_800_000_i64..4_102_000_000, nanos in prop_oneof![Just(0_u32), 0..1_000_000_000_u32],
            minutes in -12 * 60..14 * 60_i32,
        ) {
            let offset = FixedOffset::east_opt(minutes * 60).unwrap();
            let written = Timestamp::new(DateTime::from_timestamp(seconds, nanos).unwrap().with_timezone(&offset)).unwrap();
            let read = at(&written.to_string());
            prop_assert_eq!(read, written);
            prop_assert_eq!(read.to_string(), written.to_string());
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
