//! The rule, before all that is said of the case: its clock, what it asks of the parties, and every row of its table. The
//! words of its clauses are for people; what they order stands in the rows.

use super::reasoning::{anchor, asked, formula};
use super::{Part, Worth, data, span};
use crate::sop::{Requirement, RuleBook, Sop};

/// The most characters of a rule; rows that do not fit are left out, the last ones first.
const MOST: usize = 340;

/// The lines of the rule that was applied.
pub(super) fn parts(sop: Option<&Sop>, book: &RuleBook) -> Vec<Part> {
    let line = |text: String| Part::new(Worth::Kept, format!("[条款]{text}"));
    let Some(sop) = sop else { return vec![line("无适用规则".to_owned())] };
    let clock = format!("；自{}限{}", anchor(sop.clock.from), span(sop.clock.within));
    let mut parts = vec![line(data(&sop.title.zh, 24) + &clock)];
    for (party, asked) in [("买家", &sop.buyer), ("商家", &sop.seller)] {
        if !asked.is_empty() {
            let texts: Vec<String> = asked.iter().take(4).map(|r: &Requirement| data(&r.text.zh, 24)).collect();
            parts.push(line(format!("{party}：{}", texts.join("；"))));
        }
    }
    let size = |part: &Part| part.text.chars().count() + 1;
    let mut room = MOST.saturating_sub(parts.iter().map(size).sum());
    for (place, (cells, row)) in sop.table.rows.iter().zip(&sop.rows).enumerate() {
        let asked: Vec<String> = sop.columns.iter().zip(cells).filter_map(|(fact, set)| asked(fact, set)).collect();
        let mut text = format!("{} {}：{}", place + 1, asked.join("，"), data(&book.term(&row.outcome.remedy).zh, 24));
        for (name, amount) in [("退款", &row.outcome.refund), ("赔付", &row.outcome.compensation)] {
            let amount = formula(&amount.canonical());
            if amount != "0" {
                text += &format!(" {name}按{amount}");
            }
        }
        let part = line(data(&text, 120));
        match room.checked_sub(size(&part)) {
            Some(left) => room = left,
            None => break,
        }
        parts.push(part);
    }
    parts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn told(parts: &[Part]) -> (usize, usize) {
        let row = |p: &&Part| p.text.trim_start_matches("[条款]").starts_with(|c: char| c.is_ascii_digit());
        let rows: Vec<&Part> = parts.iter().filter(row).collect();
        assert!(rows.iter().all(|row| !row.text.contains('…')), "{rows:?}");
        (rows.len(), parts.iter().map(|p| p.text.chars().count() + 1).sum())
    }

    #[test]
    fn every_row_of_every_rule_is_told_whole() {
        let book = crate::sop::load(std::path::Path::new("sop_rules/demo")).unwrap();
        for sop in &book.sops {
            let (rows, long) = told(&parts(Some(sop), &book));
            assert_eq!(rows, sop.rows.len(), "{}", sop.id);
            assert!(long <= MOST, "{}: {long}", sop.id);
        }
        // One with many rows keeps to its room.
        let mut sop = book.sops[0].clone();
        for _ in 0..3 {
            sop.table.rows.extend_from_within(..);
            sop.rows.extend_from_within(..);
        }
        let (rows, long) = told(&parts(Some(&sop), &book));
        assert!(rows > book.sops[0].rows.len() && rows < sop.rows.len() && long <= MOST, "{rows} rows, {long}");
    }
}
