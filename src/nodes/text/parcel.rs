//! Which parcel and which order a text is about: waybill and order numbers, compared exactly with the case's own.
//! A number that a text names only to say that it is missing is not shown by it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Match, Regex};
use serde::Serialize;

use super::Layout;
use super::facts::{Placed, Places, pattern};
use super::seen::{half_width, seen};
use crate::case::{Case, Evidence};

/// Two letters and nine digits or more, perhaps with a space between, and what stands right behind: letters of a postal
/// number, parts of a parcel.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z]{2} ?[0-9]{9,}[0-9A-Za-z-]*"));
/// Letters that carriers' numbers begin with; others may be serial numbers of goods or forms.
const CARRIERS: [&str; 12] = ["SF", "YT", "ZT", "JD", "JT", "YD", "ST", "DB", "EM", "KY", "HT", "YZ"];
/// An order number written out.
static ORDER: LazyLock<Regex> = LazyLock::new(|| pattern(r"订单编?号?[^0-9A-Za-z，。；运]{0,6}([0-9]{15,})"));
/// The end of an order number.
static ORDER_END: LazyLock<Regex> =
    LazyLock::new(|| pattern("订单(?:号|编号)?的?(?:尾号|末[四4]位|后[四4]位|尾数)[^0-9，。；]{0,4}([0-9]{3,8})"));
/// What says, right before a number, that the number is not there.
static DENIED: LazyLock<Regex> =
    LazyLock::new(|| pattern("(?:未见|未出现|没有|无|不是|未含|未显示|未包含)[^，。；,;]{0,6}$"));
/// A waybill of one's own return is compared only where the case knows the return's number.
const OWN_RETURN: &str = "return_waybill";

/// A number of another parcel or order on an item that shows none of the case's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherOrder {
    /// `waybill` or `order_id`.
    pub what: &'static str,
    /// The number shown.
    pub shown: String,
    /// The case's own numbers of that sort.
    pub own: Vec<String>,
}

/// Whether an item shows the waybill or the order number of something else than this order, and none of its own.
pub fn other_order(case: &Case, item: &Evidence) -> Option<OtherOrder> {
    let own: Vec<String> = known(case).into_iter().flatten().collect();
    let comparable = item.kind != OWN_RETURN || known(case)[1].is_some();
    let shown = shown(&item.content, &own);
    if let Some(first) = shown.first()
        && comparable
        && !own.is_empty()
        && !shown.iter().any(|number| own.contains(number))
    {
        return Some(OtherOrder { what: "waybill", shown: first.clone(), own });
    }
    let text = seen(&item.content);
    let text = half_width(&text);
    let id = case.order.order_id.as_str();
    let orders = ORDER.captures_iter(&text).filter_map(|found| found.get(1)).map(|number| number.as_str());
    let mut orders = orders.filter(|number| comparable_order(number, id));
    let first = orders.next()?;
    (first != id && orders.all(|number| number != id)).then(|| OtherOrder {
        what: "order_id",
        shown: first.to_owned(),
        own: vec![id.to_owned()],
    })
}

/// The numbers of parcels and orders in a text as it is seen, each sort with places and how they stand.
pub(super) fn compared(case: &Case, text: &str) -> [(&'static str, Vec<Placed>); 3] {
    let text = half_width(text);
    let own: Vec<String> = known(case).into_iter().flatten().collect();
    let id = case.order.order_id.as_str();
    let same = |same| if same { "same" } else { "different" };
    let mut places = Places::of(&text);
    let waybills = shown_in(&text, &own)
        .map(|(found, number)| {
            let (start, end) = places.of_match(&found);
            (start, end, if own.is_empty() { "unknown" } else { same(own.contains(&number)) })
        })
        .collect();
    let numbers = |pattern: &Regex, own: &dyn Fn(&str) -> Option<bool>| {
        let mut places = Places::of(&text);
        let found = pattern.captures_iter(&text).filter_map(|found| found.get(1));
        found
            .filter_map(|number| {
                let own = own(number.as_str())?;
                let (start, end) = places.of_match(&number);
                Some((start, end, same(own)))
            })
            .collect()
    };
    [
        ("waybill", waybills),
        ("order_id", numbers(&ORDER, &|number| comparable_order(number, id).then_some(number == id))),
        ("order_id_end", numbers(&ORDER_END, &|number| Some(id.ends_with(number)))),
    ]
}

/// Adds how the numbers in the content stand to the parcel's, to the returned parcel's and to the order's.
pub(super) fn add(text: &mut Layout, case: &Case, item: &Evidence) {
    let [sent, returned] = known(case);
    let (to_sent, to_returned) = (compare(&item.content, sent.as_deref()), compare(&item.content, returned.as_deref()));
    text.fact("sent", to_sent);
    text.fact("back", to_returned);
    text.fact(
        "waybill",
        match (to_sent, to_returned) {
            ("same", _) | (_, "same") => "same",
            ("different", _) | (_, "different") => "different",
            ("unknown_some", _) => "some",
            _ => "none",
        },
    );
    let own: Vec<String> = [sent, returned].into_iter().flatten().collect();
    let shown = shown(&item.content, &own);
    text.count("waybills", shown.iter().collect::<BTreeSet<_>>().len(), 2);
    text.fact("firstwaybill", shown.first().map_or("none", |n| if own.contains(n) { "same" } else { "different" }));
    let content = seen(&item.content);
    let content = half_width(&content);
    let id = case.order.order_id.as_str();
    let ends: Vec<&str> =
        ORDER_END.captures_iter(&content).filter_map(|end| end.get(1)).map(|end| end.as_str()).collect();
    text.fact(
        "orderend",
        match ends.iter().any(|end| id.ends_with(end)) {
            _ if ends.is_empty() => "none",
            true => "same",
            false => "different",
        },
    );
}

/// The waybills the case knows, of the parcel sent and of the parcel sent back, in capitals.
fn known(case: &Case) -> [Option<String>; 2] {
    let returned = case.returned.as_ref().and_then(|r| r.waybill.as_ref());
    [case.order.waybill.as_ref(), returned].map(|waybill| waybill.map(|w| plain_number(w.as_str())))
}

/// A number of a parcel without spaces, in capitals, and without what names a part of the parcel (JD…-1-1-).
fn plain_number(number: &str) -> String {
    let number = number.replace(' ', "").to_ascii_uppercase();
    number.split('-').next().map_or_else(String::new, str::to_owned)
}

/// Whether a number can be one of the shop's orders at all: they are all as long. A payment has longer numbers.
fn comparable_order(number: &str, own: &str) -> bool {
    number.len() == own.len()
}

fn compare(text: &str, own: Option<&str>) -> &'static str {
    let own: Vec<String> = own.into_iter().map(str::to_owned).collect();
    let shown = shown(text, &own);
    match (own.first(), shown.is_empty()) {
        (None, true) => "unknown_none",
        (None, false) => "unknown_some",
        (Some(_), true) => "none",
        (Some(own), false) if shown.contains(own) => "same",
        _ => "different",
    }
}

/// The waybill numbers that a text shows, in its order, in capitals and without spaces.
fn shown(text: &str, own: &[String]) -> Vec<String> {
    let text = seen(text);
    shown_in(&half_width(&text), own).map(|(_, number)| number).collect()
}

/// As above, of a text as it is seen and in half width, with where each stands.
fn shown_in<'t>(text: &'t str, own: &'t [String]) -> impl Iterator<Item = (Match<'t>, String)> {
    let found = NUMBER.find_iter(text).filter(|number| !DENIED.is_match(&text[..number.start()]));
    let numbers = found.map(|number| (number, plain_number(number.as_str())));
    numbers.filter(|(_, n)| {
        CARRIERS.iter().copied().chain(own.iter().filter_map(|o| o.get(..2))).any(|c| n.starts_with(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waybills_are_compared_without_spaces_and_case() {
        let text = "面单YT 883078755890清晰，另一张sf109683303475";
        assert_eq!(compare(text, Some("YT883078755890")), "same");
        assert_eq!(compare(text, Some("SF109683303475")), "same");
        assert_eq!(compare(text, Some("SF109683303476")), "different");
        assert_eq!(compare("无面单", Some("SF1")), "none");
        assert_eq!(compare(text, None), "unknown_some");
    }

    #[test]
    fn what_is_missing_or_no_waybill_is_not_shown() {
        let own = ["YT936499020570".to_owned()];
        assert_eq!(shown("运单YT936520043197未查到；未出现YT936499020570", &own), ["YT936520043197"]);
        assert_eq!(compare("单号EA123456789CN清晰可见", Some("EA123456789CN")), "same");
        assert_eq!(compare("面单JD0123456789012-1-1-", Some("JD0123456789012")), "same");
        assert_eq!(plain_number("sf 109683303475"), "SF109683303475");
        assert!(shown("车架号XL6020260517331，工单号ML2707050318", &own).is_empty());
        assert_eq!(shown("单号XL602026051733", &["XL1".to_owned()]), ["XL602026051733"]);
    }

    #[test]
    fn order_numbers_and_their_ends_are_found() {
        assert_eq!(&ORDER.captures("订单编号：2662294766602714").unwrap()[1], "2662294766602714");
        assert_eq!(&ORDER_END.captures("订单号尾号0388，卡号末四位7719").unwrap()[1], "0388");
        assert!(ORDER_END.captures("运单号尾号3371").is_none());
        assert!(ORDER.captures("订单运单号：773012345678901").is_none());
        let payment = "支付宝账单，订单号：2026051222001412340512345678";
        assert!(!comparable_order(&ORDER.captures(payment).unwrap()[1], "2662294766602714"));
    }
}
