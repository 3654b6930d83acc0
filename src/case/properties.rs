//! Properties of the case file over generated tickets: round trips, one hash for one content, and no input that panics.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::lang::Lang;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[一-龥，。！0-9]{0,30}", any::<String>().prop_map(|s| s.replace('\0', "\n"))]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,20}|[一-龥]{1,6}"
}

fn time() -> impl Strategy<Value = String> {
    (1_700_000_000_i64..1_900_000_000, -12_i32..=14, any::<bool>()).prop_map(|(seconds, hours, utc)| {
        let at = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        let offset = chrono::FixedOffset::east_opt(if utc { 0 } else { hours * 3600 }).unwrap();
        let text = Timestamp::new(at.with_timezone(&offset)).unwrap().to_string();
        if utc { text.replace("+00:00", "Z") } else { text }
    })
}

fn money() -> impl Strategy<Value = String> {
    (0..1_000_000_i64).prop_map(|fen| Fen::new(fen).unwrap().to_string())
}

fn party() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("buyer"), Just("seller")]
}

/// Any JSON value, as an unknown field may hold.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |f| f.is_finite().then(|| json!(f))),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Drops some of the null fields of an object, which says the same, and adds unknown ones.
fn loose(value: Value, keep_nulls: bool, unknown: Vec<(String, Value)>) -> Value {
    let Value::Object(mut fields) = value else {
        return value;
    };
    fields.retain(|_, value| keep_nulls || !value.is_null());
    fields.extend(unknown.into_iter().map(|(key, value)| (format!("x-{key}"), value)));
    Value::Object(fields)
}

fn loosened(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    (value, any::<bool>(), vec((any::<String>(), any_json()), 0..3))
        .prop_map(|(value, keep_nulls, unknown)| loose(value, keep_nulls, unknown))
}

fn item() -> impl Strategy<Value = Value> {
    loosened((text(), option::of(text()), 1..=MAX_QUANTITY, money()).prop_map(
        |(title, spec, quantity, price)| json!({"title": title, "spec": spec, "quantity": quantity, "unit_price": price}),
    ))
}

fn order() -> impl Strategy<Value = Value> {
    let times = (time(), option::of(time()), option::of(time()), option::of(time()));
    let sums = (0..1_000_000_i64, 0..=100_i64, option::of(money()));
    let rest = (name(), option::of(name()), vec(name(), 0..3), vec(item(), 1..4), text());
    loosened((times, sums, rest).prop_map(|(times, (total, share, deposit), rest)| {
        let fen = |fen| Fen::new(fen).unwrap().to_string();
        json!({
            "order_id": rest.0, "paid_at": times.0, "ship_by": times.1, "shipped_at": times.2, "signed_at": times.3,
            "waybill": rest.1, "total": fen(total), "freight": fen(total * share / 100), "deposit": deposit,
            "currency": "CNY", "services": rest.2, "items": rest.3, "seller": {"name": rest.4},
        })
    }))
}

fn evidence() -> impl Strategy<Value = Value> {
    vec(
        loosened((party(), name(), time(), text()).prop_map(
            |(party, kind, at, content)| json!({"party": party, "kind": kind, "submitted_at": at, "content": content}),
        )),
        0..5,
    )
    .prop_map(|mut items| {
        for (index, item) in items.iter_mut().enumerate() {
            item["evidence_id"] = json!(format!("E{index}"));
        }
        Value::from(items)
    })
}

fn ticket() -> impl Strategy<Value = Value> {
    let returned = option::of(
        (option::of(name()), option::of(time())).prop_map(|(waybill, at)| json!({"waybill": waybill, "signed_at": at})),
    );
    let claim = loosened((time(), name(), text(), text()).prop_map(
        |(at, kind, reason, statement)| json!({"filed_at": at, "kind": kind, "reason": reason, "statement": statement}),
    ));
    let message =
        loosened((time(), party(), text()).prop_map(|(at, from, text)| json!({"at": at, "from": from, "text": text})));
    let event = loosened(
        (time(), text(), text()).prop_map(|(at, status, detail)| json!({"at": at, "status": status, "detail": detail})),
    );
    let head = (name(), time(), order(), returned, claim);
    loosened((head, vec(message, 0..5), evidence(), vec(event, 0..4)).prop_map(
        |(head, dialogue, evidence, logistics)| {
            json!({
                "ticket_id": head.0, "opened_at": head.1, "order": head.2, "return": head.3, "claim": head.4,
                "dialogue": dialogue, "evidence": evidence, "logistics": logistics,
            })
        },
    ))
}

fn parse(value: &Value) -> Result<Case, CaseErrors> {
    Case::parse(value.to_string().as_bytes())
}

/// The same content with every object's fields the other way round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(reversed).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// All places of a value, as JSON pointers.
fn pointers(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(i, v)| pointers(v, format!("{at}/{i}"), out));
        }
        Value::Object(fields) => fields.iter().filter(|(k, _)| !k.starts_with("x-")).for_each(|(k, v)| {
            pointers(v, format!("{at}/{k}"), out);
        }),
        _ => {}
    }
    out.push(at);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_case_survives_its_canonical_form(ticket in ticket()) {
        let case = parse(&ticket).unwrap();
        let again = Case::parse(case.canonical()).unwrap();
        prop_assert_eq!(&again, &case);
        prop_assert_eq!(again.hash(), case.hash());
    }

    #[test]
    fn what_was_written_is_what_is_read(ticket in ticket()) {
        let case = parse(&ticket).unwrap();
        prop_assert_eq!(case.ticket_id.as_str(), &ticket["ticket_id"]);
        prop_assert_eq!(&json!(case.order.total), &ticket["order"]["total"]);
        prop_assert_eq!(case.order.deposit.map(String::from), ticket["order"]["deposit"].as_str().map(str::to_owned));
        prop_assert_eq!(case.goods_total().checked_add(case.order.freight), Some(case.order.total));
        prop_assert_eq!(case.order.items.len(), ticket["order"]["items"].as_array().unwrap().len());
        for (message, written) in case.dialogue.iter().zip(ticket["dialogue"].as_array().unwrap()) {
            prop_assert_eq!(message.text.as_str(), &written["text"]);
            prop_assert_eq!(message.from.as_str(), &written["from"]);
        }
    }

    #[test]
    fn neither_field_order_nor_white_space_is_content(ticket in ticket()) {
        let case = parse(&ticket).unwrap();
        let other = Case::parse(serde_json::to_string_pretty(&reversed(&ticket)).unwrap().as_bytes()).unwrap();
        prop_assert_eq!(other, case);
    }

    #[test]
    fn an_unknown_field_is_content(ticket in ticket(), extra in any_json()) {
        let case = parse(&ticket).unwrap();
        let mut with = ticket;
        with["attachments"] = extra;
        prop_assert_ne!(parse(&with).unwrap().hash(), case.hash());
    }

    #[test]
    fn a_broken_ticket_has_its_errors_named(
        mut ticket in ticket(), breaks in vec((any::<prop::sample::Index>(), any_json()), 1..8),
    ) {
        let mut places = Vec::new();
        pointers(&ticket, String::new(), &mut places);
        for (place, value) in breaks {
            if let Some(old) = ticket.pointer_mut(&places[place.index(places.len())]) {
                *old = value;
            }
        }
        if let Err(errors) = parse(&ticket) {
            prop_assert!((1..=MAX_ERRORS).contains(&errors.as_slice().len()));
            for error in &errors {
                prop_assert!(error.path.starts_with('$'), "{}", error.path);
                for lang in Lang::ALL {
                    let message = error.message(lang);
                    prop_assert!(message.starts_with(&error.path) && message.contains(&error.rule.text(lang)), "{message}");
                }
            }
        }
    }

    #[test]
    fn half_a_ticket_is_refused(ticket in ticket(), cut in any::<prop::sample::Index>()) {
        let bytes = ticket.to_string().into_bytes();
        let errors = Case::parse(&bytes[..cut.index(bytes.len())]).unwrap_err();
        prop_assert!(matches!(errors.as_slice()[0].rule, Rule::JsonTruncated | Rule::NotUtf8 { .. }), "{errors}");
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200), json in any_json()) {
        let _ = Case::parse(&bytes);
        let _ = parse(&json);
    }
}

#[test]
fn errors_come_in_document_order_with_absent_fields_last() {
    let errors = Case::parse(
        br#"{"evidence":[{"content":7,"evidence_id":""}],"logistics":{},"ticket_id":"T","order":[],"opened_at":"x"}"#,
    )
    .unwrap_err();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "$.evidence[0].content",
            "$.evidence[0].evidence_id",
            "$.evidence[0].party",
            "$.evidence[0].kind",
            "$.evidence[0].submitted_at",
            "$.logistics",
            "$.order",
            "$.opened_at",
            "$.claim",
            "$.dialogue",
        ]
    );
    assert_eq!(errors.ticket_id().map(TicketId::as_str), Some("T"));
}

#[test]
fn at_most_twenty_errors_are_reported() {
    let errors = parse(&json!({"dialogue": vec![json!({}); 50]})).unwrap_err();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths.len(), MAX_ERRORS);
    assert_eq!((paths[0], paths[19]), ("$.dialogue[0].at", "$.dialogue[6].from"));
}

#[test]
fn numbers_that_grow_when_written_out_cannot_pass_the_size_limit() {
    let ticket = format!(r#"{{"ticket_id":"T","x":[{}1]}}"#, "1e20,".repeat(100_000));
    assert!(ticket.len() < MAX_BYTES);
    let errors = Case::parse(ticket.as_bytes()).unwrap_err();
    assert_eq!(errors.as_slice()[0].rule, Rule::TooLarge { limit: MAX_BYTES });
    assert_eq!(errors.ticket_id().map(TicketId::as_str), Some("T"));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let errors = Case::parse("\u{FEFF}[]".as_bytes()).unwrap_err();
    assert_eq!(errors.as_slice()[0].rule, Rule::WrongType { expected: Expected::Object });
}
