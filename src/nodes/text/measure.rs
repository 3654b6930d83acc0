//! The values a measure may have, read from the case by rule, and the text of the question whether one of them is it.
//! Rules only propose (every share, every pair of masses, every amount and what amounts make); the model says which is meant.

use std::collections::BTreeSet;

use serde::Serialize;

use super::compared::own_amount;
use super::counted::{found_in, order_numbers};
use super::numbers::{Number, Quantity};
use super::ratios::{ratios, share_form};
use super::seen::{origin, seen};
use super::sums::Sums;
use super::{Layout, bucket};
use crate::case::{Case, Party};

/// At most so many candidates a case and measure; the claim's come first, then the dialogue's, then the evidence's.
const MOST: usize = 96;
/// Of each text the first so many numbers are read; reading ends once there are so many readings. No case of sane size comes
/// near.
const MOST_NUMBERS: usize = 300;
const MOST_READINGS: usize = 10_000;
/// Characters of context on each side of a number.
const CONTEXT: usize = 24;
/// Characters next to a number that say most of it.
const NEAR: usize = 6;
/// Pairs are formed of numbers at most so many characters apart.
const REACH: usize = 80;

/// What stands before, between and after the numbers goes into segments of the value's group: the same words speak for one
/// way to read two numbers (坏 for the part, 剩 for the rest) and against the other. The words next to the numbers have
/// segments of their own.
const AROUND: [(Group, [&str; 5]); 4] = [
    (Group::Stated, ["[LEFT]", "[BEFORE]", "[BETWEEN]", "[AFTER]", "[RIGHT]"]),
    (Group::Count, ["[COUNTLEFT]", "[COUNTBEFORE]", "[COUNTBETWEEN]", "[COUNTAFTER]", "[COUNTRIGHT]"]),
    (Group::Part, ["[PARTLEFT]", "[PARTBEFORE]", "[PARTBETWEEN]", "[PARTAFTER]", "[PARTRIGHT]"]),
    (Group::Rest, ["[RESTLEFT]", "[RESTBEFORE]", "[RESTBETWEEN]", "[RESTAFTER]", "[RESTRIGHT]"]),
];

/// How a value follows from what is written: it stands there as a share or an amount, or as a count, it is a part of a whole,
/// it is what a part leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Stated,
    Count,
    Part,
    Rest,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasureKind {
    /// The share of the goods that is spoiled or short.
    Ratio,
    /// How many of the goods are missing.
    Count,
    /// The amount of receipts.
    Receipt,
    /// The difference between two prices.
    PriceDiff,
}

impl MeasureKind {
    fn as_str(self) -> &'static str {
        match self {
            MeasureKind::Ratio => "ratio",
            MeasureKind::Count => "count",
            MeasureKind::Receipt => "receipt",
            MeasureKind::PriceDiff => "price_diff",
        }
    }
}

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A share in hundredths of a percent, 0 to 10,000.
    Ratio(u32),
    /// A number of things.
    Count(u32),
    /// An amount in fen.
    Amount(i64),
}

/// A text of the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The claim's statement.
    Claim,
    /// A message, by its place in the dialogue.
    Message(usize),
    /// The content of an item of evidence, by its place in the case.
    Evidence(usize),
}

/// Where a value was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// In which text.
    pub field: Field,
    /// First character.
    pub start: usize,
    /// The character after the last.
    pub end: usize,
    /// The characters between.
    pub text: String,
}

/// A value that a measure may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The value.
    pub value: Value,
    /// Where it was read; for a value of two numbers from the first to the end of the last in that text.
    pub span: Span,
    /// The question to the `measure` model.
    pub text: String,
}

/// A value with the numbers it was read from, before its question is rendered.
#[derive(Debug)]
struct Reading {
    value: Value,
    field: Field,
    form: &'static str,
    first: Number,
    /// The other number of a pair in the same text.
    second: Option<Number>,
    /// The value uses a number of the order: its quantity, specification or price.
    with_order: bool,
}

impl Reading {
    fn group(&self) -> Group {
        match self.form {
            "mass_part" | "count_part" => Group::Part,
            "mass_rest" | "count_rest" => Group::Rest,
            "count" => Group::Count,
            _ => Group::Stated,
        }
    }
}

/// The candidates for a measure, in order of reading; each value once a text and form.
pub fn candidates(case: &Case, kind: MeasureKind) -> Vec<Candidate> {
    let texts = texts(case);
    let order: Vec<Number> = order_numbers(case, kind);
    let mut readings = Vec::new();
    let mut sums = Sums::default();
    for (field, text) in &texts {
        let mut found = found_in(&seen(text), kind);
        found.truncate(MOST_NUMBERS);
        read(case, kind, *field, &found, &order, &mut readings);
        sums.take(*field, by_buyer(case, *field), &found);
        if readings.len() > MOST_READINGS {
            break;
        }
    }
    if kind == MeasureKind::Receipt {
        let proposed = sums.unwritten().map(|(field, first, second, total)| Reading {
            value: Value::Amount(total),
            field,
            form: "sum",
            first,
            second,
            with_order: false,
        });
        readings.extend(proposed);
    }
    let mut seen = BTreeSet::new();
    readings.retain(|r| seen.insert((r.value, r.field, r.form)));
    readings.truncate(MOST);
    readings
        .iter()
        .filter_map(|reading| {
            let text = texts.iter().find(|(field, _)| *field == reading.field)?.1;
            Some(render(case, kind, reading, text, &order, &readings, &sums))
        })
        .collect()
}

fn by_buyer(case: &Case, field: Field) -> bool {
    let party = match field {
        Field::Claim => Some(Party::Buyer),
        Field::Message(i) => case.dialogue.get(i).map(|m| m.from),
        Field::Evidence(i) => case.evidence.get(i).map(|e| e.party),
    };
    party == Some(Party::Buyer)
}

/// The texts that values are read from: the claim, then the messages, then the evidence.
fn texts(case: &Case) -> Vec<(Field, &str)> {
    let mut texts = vec![(Field::Claim, case.claim.statement.as_str())];
    texts.extend(case.dialogue.iter().enumerate().map(|(i, m)| (Field::Message(i), m.text.as_str())));
    texts.extend(case.evidence.iter().enumerate().map(|(i, e)| (Field::Evidence(i), e.content.as_str())));
    texts
}

fn read(case: &Case, kind: MeasureKind, field: Field, found: &[Number], order: &[Number], out: &mut Vec<Reading>) {
    let mut push = |value, form, first: Number, second, with_order| {
        out.push(Reading { value, field, form, first, second, with_order });
    };
    let ordered: i64 = case.order.items.iter().map(|item| i64::from(item.quantity)).sum();
    let pairs = || {
        found.iter().enumerate().flat_map(move |(i, a)| {
            found[i + 1..].iter().take_while(move |b| b.start.saturating_sub(a.end) <= REACH).map(move |b| (*a, *b))
        })
    };
    match kind {
        MeasureKind::Ratio => {
            for &number in found {
                if let Quantity::Share(share, form) = number.quantity {
                    push(Value::Ratio(share as u32), share_form(form), number, None, false);
                }
            }
            for (a, b) in pairs() {
                for (value, form) in ratios(a.quantity, b.quantity) {
                    push(value, form, a, Some(b), false);
                }
            }
            for &number in found {
                for ordered in order {
                    for (value, form) in ratios(number.quantity, ordered.quantity) {
                        push(value, form, number, None, true);
                    }
                }
            }
        }
        MeasureKind::Count => {
            for &number in found {
                if let Quantity::Count(n, _) = number.quantity {
                    for (n, form, rest) in [(n, "count", false), (ordered - n, "count_rest", true)] {
                        if let Some(n) = u32::try_from(n).ok().filter(|_| (1..=ordered).contains(&n)) {
                            push(Value::Count(n), form, number, None, rest);
                        }
                    }
                }
            }
        }
        MeasureKind::Receipt | MeasureKind::PriceDiff => {
            for &number in found {
                if let Quantity::Money(fen) = number.quantity {
                    push(Value::Amount(fen), "amount", number, None, false);
                }
            }
            for (a, b) in pairs() {
                if let (MeasureKind::PriceDiff, Quantity::Money(a_fen), Quantity::Money(b_fen)) =
                    (kind, a.quantity, b.quantity)
                    && a_fen != b_fen
                {
                    let each = (a_fen - b_fen).abs();
                    push(Value::Amount(each), "difference", a, Some(b), false);
                    // Of so many pieces at one price the difference is so many times as large.
                    if let Some(all) = each.checked_mul(ordered).filter(|_| ordered > 1) {
                        push(Value::Amount(all), "difference", a, Some(b), true);
                    }
                }
            }
        }
    }
}

fn render(
    case: &Case,
    kind: MeasureKind,
    reading: &Reading,
    source: &str,
    order: &[Number],
    all: &[Reading],
    sums: &Sums,
) -> Candidate {
    let chars: Vec<char> = seen(source).chars().collect();
    let cut = |from: usize, to: usize| chars[from.min(chars.len())..to.min(chars.len())].iter().collect::<String>();
    let (first, second) = (reading.first, reading.second);
    let end = second.map_or(first.end, |n| n.end);

    let mut text = Layout::new();
    text.fact("measure", kind.as_str());
    text.fact(
        "in",
        match reading.field {
            Field::Claim => "claim",
            Field::Message(i) => by(case.dialogue.get(i).map(|m| m.from), "buyer_said", "seller_said"),
            Field::Evidence(i) => by(case.evidence.get(i).map(|e| e.party), "buyer_shows", "seller_shows"),
        },
    );
    if let Field::Evidence(i) = reading.field {
        text.fact("kind", case.evidence.get(i).map_or("none", |e| &e.kind));
    }
    text.fact("form", reading.form);
    text.flag("withorder", reading.with_order);
    text.fact("whole", whole(reading, order));
    text.fact("unit", unit(reading, order));
    add_value_facts(&mut text, case, reading);
    add_agreement_facts(&mut text, reading, all);
    if let Value::Amount(fen) = reading.value {
        text.fact("sum", sums.part_of(fen));
    }

    text.segment("[NUMBER]", &cut(first.start, first.end), 24);
    text.segment("[SECOND]", &second.map_or(String::new(), |n| cut(n.start, n.end)), 24);
    let around = [
        cut(first.start.saturating_sub(CONTEXT), first.start),
        cut(first.start.saturating_sub(NEAR), first.start),
        second.map_or(String::new(), |n| cut(first.end, n.start)),
        cut(end, end + NEAR),
        cut(end, end + CONTEXT),
    ];
    for (group, markers) in AROUND {
        for (marker, words) in markers.iter().zip(&around) {
            text.segment(marker, if group == reading.group() { words } else { "" }, REACH);
        }
    }
    let (start, end, words) = origin(source, first.start, end);
    let span = Span { field: reading.field, start, end, text: words };
    Candidate { value: reading.value, span, text: text.finish() }
}

/// Whether the larger number is one that the order names: `ordered` or `no`; `none` when
/// nothing is counted or weighed.
fn whole(reading: &Reading, order: &[Number]) -> &'static str {
    let size = |quantity| match quantity {
        Quantity::Mass(n) | Quantity::Count(n, _) => Some((matches!(quantity, Quantity::Mass(_)), n)),
        _ => None,
    };
    let first = size(reading.first.quantity);
    let large = reading.second.map_or(first, |second| first.max(size(second.quantity)));
    match large {
        None => "none",
        Some(_) if order.iter().any(|number| size(number.quantity) == large) => "ordered",
        Some(_) => "no",
    }
}

/// Whether the number has the measure word of one that the order names: `same` or `other`; `none` without a measure word.
fn unit(reading: &Reading, order: &[Number]) -> &'static str {
    let Quantity::Count(_, Some(word)) = reading.first.quantity else { return "none" };
    let named = |number: &Number| matches!(number.quantity, Quantity::Count(_, Some(other)) if other == word);
    if order.iter().any(named) { "same" } else { "other" }
}

fn by(party: Option<Party>, buyer: &'static str, seller: &'static str) -> &'static str {
    if party == Some(Party::Seller) { seller } else { buyer }
}

/// How large the value is and whether it is an amount that the order itself names.
fn add_value_facts(text: &mut Layout, case: &Case, reading: &Reading) {
    match reading.value {
        Value::Ratio(share) => {
            text.fact("tier", &bucket(i64::from(share), &[0, 500, 1_000, 3_000, 5_000, 7_000, 9_999]))
        }
        Value::Count(n) => {
            let ordered: u32 = case.order.items.iter().map(|item| item.quantity).fold(0, u32::saturating_add);
            text.flag("allordered", n == ordered);
        }
        Value::Amount(fen) => {
            let order = &case.order;
            let name = own_amount(order, fen).unwrap_or("none");
            text.fact("equals", name);
            let total = order.total.as_i64().max(1);
            text.fact("size", &bucket(fen.saturating_mul(100) / total, &[2, 5, 10, 20, 40, 70, 99, 150]));
            text.flag("round", fen % 100 == 0);
        }
    }
}

/// In how many texts, and by which sides, the same value was read.
fn add_agreement_facts(text: &mut Layout, reading: &Reading, all: &[Reading]) {
    let same: Vec<&Reading> =
        all.iter().filter(|other| near(other.value, reading.value) && alike(other, reading)).collect();
    let fields: BTreeSet<Field> = same.iter().map(|other| other.field).collect();
    let forms: BTreeSet<&str> = same.iter().map(|other| other.form).collect();
    text.count("texts", fields.len(), 5);
    text.count("forms", forms.len(), 4);
    text.flag("inclaim", fields.contains(&Field::Claim));
    text.flag("inmessages", fields.iter().any(|field| matches!(field, Field::Message(_))));
    text.flag("inevidence", fields.iter().any(|field| matches!(field, Field::Evidence(_))));
    let direct = ["percent", "tenths", "fraction", "all", "amount", "count"];
    text.flag("stated", same.iter().any(|other| direct.contains(&other.form)));
}

/// Whether two counts count the same thing: three boxes are not three photos. Other values are always alike.
fn alike(a: &Reading, b: &Reading) -> bool {
    let word = |reading: &Reading| match (reading.value, reading.first.quantity) {
        (Value::Count(_), Quantity::Count(_, word)) => word,
        _ => None,
    };
    word(a).is_none() || word(b).is_none() || word(a) == word(b)
}

/// Equal, or shares that differ by no more than one percent of the whole.
fn near(a: Value, b: Value) -> bool {
    match (a, b) {
        (Value::Ratio(a), Value::Ratio(b)) => a.abs_diff(b) <= 100,
        (a, b) => a == b,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn case(statement: &str, spec: &str, quantity: u32) -> Case {
        let ticket = serde_json::json!({
            "ticket_id": "T1", "opened_at": "2026-05-05T10:00:00+08:00",
            "order": {
                "order_id": "1", "paid_at": "2026-05-01T10:00:00+08:00", "total": "90.00", "freight": "0.00",
                "currency": "CNY", "services": [], "seller": { "name": "果园" },
                "items": [{ "title": "桃", "spec": spec, "quantity": quantity, "unit_price": "45.00" }],
            },
            "claim": { "filed_at": "2026-05-04T10:00:00+08:00", "kind": "refund_only", "reason": "坏", "statement": statement },
            "dialogue": [], "evidence": [], "logistics": [],
        });
        Case::parse(ticket.to_string().as_bytes()).unwrap()
    }

    fn values(case: &Case, kind: MeasureKind) -> Vec<Value> {
        candidates(case, kind).into_iter().map(|c| c.value).collect()
    }

    #[test]
    fn shares_are_stated_or_follow_from_two_numbers() {
        let found = values(&case("24个坏了6个，四分之一", "24个/箱", 1), MeasureKind::Ratio);
        assert_eq!(found.iter().filter(|v| **v == Value::Ratio(2_500)).count(), 2);
        assert!(values(&case("只有4斤1两", "净重5斤", 1), MeasureKind::Ratio).contains(&Value::Ratio(1_800)));
    }

    #[test]
    fn a_count_is_what_is_written_or_what_it_leaves_of_the_order() {
        assert_eq!(values(&case("只收到1盒", "一盒", 3), MeasureKind::Count), [Value::Count(1), Value::Count(2)]);
    }

    #[test]
    fn pieces_pair_whatever_they_are_called() {
        let has = |text, share| values(&case(text, "", 1), MeasureKind::Ratio).contains(&Value::Ratio(share));
        assert!(has("30枚鸡蛋碎了6个", 2_000) && has("两袋一共二十五只，有俩化得稀碎", 800));
        assert!(has("三十块里22块塌了", 7_333) && !has("3箱里的6个", 5_000));
    }

    #[test]
    fn a_difference_may_be_of_each_piece() {
        let found = values(&case("标价2923.60元，三台起2347.24元", "", 3), MeasureKind::PriceDiff);
        assert!(found.contains(&Value::Amount(57_636)) && found.contains(&Value::Amount(172_908)));
    }

    #[test]
    fn amounts_are_added_up_where_nobody_did() {
        let amount = |found: &[Value], fen| found.contains(&Value::Amount(fen));
        let found = values(&case("挂号18.90元，药膏70元，寄回12块", "", 1), MeasureKind::Receipt);
        assert!(amount(&found, 10_090) && !amount(&found, 8_890));
        let stated = case("挂号18.90元，药膏70元，共88.90元", "", 1);
        let sums: Vec<&str> = candidates(&stated, MeasureKind::Receipt)
            .iter()
            .map(|c| {
                if c.text.contains("[F:sum=total]") {
                    "total"
                } else if c.text.contains("[F:sum=part]") {
                    "part"
                } else {
                    "none"
                }
            })
            .collect();
        assert_eq!(sums, ["part", "part", "total"]);
    }

    #[test]
    fn the_span_is_where_the_value_was_read() {
        let case = case("页面降到38.50元，差6.50元", "", 1);
        let found = candidates(&case, MeasureKind::PriceDiff);
        let stated = found.iter().find(|c| c.value == Value::Amount(650)).unwrap();
        assert_eq!((stated.span.text.as_str(), stated.span.field), ("6.50元", Field::Claim));
        let read: String = case.claim.statement.chars().skip(stated.span.start).take(5).collect();
        assert_eq!(read, "6.50元");
        assert!(found.iter().any(|c| c.value == Value::Amount(3_200)));
    }

    proptest! {
        #[test]
        fn no_text_panics(
            statement in "[0-9一二两三十百千万零半成分之斤两块毛元个盒%/.,¥kg ]{1,60}",
            spec in "[0-9一十万斤个盒×]{0,20}", quantity in 1_u32..=1_000_000,
        ) {
            prop_assume!(!statement.trim().is_empty());
            let case = case(&statement, &spec, quantity);
            for kind in [MeasureKind::Ratio, MeasureKind::Count, MeasureKind::Receipt, MeasureKind::PriceDiff] {
                for candidate in candidates(&case, kind) {
                    prop_assert!(!matches!(candidate.value, Value::Ratio(10_001..) | Value::Count(0)));
                    prop_assert!(!matches!(candidate.value, Value::Amount(fen) if fen < 0));
                }
            }
        }
    }
}
