//! No text, however broken, makes the compiler or its reports panic.

use praetor::lang::Lang;
use praetor::sop;
use proptest::prelude::*;
use proptest::sample::Index;

use super::pack;

/// Pieces that mean something in YAML, in cells or in amounts.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    ",",
    "\"",
    "'",
    "#",
    "- ",
    "\n",
    "\t",
    "&a ",
    "*a",
    "!!int ",
    "<<: ",
    "---\n",
    "|",
    "9999999999999999999999",
    "裁",
    "\u{feff}",
    "-1",
    "> 5h",
];

#[derive(Debug, Clone)]
enum Edit {
    Delete(Index, usize),
    Insert(Index, &'static str),
    Byte(Index, u8),
    Copy(Index, Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), 1..40usize).prop_map(|(at, n)| Edit::Delete(at, n)),
        (any::<Index>(), prop::sample::select(PIECES.to_vec())).prop_map(|(at, p)| Edit::Insert(at, p)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, b)| Edit::Byte(at, b)),
        (any::<Index>(), any::<Index>(), 1..60usize).prop_map(|(from, to, n)| Edit::Copy(from, to, n)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    if bytes.is_empty() {
        return;
    }
    let range = |at: &Index, n: usize, len: usize| {
        let from = at.index(len);
        from..(from + n).min(len)
    };
    match edit {
        Edit::Delete(at, n) => drop(bytes.drain(range(at, *n, bytes.len()))),
        Edit::Insert(at, piece) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, piece.bytes());
        }
        Edit::Byte(at, b) => {
            let at = at.index(bytes.len());
            bytes[at] = *b;
        }
        Edit::Copy(from, to, n) => {
            let piece = bytes[range(from, *n, bytes.len())].to_vec();
            let at = to.index(bytes.len());
            bytes.splice(at..at, piece);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_edit_of_a_pack_makes_it_panic(
        which in any::<Index>(),
        demo in any::<bool>(),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        // A few files of the demo pack are enough company for the one that is edited.
        let mut files = pack(if demo { "sop_rules/demo" } else { "tests/fixtures/packs/base" });
        let mut names: Vec<String> = files.iter().map(|f| f.name.clone()).collect();
        let edited = names.swap_remove(which.index(names.len()));
        let head = ["pack.yaml", "taxonomy.yaml", "calendar.yaml"];
        files.retain(|f| f.name == edited || head.contains(&f.name.as_str()));
        for f in files.iter_mut().filter(|f| f.name == edited) {
            let mut bytes = f.text.clone().into_bytes();
            edits.iter().for_each(|e| apply(&mut bytes, e));
            f.text = String::from_utf8_lossy(&bytes).into_owned();
        }
        if let Err(errors) = sop::compile(&files) {
            prop_assert!(!errors.0.is_empty());
            for finding in &errors.0 {
                for lang in Lang::ALL {
                    prop_assert!(!finding.render(lang, false).is_empty());
                }
                prop_assert!(finding.line_column().0 >= 1);
            }
        }
    }
}
