//! Where two versions of a decision table order something else: the regions of facts, exactly, not by examples.

use std::collections::BTreeMap;

use serde::Serialize;

use super::duration::IntervalSet;
use super::facts::Fact;
use super::rulebook::Sop;

/// A region of facts for which two tables have another row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Region {
    /// The facts that bound it, as a pack writes them; a fact that is not named may have any value.
    pub when: BTreeMap<String, String>,
    /// The rows, from 1: before and after.
    pub rows: [usize; 2],
    /// The remedies: before and after.
    pub remedies: [String; 2],
}

/// Regions listed of one table at most: an editor who changes more reads the table itself.
pub const MAX_REGIONS: usize = 100;

/// Every region in which the rows differ, at most [`MAX_REGIONS`]. Rows of a proved table share nothing and leave nothing
/// out, so that the regions do not overlap and what is in none of them is ordered as before.
pub fn regions(old: &Sop, new: &Sop) -> Vec<Region> {
    let mut facts: Vec<&Fact> = old.columns.iter().collect();
    facts.extend(new.columns.iter().filter(|fact| !old.columns.contains(fact)));
    let boxes = |sop: &Sop| -> Vec<Vec<IntervalSet>> {
        let cell = |row: usize, fact: &Fact| {
            let at = sop.columns.iter().position(|column| column == fact);
            at.and_then(|at| sop.table.rows.get(row)?.get(at)).cloned().unwrap_or_else(|| fact.domain())
        };
        (0..sop.rows.len()).map(|row| facts.iter().map(|fact| cell(row, fact)).collect()).collect()
    };
    let (before, after) = (boxes(old), boxes(new));
    let mut out = Vec::new();
    for (i, (a, was)) in before.iter().zip(&old.rows).enumerate() {
        for (j, (b, now)) in after.iter().zip(&new.rows).enumerate() {
            if was == now {
                continue;
            }
            let shared: Vec<IntervalSet> = a.iter().zip(b).map(|(x, y)| x.intersect(y)).collect();
            if shared.iter().any(IntervalSet::is_empty) {
                continue;
            }
            if out.len() == MAX_REGIONS {
                return out;
            }
            let bounds = facts.iter().zip(&shared).filter(|(fact, set)| **set != fact.domain());
            out.push(Region {
                when: bounds.map(|(fact, set)| (fact.to_string(), fact.format(set))).collect(),
                rows: [i + 1, j + 1],
                remedies: [was.outcome.remedy.clone(), now.outcome.remedy.clone()],
            });
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{compile, diff, read_pack};

    #[test]
    fn a_longer_clock_changes_what_lies_between_both_ends_and_nothing_else() {
        let mut files =
            read_pack(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sop_rules/demo"))).unwrap();
        let old = compile(&files).unwrap();
        let file = files.iter_mut().find(|f| f.name == "fresh_spoiled.produce.yaml").unwrap();
        let text = file.text.replace("within: 48h, stop", "within: 72h, stop");
        assert_ne!(text, file.text);
        file.text = text;
        let new = compile(&files).unwrap_or_else(|e| panic!("{e}"));
        let changes = diff(&old, &new);
        assert_eq!(changes.len(), 1);
        let regions = &changes[0].regions;
        assert!(!regions.is_empty());
        for region in regions {
            assert_eq!(region.when["elapsed"], "(48h, 72h]", "{region:?}");
            assert_ne!(region.rows[0], region.rows[1]);
        }
        assert!(diff(&old, &old).is_empty());
    }
}
