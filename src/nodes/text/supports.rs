//! The text of the question whether an item of evidence meets a requirement.

use chrono_tz::Tz;

use super::grams::Grams;
use super::seen::seen;
use super::{Layout, absent, bucket, facts, goods, parcel};
use crate::case::{Case, Evidence};

/// Enough of the parties' words, in bytes, to look for product codes in.
const MOST_WORDS: usize = 20_000;

/// Renders an item and a requirement for the `supports` model.
///
/// `requirement` is the requirement's text in Chinese; `rivals` are those of the same party's other requirements that
/// accept an item of this kind too, so that the model can see which of them an item aims at. Days are those of `zone`.
///
/// `[FACTS]` party, kind, how numbers, dates, codes, names, colours and words compare with the order, what is said to be
/// lacking `[REQUIREMENT]` its text
/// `[SHARED]` letter pairs that the content shares with the requirement and with no rival `[RIVAL]` the other way round
/// `[LACKS]` the words around what the content says is not there `[ASKPARCEL]` `[ASKFAULT]` `[ASKOTHER]` the content once
/// more, in one of them by what is asked, if there are rivals `[CONTENT]` what OCR and captioning made of the file `[TITLE]`
/// what was bought.
pub fn supports(case: &Case, item: &Evidence, requirement: &str, rivals: &[&str], zone: Tz) -> String {
    let order = &case.order;
    let content = Grams::of(&item.content);
    let bought =
        Grams::of_all(order.items.iter().flat_map(|i| [i.title.as_str(), i.spec.as_deref().unwrap_or_default()]));
    let (asked, rival) = (Grams::of(requirement), Grams::of_all(rivals.iter().copied()));
    let (own, other) = (asked.shared_words(&content, &rival), rival.shared_words(&content, &asked));

    let mut text = Layout::new();
    text.fact("party", item.party.as_str());
    text.fact("kind", &item.kind);
    parcel::add(&mut text, case, item);
    text.fact("goods", &bucket(bought.share_in(&content), &[0, 5, 10, 20, 30, 45]));
    text.count("goodswords", bought.shared(&content), 8);
    let shop = Grams::of(&order.seller.name);
    text.fact("shop", &bucket(shop.share_in(&content), &[0, 35, 99]));
    text.fact("claim", &bucket(content.share_in(&Grams::of(&case.claim.statement)), &[2, 5, 8, 12, 20, 30]));
    text.fact("required", &bucket(asked.share_in(&content), &[0, 10, 20, 30, 50]));
    text.fact(
        "rival",
        match own.len().cmp(&other.len()) {
            _ if rivals.is_empty() => "none",
            std::cmp::Ordering::Less => "closer",
            std::cmp::Ordering::Equal => "equal",
            std::cmp::Ordering::Greater => "farther",
        },
    );
    let days = facts::days(&item.content, order.paid_at, item.submitted_at, zone);
    text.flag("dated", !days.is_empty());
    for day in days {
        text.fact("day", day);
    }
    let words = case_words(case);
    text.fact("codes", facts::codes(&item.content, &words));
    let ordered = order_words(case);
    text.fact("ordercodes", facts::order_codes(&item.content, &ordered));
    text.fact("sizes", facts::sizes(&item.content, &ordered));
    match facts::named(&item.content, &bought) {
        None => text.fact("named", "none"),
        Some((best, worst)) => {
            text.fact("named", &bucket(best, &[0, 15, 30, 50, 75]));
            text.fact("misnamed", &bucket(worst, &[0, 15, 30, 50, 75]));
        }
    }
    text.fact("length", &bucket(seen(&item.content).chars().count() as i64, &[40, 70, 100, 140, 200]));

    goods::add(&mut text, case, &item.content, &ordered, &words, zone);
    absent::add(&mut text, &item.content, requirement);
    absent::add_denied(&mut text, &item.content, &bought);

    text.segment("[REQUIREMENT]", requirement, 200);
    text.pieces("[SHARED]", own.iter().map(String::as_str), 120);
    text.pieces("[RIVAL]", other.iter().map(String::as_str), 120);
    text.pieces("[LACKS]", facts::lacks(&item.content).iter().map(String::as_str), 300);
    let kind = if rivals.is_empty() { None } else { Some(asked_kind(requirement)) };
    for marker in ["[ASKPARCEL]", "[ASKFAULT]", "[ASKOTHER]"] {
        text.segment(marker, if kind == Some(marker) { &item.content } else { "" }, 600);
    }
    text.segment("[CONTENT]", &item.content, 1600);
    text.pieces("[TITLE]", order.items.iter().map(|i| i.title.as_str()), 200);
    text.finish()
}

/// What a requirement asks to see, in so far as it matters which of several an item aims at: the parcel with its waybill,
/// what is wrong, or something else. Each kind has a segment of its own, so that the same content can speak for one and
/// against another.
fn asked_kind(requirement: &str) -> &'static str {
    if requirement.contains("面单") {
        "[ASKPARCEL]"
    } else if ["未", "不", "破损", "腐烂"].iter().any(|word| requirement.contains(word)) {
        "[ASKFAULT]"
    } else {
        "[ASKOTHER]"
    }
}

/// Titles and specifications of what was ordered.
fn order_words(case: &Case) -> String {
    let mut words = String::new();
    for item in &case.order.items {
        words.push_str(&item.title);
        words.push(' ');
        words.push_str(item.spec.as_deref().unwrap_or_default());
        words.push(' ');
    }
    words
}

/// All words of the order and the parties, in which a product code may turn up.
fn case_words(case: &Case) -> String {
    let mut words = order_words(case);
    words.push_str(&case.claim.statement);
    for message in &case.dialogue {
        if words.len() > MOST_WORDS {
            break;
        }
        words.push(' ');
        words.push_str(&seen(&message.text));
    }
    words
}
