//! Decision tables as boxes of interval sets, and the proof that a table is complete and unambiguous.
//!
//! A table is a list of rows over named columns; a cell is a set of allowed values. With hit policy
//! UNIQUE every combination of values must lie in exactly one row. Because each column is a finite
//! union of integer ranges, gaps, overlaps and unreachable rows are decidable; nothing is sampled.

use std::collections::HashMap;

use super::duration::IntervalSet;

/// A column: its name and every value it can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The fact's name.
    pub name: String,
    /// All values the fact can take.
    pub domain: IntervalSet,
}

/// A table of rows, each one cell a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The columns, in a fixed order.
    pub columns: Vec<Column>,
    /// The rows, each with one set a column.
    pub rows: Vec<Vec<IntervalSet>>,
}

/// A box of values, one set a column: any point in it is a counter-example.
pub type Witness = Vec<IntervalSet>;

/// What is wrong with a table; empty lists mean that it is proved sound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Analysis {
    /// Combinations no row covers.
    pub gaps: Vec<Witness>,
    /// Pairs of rows that share combinations.
    pub overlaps: Vec<(usize, usize, Witness)>,
    /// Rows that cover nothing the rows before them leave.
    pub unreachable: Vec<usize>,
}

impl Analysis {
    /// True when every combination lies in exactly one row and every row is used.
    pub fn is_sound(&self) -> bool {
        self.gaps.is_empty() && self.overlaps.is_empty() && self.unreachable.is_empty()
    }
}

/// At most this many gaps are listed: each names a region, and an editor mends one at a time.
const MAX_GAPS: usize = 8;

impl Table {
    /// Proves the table, or lists what is wrong with it.
    pub fn analyse(&self) -> Analysis {
        let domain: Witness = self.columns.iter().map(|c| c.domain.clone()).collect();
        let rows: Vec<Witness> = self.rows.iter().map(|r| intersect(r, &domain)).collect();
        let live: Vec<usize> = (0..rows.len()).filter(|&i| !rows[i].iter().any(IntervalSet::is_empty)).collect();

        let mut gaps = Vec::new();
        Cover { rows: &rows, domain: &domain, memo: HashMap::new(), gaps: &mut gaps }.walk(
            0,
            live.clone(),
            &mut Vec::new(),
        );

        let mut overlaps = Vec::new();
        for (n, &a) in live.iter().enumerate() {
            for &b in &live[n + 1..] {
                let shared = intersect(&rows[a], &rows[b]);
                if !shared.iter().any(IntervalSet::is_empty) {
                    overlaps.push((a, b, shared));
                }
            }
        }

        let unreachable = (0..rows.len())
            .filter(|&i| {
                if !live.contains(&i) {
                    return true;
                }
                let before: Vec<usize> = live.iter().copied().filter(|&j| j < i).collect();
                let mut left = Vec::new();
                Cover { rows: &rows, domain: &rows[i], memo: HashMap::new(), gaps: &mut left }.walk(
                    0,
                    before,
                    &mut Vec::new(),
                );
                left.is_empty()
            })
            .collect();
        Analysis { gaps, overlaps, unreachable }
    }

    /// The rows that share a value with `point` in every column: with known facts the row hit,
    /// with undetermined facts every row that could be hit. Allocates once.
    pub fn possible_rows(&self, point: &[IntervalSet]) -> Vec<usize> {
        self.rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.iter().zip(point).all(|(cell, value)| cell.meets(value)))
            .map(|(i, _)| i)
            .collect()
    }
}

fn intersect(a: &[IntervalSet], b: &[IntervalSet]) -> Witness {
    a.iter().zip(b).map(|(x, y)| x.intersect(y)).collect()
}

/// Walks the columns left to right, keeping the rows that are still alive in the current slice.
struct Cover<'a> {
    rows: &'a [Witness],
    domain: &'a [IntervalSet],
    memo: HashMap<(usize, Vec<usize>), bool>,
    gaps: &'a mut Vec<Witness>,
}

impl Cover<'_> {
    /// True when `rows` cover every combination of the columns from `column` on.
    fn walk(&mut self, column: usize, rows: Vec<usize>, prefix: &mut Witness) -> bool {
        if self.gaps.len() >= MAX_GAPS {
            return false;
        }
        if rows.is_empty() {
            let mut gap = prefix.clone();
            gap.extend_from_slice(&self.domain[column..]);
            self.gaps.push(gap);
            return false;
        }
        if column == self.domain.len() {
            return true;
        }
        // A slice already proved covered need not be walked again; one with a gap is, for its own witness.
        if self.memo.get(&(column, rows.clone())) == Some(&true) {
            return true;
        }
        let mut slices: Vec<(Vec<usize>, IntervalSet)> = Vec::new();
        for (lo, hi) in self.segments(column, &rows) {
            let alive: Vec<usize> = rows.iter().copied().filter(|&r| self.rows[r][column].contains(lo)).collect();
            match slices.iter_mut().find(|(rows, _)| *rows == alive) {
                Some((_, set)) => *set = set.union(&IntervalSet::range(lo, hi)),
                None => slices.push((alive, IntervalSet::range(lo, hi))),
            }
        }
        let mut covered = true;
        for (alive, set) in slices {
            prefix.push(set);
            covered &= self.walk(column + 1, alive, prefix);
            prefix.pop();
        }
        self.memo.insert((column, rows), covered);
        covered
    }

    /// The column's domain cut at every boundary of the given rows: constant membership within a segment.
    fn segments(&self, column: usize, rows: &[usize]) -> Vec<(i64, i64)> {
        let mut cuts: Vec<i64> = Vec::new(); // a cut at c separates c-1 from c
        for &r in rows {
            for &(lo, hi) in self.rows[r][column].ranges() {
                cuts.push(lo);
                if hi < i64::MAX {
                    cuts.push(hi + 1);
                }
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        let mut out = Vec::new();
        for &(lo, hi) in self.domain[column].ranges() {
            let mut start = lo;
            for &cut in cuts.iter().filter(|&&c| c > lo && c <= hi) {
                out.push((start, cut - 1));
                start = cut;
            }
            out.push((start, hi));
        }
        out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(domains: &[(i64, i64)], rows: Vec<Vec<IntervalSet>>) -> Table {
        let columns = domains
            .iter()
            .enumerate()
            .map(|(i, &(lo, hi))| Column { name: format!("c{i}"), domain: IntervalSet::range(lo, hi) })
            .collect();
        Table { columns, rows }
    }

    #[test]
    fn a_sound_table_is_proved() {
        let r = IntervalSet::range;
        let t = table(&[(0, 1), (0, 2)], vec![vec![r(0, 0), r(0, 2)], vec![r(1, 1), r(0, 1)], vec![r(1, 1), r(2, 2)]]);
        assert!(t.analyse().is_sound());
    }

    #[test]
    fn names_the_gap_the_overlap_and_the_dead_row() {
        let r = IntervalSet::range;
        let t = table(&[(0, 1), (0, 2)], vec![vec![r(0, 0), r(0, 2)], vec![r(0, 1), r(0, 1)], vec![r(0, 0), r(1, 1)]]);
        let a = t.analyse();
        assert_eq!(a.gaps, vec![vec![r(1, 1), r(2, 2)]]);
        assert_eq!(a.overlaps.iter().map(|o| (o.0, o.1)).collect::<Vec<_>>(), vec![(0, 1), (0, 2), (1, 2)]);
        assert_eq!(a.unreachable, vec![2]);
    }

    fn tables() -> impl Strategy<Value = Table> {
        let cell = prop::collection::vec((0i64..4, 0i64..3), 1..3)
            .prop_map(|v| IntervalSet::from_ranges(v.into_iter().map(|(lo, n)| (lo, (lo + n).min(3)))));
        let row = prop::collection::vec(cell, 3);
        prop::collection::vec(row, 1..6).prop_map(|rows| table(&[(0, 3), (0, 3), (0, 3)], rows))
    }

    proptest! {
        /// The proof agrees with trying every combination.
        #[test]
        fn agrees_with_enumeration(t in tables()) {
            let a = t.analyse();
            let hits = |x: i64, y: i64, z: i64| -> Vec<usize> {
                let p = [IntervalSet::point(x), IntervalSet::point(y), IntervalSet::point(z)];
                t.possible_rows(&p)
            };
            let mut gap = false;
            let mut pairs = std::collections::BTreeSet::new();
            let mut first = std::collections::BTreeSet::<usize>::new();
            for x in 0..4 { for y in 0..4 { for z in 0..4 {
                let h = hits(x, y, z);
                gap |= h.is_empty();
                first.extend(h.first());
                for i in 0..h.len() { for j in i + 1..h.len() { pairs.insert((h[i], h[j])); } }
            }}}
            prop_assert_eq!(gap, !a.gaps.is_empty());
            let got: std::collections::BTreeSet<_> = a.overlaps.iter().map(|o| (o.0, o.1)).collect();
            prop_assert_eq!(got, pairs);
            let dead: Vec<usize> = (0..t.rows.len()).filter(|i| !first.contains(i)).collect();
            prop_assert_eq!(a.unreachable, dead);
            for w in &a.gaps {
                let p: Vec<i64> = w.iter().map(|s| s.first().unwrap()).collect();
                prop_assert!(hits(p[0], p[1], p[2]).is_empty());
            }
        }
    }
}
