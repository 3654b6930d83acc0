//! PRA: the canonical Chinese text of a proposed decision, as the second pass reads it. P is the problem (order, claim,
//! dialogue, evidence), R what the nodes found, A the remedy. A pure function of the case, the findings and the rules.
//! Before P stands the rule that was applied, the same text for all cases under it, so that a reader may keep what it made
//! of it: [`shared`] says where it ends.
//!
//! One section a line, opened by a marker in ASCII brackets. Words of the parties are data: they pass through
//! [`sanitise`], so that no marker, no line break and nothing invisible can be written by
//! them. Probabilities are told in coarse steps. The text never exceeds the characters its reader takes; what is left
//! out first is fixed, see `budget.rs`.
//!
//! Change a word, the order or a limit and it is another [`FORMAT`]: models are trained on it and certificates bind it.

mod answer;
mod budget;
mod problem;
mod reasoning;
mod rule;

use sha2::{Digest, Sha256};

use super::facts::sop_in;
use super::remedy::facts;
use super::text::seen;
use super::{Findings, NodeError};
use crate::case::{Case, Party};
use crate::judge::text::sanitise;
use crate::judge::{LEAST_CHARACTERS, Probability};
use crate::sop::RuleBook;

/// Version of the text.
pub const FORMAT: &str = "pra/4";
/// The fewest characters that a text may be limited to.
pub const LEAST: usize = LEAST_CHARACTERS;
/// The markers that open sections, in the order of the text. A reader's verdict follows the last one.
pub const MARKERS: [&str; 17] = [
    "[条款]", "[P]", "[订单]", "[诉求]", "[买家]", "[商家]", "[物流]", "[材料]", "[R]", "[识别]", "[规则]", "[时效]",
    "[证据]", "[举证]", "[度量]", "[决策]", "[A]",
];
/// Opens P: what stands before it is shared.
const PROBLEM: &str = "[P]";
/// Closes the text: what comes next is the verdict.
pub const ASK: &str = "[判]";
/// The steps in which probabilities are told: the mark, and the least probability of it in millionths, from high to low.
pub const STEPS: [(&str, u32); 14] = [
    ("[≥99.99%]", 999_900),
    ("[≥99.97%]", 999_700),
    ("[≥99.9%]", 999_000),
    ("[≥99.7%]", 997_000),
    ("[≥99.4%]", 994_000),
    ("[≥99%]", 990_000),
    ("[≥98%]", 980_000),
    ("[≥96%]", 960_000),
    ("[≥93%]", 930_000),
    ("[≥88%]", 880_000),
    ("[≥80%]", 800_000),
    ("[≥65%]", 650_000),
    ("[≥50%]", 500_000),
    ("[<50%]", 0),
];

/// A rendered decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pra {
    /// The text, ending with [`ASK`].
    pub text: String,
    /// Characters that the budget left out.
    pub dropped: usize,
}

impl Pra {
    /// Lower-case hex SHA-256 of the format's name and the text.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::new().chain_update(FORMAT).chain_update("\n").chain_update(&self.text).finalize())
    }
}

/// Renders what the nodes found of a case in at most `limit` characters ([`LEAST`] or more). All nodes up to the remedy
/// must have run.
pub fn render(case: &Case, findings: &Findings, book: &RuleBook, limit: usize) -> Result<Pra, NodeError> {
    let found = facts(case, findings, false)?;
    let mut parts = rule::parts(sop_in(findings, book)?, book);
    parts.extend(problem::parts(case, findings, book)?);
    parts.extend(reasoning::parts(case, findings, &found, book)?);
    parts.push(answer::part(findings, &found, book)?);
    Ok(budget::fit(parts, limit.max(LEAST)))
}

/// Bytes at the beginning of a text that are the same for every case under one rule.
pub fn shared(text: &str) -> usize {
    text.find(PROBLEM).unwrap_or(0)
}

/// Where a part stands when the text is too long; see `budget.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// An event of the carrier.
    Logistics,
    /// A message that cannot be the first report, for it is the seller's or comes after it; the number is its distance.
    Aside(usize),
    /// Another message; the number is its distance from the first report.
    Message(usize),
    /// The buyer's statement.
    Statement,
    /// What an item of evidence shows.
    Content,
    /// A finding on an item of evidence that is certain; never cut.
    SureItem,
    /// A finding on an item of evidence that is doubtful; never cut.
    Item,
    /// Never left out.
    Kept,
}

/// One line of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    worth: Worth,
    text: String,
}

impl Part {
    fn new(worth: Worth, text: String) -> Part {
        Part { worth, text }
    }
}

/// Words of a party, or of another open set, as data: safe, and cut to so many characters.
fn data(text: &str, limit: usize) -> String {
    let safe = sanitise(&seen(text)).into_owned();
    match safe.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", safe[..end].trim_end()),
        None => safe,
    }
}

/// The step a probability falls in.
fn step(p: Probability) -> &'static str {
    STEPS.iter().find(|(_, least)| p.millionths() >= *least).map_or("[<50%]", |(mark, _)| mark)
}

fn party(party: Party) -> &'static str {
    match party {
        Party::Buyer => "买家",
        Party::Seller => "商家",
    }
}

/// Days and hours from one time to a later one, rounded down: `3天4时`; `前` when it is earlier.
fn span(seconds: i64) -> String {
    let (sign, hours) = (if seconds < 0 { "前" } else { "" }, seconds.unsigned_abs() / 3600);
    if hours < 24 { format!("{sign}{hours}时") } else { format!("{sign}{}天{}时", hours / 24, hours % 24) }
}
