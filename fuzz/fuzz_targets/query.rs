//! Any text where a query is read: retrieval among the clauses, times, languages and names of tenants. Hits are bounded,
//! of SOPs that exist, and the same when asked again.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use praetor::case::Timestamp;
use praetor::lang::Lang;
use praetor::sop::{Index, load};
use praetor::store::TenantId;

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let book = load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../sop_rules/demo"))).expect("the shipped pack");
    Index::build(&book).expect("an index")
});

fuzz_target!(|text: &str| {
    let first = INDEX.search(text, 5).expect("any text is a query");
    assert!(first.len() <= 5);
    assert_eq!(format!("{first:?}"), format!("{:?}", INDEX.search(text, 5).expect("again")));
    if let Ok(time) = text.parse::<Timestamp>() {
        assert!((2000..2100).contains(&chrono::Datelike::year(&time.datetime())));
    }
    if let Ok(tenant) = text.parse::<TenantId>() {
        assert_eq!(tenant.as_str(), text);
    }
    let _ = Lang::from_accept_language(text);
});
