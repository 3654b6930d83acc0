//! Broken tickets and the errors they get; `tests/fixtures/malformed/README.md` says how they are written down.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use praetor::case::{Case, CaseErrors};
use praetor::lang::Lang;
use serde::Deserialize;
use serde_json::{Value, json};

const BASE: &str = include_str!("../fixtures/malformed/base.json");
const TICKETS: &str = include_str!("../fixtures/malformed/tickets.ndjson");

/// The codes are part of the interface: a caller may branch on them.
const CODES: [&str; 25] = [
    "control_character",
    "currency_format",
    "currency_unsupported",
    "duplicate_evidence_id",
    "duplicate_key",
    "empty",
    "freight_above_total",
    "json_depth",
    "json_syntax",
    "json_truncated",
    "missing",
    "money_decimals",
    "money_format",
    "money_negative",
    "money_range",
    "not_utf8",
    "quantity_range",
    "time_format",
    "time_offset_missing",
    "time_range",
    "too_large",
    "too_long",
    "too_many",
    "unknown_party",
    "wrong_type",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Malformed {
    name: String,
    errors: Vec<String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    fill: BTreeMap<String, usize>,
    #[serde(default)]
    repeat: BTreeMap<String, usize>,
    #[serde(default)]
    replace: Vec<(String, String)>,
    cut: Option<String>,
    splice_hex: Option<(String, String)>,
    nest: Option<usize>,
    pad: Option<usize>,
    text: Option<String>,
}

impl Malformed {
    fn all() -> Vec<Malformed> {
        TICKETS.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// The broken ticket. An edit that finds nothing to break fails the test.
    fn bytes(&self) -> Vec<u8> {
        let mut value: Value = serde_json::from_str(BASE).unwrap();
        for (pointer, new) in &self.set {
            *value.pointer_mut(pointer).unwrap_or_else(|| panic!("{}: no {pointer}", self.name)) = new.clone();
        }
        for pointer in &self.remove {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let fields = value.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
            assert!(fields.shift_remove(key).is_some(), "{}: no {pointer}", self.name);
        }
        for (pointer, chars) in &self.fill {
            *value.pointer_mut(pointer).unwrap() = json!("字".repeat(*chars));
        }
        for (pointer, entries) in &self.repeat {
            let list = value.pointer_mut(pointer).and_then(Value::as_array_mut).unwrap();
            let first = list[0].clone();
            list.resize(*entries, first.clone());
            list.fill(first);
        }
        if let Some(levels) = self.nest {
            value["nested"] = (0..levels).fold(json!(0), |inner, _| json!([inner]));
        }
        let edited = value != serde_json::from_str::<Value>(BASE).unwrap();
        let mut text = if edited { value.to_string() } else { BASE.trim_end().to_owned() };
        for (find, new) in &self.replace {
            text = self.replaced(&text, find, new);
        }
        if let Some(find) = &self.cut {
            text.truncate(text.find(find).unwrap_or_else(|| panic!("{}: no {find}", self.name)));
        }
        if let Some(spaces) = self.pad {
            text = " ".repeat(spaces) + &text;
        }
        if let Some(whole) = &self.text {
            text.clone_from(whole);
        }
        match &self.splice_hex {
            None => text.into_bytes(),
            Some((find, hex)) => {
                let (before, after) = text.split_once(find).unwrap();
                [before.as_bytes(), &hex::decode(hex).unwrap(), after.as_bytes()].concat()
            }
        }
    }

    fn replaced(&self, text: &str, find: &str, new: &str) -> String {
        assert_eq!(text.matches(find).count(), 1, "{}: {find}", self.name);
        text.replace(find, new)
    }

    fn refused(&self) -> CaseErrors {
        match Case::parse(&self.bytes()) {
            Ok(_) => panic!("{}: was accepted", self.name),
            Err(errors) => errors,
        }
    }
}

#[test]
fn the_base_is_a_good_ticket() {
    let case = Case::parse(BASE.as_bytes()).unwrap();
    assert_eq!(case.goods_total().to_string(), "128.80");
    assert!(case.returned.is_some() && case.has_service("fake_pay_three"));
}

#[test]
fn each_malformed_ticket_gets_its_errors() {
    let tickets = Malformed::all();
    assert!(tickets.len() >= 60);
    for ticket in &tickets {
        let found: Vec<_> = ticket.refused().iter().map(|e| format!("{} {}", e.path, e.rule.code())).collect();
        assert_eq!(found, ticket.errors, "{}", ticket.name);
    }
}

#[test]
fn the_malformed_tickets_break_every_rule() {
    let broken: BTreeSet<_> =
        Malformed::all().iter().flat_map(|t| t.refused().into_iter().map(|e| e.rule.code())).collect();
    assert_eq!(broken.into_iter().collect::<Vec<_>>(), CODES);
}

#[test]
fn the_messages_read_well_in_both_languages() {
    let mut page = String::new();
    for ticket in Malformed::all() {
        writeln!(page, "# {}", ticket.name).unwrap();
        for error in &ticket.refused() {
            for lang in Lang::ALL {
                writeln!(page, "{}", error.message(lang)).unwrap();
            }
        }
    }
    insta::assert_snapshot!(page);
}

#[test]
fn errors_are_written_as_json_for_machines() {
    let errors = Case::parse(br#"{"ticket_id": 7}"#).unwrap_err();
    let first = &serde_json::to_value(&errors).unwrap()[0];
    assert_eq!(*first, json!({"path": "$.ticket_id", "value": "7", "rule": "wrong_type"}));
}
