//! What real tickets look like and must not be refused for.

use praetor::case::{Case, CaseErrors};
use serde_json::{Value, json};

const BASE: &str = include_str!("../fixtures/malformed/base.json");

fn parse(changes: &[(&str, Value)]) -> Result<Case, CaseErrors> {
    let mut ticket: Value = serde_json::from_str(BASE).unwrap();
    for (pointer, value) in changes {
        *ticket.pointer_mut(pointer).unwrap() = value.clone();
    }
    Case::parse(ticket.to_string().as_bytes())
}

#[test]
fn times_may_contradict_each_other() {
    let case = parse(&[
        ("/order/signed_at", json!("2026-03-20T00:00:00+08:00")),
        ("/opened_at", json!("2026-03-01T00:00:00Z")),
        ("/dialogue/0/at", json!("2026-04-30T12:00:00.5-05:00")),
    ])
    .unwrap();
    assert!(case.order.signed_at < case.order.shipped_at);
    assert_eq!(case.dialogue[0].at.to_string(), "2026-04-30T12:00:00.500-05:00");
}

#[test]
fn texts_and_lists_may_be_empty() {
    let case = parse(&[
        ("/claim/reason", json!("")),
        ("/claim/statement", json!("")),
        ("/order/items/0/title", json!("")),
        ("/order/seller/name", json!("")),
        ("/order/services", json!([])),
        ("/dialogue", json!([])),
        ("/evidence", json!([])),
        ("/logistics", json!([])),
    ])
    .unwrap();
    assert!(case.dialogue.is_empty() && case.evidence.is_empty() && case.logistics.is_empty());
}

#[test]
fn optional_fields_may_be_null_or_absent() {
    let nulls = ["ship_by", "shipped_at", "signed_at", "waybill", "deposit"];
    let mut ticket: Value = serde_json::from_str(BASE).unwrap();
    ticket["return"] = Value::Null;
    for name in nulls {
        ticket["order"][name] = Value::Null;
    }
    let with_nulls = Case::parse(ticket.to_string().as_bytes()).unwrap();
    ticket.as_object_mut().unwrap().shift_remove("return");
    for name in nulls {
        ticket["order"].as_object_mut().unwrap().shift_remove(name);
    }
    let without = Case::parse(ticket.to_string().as_bytes()).unwrap();
    assert_eq!((&with_nulls.order, &with_nulls.returned), (&without.order, &without.returned));
    assert_ne!(with_nulls.hash(), without.hash(), "the hash is over the input, not over what was read");
}

#[test]
fn kinds_statuses_and_services_are_open() {
    let case = parse(&[
        ("/claim/kind", json!("换个新的")),
        ("/evidence/0/kind", json!("hologram")),
        ("/logistics/0/status", json!("")),
        ("/order/services/0", json!(" 极速退款 ")),
    ])
    .unwrap();
    assert_eq!(case.claim.kind, "换个新的");
    assert!(case.has_service("极速退款"));
}

#[test]
fn amounts_and_quantities_may_be_written_short() {
    let case = parse(&[
        ("/order/total", json!("136.8")),
        ("/order/freight", json!("8")),
        ("/order/items/1/quantity", json!(2.0)),
    ])
    .unwrap();
    assert_eq!((case.order.total.as_i64(), case.order.freight.as_i64()), (13_680, 800));
    assert_eq!(case.order.items[1].quantity, 2);
}

#[test]
fn limits_are_inclusive() {
    let message = json!({"at": "2026-03-29T19:12:00+08:00", "from": "buyer", "text": "在吗"});
    let case = parse(&[("/dialogue", json!(vec![message; 400])), ("/claim/statement", json!("字".repeat(20_000)))]);
    assert_eq!(case.unwrap().dialogue.len(), 400);
}
