//! Why a person must look at a case.

use serde::Serialize;

use crate::judge::Probability;
use crate::nodes::{EvidenceFinding, MeasureFinding, PolicyFinding, RemedyFinding, TimelinessFinding, Verdict};
use crate::sop::RuleBook;

/// One reason, with a stable code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Stable code.
    pub code: &'static str,
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

pub(super) fn reasons(
    book: &RuleBook,
    policy: &PolicyFinding,
    timeliness: &TimelinessFinding,
    evidence: &EvidenceFinding,
    measure: &MeasureFinding,
    remedy: &RemedyFinding,
) -> Vec<Reason> {
    let mut out = Vec::new();
    let mut add = |code, zh: String, en: String| out.push(Reason { code, zh, en });
    match (&policy.sop, policy.certain) {
        (None, _) => {
            add("no_sop", "没有适用于该场景与商品的规则".into(), "no SOP governs this scene and goods type".into())
        }
        (Some(_), false) => {
            let names: Vec<_> = policy
                .candidates
                .iter()
                .take(2)
                .map(|c| (book.sop(&c.id).map(|s| s.title.clone()), c.score))
                .filter_map(|(title, score)| title.map(|t| (t, score)))
                .collect();
            let zh: Vec<String> = names.iter().map(|(t, p)| format!("“{}”{}", t.zh, percent(*p))).collect();
            let en: Vec<String> = names.iter().map(|(t, p)| format!("“{}” {}", t.en, percent(*p))).collect();
            add(
                "sop_uncertain",
                format!("适用哪条规则把握不足：{}", zh.join("，")),
                format!("which SOP governs is too close to call: {}", en.join(", ")),
            );
        }
        _ => {}
    }
    let depends = |fact: &str| remedy.depends_on.iter().any(|f| f == fact);
    if timeliness.verdict == Verdict::Unknown && policy.sop.is_some() {
        let from = timeliness.clock_from.map_or("?", |a| a.as_str());
        add(
            "clock_unknown",
            format!("案卷缺少时效起点（{from}）"),
            format!("the case does not say when the clock started ({from})"),
        );
    } else if depends("elapsed") {
        add(
            "first_report_uncertain",
            format!("首次反映的时间把握不足（{}）", percent(timeliness.probability)),
            format!("it is uncertain when the problem was first reported ({})", percent(timeliness.probability)),
        );
    }
    for (fact, party, zh, en) in
        [("buyer", &evidence.buyer, "买家", "buyer"), ("seller", &evidence.seller, "商家", "seller")]
    {
        if depends(fact) {
            let doubtful: Vec<&str> = evidence
                .items
                .iter()
                .filter(|i| i.party.as_str() == fact && !i.certain)
                .map(|i| i.evidence_id.as_str())
                .collect();
            add(
                "evidence_uncertain",
                format!("{zh}证据 {} 的认定把握不足", doubtful.join("、")),
                format!("the finding on the {en}'s evidence {} is uncertain", doubtful.join(", ")),
            );
            debug_assert!(!party.certain());
        }
    }
    for m in &measure.measures {
        if depends(m.id.as_str()) {
            let (code, zh, en) = match m.value {
                None => ("measure_missing", "案卷中找不到", "the case does not state"),
                Some(_) => ("measure_uncertain", "把握不足：", "uncertain:"),
            };
            add(
                code,
                format!("{zh}{}", measure_name(m.id.as_str()).0),
                format!("{en} {}", measure_name(m.id.as_str()).1),
            );
        }
    }
    let others =
        ["elapsed", "buyer", "seller", "severity_ratio", "missing_count", "receipt_amount", "price_diff", "sop"];
    for fact in remedy.depends_on.iter().filter(|f| !others.contains(&f.as_str())) {
        add("fact_missing", format!("案卷缺少事实：{fact}"), format!("the case lacks the fact {fact}"));
    }
    out
}

/// A quantity's name in both languages.
pub(super) fn measure_name(id: &str) -> (&'static str, &'static str) {
    match id {
        "severity_ratio" => ("受损比例", "share of the goods affected"),
        "missing_count" => ("缺少件数", "number of units missing"),
        "receipt_amount" => ("票据金额", "amount of the receipts"),
        "price_diff" => ("差价", "price difference"),
        _ => ("度量", "measure"),
    }
}

/// `93.4%`
pub(super) fn percent(p: Probability) -> String {
    let tenths = (p.millionths() + 500) / 1_000;
    format!("{}.{}%", tenths / 10, tenths % 10)
}
