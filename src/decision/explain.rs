//! Explanations in Chinese and English, built from the findings alone: nothing is said that was not found.

use chrono::TimeDelta;
use serde::Serialize;

use super::DecisionError;
use super::reasons::{Reason, measure_name, percent};
use crate::case::{Case, Party, Timestamp};
use crate::judge::Probability;
use crate::nodes::{
    EvidenceFinding, FactFlip, Findings, Item, MeasureFinding, NodeId, PartyVerdict, RemedyFinding, TimelinessFinding,
    Verdict,
};
use crate::sop::duration::format_duration;
use crate::sop::facts::{Sufficiency, format_value};
use crate::sop::{Anchor, Bilingual, FreightBy, RuleBook, Sop};

/// An SOP less likely than one in a thousand is no rival worth a line.
const RIVAL: Probability = match Probability::from_millionths(1_000) {
    Some(p) => p,
    None => Probability::ONE,
};

/// One line a finding, in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// In Chinese.
    pub zh: Vec<String>,
    /// In English.
    pub en: Vec<String>,
}

/// The nearest change in one node's finding that would lead to another remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// The node.
    pub node: NodeId,
    /// The fact.
    pub fact: String,
    /// The remedy it would lead to; `None` when that takes another SOP's findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

/// Both languages line by line.
#[derive(Default)]
struct Lines {
    zh: Vec<String>,
    en: Vec<String>,
}

impl Lines {
    fn add(&mut self, zh: String, en: String) {
        self.zh.push(zh);
        self.en.push(en);
    }
}

pub(super) fn explain(
    case: &Case,
    book: &RuleBook,
    sop: Option<&Sop>,
    findings: &Findings,
    deadline: Option<Timestamp>,
    reasons: &[Reason],
    audit: bool,
) -> Result<Explanation, DecisionError> {
    let label = findings.labels(book)?;
    let timeliness = Findings::required(&findings.timeliness, NodeId::Timeliness)?;
    let evidence = Findings::required(&findings.evidence, NodeId::Evidence)?;
    let measure = Findings::required(&findings.measure, NodeId::Measure)?;
    let settlement = Findings::required(&findings.settlement, NodeId::Settlement)?;
    let remedy = Findings::required(&findings.remedy, NodeId::Remedy)?;
    let mut lines = Lines::default();

    let (scene, goods) = (book.term(&label.scene.id), book.term(&label.goods_type.id));
    let (ps, pg) = (percent(label.scene.score), percent(label.goods_type.score));
    lines.add(
        format!("争议：{}（{ps}）；商品：{}（{pg}）", scene.zh, goods.zh),
        format!("Dispute: {} ({ps}); goods: {} ({pg})", scene.en, goods.en),
    );
    if let Some(sop) = sop {
        lines.add(
            format!("适用规则：{}（{} 第 {} 版）", sop.title.zh, sop.id, sop.version),
            format!("Governing SOP: {} ({} v{})", sop.title.en, sop.id, sop.version),
        );
        for id in &remedy.proposal.clauses {
            if let Some(clause) = sop.clauses.iter().find(|c| c.id == *id) {
                lines.add(format!("条款 {id}：{}", clause.text.zh), format!("Clause {id}: {}", clause.text.en));
            }
        }
    }
    explain_timeliness(&mut lines, timeliness, sop);
    explain_evidence(&mut lines, book, evidence, sop);
    explain_measures(&mut lines, measure);
    explain_remedy(&mut lines, book, remedy, deadline, case.order.currency.as_str());
    let p = percent(settlement.probability);
    lines.add(format!("双方自行和解的可能：{p}"), format!("Likelihood that the parties settle by themselves: {p}"));
    for reason in reasons {
        lines.add(format!("需人工复核：{}", reason.zh), format!("For a person: {}", reason.en));
    }
    if audit {
        lines.add(
            "随机抽查：照此自动处理，另请人工核对".into(),
            "Drawn for the audit: stands, and a person checks it".into(),
        );
    }
    Ok(Explanation { zh: lines.zh, en: lines.en })
}

fn moment(at: Timestamp) -> String {
    at.datetime().format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

fn anchor_name(anchor: Anchor) -> (&'static str, &'static str) {
    match anchor {
        Anchor::PaidAt => ("付款", "payment"),
        Anchor::PromisedShipAt => ("承诺发货时间", "the promised shipping time"),
        Anchor::SignedAt => ("签收", "signing for the parcel"),
        Anchor::SignedNextDay => ("签收次日零时", "midnight after signing for the parcel"),
        Anchor::ReturnSignedAt => ("商家签收退货", "the seller's signing for the return"),
    }
}

fn explain_timeliness(lines: &mut Lines, t: &TimelinessFinding, sop: Option<&Sop>) {
    let report = &t.first_report;
    let at = moment(report.at);
    let (zh, en) = match report.index {
        Some(i) => (format!("对话第 {} 条", i + 1), format!("message {}", i + 1)),
        None => ("售后申请".to_owned(), "the claim".to_owned()),
    };
    lines.add(
        format!("首次反映：{at}，见{zh}（{}）", percent(report.probability)),
        format!("First report: {at}, in {en} ({})", percent(report.probability)),
    );
    let (Some(sop), Some(start), Some(deadline)) = (sop, t.clock_start, t.deadline) else {
        lines.add("时效：无法认定".into(), "Timeliness: cannot be determined".into());
        return;
    };
    let (from_zh, from_en) = anchor_name(sop.clock.from);
    let (verdict_zh, verdict_en) = match t.verdict {
        Verdict::InTime => ("在期内", "in time"),
        Verdict::Expired => ("已逾期", "too late"),
        Verdict::Unknown => ("无法认定", "cannot be determined"),
    };
    let within = format_duration(sop.clock.within);
    lines.add(
        format!("时效：自{from_zh}（{}）起 {within}，至 {}；{verdict_zh}", moment(start), moment(deadline)),
        format!("Timeliness: {within} from {from_en} ({}), until {}; {verdict_en}", moment(start), moment(deadline)),
    );
}

fn party_name(party: Party) -> (&'static str, &'static str) {
    match party {
        Party::Buyer => ("买家", "Buyer's"),
        Party::Seller => ("商家", "Seller's"),
    }
}

fn sufficiency_name(s: Sufficiency) -> (&'static str, &'static str) {
    match s {
        Sufficiency::Sufficient => ("充分", "sufficient"),
        Sufficiency::Insufficient => ("不充分", "insufficient"),
        Sufficiency::None => ("未举证", "none"),
        Sufficiency::NotRequired => ("无需举证", "not required"),
    }
}

fn requirement_text(sop: Option<&Sop>, id: &str) -> Bilingual {
    let found = sop.and_then(|s| s.buyer.iter().chain(&s.seller).find(|r| r.id == id));
    found.map_or_else(|| Bilingual { zh: id.to_owned(), en: id.to_owned() }, |r| r.text.clone())
}

fn explain_evidence(lines: &mut Lines, book: &RuleBook, e: &EvidenceFinding, sop: Option<&Sop>) {
    for Item { evidence_id, party, kind, requirement, valid, defect, probability, .. } in &e.items {
        let (kind, p) = (book.term(kind), percent(*probability));
        let who = party_name(*party);
        let (zh, en) = match (requirement, valid, defect) {
            (Some(r), true, _) => {
                let r = requirement_text(sop, r);
                (format!("有效，证明“{}”", r.zh), format!("valid, proves “{}”", r.en))
            }
            (Some(r), false, defect) => {
                let (r, d) = (requirement_text(sop, r), book.term(defect.as_deref().unwrap_or("incomplete")));
                (format!("无效（{}），针对“{}”", d.zh, r.zh), format!("not valid ({}), offered for “{}”", d.en, r.en))
            }
            (None, ..) => ("与举证要求无关".to_owned(), "unrelated to what is asked".to_owned()),
        };
        lines.add(
            format!("{}证据 {evidence_id}（{}）：{zh}（{p}）", who.0, kind.zh),
            format!("{} evidence {evidence_id} ({}): {en} ({p})", who.1, kind.en),
        );
    }
    for (party, verdict) in [(Party::Buyer, &e.buyer), (Party::Seller, &e.seller)] {
        let (who, v) = (party_name(party), sufficiency_name(verdict.verdict));
        lines.add(format!("{}举证：{}", who.0, v.0), format!("{} proof: {}", who.1, v.1));
    }
}

fn explain_measures(lines: &mut Lines, m: &MeasureFinding) {
    for measured in &m.measures {
        let (zh, en) = measure_name(measured.id.as_str());
        match (measured.value, &measured.span) {
            (Some(value), Some(span)) => {
                let (value, p) = (format_value(measured.id.fact().ty(), value), percent(measured.probability));
                lines.add(
                    format!("{zh}：{value}，读自“{}”（{p}）", span.text),
                    format!("The {en}: {value}, read from “{}” ({p})", span.text),
                );
            }
            _ => lines.add(format!("{zh}：案卷未载明"), format!("The {en}: not stated in the case")),
        }
    }
}

fn explain_remedy(lines: &mut Lines, book: &RuleBook, r: &RemedyFinding, deadline: Option<Timestamp>, currency: &str) {
    let p = &r.proposal;
    let kind = book.term(&p.kind);
    let (mut zh, mut en) = (vec![kind.zh], vec![kind.en]);
    if p.refund_fen > 0 {
        zh.push(format!("退款 {} 元", p.refund));
        en.push(format!("refund {} {currency}", p.refund));
    }
    if p.compensation_fen > 0 {
        zh.push(format!("赔付 {} 元", p.compensation));
        en.push(format!("compensation {} {currency}", p.compensation));
    }
    match p.freight_by {
        FreightBy::Seller => {
            zh.push("运费由商家承担".into());
            en.push("freight by the seller".into());
        }
        FreightBy::Buyer => {
            zh.push("运费由买家承担".into());
            en.push("freight by the buyer".into());
        }
        FreightBy::None => {}
    }
    if p.return_goods {
        zh.push("商品退回商家".into());
        en.push("goods go back to the seller".into());
    }
    if let (Some(deadline), true) = (deadline, p.kind != "reject_claim") {
        zh.push(format!("限 {} 前完成", moment(deadline)));
        en.push(format!("to be performed by {}", moment(deadline)));
    }
    let row = p.row.map_or((String::new(), String::new()), |n| {
        (format!("（决策表第 {n} 行）"), format!(" (row {n} of the table)"))
    });
    lines.add(format!("处理：{}{}", zh.join("，"), row.0), format!("Remedy: {}{}", en.join(", "), row.1));
}

pub(super) fn flips(book: &RuleBook, sop: Option<&Sop>, findings: &Findings) -> Result<Vec<Flip>, DecisionError> {
    let policy = Findings::required(&findings.policy, NodeId::Policy)?;
    let timeliness = Findings::required(&findings.timeliness, NodeId::Timeliness)?;
    let evidence = Findings::required(&findings.evidence, NodeId::Evidence)?;
    let remedy = Findings::required(&findings.remedy, NodeId::Remedy)?;
    let mut out = Vec::new();
    if let Some(next) = policy.candidates.get(1).filter(|c| c.score >= RIVAL)
        && let Some(other) = book.sop(&next.id)
    {
        let p = percent(next.score);
        out.push(Flip {
            node: NodeId::Policy,
            fact: "sop".into(),
            remedy: None,
            zh: format!("若争议适用“{}”（{}，可能性 {p}），将按该规则另行认定", other.title.zh, other.id),
            en: format!(
                "Were the dispute one of “{}” ({}, likelihood {p}), that SOP would decide",
                other.title.en, other.id
            ),
        });
    }
    for flip in &remedy.flips {
        let outcome = book.term(&flip.remedy);
        let (node, cause) = match flip.fact.as_str() {
            "elapsed" => (NodeId::Timeliness, elapsed_flip(flip, timeliness)),
            "buyer" => (NodeId::Evidence, party_flip(flip, Party::Buyer, &evidence.buyer, evidence, sop)),
            "seller" => (NodeId::Evidence, party_flip(flip, Party::Seller, &evidence.seller, evidence, sop)),
            fact @ ("severity_ratio" | "missing_count" | "receipt_amount" | "price_diff") => {
                let (zh, en) = measure_name(fact);
                (NodeId::Measure, (format!("若{zh}为 {}", flip.to), format!("Were the {en} {}", flip.to)))
            }
            fact => (NodeId::Remedy, (format!("若 {fact} 为 {}", flip.to), format!("Were {fact} {}", flip.to))),
        };
        let paid = flip.refund.as_ref().map_or_else(
            || (String::new(), String::new()),
            |yuan| (format!("，退款 {yuan} 元"), format!(", refund {yuan}")),
        );
        out.push(Flip {
            node,
            fact: flip.fact.clone(),
            remedy: Some(flip.remedy.clone()),
            zh: format!("{}，结果将是：{}{}", cause.0, outcome.zh, paid.0),
            en: format!("{}, the result would be: {}{}", cause.1, outcome.en, paid.1),
        });
    }
    Ok(out)
}

fn elapsed_flip(flip: &FactFlip, t: &TimelinessFinding) -> (String, String) {
    let at = t.clock_start.zip(TimeDelta::try_seconds(flip.to_value)).and_then(|(start, span)| start.checked_add(span));
    let at = at.map_or_else(|| flip.to.clone(), moment);
    let later = t.elapsed_seconds.is_some_and(|e| flip.to_value > e);
    if later {
        (format!("若迟至 {at} 才首次反映"), format!("Had it first been reported only at {at}"))
    } else {
        (format!("若在 {at} 或之前首次反映"), format!("Had it first been reported by {at}"))
    }
}

fn party_flip(
    flip: &FactFlip,
    party: Party,
    verdict: &PartyVerdict,
    e: &EvidenceFinding,
    sop: Option<&Sop>,
) -> (String, String) {
    let (zh, en) = match party {
        Party::Buyer => ("买家", "the buyer"),
        Party::Seller => ("商家", "the seller"),
    };
    let unmet: Vec<Bilingual> = verdict.unmet.iter().map(|id| requirement_text(sop, id)).collect();
    let counted = |valid: bool| -> Vec<&str> {
        let own = e.items.iter().filter(|i| i.party == party && i.requirement.is_some() && i.valid == valid);
        own.map(|i| i.evidence_id.as_str()).collect()
    };
    match flip.to.as_str() {
        "sufficient" => {
            let z: Vec<String> = unmet.iter().map(|r| format!("“{}”", r.zh)).collect();
            let n: Vec<String> = unmet.iter().map(|r| format!("“{}”", r.en)).collect();
            (format!("若{zh}就{}提交有效证据", z.join("、")), format!("Had {en} validly proved {}", n.join(" and ")))
        }
        "insufficient" => {
            let valid = counted(true);
            if valid.is_empty() {
                return (format!("若{zh}提交了证据但不充分"), format!("Had {en} offered proof that falls short"));
            }
            (
                format!("若{zh}证据 {} 不被采信", valid.join("、")),
                format!("Were {en}'s evidence {} not accepted", valid.join(", ")),
            )
        }
        _ => (format!("若{zh}没有举证"), format!("Had {en} offered no proof")),
    }
}
