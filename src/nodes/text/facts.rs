//! Small exact readings that become fact tokens: elapsed hours, dates, product codes, named goods.
//! They find what is written; what it means is left to the models.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate, TimeDelta};
use chrono_tz::Tz;
use regex::{Captures, Match, Regex};

use super::grams::{Grams, plain};
use super::seen::{half_width, seen};
use crate::case::Timestamp;

/// Full hours from one time to a later one; negative when it is earlier.
pub(super) fn hours(later: Timestamp, earlier: Timestamp) -> i64 {
    later.since(earlier).num_seconds().div_euclid(3600)
}

/// Whether a time had come by then. What never came had not.
pub(super) fn reached(by: Timestamp, at: Option<Timestamp>) -> bool {
    at.is_some_and(|at| by >= at)
}

/// A pattern. Each is used by a test, so one that is no pattern does not get past them.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of the texts are well formed")
}

/// What looks like a waybill number: two letters and nine digits or more, perhaps with a space between.
static WAYBILL: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z]{2} ?[0-9]{9,15}"));
/// A day with or without its year.
static DAY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:(20[0-9]{2})\s*[-年/.]\s*)?([0-9]{1,2})\s*([-/.月])\s*([0-9]{1,2})([日号]?)"));
/// A run of letters, digits and what joins them in product codes.
static CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"[a-z0-9][a-z0-9/+\-]{2,}"));
/// As above, down to two characters: V3.
static SHORT_CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"[a-z0-9][a-z0-9/+\-]+"));
/// A number with a unit that goods are told apart by.
static SIZE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"([0-9]+(?:\.[0-9]+)?) ?(ml|毫升|kg|公斤|gb|tb|mm|毫米|cm|厘米|英寸|寸|升|克|匹|l|g|w)"));
/// What follows a word such as 品名 or 型号, in quotation marks or not.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "(?:品名|标题|商品名称?|样品名称?|产品名称?|送检样品|商品卡片?|订单卡片?|卡片|型号|机型|车型|货品|规格|品牌)",
        "[^，。；,;“”\"]{0,4}?[:：为栏印是写]*[“\"「]?([^“”\"「」，。；,;]{2,40})"
    ))
});

/// How the days in a text stand to the time of the order and of the submission: `impossible`, `before`, `within`, `after`.
pub(super) fn days(text: &str, paid: Timestamp, submitted: Timestamp, zone: Tz) -> BTreeSet<&'static str> {
    placed_days(&seen(text), paid, submitted, zone).into_iter().map(|(.., stands)| stands).collect()
}

/// Where in a text something starts and ends, in characters, and how it stands to the case.
pub(super) type Placed = (usize, usize, &'static str);

/// The days in a text as it is seen, each with its place and how it stands.
pub(super) fn placed_days(text: &str, paid: Timestamp, submitted: Timestamp, zone: Tz) -> Vec<Placed> {
    let (first, last) = (paid.day_in(&zone) - TimeDelta::days(1), submitted.day_in(&zone));
    let apart = |date: &NaiveDate| (first - *date).max(*date - last).max(TimeDelta::zero());
    let text = half_width(text);
    let stands = |day: &Captures<'_>| {
        let number = |index| day.get(index).and_then(|part| part.as_str().parse::<u32>().ok());
        let (month, of_month) = (number(2)?, number(4)?);
        let date = |year| NaiveDate::from_ymd_opt(year, month, of_month);
        // Without its year a day is of the year in which it is nearest to the case.
        let date = match number(1) {
            Some(year) => date(year as i32),
            None => (first.year() - 1..=last.year()).filter_map(date).min_by_key(apart),
        };
        // Without a year, 月 and 日 it may be any pair of numbers: 2-3, 12.5, 3-5日内.
        let part = |index| day.get(index).map_or("", |part| part.as_str());
        let certain = day.get(1).is_some() || (part(3) == "月" && !part(5).is_empty());
        certain.then(|| match date {
            None => "impossible",
            Some(date) if date < first => "before",
            Some(date) if date > last => "after",
            Some(_) => "within",
        })
    };
    let mut places = Places::of(&text);
    DAY.captures_iter(&text)
        .filter_map(|day| {
            let (start, end) = places.of_match(&day.get(0)?);
            Some((start, end, stands(&day)?))
        })
        .collect()
}

/// Places in characters of matches that come in the order of the text, which is gone through once.
pub(super) struct Places<'t> {
    text: &'t str,
    byte: usize,
    chars: usize,
}

impl<'t> Places<'t> {
    pub(super) fn of(text: &'t str) -> Places<'t> {
        Places { text, byte: 0, chars: 0 }
    }

    /// Where a match starts and ends.
    pub(super) fn of_match(&mut self, found: &Match<'_>) -> (usize, usize) {
        (self.place(found.start()), self.place(found.end()))
    }

    fn place(&mut self, byte: usize) -> usize {
        self.chars += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.chars
    }
}

/// Whether product codes (letters with digits: `72v32a`) of a text are also in another: `none`, `same`, `different`, `both`.
pub(super) fn codes(text: &str, other: &str) -> &'static str {
    let (text, other) = (plain(text), plain(other));
    let mut found = (false, false);
    for code in CODE.find_iter(&text).map(|code| code.as_str()) {
        let (letters, digits) =
            (code.bytes().any(|b| b.is_ascii_lowercase()), code.bytes().any(|b| b.is_ascii_digit()));
        if letters && digits && !WAYBILL.is_match(code) {
            if other.contains(code) { found.0 = true } else { found.1 = true }
        }
    }
    match found {
        (false, false) => "none",
        (true, false) => "same",
        (false, true) => "different",
        (true, true) => "both",
    }
}

/// The product codes of a text: letters with digits that are no waybill and no size.
fn code_set(text: &str) -> BTreeSet<String> {
    let text = plain(text);
    let mixed = |code: &str| code.bytes().any(|b| b.is_ascii_lowercase()) && code.bytes().any(|b| b.is_ascii_digit());
    let found = SHORT_CODE.find_iter(&text).map(|code| code.as_str());
    // What is left without its sizes must still be a code: of 12gb+256gb nothing is.
    found.filter(|c| mixed(&SIZE.replace_all(c, "")) && !WAYBILL.is_match(c)).map(str::to_owned).collect()
}

/// Whether the product codes that the order names are in a text: `none` named, `same`, `different` where it has others
/// only, `absent` where it has no codes.
pub(super) fn order_codes(text: &str, order: &str) -> &'static str {
    let (ordered, found) = (code_set(order), code_set(text));
    let alike = |a: &String| found.iter().any(|b| b.contains(a.as_str()) || a.contains(b.as_str()));
    if ordered.is_empty() {
        "none"
    } else if ordered.iter().any(alike) {
        "same"
    } else if found.is_empty() {
        "absent"
    } else {
        "different"
    }
}

/// Whether sizes (300ml, 5升, 46mm) of a text are those that the order names in the same unit: `none` to compare, `same`,
/// `different`, `both`.
pub(super) fn sizes(text: &str, order: &str) -> &'static str {
    let (ordered, found) = (size_set(order), size_set(text));
    let mut seen = (false, false);
    for (number, unit) in &found {
        if ordered.iter().any(|(_, other)| other == unit) {
            if ordered.contains(&(number.clone(), unit)) { seen.0 = true } else { seen.1 = true }
        }
    }
    match seen {
        (false, false) => "none",
        (true, false) => "same",
        (false, true) => "different",
        (true, true) => "both",
    }
}

/// Numbers with a unit, in compatibility form; one unit under one name.
fn size_set(text: &str) -> BTreeSet<(String, &'static str)> {
    let text = plain(text);
    let found = SIZE.captures_iter(&text).filter_map(|size| {
        let unit = match size.get(2)?.as_str() {
            "ml" | "毫升" => "ml",
            "l" | "升" => "l",
            "g" | "克" => "g",
            "kg" | "公斤" => "kg",
            "mm" | "毫米" => "mm",
            "cm" | "厘米" => "cm",
            "gb" => "gb",
            "tb" => "tb",
            "匹" => "hp",
            "寸" | "英寸" => "inch",
            _ => "w",
        };
        Some((size.get(1)?.as_str().trim_start_matches('0').to_owned(), unit))
    });
    found.collect()
}

/// Characters kept before and after the first character of a denial.
const DENIAL: (usize, usize) = (6, 7);

/// What a text says is not there, or cut, or nothing but: each denying word with the words around it, at most 40.
pub(super) fn lacks(text: &str) -> Vec<String> {
    let chars: Vec<char> = seen(text).chars().collect();
    let denies = |c: &char| "未无没缺空不跳断截仅只".contains(*c);
    let around = |at: usize| chars[at.saturating_sub(DENIAL.0)..(at + DENIAL.1).min(chars.len())].iter().collect();
    chars.iter().enumerate().filter(|(_, c)| denies(c)).take(40).map(|(at, _)| around(at)).collect()
}

/// How much of the best and of the worst named goods (品名, 型号, …) of a text is found in the order's words, in percent;
/// `None` when nothing is named.
pub(super) fn named(text: &str, order: &Grams) -> Option<(i64, i64)> {
    let shares: Vec<i64> = NAMED
        .captures_iter(&seen(text))
        .filter_map(|name| name.get(1))
        .map(|name| Grams::of(name.as_str()).share_in(order))
        .collect();
    Some((shares.iter().copied().max()?, shares.iter().copied().min()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_placed_in_the_order_of_events() {
        let (paid, submitted) = (at("2026-05-10T08:00:00+08:00"), at("2026-05-20T08:00:00+08:00"));
        let days = |text: &str, paid, submitted| days(text, paid, submitted, Tz::Asia__Shanghai);
        assert_eq!(days("2026年4月31日，2026-05-12 09:14", paid, submitted), BTreeSet::from(["impossible", "within"]));
        assert_eq!(days("5月1日 5月21日", paid, submitted), BTreeSet::from(["after", "before"]));
        assert_eq!(days("3-4个，2.5斤，退款3-5日内到账", paid, submitted), BTreeSet::new());
        // Over New Year a day without its year is of either.
        let (paid, submitted) = (at("2026-12-20T08:00:00+08:00"), at("2027-03-04T20:30:00Z"));
        assert_eq!(days("12月30日，3月5日", paid, submitted), BTreeSet::from(["within"]));
        assert_eq!(days("11月3日", paid, submitted), BTreeSet::from(["before"]));
        assert_eq!(days("3月6日", paid, submitted), BTreeSet::from(["after"]));
        let paid = at("2027-01-02T08:00:00+08:00");
        assert_eq!(days("12月30日", paid, submitted), BTreeSet::from(["before"]));
    }

    #[test]
    fn denials_codes_and_sizes() {
        assert_eq!(lacks("底部方框为空白"), ["底部方框为空白"]);
        let order = "蓝域V3 5G手机 12GB+256GB";
        assert_eq!(order_codes("机型栏“蓝域V2s 8GB”", order), "different");
        assert_eq!(order_codes("机型蓝域V3", order), "same");
        assert_eq!(order_codes("一台手机", order), "absent");
        assert_eq!(order_codes("V2s", "一台手机"), "none");
        assert_eq!(sizes("机型栏“蓝域V2s 8GB”", order), "different");
        assert_eq!(sizes("精华液 50 ml，另有300ml", "身体乳 300毫升"), "both");
    }

    #[test]
    fn codes_and_names() {
        assert_eq!(codes("车型“AT-轻羽 48V20A”", "爱途 72V32A"), "different");
        assert_eq!(codes("72v32a 雾霾蓝", "爱途 72V32A"), "same");
        assert_eq!(codes("运单SF109683303475", ""), "none");
        let order = Grams::of("红枣枸杞固元膏 200g");
        assert_eq!(named("品名“红枣枸杞”，型号：KD-3309", &order), Some((100, 0)));
        assert_eq!(named("没有写", &order), None);
    }
}
