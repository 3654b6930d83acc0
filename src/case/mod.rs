//! The validated case file: what a ticket says once it has been read.
//!
//! [`Case::parse`] is the only way in. What comes out of it needs no further checks: times carry their offset, money is
//! integer fen, ids are not empty. Nothing here looks at a rule, a model, a clock or a database.

mod error;
mod hash;
mod ids;
mod json;
mod money;
mod parse;
mod path;
mod reader;
mod rule;
mod time;

#[cfg(test)]
mod properties;

pub use error::{CaseError, CaseErrors};
pub use hash::CaseHash;
pub use ids::{EvidenceId, OrderId, TicketId, Waybill};
pub use money::{Currency, Fen};
pub use rule::{Expected, Rule};
pub use time::Timestamp;

use serde::{Deserialize, Serialize};

/// The largest ticket, in bytes, as received and in canonical form.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The most messages in a dialogue.
pub const MAX_MESSAGES: usize = 400;
/// The most items of evidence.
pub const MAX_EVIDENCE: usize = 100;
/// The longest text, in Unicode characters.
pub const MAX_TEXT_CHARS: usize = 20_000;
/// The longest id, kind or service name, in Unicode characters.
pub const MAX_ID_CHARS: usize = 64;
/// The most of one item that an order may hold.
pub const MAX_QUANTITY: u32 = 1_000_000;
/// How deep the lists and objects of a ticket may nest.
pub const MAX_DEPTH: usize = 64;
/// The most errors reported for one ticket.
pub const MAX_ERRORS: usize = 20;

/// One dispute as the platform handed it over.
///
/// Two cases are equal when their contents are: the hash covers the whole input, also the fields that are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The platform's id of the dispute.
    pub ticket_id: TicketId,
    /// When the platform stepped in; the evidence periods run from here.
    pub opened_at: Timestamp,
    /// What was bought.
    pub order: Order,
    /// The parcel sent back, if there is one (`return` in the input).
    pub returned: Option<Return>,
    /// What the buyer asks for.
    pub claim: Claim,
    /// The messages between the parties, in input order.
    pub dialogue: Vec<Message>,
    /// What the parties submitted, in input order; the ids are unique.
    pub evidence: Vec<Evidence>,
    /// The carrier's events, in input order.
    pub logistics: Vec<LogisticsEvent>,
    subject: String,
    hash: CaseHash,
    canonical: Box<[u8]>,
}

/// The order in dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The platform's id of the order.
    pub order_id: OrderId,
    /// When the buyer paid.
    pub paid_at: Timestamp,
    /// The promised time of shipment.
    pub ship_by: Option<Timestamp>,
    /// When it was shipped; absent when it never was.
    pub shipped_at: Option<Timestamp>,
    /// When it was signed for; absent when it never was.
    pub signed_at: Option<Timestamp>,
    /// The carrier's number of the parcel.
    pub waybill: Option<Waybill>,
    /// What the buyer paid, freight included.
    pub total: Fen,
    /// The freight in `total`; never more than it.
    pub freight: Fen,
    /// The deposit of a presale.
    pub deposit: Option<Fen>,
    /// The currency of all amounts of the case.
    pub currency: Currency,
    /// The promises shown on the order, such as `fake_pay_three`.
    pub services: Vec<String>,
    /// What was bought; at least one.
    pub items: Vec<Item>,
    /// Who sold it.
    pub seller: Seller,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The listing's title.
    pub title: String,
    /// The variant bought.
    pub spec: Option<String>,
    /// How many: 1 to [`MAX_QUANTITY`].
    pub quantity: u32,
    /// The price of one.
    pub unit_price: Fen,
}

/// The merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seller {
    /// The shop's name.
    pub name: String,
}

/// The parcel that the buyer sent back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Return {
    /// The carrier's number of the parcel.
    pub waybill: Option<Waybill>,
    /// When the merchant signed for it.
    pub signed_at: Option<Timestamp>,
}

/// What the buyer asks for and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// When the claim was filed.
    pub filed_at: Timestamp,
    /// The remedy asked for; an open set of ids.
    pub kind: String,
    /// The reason picked, often the wrong one.
    pub reason: String,
    /// The buyer's own words.
    pub statement: String,
}

/// One message of the dialogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// When it was sent.
    pub at: Timestamp,
    /// Who sent it.
    pub from: Party,
    /// What it says.
    pub text: String,
}

/// One thing submitted as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Its id, unique in the case.
    pub evidence_id: EvidenceId,
    /// Who submitted it.
    pub party: Party,
    /// What it is; an open set of ids.
    pub kind: String,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// What OCR and captioning made of the file.
    pub content: String,
}

/// One event of the carrier's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogisticsEvent {
    /// When it happened.
    pub at: Timestamp,
    /// The carrier's status word; an open set.
    pub status: String,
    /// The carrier's remark.
    pub detail: String,
}

/// A side of the dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// Who bought.
    Buyer,
    /// Who sold.
    Seller,
}

impl Party {
    /// The name used in files: `buyer` or `seller`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Party::Buyer => "buyer",
            Party::Seller => "seller",
        }
    }
}

impl std::str::FromStr for Party {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Self, Rule> {
        [Party::Buyer, Party::Seller].into_iter().find(|party| party.as_str() == text).ok_or(Rule::UnknownParty)
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Case {
    /// Reads one ticket: a JSON object in UTF-8.
    ///
    /// Fields it does not know are kept in the canonical form and hashed, never refused. An optional field may be absent
    /// or null. Ids are trimmed.
    ///
    /// # Errors
    /// At most [`MAX_ERRORS`] errors, in document order. Text that is not JSON, or that names a key twice, is reported
    /// before any field is looked at.
    pub fn parse(bytes: &[u8]) -> Result<Case, CaseErrors> {
        parse::case(bytes)
    }

    /// Whose personal data this is: the text field `buyer_id` if the ticket carries a usable one, else `order:` and the
    /// order's id.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The subject that an input speaks of which is no case, as far as it can be read.
    pub fn subject_of(bytes: &[u8]) -> Option<String> {
        parse::subject(&serde_json::from_slice(bytes).ok()?)
    }

    /// The SHA-256 of [`Case::canonical`].
    pub fn hash(&self) -> CaseHash {
        self.hash
    }

    /// The whole input in canonical form (RFC 8785), unknown fields included. Parsing it again gives an equal case.
    ///
    /// As RFC 8785 has it, a number is a double: digits of an unknown field's number beyond 2^53 are rounded away.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }
}

impl Order {
    /// What was paid for the goods: the total less the freight.
    pub fn goods_total(&self) -> Fen {
        self.total.saturating_sub(self.freight)
    }
}

impl Case {
    /// What was paid for the goods: the total less the freight.
    pub fn goods_total(&self) -> Fen {
        self.order.goods_total()
    }

    /// Whether the order carries a promise, such as `fake_pay_three`.
    pub fn has_service(&self, service: &str) -> bool {
        self.order.services.iter().any(|s| s == service)
    }
}
