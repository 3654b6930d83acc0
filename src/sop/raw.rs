//! The shape of pack files as written, with the place of every value that can be wrong.
//!
//! Only shape lives here; meaning is checked in [`super::compile`].

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_saphyr::Spanned;

/// Text in both languages of the product.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bilingual {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// When a pack or an SOP is in force: from the first day, up to and including the last.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Effective {
    /// First day.
    pub from: NaiveDate,
    /// Last day; open when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
}

/// `pack.yaml`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPack {
    pub(super) pack: Spanned<String>,
    pub(super) version: u32,
    pub(super) title: Bilingual,
    pub(super) currency: Spanned<String>,
    pub(super) time_zone: Spanned<String>,
    pub(super) evidence_period: RawEvidencePeriod,
    pub(super) tiers: Spanned<Vec<i64>>,
    pub(super) effective: Spanned<Effective>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvidencePeriod {
    pub(super) buyer: Spanned<String>,
    pub(super) seller: Spanned<String>,
}

/// A named value of the taxonomy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The id used in cases, packs and decisions.
    pub id: String,
    /// Chinese name.
    pub zh: String,
    /// English name.
    pub en: String,
}

/// `taxonomy.yaml`: every id a pack may use.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Taxonomy {
    /// What a dispute is about.
    pub scenes: Vec<Term>,
    /// What was bought.
    pub goods: Vec<Term>,
    /// What can be ordered.
    pub remedies: Vec<Term>,
    /// Kinds of evidence.
    pub evidence_kinds: Vec<Term>,
    /// What can be wrong with an item of evidence.
    pub defects: Vec<Term>,
    /// Services an order can carry.
    pub services: Vec<Term>,
}

/// `calendar.yaml`: statutory holidays and the working days moved for them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// One entry a year.
    pub years: Vec<CalendarYear>,
}

/// One year of [`Calendar`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarYear {
    /// The year.
    pub year: i32,
    /// Who announced it, and where.
    pub source: String,
    /// Days off.
    pub holidays: Vec<Holiday>,
    /// Weekend days worked instead.
    pub workdays: Vec<NaiveDate>,
}

/// A run of days off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// Its name.
    pub name: Bilingual,
    /// First day off.
    pub from: NaiveDate,
    /// Last day off.
    pub to: NaiveDate,
}

/// One SOP file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSop {
    pub(super) id: Spanned<String>,
    pub(super) version: Spanned<u32>,
    pub(super) effective: Spanned<Effective>,
    pub(super) title: Bilingual,
    pub(super) applies: RawApplies,
    pub(super) sources: Vec<RawSource>,
    pub(super) clauses: Vec<RawClause>,
    pub(super) clock: RawClock,
    pub(super) proof: RawProof,
    #[serde(default)]
    pub(super) measures: Vec<RawMeasure>,
    pub(super) decide: Spanned<Vec<RawRow>>,
    #[serde(default)]
    pub(super) legal_hint: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) tests: Vec<RawTest>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApplies {
    pub(super) scene: Spanned<String>,
    pub(super) goods: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) goods_not: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    pub(super) id: Spanned<String>,
    #[serde(rename = "ref")]
    pub(super) reference: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClause {
    pub(super) id: Spanned<String>,
    pub(super) zh: String,
    pub(super) en: String,
    #[serde(default)]
    pub(super) sources: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClock {
    pub(super) from: Spanned<String>,
    pub(super) within: Spanned<String>,
    pub(super) stop: Spanned<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProof {
    pub(super) order: Spanned<String>,
    #[serde(default)]
    pub(super) buyer: Vec<RawRequirement>,
    #[serde(default)]
    pub(super) seller: Vec<RawRequirement>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRequirement {
    pub(super) id: Spanned<String>,
    pub(super) zh: String,
    pub(super) en: String,
    pub(super) accepts: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMeasure {
    pub(super) id: Spanned<String>,
    pub(super) kind: Spanned<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRow {
    pub(super) when: BTreeMap<String, Spanned<Cell>>,
    pub(super) then: Spanned<RawThen>,
    #[serde(default)]
    pub(super) cite: Vec<Spanned<String>>,
}

/// What a [`Cell`] may be, in the words of reports.
pub(super) const CELL: &str = "one value or a list of values (amounts, ratios and intervals in quotes)";
/// What a [`RawThen`] may be.
pub(super) const THEN: &str = "reject_claim, request_evidence or a remedy in full";

/// A table cell as written. Read by hand: a derived untagged enum cannot say what does not fit, or where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct CellVisitor;
        impl<'de> Visitor<'de> for CellVisitor {
            type Value = Cell;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(CELL)
            }
            fn visit_bool<E>(self, v: bool) -> Result<Cell, E> {
                Ok(Cell::Bool(v))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Cell, E> {
                Ok(Cell::Int(v))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Cell, E> {
                i64::try_from(v).map(Cell::Int).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(v), &self))
            }
            fn visit_str<E>(self, v: &str) -> Result<Cell, E> {
                Ok(Cell::Text(v.to_owned()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Cell::List(list))
            }
        }
        from.deserialize_any(CellVisitor)
    }
}

/// An outcome as written: a remedy's name alone, or a remedy in full.
#[derive(Debug, Clone)]
pub(super) enum RawThen {
    Short(String),
    Full(Box<RawRemedy>),
}

impl RawThen {
    /// The amounts written out.
    pub(super) fn amounts(&self) -> impl Iterator<Item = &Spanned<String>> {
        let full = match self {
            Self::Short(_) => None,
            Self::Full(full) => Some(full),
        };
        full.into_iter().flat_map(|f| [&f.refund, &f.compensation]).flatten()
    }
}

impl<'de> Deserialize<'de> for RawThen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ThenVisitor;
        impl<'de> Visitor<'de> for ThenVisitor {
            type Value = RawThen;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(THEN)
            }
            fn visit_str<E>(self, v: &str) -> Result<RawThen, E> {
                Ok(RawThen::Short(v.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RawThen, A::Error> {
                let full = RawRemedy::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(RawThen::Full(Box::new(full)))
            }
        }
        from.deserialize_any(ThenVisitor)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRemedy {
    pub(super) remedy: Spanned<String>,
    #[serde(default)]
    pub(super) refund: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) compensation: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) freight_by: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) return_goods: bool,
    #[serde(default)]
    pub(super) within: Option<Spanned<String>>,
}

/// A scenario test of an SOP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTest {
    pub(super) name: Spanned<String>,
    pub(super) given: BTreeMap<String, Spanned<Cell>>,
    pub(super) expect: RawExpect,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExpect {
    pub(super) remedy: String,
    #[serde(default)]
    pub(super) refund: Option<String>,
    #[serde(default)]
    pub(super) compensation: Option<String>,
    #[serde(default)]
    pub(super) freight_by: Option<String>,
    #[serde(default)]
    pub(super) return_goods: Option<bool>,
    #[serde(default)]
    pub(super) row: Option<usize>,
}
