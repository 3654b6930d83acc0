//! Reads a kept rule book back from its canonical bytes, so that decisions can be made again years later without the
//! pack's files. Never trusts them: what was read is sealed anew and must have the very same hash.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, de};

use super::expr::{self, Expr};
use super::facts::{Fact, Type};
use super::raw::{Bilingual, Calendar, Effective, Taxonomy};
use super::rulebook::{
    Clause, Clock, FORMAT, Measure, PackHead, ProofOrder, Requirement, Row, RuleBook, RuleBookHash, Sop, SopId, Source,
};
use super::table::{Column, Table};

/// Kept bytes are no rule book that this program can read.
#[derive(Debug, thiserror::Error)]
pub enum KeptBookError {
    /// They have another shape.
    #[error("the kept rule book cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// Another version of the program wrote them.
    #[error("the kept rule book has the format `{0}`, this program reads `{FORMAT}`")]
    Format(String),
    /// They were read, but do not come out the same.
    #[error("the kept rule book reads as {found}, not as {expected}")]
    Hash {
        /// The hash of the bytes.
        expected: RuleBookHash,
        /// The hash of what was read.
        found: RuleBookHash,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptBook {
    format: String,
    pack: PackHead,
    taxonomy: Taxonomy,
    calendar: Calendar,
    sops: Vec<KeptSop>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptSop {
    id: SopId,
    version: u32,
    effective: Effective,
    title: Bilingual,
    scene: String,
    goods: Vec<String>,
    sources: Vec<Source>,
    clauses: Vec<Clause>,
    clock: Clock,
    order: ProofOrder,
    buyer: Vec<Requirement>,
    seller: Vec<Requirement>,
    measures: Vec<Measure>,
    decide: Vec<KeptRow>,
    legal_hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptRow {
    when: BTreeMap<String, String>,
    then: Row,
}

/// The rule book of these canonical bytes, without its scenarios, which are no part of it.
pub fn decode(bytes: &[u8]) -> Result<RuleBook, KeptBookError> {
    let kept: KeptBook = serde_json::from_slice(bytes)?;
    if kept.format != FORMAT {
        return Err(KeptBookError::Format(kept.format));
    }
    let sops = kept.sops.into_iter().map(sop).collect::<Result<_, _>>()?;
    let book = RuleBook::seal(kept.pack, kept.taxonomy, kept.calendar, sops)?;
    let expected = RuleBookHash::of(bytes);
    if book.hash() == expected { Ok(book) } else { Err(KeptBookError::Hash { expected, found: book.hash() }) }
}

fn sop(kept: KeptSop) -> Result<Sop, serde_json::Error> {
    let bad = |text: &str| de::Error::custom(format!("{}: `{text}` is no cell of its table", kept.id));
    let facts = kept.decide.iter().flat_map(|row| row.when.keys());
    let facts = facts.map(|name| name.parse::<Fact>().map_err(|()| bad(name))).collect::<Result<BTreeSet<_>, _>>()?;
    let columns: Vec<Fact> = facts.into_iter().collect();
    let cells = |row: &KeptRow| {
        let cell = |fact: &Fact| {
            let text = row.when.get(&fact.to_string()).map_or("", String::as_str);
            fact.parse_set(text).ok_or_else(|| bad(text))
        };
        columns.iter().map(cell).collect::<Result<Vec<_>, serde_json::Error>>()
    };
    let rows = kept.decide.iter().map(cells).collect::<Result<Vec<_>, _>>()?;
    let table =
        Table { columns: columns.iter().map(|f| Column { name: f.to_string(), domain: f.domain() }).collect(), rows };
    Ok(Sop {
        id: kept.id,
        version: kept.version,
        effective: kept.effective,
        title: kept.title,
        scene: kept.scene,
        goods: kept.goods,
        sources: kept.sources,
        clauses: kept.clauses,
        clock: kept.clock,
        order: kept.order,
        buyer: kept.buyer,
        seller: kept.seller,
        measures: kept.measures,
        columns,
        table,
        rows: kept.decide.into_iter().map(|row| row.then).collect(),
        legal_hint: kept.legal_hint,
        tests: Vec::new(),
    })
}

/// An amount from its canonical text.
pub(super) fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<Expr, D::Error> {
    let text = String::deserialize(from)?;
    expr::compile(&text, Type::Money).map_err(|error| de::Error::custom(format!("`{text}`: {}", error.en)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sop::load;
    use std::path::Path;

    #[test]
    fn the_demo_pack_comes_back_whole() {
        let mut book = load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sop_rules/demo"))).unwrap();
        let kept = decode(book.canonical()).unwrap();
        for sop in &mut book.sops {
            sop.tests.clear();
        }
        assert_eq!((kept.hash(), &kept.head, &kept.calendar), (book.hash(), &book.head, &book.calendar));
        assert_eq!(kept.sops, book.sops);
    }

    #[test]
    fn bytes_that_read_as_something_else_are_refused() {
        let book = load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sop_rules/demo"))).unwrap();
        let text = String::from_utf8(book.canonical().to_vec()).unwrap();
        let spaced = text.replacen("{\"calendar\":", "{ \"calendar\":", 1);
        assert!(matches!(decode(spaced.as_bytes()), Err(KeptBookError::Hash { .. })));
        let other = text.replacen(FORMAT, "praetor.rulebook/0", 1);
        assert!(matches!(decode(other.as_bytes()), Err(KeptBookError::Format(f)) if f == "praetor.rulebook/0"));
        let broken = text.replacen("\"elapsed\":\"", "\"elapsed\":\"~", 1);
        assert!(matches!(decode(broken.as_bytes()), Err(KeptBookError::Shape(_))));
    }
}
