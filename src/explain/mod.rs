//! Why a recorded decision came out as it did, for the people it concerns: one document, shown as text, JSON, a web page
//! or a PDF.
//!
//! Built from the recorded decision and the rule book it pins, nothing else: what was not recorded is not said.

mod build;
mod html;
mod pdf;
mod text;
mod words;

use serde::Serialize;

use crate::lang::Lang;

pub use build::{Proof, Recorded, explain};
pub use html::html;
pub use pdf::pdf;
pub use text::text;

/// An explanation in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Version of this form.
    pub format: &'static str,
    /// The language.
    #[serde(serialize_with = "as_text")]
    pub lang: Lang,
    /// The decision.
    pub decision_id: String,
    /// The ticket.
    pub ticket_id: String,
    /// The title.
    pub title: String,
    /// Its parts, in reading order.
    pub sections: Vec<Section>,
}

fn as_text<S: serde::Serializer>(lang: &Lang, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(lang.as_str())
}

/// A part of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// A stable name: `outcome`, `findings`, `clauses`, `evidence`, `row`, `flips`, `reasons`, `rights`, `proof`, `pins`.
    pub id: &'static str,
    /// Its heading.
    pub heading: String,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A list of items.
    List(Vec<String>),
    /// Names with their values.
    Pairs(Vec<(String, String)>),
    /// A table: its column heads, then its rows.
    Table {
        /// Column heads.
        head: Vec<String>,
        /// Rows, as wide as the head.
        rows: Vec<Vec<String>>,
    },
}
