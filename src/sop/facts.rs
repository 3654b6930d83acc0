//! The declared fact schema: what a decision table may ask and an amount may use, with types and units.
//!
//! Every value is one integer: fen, seconds, parts per million, a count, or the index of an enumeration's
//! value. There are no floats and no dynamic values, so a type error is found when a pack is loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::duration::{IntervalSet, Scale, format_duration, format_set, parse_set};

/// The type of a fact or of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// Integer fen.
    Money,
    /// A count.
    Int,
    /// Parts per million.
    Ratio,
    /// Whole seconds.
    Duration,
    /// 0 or 1.
    Bool,
    /// The verdict on a party's evidence, an index into [`Sufficiency::ALL`].
    Sufficiency,
    /// A text literal; only ever a function's argument.
    Text,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Money => "money",
            Self::Int => "int",
            Self::Ratio => "ratio",
            Self::Duration => "duration",
            Self::Bool => "bool",
            Self::Sufficiency => "sufficiency",
            Self::Text => "text",
        })
    }
}

/// Whether a party has proved what the SOP asks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sufficiency {
    /// Each requirement has a valid item.
    Sufficient,
    /// Items aim at a requirement, but not every requirement has a valid one.
    Insufficient,
    /// No item aims at a requirement.
    None,
    /// The SOP asks nothing of the party.
    NotRequired,
}

impl Sufficiency {
    /// Every value, in the order of its index.
    pub const ALL: [Self; 4] = [Self::Sufficient, Self::Insufficient, Self::None, Self::NotRequired];

    /// The name used in packs and decisions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sufficient => "sufficient",
            Self::Insufficient => "insufficient",
            Self::None => "none",
            Self::NotRequired => "not_required",
        }
    }

    /// The value in a table cell.
    pub fn index(self) -> i64 {
        match self {
            Self::Sufficient => 0,
            Self::Insufficient => 1,
            Self::None => 2,
            Self::NotRequired => 3,
        }
    }

    /// The one with this index.
    pub fn at(index: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.index() == index)
    }
}

impl FromStr for Sufficiency {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|v| v.as_str() == s).ok_or(())
    }
}

/// A named fact of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// From the SOP's clock to the first report.
    Elapsed,
    /// The promised time to ship: `ship_by` − `paid_at`.
    ShipPromise,
    /// The buyer's proof.
    Buyer,
    /// The seller's proof.
    Seller,
    /// Order total, freight included.
    Total,
    /// Freight of the order.
    Freight,
    /// Total less freight.
    GoodsTotal,
    /// Price of one unit; unknown when the order's items differ in price.
    UnitPrice,
    /// Deposit of a presale.
    Deposit,
    /// Units ordered.
    Quantity,
    /// Share of the goods affected.
    SeverityRatio,
    /// Units missing.
    MissingCount,
    /// Sum of the receipts shown.
    ReceiptAmount,
    /// Price difference claimed.
    PriceDiff,
    /// Whether the order carries the named service.
    Service(String),
}

impl Fact {
    const NAMED: [(&'static str, Fact, Type); 14] = [
        ("elapsed", Fact::Elapsed, Type::Duration),
        ("ship_promise", Fact::ShipPromise, Type::Duration),
        ("buyer", Fact::Buyer, Type::Sufficiency),
        ("seller", Fact::Seller, Type::Sufficiency),
        ("total", Fact::Total, Type::Money),
        ("freight", Fact::Freight, Type::Money),
        ("goods_total", Fact::GoodsTotal, Type::Money),
        ("unit_price", Fact::UnitPrice, Type::Money),
        ("deposit", Fact::Deposit, Type::Money),
        ("quantity", Fact::Quantity, Type::Int),
        ("severity_ratio", Fact::SeverityRatio, Type::Ratio),
        ("missing_count", Fact::MissingCount, Type::Int),
        ("receipt_amount", Fact::ReceiptAmount, Type::Money),
        ("price_diff", Fact::PriceDiff, Type::Money),
    ];

    /// Names of all facts, for messages.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().map(|(name, ..)| *name)
    }

    /// The fact's type.
    pub fn ty(&self) -> Type {
        Self::NAMED.iter().find(|(_, f, _)| f == self).map_or(Type::Bool, |(.., ty)| *ty)
    }

    /// All values the fact can take. Elapsed time may be negative: a buyer can complain before signing.
    pub fn domain(&self) -> IntervalSet {
        match self {
            Self::Elapsed | Self::ShipPromise => IntervalSet::all(),
            Self::Buyer | Self::Seller => IntervalSet::range(0, 2),
            Self::Service(_) => IntervalSet::range(0, 1),
            _ => IntervalSet::range(0, i64::MAX),
        }
    }

    /// Writes a set of this fact's values as a pack would.
    pub fn format(&self, set: &IntervalSet) -> String {
        match self.ty() {
            Type::Sufficiency => {
                let names: Vec<&str> =
                    Sufficiency::ALL.into_iter().filter(|s| set.contains(s.index())).map(Sufficiency::as_str).collect();
                if names.is_empty() { "∅".to_owned() } else { names.join(" | ") }
            }
            Type::Bool => match (set.contains(0), set.contains(1)) {
                (true, true) => "true | false".to_owned(),
                (false, true) => "true".to_owned(),
                (true, false) => "false".to_owned(),
                (false, false) => "∅".to_owned(),
            },
            Type::Duration => format_set(set, Scale::Duration),
            _ => format_set(set, Scale::Integer),
        }
    }

    /// Reads a set that [`Fact::format`] wrote; `None` for anything else.
    pub fn parse_set(&self, text: &str) -> Option<IntervalSet> {
        let each = |read: fn(&str) -> Option<i64>| {
            let values = text.split(" | ").map(|name| read(name).map(|v| (v, v))).collect::<Option<Vec<_>>>();
            if text == "∅" { Some(IntervalSet::empty()) } else { values.map(IntervalSet::from_ranges) }
        };
        match self.ty() {
            Type::Sufficiency => each(|name| name.parse::<Sufficiency>().ok().map(Sufficiency::index)),
            Type::Bool => each(|name| name.parse::<bool>().ok().map(i64::from)),
            Type::Duration => parse_set(text, Scale::Duration),
            _ => parse_set(text, Scale::Integer),
        }
    }

    /// Writes one value with its unit.
    pub fn format_value(&self, value: i64) -> String {
        format_value(self.ty(), value)
    }
}

/// Writes one value of a type with its unit: `12.34`, `48h`, `0.35`, `sufficient`.
pub fn format_value(ty: Type, value: i64) -> String {
    match ty {
        Type::Money => {
            let sign = if value < 0 { "-" } else { "" };
            let n = value.unsigned_abs();
            format!("{sign}{}.{:02}", n / 100, n % 100)
        }
        Type::Ratio => {
            let text = format!("{}.{:06}", value / 1_000_000, value % 1_000_000);
            let text = text.trim_end_matches('0');
            text.strip_suffix('.').unwrap_or(text).to_owned()
        }
        Type::Duration => format_duration(value),
        Type::Bool => (value != 0).to_string(),
        Type::Sufficiency => Sufficiency::at(value).map_or("?", Sufficiency::as_str).to_owned(),
        Type::Int | Type::Text => value.to_string(),
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service.{name}"),
            named => f.write_str(Self::NAMED.iter().find(|(_, fact, _)| fact == named).map_or("?", |(n, ..)| n)),
        }
    }
}

impl FromStr for Fact {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        if let Some(name) = s.strip_prefix("service.") {
            return if name.is_empty() { Err(()) } else { Ok(Self::Service(name.to_owned())) };
        }
        Self::NAMED.iter().find(|(name, ..)| *name == s).map(|(_, f, _)| f.clone()).ok_or(())
    }
}

/// What is known of a case. A fact that is absent is undetermined, which is not the same as false or zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    values: BTreeMap<Fact, i64>,
    possible: BTreeMap<Fact, IntervalSet>,
    services: Option<BTreeSet<String>>,
}

impl Facts {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records a fact's value in its unit.
    pub fn set(&mut self, fact: Fact, value: i64) -> &mut Self {
        self.possible.remove(&fact);
        self.values.insert(fact, value);
        self
    }

    /// Narrows an undetermined fact to these values; one value alone determines it.
    pub fn set_possible(&mut self, fact: Fact, values: IntervalSet) -> &mut Self {
        if let Some(value) = values.single() {
            return self.set(fact, value);
        }
        self.values.remove(&fact);
        self.possible.insert(fact, values);
        self
    }

    /// Every value the fact may have: one when determined, else those it was narrowed to, else its whole domain.
    pub fn possible(&self, fact: &Fact) -> IntervalSet {
        match self.get(fact) {
            Some(value) => IntervalSet::point(value),
            None => self.possible.get(fact).cloned().unwrap_or_else(|| fact.domain()),
        }
    }

    /// Records a fact when there is a value, else leaves it undetermined.
    pub fn set_opt(&mut self, fact: Fact, value: Option<i64>) -> &mut Self {
        match value {
            Some(v) => self.set(fact, v),
            None => self.forget(&fact),
        }
    }

    /// Makes a fact undetermined.
    pub fn forget(&mut self, fact: &Fact) -> &mut Self {
        self.values.remove(fact);
        self.possible.remove(fact);
        self
    }

    /// Records the order's services; until then every service is undetermined.
    pub fn set_services(&mut self, services: impl IntoIterator<Item = String>) -> &mut Self {
        self.services = Some(services.into_iter().collect());
        self
    }

    /// The value, or `None` when undetermined.
    pub fn get(&self, fact: &Fact) -> Option<i64> {
        match fact {
            Fact::Service(name) => self.services.as_ref().map(|s| i64::from(s.contains(name))),
            fact => self.values.get(fact).copied(),
        }
    }

    /// Every recorded fact but the services, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&Fact, i64)> {
        self.values.iter().map(|(f, v)| (f, *v))
    }
}
