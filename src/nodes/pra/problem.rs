//! P: the order, the claim, the dialogue and the evidence, as the case file has them.

use super::super::timeliness::FirstReport;
use super::super::{Findings, NodeError, NodeId};
use super::{Part, Worth, data, party, span};
use crate::case::{Case, Party, Timestamp};
use crate::sop::RuleBook;

/// The most messages, events and items of evidence that are rendered at all.
const MOST: usize = 24;

/// The lines of P.
pub(super) fn parts(case: &Case, findings: &Findings, book: &RuleBook) -> Result<Vec<Part>, NodeError> {
    let report = &Findings::required(&findings.timeliness, NodeId::Timeliness)?.first_report;
    let mut parts = vec![Part::new(Worth::Kept, "[P]".to_owned()), Part::new(Worth::Kept, order(case))];
    let term = |id: &str| data(&book.term(id).zh, 16);
    let claim = &case.claim;
    let asked =
        format!("[诉求]{}；{}提出；理由：{}", term(&claim.kind), moment(claim.filed_at), data(&claim.reason, 24));
    parts.push(Part::new(Worth::Kept, asked));
    if !claim.statement.trim().is_empty() {
        parts.push(Part::new(Worth::Statement, format!("[诉求]{}", data(&claim.statement, 160))));
    }
    parts.extend(dialogue(case, report));
    for event in case.logistics.iter().take(MOST) {
        let text = format!("[物流]{} {} {}", moment(event.at), data(&event.status, 16), data(&event.detail, 32));
        parts.push(Part::new(Worth::Logistics, text));
    }
    for item in case.evidence.iter().take(MOST) {
        let late = span(item.submitted_at.since(case.opened_at).num_seconds());
        let id = data(item.evidence_id.as_str(), 16);
        let text =
            format!("[材料]{id} {}{} 介入{late}：{}", party(item.party), term(&item.kind), data(&item.content, 150));
        parts.push(Part::new(Worth::Content, text));
    }
    Ok(parts)
}

fn order(case: &Case) -> String {
    let order = &case.order;
    let mut text = String::from("[订单]");
    for item in order.items.iter().take(3) {
        text += &format!(" {}", data(&item.title, 32));
        if let Some(spec) = &item.spec {
            text += &format!("（{}）", data(spec, 16));
        }
        text += &format!("×{}", item.quantity);
    }
    if order.items.len() > 3 {
        text += &format!(" 等{}种", order.items.len());
    }
    text += &format!("；实付{} 运费{}", order.total, order.freight);
    if let Some(deposit) = order.deposit {
        text += &format!(" 定金{deposit}");
    }
    for service in order.services.iter().take(6) {
        text += &format!("；承诺{}", data(service, 24));
    }
    text += &format!("；{}付款", moment(order.paid_at));
    let after =
        |at: Option<Timestamp>| at.map_or_else(|| "无".to_owned(), |at| span(at.since(order.paid_at).num_seconds()));
    text += &format!("；应发{} 发货{} 签收{}", after(order.ship_by), after(order.shipped_at), after(order.signed_at));
    if let Some(returned) = &case.returned {
        text += &format!(" 退货签收{}", after(returned.signed_at));
    }
    text
}

/// Messages in their order; the nearer to the first report, the longer they stay.
fn dialogue(case: &Case, report: &FirstReport) -> Vec<Part> {
    // Reported in the claim: the last message is the nearest.
    let center = report.index.unwrap_or(case.dialogue.len());
    let mut near: Vec<usize> = (0..case.dialogue.len()).collect();
    near.sort_by_key(|&i| (i.abs_diff(center), i));
    near.truncate(MOST);
    near.sort_unstable();
    let line = |i: usize| {
        let message = &case.dialogue[i];
        let (limit, worth) = match i.abs_diff(center) {
            0 => (160, Worth::Content),
            distance if i > center || message.from == Party::Seller => (64, Worth::Aside(distance)),
            distance => (64, Worth::Message(distance)),
        };
        let text = format!("[{}]{}. {} {}", party(message.from), i + 1, moment(message.at), data(&message.text, limit));
        Part::new(worth, text)
    };
    near.into_iter().map(line).collect()
}

fn moment(at: Timestamp) -> String {
    at.datetime().format("%m-%d %H:%M").to_string()
}
