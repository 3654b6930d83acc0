//! The benchmark's gold: what is known to be right about a ticket. Ids and times are kept as they are written, for the
//! scorer compares them as text.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::case::Fen;

/// What is right about one ticket.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Gold {
    /// The ticket.
    pub ticket_id: String,
    /// Scene.
    pub scene: String,
    /// Goods type.
    pub goods_type: String,
    /// The governing SOP.
    pub sop: String,
    /// Where the buyer first states the problem.
    pub first_report: GoldReport,
    /// `in_time` or `expired`.
    pub timeliness: String,
    /// What was proved.
    pub evidence: GoldEvidence,
    /// Quantities that amounts depend on.
    pub quantities: GoldQuantities,
    /// The remedy.
    pub remedy: GoldRemedy,
    /// Whether the parties are about to agree.
    pub settles: bool,
}

/// Where and when the problem was first reported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct GoldReport {
    /// `dialogue` or `claim`.
    pub source: String,
    /// Place in the dialogue, from 0.
    pub index: Option<usize>,
    /// The time as the ticket writes it.
    pub at: String,
}

/// What each party and each item proves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GoldEvidence {
    /// The buyer's verdict.
    pub buyer: String,
    /// The seller's verdict.
    pub seller: String,
    /// Items by evidence id.
    pub items: BTreeMap<String, GoldItem>,
}

/// What one item proves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GoldItem {
    /// The requirement it aims at; none when unrelated.
    pub requirement: Option<String>,
    /// Whether it meets it.
    pub valid: bool,
    /// What is wrong when it does not.
    pub defect: Option<String>,
}

/// Quantities; absent where the SOP asks for none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GoldQuantities {
    /// Share of the goods affected, 0 to 1.
    pub severity_ratio: Option<f64>,
    /// Units missing.
    pub missing_count: Option<u32>,
    /// Sum of receipts.
    pub receipt_amount: Option<Fen>,
    /// Price difference.
    pub price_diff: Option<Fen>,
}

/// The remedy, money in yuan as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct GoldRemedy {
    /// Remedy id.
    pub kind: String,
    /// Yuan.
    pub refund: String,
    /// Yuan.
    pub compensation: String,
    /// `seller`, `buyer` or `none`.
    pub freight_by: String,
    /// Whether the goods go back.
    pub return_goods: bool,
}

/// A gold file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GoldError {
    /// A line is no gold.
    #[error("gold line {line}: {source}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Two lines speak of one ticket.
    #[error("gold line {line}: ticket {ticket} has been given before")]
    Twice {
        /// From 1.
        line: usize,
        /// The ticket.
        ticket: String,
    },
    /// There is none.
    #[error("the gold file is empty")]
    Empty,
}

/// Reads gold, one JSON object a line; empty lines are skipped.
pub fn read_gold(text: &str) -> Result<Vec<Gold>, GoldError> {
    let (mut out, mut seen) = (Vec::<Gold>::new(), BTreeSet::new());
    for (index, json) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line = index + 1;
        let gold: Gold = serde_json::from_str(json).map_err(|source| GoldError::Line { line, source })?;
        if !seen.insert(gold.ticket_id.clone()) {
            return Err(GoldError::Twice { line, ticket: gold.ticket_id });
        }
        out.push(gold);
    }
    if out.is_empty() { Err(GoldError::Empty) } else { Ok(out) }
}
