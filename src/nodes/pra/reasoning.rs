//! R: what each node found, with how sure it was, in the order the nodes ran.

use super::super::facts::sop_in;
use super::super::{
    EvidenceFinding, Findings, LabelFinding, Measured, NodeError, NodeId, PartyVerdict, PolicyFinding,
    TimelinessFinding, Verdict,
};
use super::{Part, Worth, data, party, span, step};
use crate::case::Case;
use crate::judge::Probability;
use crate::sop::duration::IntervalSet;
use crate::sop::facts::{Fact, Facts, Sufficiency, format_value};
use crate::sop::{Anchor, RuleBook, Sop};

/// The most findings on items that are told one by one.
const MOST: usize = 24;

/// The lines of R.
pub(super) fn parts(case: &Case, findings: &Findings, found: &Facts, book: &RuleBook) -> Result<Vec<Part>, NodeError> {
    let label = Findings::required(&findings.label, NodeId::Label)?;
    let policy = Findings::required(&findings.policy, NodeId::Policy)?;
    let timeliness = Findings::required(&findings.timeliness, NodeId::Timeliness)?;
    let evidence = Findings::required(&findings.evidence, NodeId::Evidence)?;
    let measure = Findings::required(&findings.measure, NodeId::Measure)?;
    let remedy = Findings::required(&findings.remedy, NodeId::Remedy)?;
    let sop = sop_in(findings, book)?;
    let kept = |text: String| Part::new(Worth::Kept, text);

    let mut parts = vec![kept("[R]".to_owned()), kept(labels(label, book)), kept(rule(policy, book))];
    parts.push(kept(clock(case, timeliness, sop)));
    parts.extend(items(evidence, sop, book));
    for (name, verdict) in [("买家", &evidence.buyer), ("商家", &evidence.seller)] {
        parts.push(kept(proof(name, verdict, sop)));
    }
    parts.extend(measure.measures.iter().map(|m| kept(measured(m))));
    let row =
        remedy.proposal.row.map_or_else(|| "无行可依".to_owned(), |row| format!("第{row}行{}", read(sop, row, found)));
    let mut decided = format!("[决策]{row}；{}", doubt(remedy.certain));
    for fact in remedy.depends_on.iter().take(6) {
        decided += &format!("；取决于{}", fact_name(fact));
    }
    let items = evidence.items.iter().map(|i| i.probability);
    let all = items.chain(measure.measures.iter().map(|m| m.probability)).chain([timeliness.probability]);
    decided += &format!("；最弱一环{}", step(all.fold(policy.score, Probability::min)));
    parts.push(kept(decided));
    Ok(parts)
}

fn doubt(certain: bool) -> &'static str {
    if certain { "确定" } else { "存疑" }
}

fn labels(label: &LabelFinding, book: &RuleBook) -> String {
    let term = |id: &str| data(&book.term(id).zh, 16);
    let (scene, goods) = (&label.scene, &label.goods_type);
    format!(
        "[识别]场景{}{} 商品{}{} 合计{} {}",
        term(&scene.id),
        step(scene.score),
        term(&goods.id),
        step(goods.score),
        step(label.score),
        doubt(label.certain)
    )
}

fn rule(policy: &PolicyFinding, book: &RuleBook) -> String {
    let title = |id: &str| book.sop(id).map_or_else(|| id.to_owned(), |s| data(&s.title.zh, 24));
    let Some(id) = &policy.sop else { return "[规则]无适用规则".to_owned() };
    let mut text = format!("[规则]{}{} {}", title(id), step(policy.score), doubt(policy.certain));
    if let Some(first) = policy.candidates.first() {
        text += &format!(" 标签{} 词面{}", step(first.prior), step(first.words));
    }
    if let Some(next) = policy.candidates.get(1) {
        text += &format!("；其次{}{} 词面{}", title(&next.id), step(next.score), step(next.words));
    }
    text
}

fn clock(case: &Case, t: &TimelinessFinding, sop: Option<&Sop>) -> String {
    let report = &t.first_report;
    let place = report.index.map_or_else(|| "申请".to_owned(), |i| format!("对话{}", i + 1));
    let mut text = format!("[时效]首报{place}/{}{}", case.dialogue.len(), step(report.probability));
    if let (Some(sop), Some(elapsed)) = (sop, t.elapsed_seconds) {
        let within = sop.clock.within;
        text += &format!("；自{}限{} 用{}", anchor(sop.clock.from), span(within), span(elapsed));
        text += match elapsed.saturating_mul(10).checked_div(within.max(1)).unwrap_or(0) {
            ..=4 => " 远早于期限",
            5..=8 => " 早于期限",
            9 => " 临近期限",
            10..=11 => " 刚过期限",
            _ => " 远过期限",
        };
    }
    let verdict = match t.verdict {
        Verdict::InTime => "在期内",
        Verdict::Expired => "已逾期",
        Verdict::Unknown => "无法认定",
    };
    text + &format!("；{verdict}{} {}", step(t.probability), doubt(t.certain))
}

fn items(evidence: &EvidenceFinding, sop: Option<&Sop>, book: &RuleBook) -> Vec<Part> {
    let asked = |id: &str| {
        let found = sop.and_then(|s| s.buyer.iter().chain(&s.seller).find(|r| r.id == id));
        data(found.map_or(id, |r| &r.text.zh), 24)
    };
    let line = |item: &super::super::Item| {
        let mut text = format!("[证据]{} {}", data(&item.evidence_id, 16), party(item.party));
        match (&item.requirement, item.valid) {
            (None, _) => text += "无关",
            (Some(id), true) => text += &format!("有效，证明{}", asked(id)),
            (Some(id), false) => {
                let defect = item.defect.as_deref().unwrap_or("incomplete");
                text += &format!("无效（{}），针对{}", book.term(defect).zh, asked(id));
            }
        }
        text += &format!("{} {}", step(item.probability), doubt(item.certain));
        Part::new(if item.certain { Worth::SureItem } else { Worth::Item }, text)
    };
    evidence.items.iter().take(MOST).map(line).collect()
}

fn proof(name: &str, verdict: &PartyVerdict, sop: Option<&Sop>) -> String {
    let mut text = format!("[举证]{name}{}", sufficiency(verdict.verdict));
    let others = verdict.possible.iter().filter(|s| **s != verdict.verdict);
    for other in others {
        text += &format!("，或{}", sufficiency(*other));
    }
    let asked = sop.map_or(0, |s| if name == "买家" { s.buyer.len() } else { s.seller.len() });
    text + &format!("；要求{asked}项 缺{}项", verdict.unmet.len())
}

/// A row of the table, counted from 1: what it asks of each fact beside what was found, and how its amounts are worked out.
fn read(sop: Option<&Sop>, row: usize, found: &Facts) -> String {
    let Some(place) = row.checked_sub(1) else { return String::new() };
    let row = sop.and_then(|s| Some((&s.columns, s.table.rows.get(place)?, &s.rows.get(place)?.outcome)));
    let Some((columns, cells, outcome)) = row else { return String::new() };
    let cell = |(fact, set): (&Fact, &IntervalSet)| {
        let value = found.get(fact).map_or_else(|| "不明".to_owned(), |value| told(fact, value));
        asked(fact, set).map(|asked| format!("{asked}而{value}"))
    };
    let cells: Vec<String> = columns.iter().zip(cells).filter_map(cell).collect();
    let amounts =
        format!("退款按{} 赔付按{}", formula(&outcome.refund.canonical()), formula(&outcome.compensation.canonical()));
    format!("（{}）{}", data(&cells.join("，"), 120), data(&amounts, 100))
}

/// What a row asks of a fact; none where any value will do.
pub(super) fn asked(fact: &Fact, set: &IntervalSet) -> Option<String> {
    let says = match fact {
        Fact::Buyer | Fact::Seller => {
            let some = Sufficiency::ALL.into_iter().take(3).filter(|s| set.contains(s.index()));
            some.map(sufficiency).collect::<Vec<_>>().join("或")
        }
        fact => fact.format(set).replace("<= ", "≤").replace(">= ", "≥").replace("> ", ">"),
    };
    let name = fact_name(&fact.to_string()).replace("举证", "");
    (!fact.domain().within(set)).then(|| format!("{name}{says}"))
}

/// A fact's value as the other lines tell it.
fn told(fact: &Fact, value: i64) -> String {
    match fact {
        Fact::Buyer | Fact::Seller => Sufficiency::at(value).map_or("不明", sufficiency).to_owned(),
        Fact::Elapsed | Fact::ShipPromise => span(value),
        fact => fact.format_value(value),
    }
}

/// How an amount is worked out, from its canonical text, with the names that the other lines use.
pub(super) fn formula(canonical: &str) -> String {
    let canonical = canonical.replace("fen(0)", "0");
    let in_word = |c: char| c.is_ascii_alphabetic() || c == '_';
    let (mut text, mut rest) = (String::new(), canonical.as_str());
    while let Some(first) = rest.chars().next() {
        let end = if in_word(first) { rest.find(|c| !in_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (word, after) = rest.split_at(end);
        match word {
            "percent" => text += "百分数",
            "clamp" => text += "限于",
            "tier" => text += "分档",
            "yuan" => text += "元",
            "max" => text += "取大",
            "min" => text += "取小",
            "service" => text += "承诺",
            word => text += &fact_name(word),
        }
        rest = after;
    }
    text
}

fn measured(m: &Measured) -> String {
    let value = m.value.map_or_else(|| "案卷未载".to_owned(), |v| format_value(m.id.fact().ty(), v));
    let words = m.span.as_ref().map_or_else(String::new, |s| format!("（“{}”）", data(&s.text, 24)));
    format!("[度量]{}{value}{words}{} {}", fact_name(&m.id.fact().to_string()), step(m.probability), doubt(m.certain))
}

/// A fact's name; one of an open set as it is.
pub(super) fn fact_name(fact: &str) -> String {
    let known = match fact {
        "elapsed" => "用时",
        "buyer" => "买家举证",
        "seller" => "商家举证",
        "severity_ratio" => "受损比例",
        "missing_count" => "缺少件数",
        "receipt_amount" => "票据金额",
        "price_diff" => "差价",
        "sop" => "规则",
        "total" => "实付",
        "freight" => "运费",
        "goods_total" => "货款",
        "unit_price" => "单价",
        "deposit" => "定金",
        "quantity" => "件数",
        "ship_promise" => "应发时限",
        other => return data(other, 24),
    };
    known.to_owned()
}

pub(super) fn anchor(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::PaidAt => "付款",
        Anchor::PromisedShipAt => "应发货",
        Anchor::SignedAt => "签收",
        Anchor::SignedNextDay => "签收次日",
        Anchor::ReturnSignedAt => "退货签收",
    }
}

fn sufficiency(s: Sufficiency) -> &'static str {
    match s {
        Sufficiency::Sufficient => "充分",
        Sufficiency::Insufficient => "不充分",
        Sufficiency::None => "未举证",
        Sufficiency::NotRequired => "无需举证",
    }
}

#[cfg(test)]
mod tests {
    use super::formula;

    #[test]
    fn a_formula_is_told_with_the_names_of_the_other_lines() {
        for (canonical, told) in [
            ("fen(0)", "0"),
            ("goods_total", "货款"),
            ("tier(goods_total, severity_ratio)", "分档(货款, 受损比例)"),
            ("(unit_price * missing_count)", "(单价 * 缺少件数)"),
            ("clamp(percent(total, 10), 5.00, 100.00)", "限于(百分数(实付, 10), 5.00, 100.00)"),
            // A platform may name its services as it likes.
            (
                "(service(\"假一赔三\") ? max(deposit, yuan(3)) : fen(0))",
                "(承诺(\"假一赔三\") ? 取大(定金, 元(3)) : 0)",
            ),
        ] {
            assert_eq!(formula(canonical), told);
        }
    }
}
