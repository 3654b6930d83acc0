//! Compiling one SOP file: ids resolved, cells and amounts typed, the table proved.

use std::collections::BTreeSet;

use serde_saphyr::Spanned;

use super::compile::Sink;
use super::compile_words::Words;
use super::diag::Span;
use super::facts::Fact;
use super::raw::{Bilingual, RawRequirement, RawSop};
use super::rulebook::{Anchor, Clause, Clock, Measure, ProofOrder, Requirement, Sop, SopId, Source};
use super::{compile_table, scenario};

/// Reports ids that occur twice.
fn unique<'a>(sink: &mut Sink<'_>, ids: impl IntoIterator<Item = &'a Spanned<String>>) {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(&id.value) {
            sink.at("id.duplicate", id, format!("`{}` 重复", id.value), format!("`{}` is given twice", id.value));
        }
    }
}

/// Reports an id that is not among the known ones.
fn known(
    sink: &mut Sink<'_>,
    id: &Spanned<String>,
    ids: &BTreeSet<String>,
    code: &'static str,
    zh: &str,
    en: &str,
) -> bool {
    let ok = ids.contains(&id.value);
    if !ok {
        sink.at(code, id, format!("没有名为 `{}` 的{zh}", id.value), format!("there is no {en} `{}`", id.value));
    }
    ok
}

pub(super) fn compile_sop(raw: RawSop, words: &Words, sink: &mut Sink<'_>) -> Option<Sop> {
    let before = sink.findings.len();
    let stem = sink.file.name.trim_end_matches(".yaml").to_owned();
    if stem != raw.id.value && !stem.starts_with(&format!("{}@", raw.id.value)) {
        sink.at(
            "sop.file_name",
            &raw.id,
            format!("文件名应为 {}.yaml", raw.id.value),
            format!("the file should be named {}.yaml", raw.id.value),
        );
    }
    let effective = sink.effective("sop.effective", &raw.effective);
    let scene_known = known(sink, &raw.applies.scene, &words.scenes, "sop.scene", "场景", "scene");
    let goods = goods(&raw, words, sink);

    unique(sink, raw.sources.iter().map(|s| &s.id));
    let source_ids: BTreeSet<String> = raw.sources.iter().map(|s| s.id.value.clone()).collect();
    unique(sink, raw.clauses.iter().map(|c| &c.id));
    for source in raw.clauses.iter().flat_map(|c| &c.sources) {
        known(sink, source, &source_ids, "clause.source", "依据", "source");
    }
    let clause_ids: BTreeSet<String> = raw.clauses.iter().map(|c| c.id.value.clone()).collect();
    for cite in raw.decide.value.iter().flat_map(|r| &r.cite) {
        known(sink, cite, &clause_ids, "row.cite", "条款", "clause");
    }

    let clock = clock(&raw, sink);
    let order = match raw.proof.order.value.as_str() {
        "buyer_first" => Some(ProofOrder::BuyerFirst),
        "seller_first" => Some(ProofOrder::SellerFirst),
        other => {
            sink.at(
                "proof.order",
                &raw.proof.order,
                format!("`{other}` 应为 buyer_first 或 seller_first"),
                format!("`{other}` should be buyer_first or seller_first"),
            );
            None
        }
    };
    unique(sink, raw.proof.buyer.iter().chain(&raw.proof.seller).map(|r| &r.id));
    let buyer = requirements(&raw.proof.buyer, words, sink);
    let seller = requirements(&raw.proof.seller, words, sink);
    let measures = measures(&raw, sink);
    if let Some(hint) = &raw.legal_hint {
        known(sink, hint, &words.remedies, "row.remedy", "处理方式", "remedy");
    }

    let tests = clock.map(|clock| scenario::compile_scenarios(&raw, clock, words, sink));
    let table = compile_table::compile_table(&raw, clock, words, sink)?;
    let used: BTreeSet<Fact> = table
        .rows
        .iter()
        .flat_map(|r| [&r.outcome.refund, &r.outcome.compensation])
        .flat_map(|e| e.facts())
        .chain(table.columns.iter().cloned())
        .collect();
    for (_, _, m) in Measure::ALL {
        let declared = raw.measures.iter().find(|r| r.id.value == m.as_str());
        match (declared, used.contains(&m.fact())) {
            (None, true) => {
                let amounts = raw.decide.value.iter().flat_map(|row| row.then.value.amounts());
                let place = amounts.filter_map(|a| compile_table::mention(a, m.as_str(), sink)).next();
                let column = || raw.decide.value.iter().find_map(|row| row.when.get(m.as_str()));
                let place = place.or_else(|| column().map(|cell| sink.key_span(m.as_str(), cell)));
                let span = place.unwrap_or_else(|| sink.key_span("decide", &raw.decide));
                sink.add(
                    "measure.undeclared",
                    span,
                    format!("用到了 `{}`，但 measures 未声明", m.as_str()),
                    format!("`{}` is used here, but `measures` does not declare it", m.as_str()),
                );
            }
            (Some(raw), false) => sink.at(
                "measure.unused",
                &raw.id,
                format!("声明了 `{}`，但决策表没有用到", m.as_str()),
                format!("`{}` is declared but the table does not use it", m.as_str()),
            ),
            _ => {}
        }
    }
    let (effective, clock, order, tests) = (effective?, clock?, order?, tests?);
    if sink.findings.len() > before || !scene_known {
        return None;
    }
    Some(Sop {
        id: SopId(raw.id.value),
        version: raw.version.value,
        effective,
        title: raw.title,
        scene: raw.applies.scene.value,
        goods,
        sources: raw.sources.into_iter().map(|s| Source { id: s.id.value, reference: s.reference }).collect(),
        clauses: raw
            .clauses
            .into_iter()
            .map(|c| Clause {
                id: c.id.value,
                text: Bilingual { zh: c.zh, en: c.en },
                sources: c.sources.into_iter().map(|s| s.value).collect(),
            })
            .collect(),
        clock,
        order,
        buyer,
        seller,
        measures,
        columns: table.columns,
        table: table.table,
        rows: table.rows,
        legal_hint: raw.legal_hint.map(|h| h.value),
        tests,
    })
}

/// The goods types it applies to: a list, or `*` less `goods_not`.
fn goods(raw: &RawSop, words: &Words, sink: &mut Sink<'_>) -> Vec<String> {
    let applies = &raw.applies;
    unique(sink, applies.goods.iter().chain(&applies.goods_not));
    let star = applies.goods.iter().any(|g| g.value == "*");
    if !star && !applies.goods_not.is_empty() {
        sink.at(
            "sop.goods_not",
            &applies.goods_not[0],
            "goods_not 只能与 goods: [\"*\"] 连用".into(),
            "goods_not only goes with goods: [\"*\"]".into(),
        );
    }
    for g in applies.goods.iter().chain(&applies.goods_not).filter(|g| g.value != "*") {
        known(sink, g, &words.goods, "sop.goods", "商品类型", "goods type");
    }
    let not: BTreeSet<&String> = applies.goods_not.iter().map(|g| &g.value).collect();
    let listed: BTreeSet<String> = if star {
        words.goods.iter().filter(|g| !not.contains(g)).cloned().collect()
    } else {
        applies.goods.iter().map(|g| g.value.clone()).collect()
    };
    if listed.is_empty() {
        sink.at(
            "sop.goods",
            applies.goods.first().unwrap_or(&applies.scene),
            "没有适用的商品类型".into(),
            "it applies to no goods type".into(),
        );
    }
    listed.into_iter().collect()
}

fn clock(raw: &RawSop, sink: &mut Sink<'_>) -> Option<Clock> {
    let from = Anchor::ALL.iter().find(|(name, _)| *name == raw.clock.from.value).map(|(_, a)| *a);
    if from.is_none() {
        let names = Anchor::ALL.map(|(n, _)| n).join(", ");
        let value = &raw.clock.from.value;
        sink.at(
            "clock.from",
            &raw.clock.from,
            format!("`{value}` 不是时效起点；可用：{names}"),
            format!("`{value}` is no event a clock can start from; known are {names}"),
        );
    }
    if raw.clock.stop.value != "first_report" {
        sink.at(
            "clock.stop",
            &raw.clock.stop,
            "时效只能止于 first_report".into(),
            "a clock can only stop at first_report".into(),
        );
    }
    let within = sink.duration(&raw.clock.within)?;
    Some(Clock { from: from?, within })
}

fn requirements(raw: &[RawRequirement], words: &Words, sink: &mut Sink<'_>) -> Vec<Requirement> {
    for r in raw {
        if r.accepts.is_empty() {
            sink.at(
                "requirement.accepts",
                &r.id,
                format!("举证要求 `{}` 没有可接受的证据种类", r.id.value),
                format!("the requirement `{}` accepts no kind of evidence", r.id.value),
            );
        }
        for kind in &r.accepts {
            known(sink, kind, &words.evidence_kinds, "requirement.kind", "证据种类", "kind of evidence");
        }
    }
    raw.iter()
        .map(|r| Requirement {
            id: r.id.value.clone(),
            text: Bilingual { zh: r.zh.clone(), en: r.en.clone() },
            accepts: r.accepts.iter().map(|k| k.value.clone()).collect(),
        })
        .collect()
}

fn measures(raw: &RawSop, sink: &mut Sink<'_>) -> Vec<Measure> {
    unique(sink, raw.measures.iter().map(|m| &m.id));
    let mut out = Vec::new();
    for m in &raw.measures {
        match Measure::ALL.iter().find(|(id, ..)| *id == m.id.value) {
            Some((id, kind, measure)) => {
                if *kind != m.kind.value {
                    let span = Span::from(&m.kind.referenced);
                    sink.add(
                        "measure.kind",
                        span,
                        format!("`{id}` 的种类应为 {kind}，而不是 `{}`", m.kind.value),
                        format!("`{id}` is of kind {kind}, not `{}`", m.kind.value),
                    );
                }
                out.push(*measure);
            }
            None => {
                let names = Measure::ALL.map(|(id, ..)| id).join(", ");
                let id = &m.id.value;
                sink.at(
                    "measure.unknown",
                    &m.id,
                    format!("没有名为 `{id}` 的度量；可用：{names}"),
                    format!("there is no measure `{id}`; known are {names}"),
                );
            }
        }
    }
    out
}
