//! Whole-second durations and interval sets: the number line on which every decision table is proved.
//!
//! Durations are written `48h`, `7d`, `1d12h`, `168h1s`; intervals `<= 168h`, `(48h, 168h]`.
//! Nothing here reads a clock.

use std::fmt;

/// A set of integers as sorted, disjoint, non-adjacent inclusive ranges.
///
/// Enumerations, booleans, counts and durations all map onto it, so that gaps, overlaps and
/// unreachable rows of a decision table are decided by one algebra.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct IntervalSet(Vec<(i64, i64)>);

impl IntervalSet {
    /// Every integer.
    pub fn all() -> Self {
        Self(vec![(i64::MIN, i64::MAX)])
    }

    /// No integer.
    pub fn empty() -> Self {
        Self(Vec::new())
    }

    /// One integer.
    pub fn point(value: i64) -> Self {
        Self(vec![(value, value)])
    }

    /// `lo..=hi`, empty when `lo > hi`.
    pub fn range(lo: i64, hi: i64) -> Self {
        if lo > hi { Self::empty() } else { Self(vec![(lo, hi)]) }
    }

    /// The union of any number of inclusive ranges.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|(lo, hi)| lo <= hi).collect();
        ranges.sort_unstable();
        let mut out: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
        for (lo, hi) in ranges {
            match out.last_mut() {
                Some(last) if lo <= last.1.saturating_add(1) => last.1 = last.1.max(hi),
                _ => out.push((lo, hi)),
            }
        }
        Self(out)
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[(i64, i64)] {
        &self.0
    }

    /// True when no integer is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The only member, if there is just one.
    pub fn single(&self) -> Option<i64> {
        match self.0.as_slice() {
            [(lo, hi)] if lo == hi => Some(*lo),
            _ => None,
        }
    }

    /// The smallest member.
    pub fn first(&self) -> Option<i64> {
        self.0.first().map(|r| r.0)
    }

    /// Membership.
    pub fn contains(&self, value: i64) -> bool {
        self.0.iter().any(|&(lo, hi)| lo <= value && value <= hi)
    }

    /// Members of both.
    pub fn intersect(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        for &(a, b) in &self.0 {
            for &(c, d) in &other.0 {
                let (lo, hi) = (a.max(c), b.min(d));
                if lo <= hi {
                    out.push((lo, hi));
                }
            }
        }
        Self::from_ranges(out)
    }

    /// Members of either.
    pub fn union(&self, other: &Self) -> Self {
        Self::from_ranges(self.0.iter().chain(&other.0).copied())
    }

    /// True when the two share a member; allocates nothing.
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().any(|&(a, b)| other.0.iter().any(|&(c, d)| a.max(c) <= b.min(d)))
    }

    /// True when every member of `self` is in `other`; allocates nothing.
    pub fn within(&self, other: &Self) -> bool {
        self.0.iter().all(|&(a, b)| other.0.iter().any(|&(c, d)| c <= a && b <= d))
    }
}

/// A syntax error in a duration or an interval: what was read and what was expected, in both languages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{en}")]
pub struct SyntaxError {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

/// The longest duration, a century: no deadline computed from it can leave the calendar.
const MAX_DURATION: i64 = 100 * 365 * 86_400;

/// Reads `48h`, `7d`, `90m`, `30s` or a descending sum of these such as `1d12h` into seconds.
pub fn parse_duration(text: &str) -> Result<i64, SyntaxError> {
    let bad = || SyntaxError {
        zh: format!("`{text}` 不是时长；写法如 48h、7d、1d12h"),
        en: format!("`{text}` is not a duration such as 48h, 7d or 1d12h"),
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    let (mut total, mut last) = (0i64, i64::MAX);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: i64 = rest[..digits].parse().map_err(|_| bad())?;
        let mut tail = rest[digits..].chars();
        let unit = match tail.next() {
            Some('d') => 86_400,
            Some('h') => 3_600,
            Some('m') => 60,
            Some('s') => 1,
            _ => return Err(bad()),
        };
        if unit >= last {
            return Err(bad());
        }
        last = unit;
        total = number.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
        rest = tail.as_str();
    }
    if total > MAX_DURATION {
        return Err(SyntaxError {
            zh: format!("`{text}` 超过一百年"),
            en: format!("`{text}` is longer than a century"),
        });
    }
    Ok(total)
}

/// Writes seconds as the shortest exact sum of hours, minutes and seconds (`168h`, `48h0m1s` as `48h1s`).
pub fn format_duration(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let n = seconds.unsigned_abs();
    let (h, m, s) = (n / 3600, n % 3600 / 60, n % 60);
    let mut out = String::from(sign);
    if h > 0 {
        out += &format!("{h}h");
    }
    if m > 0 {
        out += &format!("{m}m");
    }
    if s > 0 || n == 0 {
        out += &format!("{s}s");
    }
    out
}

/// How the ends of an interval are read: plain integers or durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// `3`, `12`
    Integer,
    /// `48h`
    Duration,
}

impl Scale {
    fn parse(self, text: &str) -> Result<i64, SyntaxError> {
        match self {
            Self::Duration => parse_duration(text),
            Self::Integer => {
                let text = text.trim();
                text.parse().map_err(|_| SyntaxError {
                    zh: format!("`{text}` 不是整数"),
                    en: format!("`{text}` is not an integer"),
                })
            }
        }
    }

    /// Writes a value of this scale.
    pub fn format(self, value: i64) -> String {
        match self {
            Self::Duration => format_duration(value),
            Self::Integer => value.to_string(),
        }
    }
}

/// Reads `<= 168h`, `> 3`, `(48h, 168h]`, `[1, 5)` or a single value.
pub fn parse_interval(text: &str, scale: Scale) -> Result<IntervalSet, SyntaxError> {
    let text = text.trim();
    for (op, build) in [
        ("<=", (|v| IntervalSet::range(i64::MIN, v)) as fn(i64) -> IntervalSet),
        (">=", |v| IntervalSet::range(v, i64::MAX)),
        ("<", |v| if v == i64::MIN { IntervalSet::empty() } else { IntervalSet::range(i64::MIN, v - 1) }),
        (">", |v| if v == i64::MAX { IntervalSet::empty() } else { IntervalSet::range(v + 1, i64::MAX) }),
    ] {
        if let Some(rest) = text.strip_prefix(op) {
            return Ok(build(scale.parse(rest)?));
        }
    }
    let open = text.chars().next();
    if matches!(open, Some('[' | '(')) {
        let close = text.chars().last();
        let (Some(comma), Some(']' | ')')) = (text.find(','), close) else {
            return Err(SyntaxError {
                zh: format!("`{text}` 不是区间；写法如 (48h, 168h]"),
                en: format!("`{text}` is not an interval such as (48h, 168h]"),
            });
        };
        let lo = scale.parse(&text[1..comma])?;
        let hi = scale.parse(&text[comma + 1..text.len() - 1])?;
        let lo = if open == Some('(') { lo.saturating_add(1) } else { lo };
        let hi = if close == Some(')') { hi.saturating_sub(1) } else { hi };
        return Ok(IntervalSet::range(lo, hi));
    }
    Ok(IntervalSet::point(scale.parse(text)?))
}

/// Writes a set the way [`parse_interval`] reads it, several ranges joined by ` | `.
pub fn format_set(set: &IntervalSet, scale: Scale) -> String {
    if set.is_empty() {
        return "∅".to_owned();
    }
    let parts: Vec<String> = set
        .ranges()
        .iter()
        .map(|&(lo, hi)| match (lo, hi) {
            (i64::MIN, i64::MAX) => "*".to_owned(),
            (i64::MIN, hi) => format!("<= {}", scale.format(hi)),
            (lo, i64::MAX) => format!("> {}", scale.format(lo - 1)),
            (lo, hi) if lo == hi => scale.format(lo),
            (lo, hi) => format!("({}, {}]", scale.format(lo.saturating_sub(1)), scale.format(hi)),
        })
        .collect();
    parts.join(" | ")
}

/// Reads what [`format_set`] wrote; `None` for anything else.
pub fn parse_set(text: &str, scale: Scale) -> Option<IntervalSet> {
    // A bound may be negative, which no pack can write: elapsed time begins before the clock.
    let bound = |text: &str| match text.trim().strip_prefix('-') {
        Some(rest) if scale == Scale::Duration => scale.parse(rest).ok().map(|v| -v),
        _ => scale.parse(text).ok(),
    };
    let range = |part: &str| {
        if part == "*" {
            return Some((i64::MIN, i64::MAX));
        }
        if let Some(hi) = part.strip_prefix("<= ") {
            return Some((i64::MIN, bound(hi)?));
        }
        if let Some(lo) = part.strip_prefix("> ") {
            return Some((bound(lo)?.checked_add(1)?, i64::MAX));
        }
        match part.strip_prefix('(').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => {
                let (lo, hi) = inner.split_once(", ")?;
                Some((bound(lo)?.checked_add(1)?, bound(hi)?))
            }
            None => bound(part).map(|v| (v, v)),
        }
    };
    match text {
        "∅" => Some(IntervalSet::empty()),
        _ => text.split(" | ").map(range).collect::<Option<Vec<_>>>().map(IntervalSet::from_ranges),
    }
}

impl fmt::Display for IntervalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_set(self, Scale::Integer))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_durations() {
        for (text, seconds) in
            [("48h", 172_800), ("7d", 604_800), ("1d12h", 129_600), ("48h1s", 172_801), ("90m", 5_400)]
        {
            assert_eq!(parse_duration(text), Ok(seconds));
        }
        for text in ["", "48", "h", "1h1h", "1m1h", "-1h", "1.5h", "99999999999999999d", "48H"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_intervals() {
        assert_eq!(parse_interval("<= 2h", Scale::Duration), Ok(IntervalSet::range(i64::MIN, 7200)));
        assert_eq!(parse_interval("> 2h", Scale::Duration), Ok(IntervalSet::range(7201, i64::MAX)));
        assert_eq!(parse_interval("(1, 5]", Scale::Integer), Ok(IntervalSet::range(2, 5)));
        assert_eq!(parse_interval("[1, 5)", Scale::Integer), Ok(IntervalSet::range(1, 4)));
        assert!(parse_interval("(5, 1]", Scale::Integer).unwrap().is_empty());
        for text in ["[1 5]", "(1, 5", "<= x", "~3"] {
            assert!(parse_interval(text, Scale::Integer).is_err(), "{text}");
        }
    }

    fn set() -> impl Strategy<Value = IntervalSet> {
        prop::collection::vec((-20i64..20, 0i64..6), 0..5)
            .prop_map(|v| IntervalSet::from_ranges(v.into_iter().map(|(lo, n)| (lo, lo + n))))
    }

    proptest! {
        #[test]
        fn set_algebra_agrees_with_membership(a in set(), b in set()) {
            let (i, u) = (a.intersect(&b), a.union(&b));
            for v in -25..30 {
                prop_assert_eq!(i.contains(v), a.contains(v) && b.contains(v));
                prop_assert_eq!(u.contains(v), a.contains(v) || b.contains(v));
            }
            prop_assert_eq!(a.meets(&b), !i.is_empty());
            prop_assert_eq!(a.within(&b), (-25..30).all(|v| !a.contains(v) || b.contains(v)));
        }

        #[test]
        fn sets_round_trip(a in set(), low in any::<bool>(), high in any::<bool>()) {
            let mut ranges = a.ranges().to_vec();
            ranges.extend(low.then_some((i64::MIN, -30)));
            ranges.extend(high.then_some((40, i64::MAX)));
            let a = IntervalSet::from_ranges(ranges);
            for scale in [Scale::Integer, Scale::Duration] {
                prop_assert_eq!(parse_set(&format_set(&a, scale), scale), Some(a.clone()));
            }
        }

        #[test]
        fn durations_round_trip(n in 0i64..10_000_000) {
            prop_assert_eq!(parse_duration(&format_duration(n)), Ok(n));
        }
    }
}
