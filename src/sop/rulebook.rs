//! The compiled, immutable form of a pack: what nodes read and decisions pin.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::expr::Expr;
use super::facts::Fact;
use super::raw::{Bilingual, Calendar, Effective, Taxonomy};
use super::table::Table;

/// An SOP's id, such as `fresh_spoiled.produce`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SopId(pub String);

impl fmt::Display for SopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Version of the canonical form.
pub(super) const FORMAT: &str = "praetor.rulebook/1";

/// SHA-256 over the canonical bytes of a rule book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleBookHash(pub [u8; 32]);

impl RuleBookHash {
    /// The hash of canonical bytes.
    pub(super) fn of(canonical: &[u8]) -> Self {
        Self(Sha256::digest(canonical).into())
    }
}

impl fmt::Display for RuleBookHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What every SOP of a pack shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackHead {
    /// The pack's id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// Its title.
    pub title: Bilingual,
    /// ISO 4217 code of every amount.
    pub currency: String,
    /// IANA zone in which days begin and end.
    #[serde(serialize_with = "as_text")]
    pub time_zone: chrono_tz::Tz,
    /// Seconds after the platform steps in within which the buyer may hand in evidence.
    pub buyer_evidence: i64,
    /// The same for the seller.
    pub seller_evidence: i64,
    /// Refund tiers in percent, ascending, the last one 100.
    pub tiers: Vec<i64>,
    /// When the pack is in force.
    pub effective: Effective,
}

fn as_text<T: fmt::Display, S: serde::Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

/// The event a clock starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// Payment.
    PaidAt,
    /// The promised time of shipping.
    PromisedShipAt,
    /// Signing for the parcel.
    SignedAt,
    /// 00:00 of the day after signing, in the pack's time zone.
    SignedNextDay,
    /// The merchant's signing for the returned goods.
    ReturnSignedAt,
}

impl Anchor {
    /// Every anchor with its name in packs.
    pub const ALL: [(&'static str, Self); 5] = [
        ("paid_at", Self::PaidAt),
        ("promised_ship_at", Self::PromisedShipAt),
        ("signed_at", Self::SignedAt),
        ("signed_next_day", Self::SignedNextDay),
        ("return_signed_at", Self::ReturnSignedAt),
    ];

    /// The name in packs.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, a)| *a == self).map_or("?", |(n, _)| n)
    }
}

/// The window in which the problem must first be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Where it starts.
    pub from: Anchor,
    /// Its length in seconds; a report at exactly this time is in time.
    pub within: i64,
}

/// Which party must prove first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofOrder {
    /// The buyer.
    BuyerFirst,
    /// The seller.
    SellerFirst,
}

/// A clause of the SOP: shown to people, cited by decisions, indexed for retrieval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// Id within the SOP.
    pub id: String,
    /// The text.
    pub text: Bilingual,
    /// Ids of [`Source`]s.
    pub sources: Vec<String>,
}

/// What a clause rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Id within the SOP.
    pub id: String,
    /// The law's article or the platform's rule.
    pub reference: String,
}

/// What a party must show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The requirement's id.
    pub id: String,
    /// What is asked for.
    pub text: Bilingual,
    /// Evidence kinds that can meet it.
    pub accepts: Vec<String>,
}

/// A quantity an amount depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of the goods affected.
    SeverityRatio,
    /// Units missing.
    MissingCount,
    /// Sum of receipts.
    ReceiptAmount,
    /// Price difference.
    PriceDiff,
}

impl Measure {
    /// Every measure with its id and the kind packs declare for it.
    pub const ALL: [(&'static str, &'static str, Self); 4] = [
        ("severity_ratio", "ratio", Self::SeverityRatio),
        ("missing_count", "count", Self::MissingCount),
        ("receipt_amount", "amount", Self::ReceiptAmount),
        ("price_diff", "amount", Self::PriceDiff),
    ];

    /// The id in packs and decisions.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|m| m.2 == self).map_or("?", |m| m.0)
    }

    /// The fact that carries its value.
    pub fn fact(self) -> Fact {
        match self {
            Self::SeverityRatio => Fact::SeverityRatio,
            Self::MissingCount => Fact::MissingCount,
            Self::ReceiptAmount => Fact::ReceiptAmount,
            Self::PriceDiff => Fact::PriceDiff,
        }
    }
}

/// Who bears the freight of a remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreightBy {
    /// The seller.
    Seller,
    /// The buyer.
    Buyer,
    /// No freight arises.
    None,
}

impl FreightBy {
    /// The name in packs and decisions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seller => "seller",
            Self::Buyer => "buyer",
            Self::None => "none",
        }
    }
}

/// What a row orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Remedy id of the taxonomy.
    pub remedy: String,
    /// Money back, in fen.
    #[serde(serialize_with = "as_canonical", deserialize_with = "super::decode::amount")]
    pub refund: Expr,
    /// Money on top, in fen.
    #[serde(serialize_with = "as_canonical", deserialize_with = "super::decode::amount")]
    pub compensation: Expr,
    /// Who pays freight.
    pub freight_by: FreightBy,
    /// Whether the goods go back.
    pub return_goods: bool,
    /// Seconds from the decision within which it is to be performed.
    pub within: i64,
}

fn as_canonical<S: serde::Serializer>(expr: &Expr, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&expr.canonical())
}

/// A row of the decision table, beside its box in [`Sop::table`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What it orders.
    pub outcome: Outcome,
    /// Clauses it rests on.
    pub cite: Vec<String>,
}

/// One compiled SOP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sop {
    /// Id.
    pub id: SopId,
    /// Version.
    pub version: u32,
    /// When it is in force.
    pub effective: Effective,
    /// Title.
    pub title: Bilingual,
    /// The scene it governs.
    pub scene: String,
    /// Goods types it governs, sorted, `*` expanded.
    pub goods: Vec<String>,
    /// Sources.
    pub sources: Vec<Source>,
    /// Clauses.
    pub clauses: Vec<Clause>,
    /// The reporting window.
    pub clock: Clock,
    /// Who proves first.
    pub order: ProofOrder,
    /// What the buyer must show.
    pub buyer: Vec<Requirement>,
    /// What the seller may show.
    pub seller: Vec<Requirement>,
    /// Quantities its amounts use.
    pub measures: Vec<Measure>,
    /// The fact of each table column.
    pub columns: Vec<Fact>,
    /// The boxes of the rows.
    pub table: Table,
    /// The rows.
    pub rows: Vec<Row>,
    /// A remedy of law that is pointed out but not ordered.
    pub legal_hint: Option<String>,
    /// Scenario tests; not part of the hash.
    pub tests: Vec<super::scenario::Scenario>,
}

impl Sop {
    /// What the rule book's hash covers of it.
    pub(super) fn canonical(&self) -> serde_json::Value {
        let rows: Vec<_> = self
            .table
            .rows
            .iter()
            .zip(&self.rows)
            .map(|(cells, row)| {
                let when: serde_json::Map<_, _> = self
                    .columns
                    .iter()
                    .zip(cells)
                    .map(|(fact, set)| (fact.to_string(), fact.format(set).into()))
                    .collect();
                serde_json::json!({ "when": when, "then": row })
            })
            .collect();
        serde_json::json!({
            "id": self.id, "version": self.version, "effective": self.effective, "title": self.title,
            "scene": self.scene, "goods": self.goods, "sources": self.sources, "clauses": self.clauses,
            "clock": self.clock, "order": self.order, "buyer": self.buyer, "seller": self.seller,
            "measures": self.measures, "decide": rows, "legal_hint": self.legal_hint,
        })
    }
}

/// A compiled pack.
#[derive(Debug, Clone)]
pub struct RuleBook {
    /// The pack's head.
    pub head: PackHead,
    /// Its words.
    pub taxonomy: Taxonomy,
    /// Its holidays.
    pub calendar: Calendar,
    /// SOPs by id, then version.
    pub sops: Vec<Sop>,
    canonical: Vec<u8>,
    hash: RuleBookHash,
}

impl RuleBook {
    pub(super) fn seal(
        head: PackHead,
        taxonomy: Taxonomy,
        calendar: Calendar,
        mut sops: Vec<Sop>,
    ) -> Result<Self, serde_json::Error> {
        sops.sort_by(|a, b| (&a.id, a.version).cmp(&(&b.id, b.version)));
        let value = serde_json::json!({
            "format": FORMAT,
            "pack": head, "taxonomy": taxonomy, "calendar": calendar,
            "sops": sops.iter().map(Sop::canonical).collect::<Vec<_>>(),
        });
        let canonical = serde_json_canonicalizer::to_vec(&value)?;
        let hash = RuleBookHash::of(&canonical);
        Ok(Self { head, taxonomy, calendar, sops, canonical, hash })
    }

    /// SHA-256 of [`RuleBook::canonical`]; the same for every order of files and every comment.
    pub fn hash(&self) -> RuleBookHash {
        self.hash
    }

    /// RFC 8785 bytes of everything that can change a decision.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// SHA-256 of the calendar's canonical bytes.
    pub fn calendar_hash(&self) -> Result<String, serde_json::Error> {
        Ok(hex::encode(Sha256::digest(serde_json_canonicalizer::to_vec(&self.calendar)?)))
    }

    /// True when the SOP governs disputes opened on `day`: both it and the pack must be in force.
    pub fn in_force(&self, sop: &Sop, day: NaiveDate) -> bool {
        let holds = |e: &Effective| e.from <= day && e.to.is_none_or(|to| day <= to);
        holds(&self.head.effective) && holds(&sop.effective)
    }

    /// The SOP that governs this scene and goods type for a dispute opened on `day`.
    pub fn governing(&self, scene: &str, goods: &str, day: NaiveDate) -> Option<&Sop> {
        self.sops.iter().find(|s| s.scene == scene && self.in_force(s, day) && s.goods.iter().any(|g| g == goods))
    }

    /// The newest version of an SOP.
    pub fn sop(&self, id: &str) -> Option<&Sop> {
        self.sops.iter().rfind(|s| s.id.0 == id)
    }

    /// The name of a taxonomy id in both languages, or the id itself.
    pub fn term(&self, id: &str) -> Bilingual {
        let t = &self.taxonomy;
        [&t.scenes, &t.goods, &t.remedies, &t.evidence_kinds, &t.defects, &t.services]
            .into_iter()
            .flatten()
            .find(|term| term.id == id)
            .map_or_else(
                || Bilingual { zh: id.to_owned(), en: id.to_owned() },
                |term| Bilingual { zh: term.zh.clone(), en: term.en.clone() },
            )
    }
}
