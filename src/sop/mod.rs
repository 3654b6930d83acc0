//! Standard operating procedures: parse packs, prove them, compile them to a rule book, evaluate and search it.
//!
//! A pack is data a policy editor writes; a [`RuleBook`] is what decisions pin. Nothing in here does I/O but
//! [`read_pack`], and nothing reads a clock.

mod compile;
mod compile_sop;
mod compile_table;
mod compile_words;
mod decode;
mod diag;
mod diff;
pub mod duration;
mod evaluate;
pub mod expr;
pub mod facts;
mod raw;
mod region;
mod retrieve;
mod rulebook;
mod scenario;
mod shape;
pub mod table;

use std::path::{Path, PathBuf};

pub use compile::compile;
pub use decode::{KeptBookError, decode};
pub use diag::{Finding, PackErrors, SourceFile, Span};
pub use diff::{Changed, SopChange, diff};
pub use evaluate::{Flip, Remedy, Ruling};
pub use raw::{Bilingual, Calendar, Effective, Taxonomy, Term};
pub use region::{MAX_REGIONS, Region, regions};
pub use retrieve::{Hit, Index, IndexError};
pub use rulebook::{
    Anchor, Clause, Clock, FreightBy, Measure, Outcome, PackHead, ProofOrder, Requirement, Row, RuleBook, RuleBookHash,
    Sop, SopId, Source,
};
pub use scenario::{Scenario, ScenarioFailure, parse_scaled};

/// Why a pack could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read the rule pack at {}: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The pack has findings.
    #[error("the rule pack is refused:\n{0}")]
    Refused(PackErrors),
}

/// Reads every `.yaml` file of a pack's folder, in name order.
pub fn read_pack(dir: &Path) -> Result<Vec<SourceFile>, PackError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| PackError::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fail(dir))? {
        let path = entry.map_err(fail(dir))?.path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let text = std::fs::read_to_string(&path).map_err(fail(&path))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push(SourceFile { name, text });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Reads and compiles the pack in `dir`.
pub fn load(dir: &Path) -> Result<RuleBook, PackError> {
    compile(&read_pack(dir)?).map_err(PackError::Refused)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_pack_is_proved_and_its_scenarios_pass() {
        let book =
            load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sop_rules/demo"))).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(book.sops.len(), 55);
        for sop in &book.sops {
            assert!(sop.tests.len() >= 3, "{} has {} scenarios", sop.id, sop.tests.len());
            assert_eq!(sop.run_scenarios(&book.head.tiers), Vec::new(), "{}", sop.id);
        }
    }

    #[test]
    fn the_hash_ignores_file_order_and_comments_but_not_rules() {
        let mut files = read_pack(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sop_rules/demo"))).unwrap();
        let hash = compile(&files).unwrap().hash();
        files.reverse();
        for f in &mut files {
            f.text = format!("# a comment\n{}\n# another\n", f.text);
        }
        assert_eq!(compile(&files).unwrap().hash(), hash);
        let f = files.iter_mut().find(|f| f.name == "invoice.general.yaml").unwrap();
        f.text = f.text.replace("within: 4320h", "within: 4321h");
        assert_ne!(compile(&files).unwrap().hash(), hash);
    }
}
