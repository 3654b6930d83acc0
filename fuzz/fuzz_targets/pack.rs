//! Any text as a file of a rule pack, beside the shipped ones: compiled or refused with findings, and what is compiled
//! is read back as the same book.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use praetor::sop::{SourceFile, compile, decode, read_pack};

/// The pack's own files without its SOPs: small enough to be compiled often, and enough for a right SOP to compile.
static FEW: LazyLock<Vec<SourceFile>> = LazyLock::new(|| {
    let mut files = read_pack(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../sop_rules/demo"))).expect("the pack");
    files.retain(|f| matches!(f.name.as_str(), "pack.yaml" | "calendar.yaml" | "taxonomy.yaml"));
    files
});

fuzz_target!(|text: &str| {
    let mut files = FEW.clone();
    files.push(SourceFile { name: "fuzzed.yaml".to_owned(), text: text.to_owned() });
    match compile(&files) {
        Ok(book) => {
            let again = decode(book.canonical()).expect("a compiled book is read back");
            assert_eq!(book.hash(), again.hash());
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
