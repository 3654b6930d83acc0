//! Compiling `decide`: cells to interval sets, outcomes to typed expressions, and the proof of the table.

use std::collections::BTreeSet;

use serde_saphyr::Spanned;

use super::compile::{Sink, Words};
use super::diag::Span;
use super::duration::{IntervalSet, Scale, parse_duration, parse_interval};
use super::expr::{self, Expr};
use super::facts::{Fact, Sufficiency, Type};
use super::raw::{Bilingual, Cell, RawRemedy, RawRow, RawSop, RawThen};
use super::rulebook::{Clock, FreightBy, Outcome, Row};
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

pub(super) fn compile_table(raw: &RawSop, clock: Clock, words: &Words, sink: &mut Sink<'_>) -> Option<CompiledTable> {
    let before = sink.findings.len();
    let raw_rows = &raw.decide.value;
    if raw_rows.is_empty() {
        sink.at("table.empty", &raw.decide, "决策表没有任何行".into(), "the decision table has no rows".into());
        return None;
    }
    let columns = columns(raw, words, sink);
    let mut boxes = Vec::new();
    let mut rows = Vec::new();
    for row in raw_rows {
        boxes.push(cells(row, &columns, clock, sink));
        if row.cite.is_empty() {
            sink.at("row.cite", &row.then, "每一行都须引用条款".into(), "each row must cite a clause".into());
        }
        if let Some(outcome) = outcome(&row.then, words, sink) {
            rows.push(Row { outcome, cite: row.cite.iter().map(|c| c.value.clone()).collect() });
        }
    }
    if sink.findings.len() > before {
        return None;
    }
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
                sink.at("cell.service", cell, format!("没有名为 `{id}` 的服务"), format!("there is no service `{id}`"));
            }
            Ok(fact @ (Fact::Buyer | Fact::Seller)) => {
                let asked = if fact == Fact::Buyer { &raw.proof.buyer } else { &raw.proof.seller };
                if asked.is_empty() {
                    sink.at(
                        "cell.not_required",
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
            Err(()) => sink.at(
                "cell.fact",
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
                    "可取 sufficient、insufficient、none".to_owned(),
                    "it is one of sufficient, insufficient, none".to_owned(),
                )
            }),
        (Type::Bool, Cell::Bool(b)) => Ok(IntervalSet::point(i64::from(*b))),
        (Type::Int, Cell::Int(n)) => Ok(IntervalSet::point(*n)),
        (ty @ (Type::Int | Type::Duration), Cell::Text(text)) => {
            let scale = if ty == Type::Int { Scale::Integer } else { Scale::Duration };
            parse_interval(text, scale).map_err(|e| (format!("区间写法有误：{e}"), format!("bad interval: {e}")))
        }
        (ty, _) => Err((
            format!("`{fact}` 的类型是 {ty}，此处的值不合适"),
            format!("`{fact}` is of type {ty}; this value does not fit"),
        )),
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
    let span = Span::from(&then.referenced);
    let full = match &then.value {
        RawThen::Full(full) => full.clone(),
        RawThen::Short(kind) => {
            if !matches!(kind.as_str(), "reject_claim" | "request_evidence") {
                sink.at(
                    "row.then",
                    then,
                    format!("`{kind}` 不能简写；只有 reject_claim 和 request_evidence 可以"),
                    format!("only reject_claim and request_evidence may stand alone, not `{kind}`"),
                );
                return None;
            }
            RawRemedy {
                remedy: kind.clone(),
                refund: None,
                compensation: None,
                freight_by: None,
                return_goods: false,
                within: None,
            }
        }
    };
    if !words.remedies.contains(&full.remedy) {
        sink.at(
            "row.remedy",
            then,
            format!("没有名为 `{}` 的处理方式", full.remedy),
            format!("there is no remedy `{}`", full.remedy),
        );
        return None;
    }
    let refund = amount(full.refund.as_deref(), span, words, sink);
    let compensation = amount(full.compensation.as_deref(), span, words, sink);
    let freight_by = match full.freight_by.as_deref() {
        None | Some("none") => Some(FreightBy::None),
        Some("seller") => Some(FreightBy::Seller),
        Some("buyer") => Some(FreightBy::Buyer),
        Some(other) => {
            sink.at(
                "row.freight_by",
                then,
                format!("freight_by 应为 seller、buyer 或 none，而不是 `{other}`"),
                format!("freight_by is seller, buyer or none, not `{other}`"),
            );
            None
        }
    };
    let default = if full.remedy == "request_evidence" { EVIDENCE_WITHIN } else { DEFAULT_WITHIN };
    let within = match full.within.as_deref().map(parse_duration) {
        None => Some(default),
        Some(Ok(seconds)) => Some(seconds),
        Some(Err(e)) => {
            sink.at("duration.syntax", then, format!("时长写法有误：{e}"), format!("bad duration: {e}"));
            None
        }
    };
    Some(Outcome {
        remedy: full.remedy,
        refund: refund?,
        compensation: compensation?,
        freight_by: freight_by?,
        return_goods: full.return_goods,
        within: within?,
    })
}

/// Compiles an amount; a finding points at the character of the expression, found inside the row's text.
fn amount(text: Option<&str>, row: Span, words: &Words, sink: &mut Sink<'_>) -> Option<Expr> {
    let Some(text) = text else { return Some(Expr::zero_money()) };
    let start = sink.file.text.get(row.start..).and_then(|rest| rest.find(text)).map_or(row.start, |i| row.start + i);
    match expr::compile(text, Type::Money) {
        Ok(expr) => {
            let unknown = expr.facts().into_iter().find_map(|f| match f {
                Fact::Service(id) if !words.services.contains(&id) => Some(id),
                _ => None,
            });
            if let Some(id) = unknown {
                sink.add(
                    "expr.service",
                    Span { start, len: text.len() },
                    format!("没有名为 `{id}` 的服务"),
                    format!("there is no service `{id}`"),
                );
                return None;
            }
            Some(expr)
        }
        Err(error) => {
            let span = Span { start: start + error.offset, len: 1 };
            sink.add("expr.type", span, error.zh, error.en);
            None
        }
    }
}

fn prove(table: &Table, columns: &[Fact], raw: &RawSop, clock: Clock, sink: &mut Sink<'_>) {
    let analysis = table.analyse();
    let rows = &raw.decide.value;
    let span = |row: usize| Span::from(&rows[row].then.referenced);
    for gap in &analysis.gaps {
        sink.witness(
            "table.gap",
            Span { len: 1, ..Span::from(&raw.decide.referenced) },
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
        sink.witness(
            "table.unreachable",
            span(*row),
            Bilingual {
                zh: format!("第 {} 行永远不会用到", row + 1),
                en: format!("row {} can never be reached", row + 1),
            },
            describe(columns, &table.rows[*row], clock),
        );
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
