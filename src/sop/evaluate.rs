//! Reading a remedy off an SOP: the row hit, its amounts, and what would have changed it.

use super::duration::IntervalSet;
use super::expr::EvalError;
use super::facts::{Fact, Facts};
use super::rulebook::{FreightBy, Outcome, Sop};

/// What the table says about a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// One row holds, whatever is still undetermined.
    Decided(Remedy),
    /// It depends on facts that are not known.
    Undetermined {
        /// Rows (0-based) that could hold.
        rows: Vec<usize>,
        /// The facts it depends on.
        missing: Vec<Fact>,
    },
    /// An amount did not fit 64 bits.
    Overflow {
        /// The row (0-based).
        row: usize,
    },
}

/// What a row orders for a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The row (0-based).
    pub row: usize,
    /// Remedy id.
    pub kind: String,
    /// Fen.
    pub refund: i64,
    /// Fen.
    pub compensation: i64,
    /// Who pays freight.
    pub freight_by: FreightBy,
    /// Whether the goods go back.
    pub return_goods: bool,
    /// Seconds for performance.
    pub within: i64,
}

/// The nearest change of one fact that would lead to another remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flip {
    /// The fact.
    pub fact: Fact,
    /// Its value in the case.
    pub from: i64,
    /// The nearest value with another remedy.
    pub to: i64,
    /// The row it would lead to (0-based).
    pub row: usize,
}

impl Sop {
    /// The facts as one set of possible values a column.
    fn point(&self, facts: &Facts) -> Vec<IntervalSet> {
        self.columns.iter().map(|c| facts.possible(c)).collect()
    }

    /// Decides a case from its facts. Pure; `tiers` are the pack's refund tiers.
    pub fn rule(&self, facts: &Facts, tiers: &[i64]) -> Ruling {
        let rows = self.table.possible_rows(&self.point(facts));
        match rows.as_slice() {
            [row] => self.amounts(*row, facts, tiers),
            // The table is proved complete, so no row at all means that a fact lies outside its domain.
            _ => {
                let missing = self.columns.iter().filter(|c| facts.get(c).is_none()).cloned().collect();
                Ruling::Undetermined { rows, missing }
            }
        }
    }

    fn amounts(&self, row: usize, facts: &Facts, tiers: &[i64]) -> Ruling {
        let Outcome { remedy, refund, compensation, freight_by, return_goods, within } = &self.rows[row].outcome;
        match (refund.eval(facts, tiers), compensation.eval(facts, tiers)) {
            (Ok(refund), Ok(compensation)) => Ruling::Decided(Remedy {
                row,
                kind: remedy.clone(),
                refund,
                compensation,
                freight_by: *freight_by,
                return_goods: *return_goods,
                within: *within,
            }),
            (Err(EvalError::Overflow), _) | (_, Err(EvalError::Overflow)) => Ruling::Overflow { row },
            (a, b) => {
                let missing = [a, b]
                    .into_iter()
                    .filter_map(|r| match r {
                        Err(EvalError::Undetermined(fact)) => Some(fact),
                        _ => None,
                    })
                    .collect();
                Ruling::Undetermined { rows: vec![row], missing }
            }
        }
    }

    /// For each known column, the nearest other value that would order something else.
    pub fn flips(&self, facts: &Facts, row: usize) -> Vec<Flip> {
        let mut point = self.point(facts);
        let mut out = Vec::new();
        for (i, fact) in self.columns.iter().enumerate() {
            let Some(from) = facts.get(fact) else { continue };
            let mut best: Option<Flip> = None;
            for to in self.candidates(i, from, fact) {
                point[i] = IntervalSet::point(to);
                if let [other] = self.table.possible_rows(&point).as_slice()
                    && self.rows[*other].outcome != self.rows[row].outcome
                    && best.as_ref().is_none_or(|b| to.abs_diff(from) < b.to.abs_diff(from))
                {
                    best = Some(Flip { fact: fact.clone(), from, to, row: *other });
                }
            }
            point[i] = IntervalSet::point(from);
            out.extend(best);
        }
        out
    }

    /// The ends of the column's cells nearest to `from`: between two ends nothing changes.
    fn candidates(&self, column: usize, from: i64, fact: &Fact) -> Vec<i64> {
        let domain = fact.domain();
        let mut out: Vec<i64> = self
            .table
            .rows
            .iter()
            .flat_map(|r| r[column].ranges())
            .flat_map(|&(lo, hi)| [lo, hi])
            .filter(|v| *v != from && *v != i64::MIN && *v != i64::MAX && domain.contains(*v))
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }
}
