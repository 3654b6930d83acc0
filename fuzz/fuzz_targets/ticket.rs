//! Any bytes as a ticket: refused with places and rules in both languages, or a case whose canonical form is a ticket
//! again, the same one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use praetor::case::Case;
use praetor::lang::Lang;

fuzz_target!(|bytes: &[u8]| {
    let _ = Case::subject_of(bytes);
    match Case::parse(bytes) {
        Ok(case) => {
            let again = Case::parse(case.canonical()).expect("the canonical form is a ticket");
            assert_eq!(case.hash(), again.hash());
        }
        Err(errors) => {
            assert!(errors.iter().next().is_some(), "refused without a reason");
            for error in errors.iter() {
                assert!(!error.message(Lang::Zh).is_empty() && !error.message(Lang::En).is_empty());
            }
        }
    }
});
