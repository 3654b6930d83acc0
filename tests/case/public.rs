//! Every ticket of the public benchmark is a case, and so are the examples.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use praetor::case::Case;

#[test]
fn every_public_ticket_parses_and_survives_its_canonical_form() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/training/data/public/tickets.jsonl");
    let tickets = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut hashes = HashSet::new();
    for (index, line) in tickets.lines().enumerate() {
        let case = Case::parse(line.as_bytes()).unwrap_or_else(|errors| panic!("line {}: {errors}", index + 1));
        assert_eq!(Case::parse(case.canonical()).as_ref(), Ok(&case), "line {}", index + 1);
        hashes.insert(case.hash());
    }
    assert!(hashes.len() > 1_000);
    assert_eq!(hashes.len(), tickets.lines().count(), "two tickets have one hash");
}

#[test]
fn the_examples_parse_but_for_the_one_made_to_be_refused() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tickets.jsonl");
    let tickets = fs::read_to_string(&path).unwrap();
    let refused: Vec<_> = tickets.lines().filter_map(|line| Case::parse(line.as_bytes()).err()).collect();
    let found: Vec<_> = refused.iter().flatten().map(|e| format!("{} {}", e.path, e.rule.code())).collect();
    assert_eq!(found, ["$.order.items[0].quantity quantity_range", "$.claim.filed_at time_offset_missing"]);
}
