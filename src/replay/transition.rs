//! What many decisions would have become: outcomes, remedies and money before and after, and the nodes that flipped.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::diverge::{Divergence, paid};

/// One decision before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// `auto` or `review`.
    pub outcome: [String; 2],
    /// Remedy ids.
    pub remedy: [String; 2],
    /// Id and version of the SOP.
    pub sop: [String; 2],
    /// Row of the SOP's table; absent when none was read.
    pub row: [Option<u64>; 2],
    /// Refund and compensation together, in fen.
    pub fen: [i64; 2],
}

impl Change {
    /// From the JSON of two decisions.
    pub fn between(recorded: &Value, now: &Value) -> Self {
        let text = |d: &Value, path: &str| d.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
        let sop = |d: &Value| match d.pointer("/sop/version").and_then(Value::as_u64) {
            Some(version) => format!("{} v{version}", text(d, "/sop/id")),
            None => "-".to_owned(),
        };
        let row = |d: &Value| d.pointer("/remedy/row").and_then(Value::as_u64);
        let both = [recorded, now];
        Self {
            outcome: both.map(|d| text(d, "/outcome")),
            remedy: both.map(|d| text(d, "/remedy/kind")),
            sop: both.map(sop),
            row: both.map(row),
            fen: both.map(paid),
        }
    }

    /// True when somebody would notice: another outcome, remedy or sum.
    pub fn matters(&self) -> bool {
        let differ = |pair: &[String; 2]| pair[0] != pair[1];
        differ(&self.outcome) || differ(&self.remedy) || self.fen[0] != self.fen[1]
    }
}

/// How many went from one value to another, and what they paid before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Decisions.
    pub cases: u64,
    /// Fen paid before.
    pub fen_before: i64,
    /// Fen paid after.
    pub fen_after: i64,
}

/// Transitions of one property, by before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matrix(BTreeMap<(String, String), Cell>);

impl Matrix {
    fn add(&mut self, pair: &[String; 2], fen: [i64; 2]) {
        let cell = self.0.entry((pair[0].clone(), pair[1].clone())).or_default();
        cell.cases += 1;
        cell.fen_before = cell.fen_before.saturating_add(fen[0]);
        cell.fen_after = cell.fen_after.saturating_add(fen[1]);
    }

    /// Every transition that occurred, ordered by before and after.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &str, &Cell)> {
        self.0.iter().map(|((from, to), cell)| (from.as_str(), to.as_str(), cell))
    }
}

impl Serialize for Matrix {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            from: &'a str,
            to: &'a str,
            #[serde(flatten)]
            cell: &'a Cell,
        }
        s.collect_seq(self.cells().map(|(from, to, cell)| Line { from, to, cell }))
    }
}

/// Sums over many decisions. Its size does not depend on how many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Transitions {
    /// Decisions compared.
    pub cases: u64,
    /// Those with another outcome, remedy or sum.
    pub changed: u64,
    /// `auto` and `review`.
    pub outcomes: Matrix,
    /// Remedies.
    pub remedies: Matrix,
    /// How many parted at which node first.
    pub nodes: BTreeMap<String, u64>,
    /// How many parted for which cause.
    pub causes: BTreeMap<&'static str, u64>,
}

impl Transitions {
    /// Counts one more.
    pub fn add(&mut self, change: &Change, divergence: Option<&Divergence>) {
        self.cases += 1;
        self.changed += u64::from(change.matters());
        self.outcomes.add(&change.outcome, change.fen);
        self.remedies.add(&change.remedy, change.fen);
        if let Some(divergence) = divergence {
            *self.nodes.entry(divergence.node.clone()).or_default() += 1;
            *self.causes.entry(divergence.cause.as_str()).or_default() += 1;
        }
    }

    /// Fen paid before and after, over all.
    pub fn fen(&self) -> [i64; 2] {
        let sum = |pick: fn(&Cell) -> i64| self.remedies.0.values().map(pick).fold(0, i64::saturating_add);
        [sum(|c| c.fen_before), sum(|c| c.fen_after)]
    }
}
