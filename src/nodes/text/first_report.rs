//! The text of the question whether a message of the buyer states the problem.

use super::grams::Grams;
use super::{Layout, bucket, facts};
use crate::case::{Case, Party};

/// Renders one message of a case for the `first_report` model; `index` counts all messages of the dialogue. Empty for an
/// index that is none.
///
/// `[FACTS]` what had happened when it was sent `[MESSAGE]` its words `[PREVIOUS]` the message before it.
pub fn first_report(case: &Case, index: usize) -> String {
    let Some(message) = case.dialogue.get(index) else {
        return String::new();
    };
    let order = &case.order;
    let after = |at| facts::reached(message.at, at);
    let (paid, shipped, signed) = (message.at >= order.paid_at, after(order.shipped_at), after(order.signed_at));
    let overdue = after(order.ship_by);
    let ever_shipped = order.shipped_at.is_some();

    let mut text = Layout::new();
    text.flag("paid", paid);
    text.flag("shipped", shipped);
    text.flag("signed", signed);
    text.flag("overdue", overdue);
    text.flag("evershipped", ever_shipped);
    let state = match (paid, overdue, shipped, signed) {
        (false, ..) => "unpaid",
        (_, _, _, true) => "signed",
        (_, _, true, _) => "under_way",
        (_, true, ..) => "overdue",
        _ if ever_shipped => "waiting",
        _ => "never_shipped",
    };
    text.fact("state", state);
    text.flag("returned", case.returned.as_ref().is_some_and(|returned| after(returned.signed_at)));
    text.flag("claimed", message.at >= case.claim.filed_at);
    let earlier = case.dialogue.iter().take(index).filter(|m| m.from == Party::Buyer).count();
    text.count("earlier", earlier, 4);
    let previous = index.checked_sub(1).and_then(|i| case.dialogue.get(i));
    text.fact(
        "gap",
        &match previous {
            Some(previous) => bucket(facts::hours(message.at, previous.at), &[1, 6, 24, 72, 240]),
            None => "first".to_owned(),
        },
    );
    text.fact("previous", previous.map_or("none", |previous| previous.from.as_str()));
    let overlap = Grams::of(&message.text).share_in(&Grams::of(&case.claim.statement));
    text.fact("asclaimed", &bucket(overlap, &[3, 7, 12, 18, 25]));

    text.segment("[MESSAGE]", &message.text, 800);
    text.segment("[PREVIOUS]", previous.map_or("", |previous| &previous.text), 300);
    text.finish()
}
