//! Compiling `decide`: cells to interval sets, outcomes to typed expressions, and the proof of the table.

use std::collections::BTreeSet;

use serde_saphyr::Spanned;

use super::compile::Sink;
use super::compile_words::Words;
use super::diag::Span;
use super::duration::{IntervalSet, Scale, parse_interval};
use super::expr::{self, Expr};
use super::facts::{Fact, Sufficiency, Type};
use super::raw::{Bilingual, Cell, RawRow, RawSop, RawThen};
use super::rulebook::{Anchor, Clock, FreightBy, Outcome, Row};
use super::table::{Column, Table, Witness};

/// Seconds a party has for performance when a row does not say.
const DEFAULT_WITHIN: i64 = 48 * 3600;
/// Seconds a party has to hand in evidence that is asked for.
const EVIDENCE_WITHIN: i64 = 72 * 3600;

pub(super) struct CompiledTable {
    pub(super) columns: Vec<Fact>,
    pub(super) table: Table,
    pub(super) rows: Vec<Row>,
}

pub(super) fn compile_table(
    raw: &RawSop,
    clock: Option<Clock>,
    words: &Words,
    sink: &mut Sink<'_>,
) -> Option<CompiledTable> {
    let before = sink.findings.len();
    let raw_rows = &raw.decide.value;
    if raw_rows.is_empty() {
        sink.key(
            "table.empty",
            "decide",
            &raw.decide,
            "决策表没有任何行".into(),
            "the decision table has no rows".into(),
        );
        return None;
    }
    let columns = columns(raw, words, sink);
    // Cells are still checked where the clock itself is wrong; only the proof needs the true one.
    let any = Clock { from: Anchor::SignedAt, within: 0 };
    let mut boxes = Vec::new();
    let mut rows = Vec::new();
    for row in raw_rows {
        boxes.push(cells(row, &columns, clock.unwrap_or(any), sink));
        if row.cite.is_empty() {
            sink.at("row.cite", &row.then, "每一行都须引用条款".into(), "each row must cite a clause".into());
        }
        if let Some(outcome) = outcome(&row.then, words, sink) {
            rows.push(Row { outcome, cite: row.cite.iter().map(|c| c.value.clone()).collect() });
        }
    }
    let (true, Some(clock)) = (sink.findings.len() == before, clock) else { return None };
    let table = Table {
        columns: columns.iter().map(|f| Column { name: f.to_string(), domain: f.domain() }).collect(),
        rows: boxes,
    };
    prove(&table, &columns, raw, clock, sink);
    (sink.findings.len() == before).then_some(CompiledTable { columns, table, rows })
}

/// The facts that any row asks about, in the schema's order. `timeliness` is read as elapsed time.
fn columns(raw: &RawSop, words: &Words, sink: &mut Sink<'_>) -> Vec<Fact> {
    let mut out = BTreeSet::new();
    for (name, cell) in raw.decide.value.iter().flat_map(|r| &r.when) {
        if name == "timeliness" {
            out.insert(Fact::Elapsed);
            continue;
        }
        match name.parse::<Fact>() {
            Ok(Fact::Service(id)) if !words.services.contains(&id) => {
                sink.key(
                    "cell.service",
                    name,
                    cell,
                    format!("没有名为 `{id}` 的服务"),
                    format!("there is no service `{id}`"),
                );
            }
            Ok(fact @ (Fact::Buyer | Fact::Seller)) => {
                let asked = if fact == Fact::Buyer { &raw.proof.buyer } else { &raw.proof.seller };
                if asked.is_empty() {
                    sink.key(
                        "cell.not_required",
                        name,
                        cell,
                        format!("本 SOP 对 {fact} 没有举证要求，不能作为条件列"),
                        format!("this SOP asks nothing of the {fact}, so it cannot be a column"),
                    );
                }
                out.insert(fact);
            }
            Ok(fact) => {
                out.insert(fact);
            }
            Err(()) => sink.key(
                "cell.fact",
                name,
                cell,
                format!("没有名为 `{name}` 的事实；可用：timeliness、{}", Fact::names().collect::<Vec<_>>().join("、")),
                format!(
                    "there is no fact `{name}`; known are timeliness, {}",
                    Fact::names().collect::<Vec<_>>().join(", ")
                ),
            ),
        }
    }
    out.into_iter().collect()
}

fn cells(row: &RawRow, columns: &[Fact], clock: Clock, sink: &mut Sink<'_>) -> Vec<IntervalSet> {
    columns
        .iter()
        .map(|fact| {
            let mut set = fact.domain();
            if let Some(cell) = row.when.get(&fact.to_string()) {
                set = set.intersect(&read_cell(fact, cell, sink));
            }
            if *fact == Fact::Elapsed
                && let Some(cell) = row.when.get("timeliness")
            {
                set = set.intersect(&read_timeliness(cell, clock, sink));
            }
            set
        })
        .collect()
}

fn read_timeliness(cell: &Spanned<Cell>, clock: Clock, sink: &mut Sink<'_>) -> IntervalSet {
    let one = |text: &str| match text {
        "in_time" => Some(IntervalSet::range(i64::MIN, clock.within)),
        "expired" => Some(IntervalSet::range(clock.within.saturating_add(1), i64::MAX)),
        _ => None,
    };
    let set =
        texts(&cell.value).map(|v| v.iter().map(|t| one(t)).try_fold(IntervalSet::empty(), |a, b| Some(a.union(&b?))));
    match set.flatten() {
        Some(set) => set,
        None => {
            sink.at(
                "cell.value",
                cell,
                "timeliness 的取值是 in_time 或 expired".into(),
                "timeliness is in_time or expired".into(),
            );
            IntervalSet::all()
        }
    }
}

fn texts(cell: &Cell) -> Option<Vec<String>> {
    match cell {
        Cell::Text(t) => Some(vec![t.clone()]),
        Cell::List(l) => Some(l.clone()),
        _ => None,
    }
}

/// What a cell of this type should look like.
fn unfit(fact: &Fact, ty: Type) -> (String, String) {
    let (zh, en) = match ty {
        Type::Duration => {
            ("应写时长或区间，如 48h、\"<= 48h\"", "write a duration or an interval such as 48h or \"<= 48h\"")
        }
        Type::Int => ("应写整数或区间，如 3、\"> 3\"", "write a whole number or an interval such as 3 or \"> 3\""),
        Type::Bool => ("应写 true 或 false，不加引号", "write true or false, without quotes"),
        _ => ("这种事实只能用于金额，不能作为条件列", "such a fact goes into amounts and cannot be a column"),
    };
    (format!("`{fact}` 的类型是 {ty}：{zh}"), format!("`{fact}` is of type {ty}: {en}"))
}

/// One cell as a set of the fact's values; reports what does not fit the fact's type.
fn read_cell(fact: &Fact, cell: &Spanned<Cell>, sink: &mut Sink<'_>) -> IntervalSet {
    let read = match (fact.ty(), &cell.value) {
        (Type::Sufficiency, value) => texts(value)
            .and_then(|list| {
                list.iter()
                    .map(|t| t.parse::<Sufficiency>().ok().filter(|s| *s != Sufficiency::NotRequired))
                    .try_fold(IntervalSet::empty(), |set, s| Some(set.union(&IntervalSet::point(s?.index()))))
            })
            .ok_or_else(|| {
                (
                    format!("`{fact}` 可取 sufficient、insufficient、none"),
                    format!("`{fact}` is one of sufficient, insufficient, none"),
                )
            }),
        (Type::Bool, Cell::Bool(b)) => Ok(IntervalSet::point(i64::from(*b))),
        (Type::Int, Cell::Int(n)) => Ok(IntervalSet::point(*n)),
        (ty @ (Type::Int | Type::Duration), Cell::Text(text)) => {
            let scale = if ty == Type::Int { Scale::Integer } else { Scale::Duration };
            parse_interval(text, scale).map_err(|e| (e.zh, e.en))
        }
        (ty, _) => Err(unfit(fact, ty)),
    };
    match read {
        Ok(set) => set,
        Err((zh, en)) => {
            sink.at("cell.value", cell, zh, en);
            fact.domain()
        }
    }
}

fn outcome(then: &Spanned<RawThen>, words: &Words, sink: &mut Sink<'_>) -> Option<Outcome> {
    let full = match &then.value {
        RawThen::Full(full) => full.as_ref(),
        RawThen::Short(kind) => return shorthand(kind, then, words, sink),
    };
    let remedy_known = known_remedy(&full.remedy, &full.remedy.value, words, sink);
    let refund = amount(full.refund.as_ref(), words, sink);
    let compensation = amount(full.compensation.as_ref(), words, sink);
    let freight_by = match &full.freight_by {
        None => Some(FreightBy::None),
        Some(by) => freight_by(by, sink),
    };
    let within = match &full.within {
        None => Some(default_within(&full.remedy.value)),
        Some(text) => sink.duration(text),
    };
    let outcome = Outcome {
        remedy: full.remedy.value.clone(),
        refund: refund?,
        compensation: compensation?,
        freight_by: freight_by?,
        return_goods: full.return_goods,
        within: within?,
    };
    remedy_known.then_some(outcome)
}

/// `then: reject_claim` and `then: request_evidence`: nothing is paid.
fn shorthand(kind: &str, then: &Spanned<RawThen>, words: &Words, sink: &mut Sink<'_>) -> Option<Outcome> {
    if !matches!(kind, "reject_claim" | "request_evidence") {
        sink.at(
            "row.then",
            then,
            format!("`{kind}` 不能简写；只有 reject_claim 和 request_evidence 可以"),
            format!("only reject_claim and request_evidence may stand alone, not `{kind}`"),
        );
        return None;
    }
    known_remedy(then, kind, words, sink).then(|| Outcome {
        remedy: kind.to_owned(),
        refund: Expr::zero_money(),
        compensation: Expr::zero_money(),
        freight_by: FreightBy::None,
        return_goods: false,
        within: default_within(kind),
    })
}

fn default_within(remedy: &str) -> i64 {
    if remedy == "request_evidence" { EVIDENCE_WITHIN } else { DEFAULT_WITHIN }
}

fn known_remedy<T>(at: &Spanned<T>, remedy: &str, words: &Words, sink: &mut Sink<'_>) -> bool {
    let known = words.remedies.contains(remedy);
    if !known {
        sink.at("row.remedy", at, format!("没有名为 `{remedy}` 的处理方式"), format!("there is no remedy `{remedy}`"));
    }
    known
}

fn freight_by(by: &Spanned<String>, sink: &mut Sink<'_>) -> Option<FreightBy> {
    match by.value.as_str() {
        "none" => Some(FreightBy::None),
        "seller" => Some(FreightBy::Seller),
        "buyer" => Some(FreightBy::Buyer),
        other => {
            sink.at(
                "row.freight_by",
                by,
                format!("freight_by 应为 seller、buyer 或 none，而不是 `{other}`"),
                format!("freight_by is seller, buyer or none, not `{other}`"),
            );
            None
        }
    }
}

/// Compiles an amount; a finding points at the character of the expression where it lies.
fn amount(text: Option<&Spanned<String>>, words: &Words, sink: &mut Sink<'_>) -> Option<Expr> {
    let Some(text) = text else { return Some(Expr::zero_money()) };
    let whole = Span::from(&text.referenced);
    match expr::compile(&text.value, Type::Money) {
        Ok(expr) => {
            let unknown = expr.facts().into_iter().find_map(|f| match f {
                Fact::Service(id) if !words.services.contains(&id) => Some(id),
                _ => None,
            });
            if let Some(id) = unknown {
                let at = text.value.find(&format!("\"{id}\"")).map_or(0, |quote| quote + 1);
                sink.add(
                    "expr.service",
                    Span { start: inside(&sink.file.text, whole, &text.value, at), len: id.len() },
                    format!("没有名为 `{id}` 的服务"),
                    format!("there is no service `{id}`"),
                );
                return None;
            }
            Some(expr)
        }
        Err(error) => {
            let (from, len) = token(&text.value, error.offset);
            let start = inside(&sink.file.text, whole, &text.value, from);
            let len = if sink.file.text.get(start..start + len).is_some() { len } else { 1 };
            sink.add("expr.type", Span { start, len }, error.zh, error.en);
            None
        }
    }
}

/// Where the amount of a row uses `name`.
pub(super) fn mention(amount: &Spanned<String>, name: &str, sink: &Sink<'_>) -> Option<Span> {
    let at = amount.value.find(name)?;
    let start = inside(&sink.file.text, Span::from(&amount.referenced), &amount.value, at);
    Some(Span { start, len: name.len() })
}

/// The word, number, literal or operator at `offset`; of a call, which is found at its bracket, the name.
fn token(text: &str, offset: usize) -> (usize, usize) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let run = |rest: &str, keep: &dyn Fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
    let (Some(before), Some(rest)) = (text.get(..offset), text.get(offset..)) else { return (offset, 1) };
    match rest.chars().next() {
        Some('(') => {
            let start = before.trim_end_matches(is_word).len();
            if start < offset { (start, offset - start) } else { (offset, 1) }
        }
        Some(quote @ ('"' | '\'')) => (offset, rest[1..].find(quote).map_or(1, |i| i + 2)),
        Some(c) if is_word(c) => (offset, run(rest, &is_word)),
        _ => (offset, run(rest, &|c| "=<>!&|".contains(c)).max(1)),
    }
}

/// Where byte `offset` of a scalar's value lies in the file. The file may hold quotes, escapes and line breaks
/// that the value does not, but never the other way round: the value's characters are met in order.
fn inside(file: &str, scalar: Span, value: &str, offset: usize) -> usize {
    let Some(source) = file.get(scalar.start..) else { return scalar.start };
    let mut chars = source.char_indices().peekable();
    for c in value.get(..offset).unwrap_or(value).chars() {
        let same = |s: char| s == c || (c.is_whitespace() && s.is_whitespace());
        if !chars.by_ref().any(|(_, s)| same(s)) {
            return scalar.start;
        }
    }
    let next = value.get(offset..).and_then(|rest| rest.chars().next());
    let at = match next {
        Some(c) => chars.find(|(_, s)| *s == c),
        None => chars.next(),
    };
    scalar.start + at.map_or(0, |(i, _)| i)
}

fn prove(table: &Table, columns: &[Fact], raw: &RawSop, clock: Clock, sink: &mut Sink<'_>) {
    let analysis = table.analyse();
    let rows = &raw.decide.value;
    let span = |row: usize| match &rows[row].then.value {
        RawThen::Short(_) => Span::from(&rows[row].then.referenced),
        RawThen::Full(full) => Span::from(&full.remedy.referenced),
    };
    for gap in &analysis.gaps {
        sink.witness(
            "table.gap",
            sink.key_span("decide", &raw.decide),
            Bilingual {
                zh: "决策表有空缺：这种情形没有任何行适用".into(),
                en: "the table has a gap: no row covers this case".into(),
            },
            describe(columns, gap, clock),
        );
    }
    for (a, b, shared) in &analysis.overlaps {
        sink.witness(
            "table.overlap",
            span(*b),
            Bilingual {
                zh: format!("第 {} 行与第 {} 行重叠：同一情形有两个结果", b + 1, a + 1),
                en: format!("row {} overlaps row {}: one case has two outcomes", b + 1, a + 1),
            },
            describe(columns, shared, clock),
        );
    }
    for row in &analysis.unreachable {
        let why = why_dead(table, *row);
        sink.add(
            "table.unreachable",
            span(*row),
            format!("第 {} 行永远不会用到：{}", row + 1, why.zh),
            format!("row {} can never be reached: {}", row + 1, why.en),
        );
    }
}

/// Why no case reaches a row: a cell nothing fits, or the rows that come first.
fn why_dead(table: &Table, row: usize) -> Bilingual {
    let cells = &table.rows[row];
    if let Some((column, _)) = table.columns.iter().zip(cells).find(|(_, cell)| cell.is_empty()) {
        let name = &column.name;
        return Bilingual {
            zh: format!("{name} 没有任何取值符合此行"),
            en: format!("no value of {name} fits this row"),
        };
    }
    let first: Vec<String> =
        table.possible_rows(cells).into_iter().filter(|&r| r < row).map(|r| (r + 1).to_string()).collect();
    Bilingual {
        zh: format!("其情形全部先由第 {} 行处理", first.join("、")),
        en: format!("all its cases lie in rows before it ({})", first.join(", ")),
    }
}

/// A box of values in words; a column that is free is left out.
fn describe(columns: &[Fact], witness: &Witness, clock: Clock) -> Bilingual {
    let mut zh = Vec::new();
    let mut en = Vec::new();
    for (fact, set) in columns.iter().zip(witness) {
        if *set == fact.domain() {
            continue;
        }
        let text = fact.format(set);
        let note = match fact {
            Fact::Elapsed if set.within(&IntervalSet::range(i64::MIN, clock.within)) => ("（在期内）", " (in time)"),
            Fact::Elapsed if set.within(&IntervalSet::range(clock.within.saturating_add(1), i64::MAX)) => {
                ("（已逾期）", " (expired)")
            }
            _ => ("", ""),
        };
        zh.push(format!("{fact} 为 {text}{}", note.0));
        en.push(format!("{fact} is {text}{}", note.1));
    }
    if zh.is_empty() {
        return Bilingual { zh: "任何情形".into(), en: "any case".into() };
    }
    Bilingual { zh: zh.join("，"), en: en.join(", ") }
}
