//! What replays and comparisons of packs print for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::lang::Lang;
use crate::replay::{Cause, Change, Divergence, Matrix, Replayed, Status, Transitions};

/// How many came out how.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sums {
    pub(super) cases: u64,
    pub(super) agreed: u64,
    by_status: BTreeMap<Status, u64>,
}

impl Sums {
    pub(super) fn add(&mut self, replayed: &Replayed) {
        self.cases += 1;
        self.agreed += u64::from(replayed.agrees);
        *self.by_status.entry(replayed.status).or_default() += 1;
    }

    pub(super) fn text(&self, lang: Lang) -> String {
        let parts: Vec<String> = self.by_status.iter().map(|(s, n)| format!("{} {n}", status(*s, lang))).collect();
        match lang {
            Lang::Zh => format!("{} 件决定，{} 件相符（{}）", self.cases, self.agreed, parts.join("，")),
            Lang::En => format!("{} decisions, {} agree ({})", self.cases, self.agreed, parts.join(", ")),
        }
    }
}

fn status(status: Status, lang: Lang) -> &'static str {
    match status {
        Status::Whole => lang.pick("完整", "whole"),
        Status::Identical => lang.pick("逐字节相同", "identical"),
        Status::SameFindings => lang.pick("认定相同", "same findings"),
        Status::Diverged => lang.pick("有分歧", "diverged"),
        Status::Damaged => lang.pick("记录受损", "damaged"),
        Status::Unavailable => lang.pick("无法重放", "unavailable"),
    }
}

fn cause(cause: Cause, lang: Lang) -> &'static str {
    match cause {
        Cause::Input => lang.pick("案卷", "input"),
        Cause::Model => lang.pick("模型", "model"),
        Cause::Rule => lang.pick("规则", "rule"),
        Cause::Runtime => lang.pick("运行环境", "runtime"),
        Cause::Code => lang.pick("程序", "code"),
    }
}

/// Fen as yuan.
fn yuan(fen: i64) -> String {
    crate::sop::facts::format_value(crate::sop::facts::Type::Money, fen)
}

/// One record: a line, and more where it does not agree.
pub(super) fn replayed(out: &mut impl Write, r: &Replayed, lang: Lang) -> io::Result<()> {
    writeln!(out, "{}  {}  {}", r.id, r.ticket_id, status(r.status, lang))?;
    for problem in &r.problems {
        writeln!(out, "   {problem}")?;
    }
    if let Some(at) = &r.included {
        let (leaf, size) = (at.leaf, at.size);
        let text = match lang {
            Lang::Zh => format!("收录于 {} 第 {leaf} 片叶，检查点大小 {size}，根 {}", at.log, at.root),
            Lang::En => format!("leaf {leaf} of {}, proved at size {size}, root {}", at.log, at.root),
        };
        writeln!(out, "   {text}")?;
    }
    if let Some(known) = &r.known {
        let part = |zh: &str, en: &str, n: [usize; 2]| format!("{} {}/{}", lang.pick(zh, en), n[0], n[1]);
        let parts = [
            part("消息", "messages", known.messages),
            part("证据", "evidence", known.evidence),
            part("物流", "logistics", known.logistics),
        ];
        let opened = match known.opened {
            true => lang.pick("平台已介入", "the platform had stepped in"),
            false => lang.pick("平台尚未介入", "the platform had not stepped in yet"),
        };
        writeln!(out, "   {}: {}; {opened}", lang.pick("当时所知", "known then"), parts.join(lang.pick("，", ", ")))?;
    }
    if let Some(sop) = &r.in_force {
        writeln!(out, "   {}: {sop}", lang.pick("当时有效的规则", "rule in force then"))?;
    }
    parted(out, r.divergence.as_ref(), r.change.as_ref(), lang)
}

/// Where two decisions part and what that means.
pub(super) fn parted(
    out: &mut impl Write,
    divergence: Option<&Divergence>,
    change: Option<&Change>,
    lang: Lang,
) -> io::Result<()> {
    if let Some(d) = divergence {
        let because = if d.because.is_empty() { String::new() } else { format!(": {}", d.because.join(", ")) };
        writeln!(
            out,
            "   {} {} ({}{because}) {} {} -> {}",
            lang.pick("首个分歧节点", "first parts at"),
            d.node,
            cause(d.cause, lang),
            d.place,
            short(&d.recorded),
            short(&d.now)
        )?;
        if d.score_distance > 0 {
            let distance = f64::from(d.score_distance) / 1e6;
            writeln!(out, "   {}: {distance:.6}", lang.pick("最大概率差", "largest difference of a probability"))?;
        }
    }
    if let (Some(c), true) = (change, divergence.is_some()) {
        let row = |row: Option<u64>| row.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let side =
            |i: usize| format!("{} {} {} {} #{}", c.outcome[i], c.remedy[i], yuan(c.fen[i]), c.sop[i], row(c.row[i]));
        if side(0) == side(1) {
            writeln!(out, "   {}: {}", lang.pick("结果不变", "the result stays"), side(0))?;
        } else {
            writeln!(out, "   {}\n   -> {}", side(0), side(1))?;
        }
    }
    Ok(())
}

/// A value on one line.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Sums over many decisions.
pub(super) fn transitions(out: &mut impl Write, t: &Transitions, lang: Lang) -> io::Result<()> {
    matrix(out, lang.pick("结果", "outcomes"), &t.outcomes, lang)?;
    matrix(out, lang.pick("处理方式", "remedies"), &t.remedies, lang)?;
    let [before, after] = t.fen();
    let delta = after.saturating_sub(before);
    let sign = if delta > 0 { "+" } else { "" };
    writeln!(out, "{}: {} -> {} ({sign}{})", lang.pick("金额", "money"), yuan(before), yuan(after), yuan(delta))?;
    writeln!(out, "{}: {} / {}", lang.pick("结果有变", "changed"), t.changed, t.cases)?;
    for (node, n) in &t.nodes {
        writeln!(out, "   {} {node}: {n}", lang.pick("首个分歧节点", "first parts at"))?;
    }
    for (cause, n) in &t.causes {
        writeln!(out, "   {} {cause}: {n}", lang.pick("原因", "cause"))?;
    }
    Ok(())
}

fn matrix(out: &mut impl Write, name: &str, matrix: &Matrix, lang: Lang) -> io::Result<()> {
    let (cases, paid) = (lang.pick("件数", "cases"), lang.pick("前后金额", "paid before and after"));
    writeln!(out, "{name} ({cases}; {paid})")?;
    for (from, to, cell) in matrix.cells() {
        let (before, after) = (yuan(cell.fen_before), yuan(cell.fen_after));
        writeln!(out, "   {from:<18} -> {to:<18} {:>8} {before:>14} {after:>14}", cell.cases)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn change(outcome: [&str; 2], remedy: [&str; 2], fen: [i64; 2]) -> Change {
        let own = |pair: [&str; 2]| pair.map(str::to_owned);
        Change { outcome: own(outcome), remedy: own(remedy), sop: own(["a v1", "a v1"]), row: [Some(5), Some(1)], fen }
    }

    #[test]
    fn many_decisions_become_two_matrices_and_the_money() {
        let parts = |node: &str, cause| Divergence {
            node: node.to_owned(),
            cause,
            because: Vec::new(),
            place: "/finding/verdict".to_owned(),
            recorded: "in_time".into(),
            now: "expired".into(),
            score_distance: 250_000,
        };
        let mut sums = Transitions::default();
        let rejected = change(["auto", "auto"], ["partial_refund", "reject_claim"], [6_145, 0]);
        let timeliness = parts("timeliness", Cause::Input);
        sums.add(&rejected, Some(&timeliness));
        sums.add(&rejected, Some(&timeliness));
        sums.add(&change(["review", "auto"], ["exchange", "exchange"], [0, 0]), Some(&parts("evidence", Cause::Model)));
        sums.add(&change(["auto", "auto"], ["refund_only", "refund_only"], [4_680, 4_680]), None);
        let mut out = Vec::new();
        parted(&mut out, Some(&timeliness), Some(&rejected), Lang::En).unwrap();
        transitions(&mut out, &sums, Lang::En).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = [
            "   first parts at timeliness (input) /finding/verdict \"in_time\" -> \"expired\"",
            "   largest difference of a probability: 0.250000",
            "   auto partial_refund 61.45 a v1 #5",
            "   -> auto reject_claim 0.00 a v1 #1",
            "outcomes (cases; paid before and after)",
            "   auto               -> auto                      3         169.70          46.80",
            "   review             -> auto                      1           0.00           0.00",
            "remedies (cases; paid before and after)",
            "   exchange           -> exchange                  1           0.00           0.00",
            "   partial_refund     -> reject_claim              2         122.90           0.00",
            "   refund_only        -> refund_only               1          46.80          46.80",
            "money: 169.70 -> 46.80 (-122.90)",
            "changed: 3 / 4",
            "   first parts at evidence: 1",
            "   first parts at timeliness: 2",
            "   cause input: 2",
            "   cause model: 1",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}
