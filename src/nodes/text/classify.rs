//! The text of the question what a case is about: its scene, its goods type, whether the parties are about to agree.

use super::{Layout, bucket, facts};
use crate::case::{Case, Party};

/// Hours since signing at which the meaning of a claim tends to change.
const SINCE_SIGNED: [i64; 9] = [0, 24, 48, 96, 168, 360, 500, 720, 2000];

/// A claim filed so many hours after signing is late: a fault then is sooner a matter of the warranty, for phones sooner
/// than for refrigerators, so the goods are named once more.
const LATE: i64 = 360;

/// Renders a case for the `classify` model.
///
/// `[FACTS]` order and parcel state, claim kind, services, kinds of evidence `[TITLE]` `[LATETITLE]` the title once more if
/// the claim is late `[SPEC]` `[SHOP]` `[REASON]`
/// `[CLAIM]` statement `[BUYERLAST]` `[SELLERLAST]` the last message of each `[BUYER]` `[SELLER]` all messages of each
/// `[EVIDENCE]` what both submitted.
pub fn classify(case: &Case) -> String {
    let mut text = Layout::new();
    add_facts(&mut text, case);
    let order = &case.order;
    text.pieces("[TITLE]", order.items.iter().map(|item| item.title.as_str()), 240);
    let late = order.signed_at.is_some_and(|signed| facts::hours(case.claim.filed_at, signed) > LATE);
    let first = order.items.first().filter(|_| late);
    text.segment("[LATETITLE]", first.map_or("", |item| &item.title), 100);
    text.pieces("[SPEC]", order.items.iter().filter_map(|item| item.spec.as_deref()), 160);
    text.segment("[SHOP]", &order.seller.name, 40);
    text.segment("[REASON]", &case.claim.reason, 60);
    text.segment("[CLAIM]", &case.claim.statement, 700);
    let said = |by: Party| case.dialogue.iter().filter(move |m| m.from == by).map(|m| m.text.as_str());
    text.segment("[BUYERLAST]", said(Party::Buyer).next_back().unwrap_or_default(), 200);
    text.segment("[SELLERLAST]", said(Party::Seller).next_back().unwrap_or_default(), 200);
    text.pieces("[BUYER]", said(Party::Buyer), 900);
    text.pieces("[SELLER]", said(Party::Seller), 700);
    text.pieces("[EVIDENCE]", case.evidence.iter().map(|item| item.content.as_str()), 1200);
    text.finish()
}

fn add_facts(text: &mut Layout, case: &Case) {
    let order = &case.order;
    text.fact("claim", &case.claim.kind);
    text.flag("shipped", order.shipped_at.is_some());
    text.flag("signed", order.signed_at.is_some());
    text.flag("return", case.returned.is_some());
    if let Some(returned) = &case.returned {
        text.flag("returnsigned", returned.signed_at.is_some());
        text.flag("returnwaybill", returned.waybill.is_some());
    }
    text.flag("deposit", order.deposit.is_some());
    text.flag("freight", order.freight.as_i64() > 0);
    for service in order.services.iter().take(10) {
        text.fact("service", service);
    }
    for item in case.evidence.iter().take(20) {
        text.fact(if item.party == Party::Buyer { "buyerhas" } else { "sellerhas" }, &item.kind);
    }
    text.count("evidence", case.evidence.len(), 5);
    text.fact("last", case.dialogue.last().map_or("none", |message| message.from.as_str()));
    text.count("items", order.items.len(), 3);
    text.count("events", case.logistics.len(), 5);
    text.fact(
        "promise",
        &match order.ship_by {
            Some(by) => bucket(facts::hours(by, order.paid_at), &[24, 48, 72, 168]),
            None => "none".to_owned(),
        },
    );
    if let Some(signed) = order.signed_at {
        text.fact("since", &bucket(facts::hours(case.claim.filed_at, signed), &SINCE_SIGNED));
    }
}
