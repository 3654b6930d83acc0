//! From a recorded decision to its document.

use serde_json::Value;

use super::words::{self, Both, pick};
use super::{Block, Document, Section};
use crate::lang::Lang;
use crate::sop::{Bilingual, RuleBook, Sop};

/// What a document is made of.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// The recorded decision.
    pub decision: &'a Value,
    /// The rule book it pins; without it ids stand for names and the row is not spelt out.
    pub book: Option<&'a RuleBook>,
    /// When it was recorded, RFC 3339.
    pub recorded_at: Option<&'a str>,
    /// That it is in the log, if it is already.
    pub proof: Option<&'a Proof>,
}

/// That a decision is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The log's name.
    pub log: String,
    /// The leaf's place in the tree.
    pub leaf_index: u64,
    /// How large the tree was.
    pub tree_size: u64,
    /// Its root, in hex.
    pub root: String,
}

/// The explanation of a decision.
pub fn explain(recorded: Recorded<'_>, lang: Lang) -> Document {
    let d = View { lang, d: recorded.decision, book: recorded.book };
    let sections = [
        outcome(&d, recorded.recorded_at),
        reasons(&d),
        findings(&d),
        clauses(&d),
        evidence(&d),
        row(&d),
        flips(&d),
        rights(&d),
        proof(&d, recorded.proof),
        pins(&d),
    ];
    Document {
        format: "praetor.explanation/1",
        lang,
        decision_id: d.text("/id").to_owned(),
        ticket_id: d.text("/ticket_id").to_owned(),
        title: lang.pick("售后争议处理决定说明", "Explanation of a decision on an after-sale dispute").to_owned(),
        sections: sections.into_iter().flatten().collect(),
    }
}

/// A decision's JSON, read by place.
struct View<'a> {
    lang: Lang,
    d: &'a Value,
    book: Option<&'a RuleBook>,
}

impl<'a> View<'a> {
    fn text(&self, path: &str) -> &'a str {
        self.d.pointer(path).and_then(Value::as_str).unwrap_or("-")
    }

    fn list(&self, path: &str) -> &'a [Value] {
        self.d.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn say(&self, both: Both) -> String {
        pick(both, self.lang).to_owned()
    }

    fn bilingual(&self, text: &Bilingual) -> String {
        self.lang.pick(&text.zh, &text.en).clone()
    }

    /// The text of this language in an object with `zh` and `en`.
    fn own<'b>(&self, value: &'b Value) -> &'b str {
        value.get(self.lang.as_str()).and_then(Value::as_str).unwrap_or("-")
    }

    fn term(&self, id: &str) -> String {
        self.book.map_or_else(|| id.to_owned(), |book| self.bilingual(&book.term(id)))
    }

    fn sop(&self) -> Option<&'a Sop> {
        let version = self.d.pointer("/sop/version").and_then(Value::as_u64)?;
        self.book?.sops.iter().find(|s| s.id.0 == self.text("/sop/id") && u64::from(s.version) == version)
    }

    fn section(&self, id: &'static str, heading: Both, blocks: Vec<Block>) -> Option<Section> {
        (!blocks.is_empty()).then(|| Section { id, heading: self.say(heading), blocks })
    }
}

/// `93.4%` of a probability.
fn percent(value: Option<&Value>) -> String {
    let p = value.and_then(|v| serde_json::from_value::<crate::judge::Probability>(v.clone()).ok());
    let tenths = |p: crate::judge::Probability| (p.millionths() + 500) / 1_000;
    p.map_or_else(|| "-".to_owned(), |p| format!("{}.{}%", tenths(p) / 10, tenths(p) % 10))
}

fn outcome(d: &View<'_>, recorded_at: Option<&str>) -> Option<Section> {
    let auto = d.text("/outcome") == "auto";
    let standing = match auto {
        true => ("自动作出", "decided automatically"),
        false => ("拟定，须经人工复核后生效", "proposed; a person must look at it before it takes effect"),
    };
    let mut pairs = vec![
        (("工单", "Ticket"), d.text("/ticket_id").to_owned()),
        (("决定编号", "Decision"), d.text("/id").to_owned()),
        (("性质", "Standing"), d.say(standing)),
        (("处理方式", "Remedy"), d.term(d.text("/remedy/kind"))),
    ];
    for (name, path) in
        [(("退款（元）", "Refund"), "/remedy/refund"), (("赔付（元）", "Compensation"), "/remedy/compensation")]
    {
        if d.text(path) != "0.00" {
            pairs.push((name, d.text(path).to_owned()));
        }
    }
    pairs.push((("运费承担", "Freight borne by"), d.say(words::freight(d.text("/remedy/freight_by")))));
    if d.d.pointer("/remedy/return_goods").and_then(Value::as_bool) == Some(true) {
        pairs.push((("商品", "Goods"), d.say(("退回商家", "go back to the seller"))));
    }
    if d.text("/remedy/deadline") != "-" && d.text("/remedy/kind") != "reject_claim" {
        pairs.push((("履行期限", "To be performed by"), d.text("/remedy/deadline").to_owned()));
    }
    pairs.push((("决定时间", "Decided as of"), d.text("/decided_as_of").to_owned()));
    if let Some(at) = recorded_at {
        pairs.push((("记录时间", "Recorded at"), at.to_owned()));
    }
    if let Some(hint) = d.d.get("legal_hint") {
        pairs.push((("法律提示（不由平台裁处）", "Point of law, not ordered by the platform"), d.own(hint).to_owned()));
    }
    let pairs = pairs.into_iter().map(|(name, value)| (d.say(name), value)).collect();
    d.section("outcome", ("处理结果", "Result"), vec![Block::Pairs(pairs)])
}

fn reasons(d: &View<'_>) -> Option<Section> {
    let list: Vec<String> = d.list("/reasons").iter().map(|r| d.own(r).to_owned()).collect();
    let blocks = if list.is_empty() { Vec::new() } else { vec![Block::List(list)] };
    d.section("reasons", ("为什么须人工复核", "Why a person must look at it"), blocks)
}

fn findings(d: &View<'_>) -> Option<Section> {
    let lines = d.list(&format!("/explanation/{}", d.lang.as_str()));
    let lines: Vec<String> = lines.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    d.section("findings", ("认定", "What was found"), vec![Block::List(lines)])
}

fn clauses(d: &View<'_>) -> Option<Section> {
    let row = |clause: &Value| {
        let sources = clause.get("sources").and_then(Value::as_array).into_iter().flatten();
        let sources: Vec<&str> = sources.filter_map(Value::as_str).collect();
        let id = clause.get("id").and_then(Value::as_str).unwrap_or("-");
        vec![id.to_owned(), clause.get("text").map_or("-", |t| d.own(t)).to_owned(), sources.join("；")]
    };
    let rows: Vec<Vec<String>> = d.list("/sop/clauses").iter().map(row).collect();
    if rows.is_empty() {
        return None;
    }
    let title = d.d.pointer("/sop/title").map_or("-", |t| d.own(t));
    let version = d.d.pointer("/sop/version").and_then(Value::as_u64).unwrap_or(0);
    let governs = match d.lang {
        Lang::Zh => format!("适用规则：{title}（{} 第 {version} 版）", d.text("/sop/id")),
        Lang::En => format!("Governing rule: {title} ({} v{version})", d.text("/sop/id")),
    };
    let head = [("条款", "Clause"), ("内容", "Text"), ("依据", "Source")].map(|b| d.say(b)).to_vec();
    d.section(
        "clauses",
        ("条款与依据", "Clauses and their sources"),
        vec![Block::Text(governs), Block::Table { head, rows }],
    )
}

fn evidence(d: &View<'_>) -> Option<Section> {
    let items = d.list("/evidence/items");
    let requirement = |id: &str| {
        let found = d.sop().and_then(|s| s.buyer.iter().chain(&s.seller).find(|r| r.id == id));
        found.map_or_else(|| id.to_owned(), |r| d.bilingual(&r.text))
    };
    let row = |item: &Value| {
        let text = |name: &str| item.get(name).and_then(Value::as_str);
        let valid = item.get("valid").and_then(Value::as_bool) == Some(true);
        let finding = match (valid, text("defect")) {
            (true, _) => d.say(("采信", "accepted")),
            (false, Some(defect)) => format!("{}{}", d.say(("不采信：", "not accepted: ")), d.term(defect)),
            (false, None) => d.say(("不采信", "not accepted")),
        };
        vec![
            text("evidence_id").unwrap_or("-").to_owned(),
            d.say(words::party(text("party").unwrap_or_default())),
            d.term(text("kind").unwrap_or("-")),
            text("requirement").map_or_else(|| "-".to_owned(), requirement),
            finding,
            percent(item.get("probability")),
        ]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    if rows.is_empty() {
        return d.section(
            "evidence",
            ("证据", "Evidence"),
            vec![Block::Text(d.say(("双方均未提交证据。", "Neither party submitted evidence.")))],
        );
    }
    let head = [
        ("编号", "Id"),
        ("提交方", "Party"),
        ("种类", "Kind"),
        ("证明事项", "Offered to prove"),
        ("认定", "Finding"),
        ("把握", "Certainty"),
    ];
    d.section(
        "evidence",
        ("证据的认定", "How the evidence was weighed"),
        vec![Block::Table { head: head.map(|b| d.say(b)).to_vec(), rows }],
    )
}

fn row(d: &View<'_>) -> Option<Section> {
    let heading = ("据以决定的规则", "The row that decided");
    let Some(number) = d.d.pointer("/remedy/row").and_then(Value::as_u64) else {
        let text = (
            "现有事实不足以适用任何一行规则，因此先请补充材料。",
            "The facts known fit no row of the table, so more is asked for first.",
        );
        return d.section("row", heading, vec![Block::Text(d.say(text))]);
    };
    let intro = match d.lang {
        Lang::Zh => format!("决策表第 {number} 行"),
        Lang::En => format!("Row {number} of the decision table"),
    };
    let at = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    let cells = d.sop().zip(at).and_then(|(sop, at)| Some((sop, sop.table.rows.get(at)?)));
    let Some((sop, cells)) = cells else { return d.section("row", heading, vec![Block::Text(intro)]) };
    let free = |fact: &crate::sop::facts::Fact, set: &crate::sop::duration::IntervalSet| *set == fact.domain();
    let pairs = sop.columns.iter().zip(cells).filter(|(fact, set)| !free(fact, set)).map(|(fact, set)| {
        let id = fact.to_string();
        let name = match (id.strip_prefix("service."), pick(words::fact(&id), d.lang)) {
            (Some(service), _) => d.term(service),
            (None, "") => id.clone(),
            (None, name) => name.to_owned(),
        };
        (name, words::cell(&fact.format(set), d.lang))
    });
    d.section("row", heading, vec![Block::Text(intro), Block::Pairs(pairs.collect())])
}

fn flips(d: &View<'_>) -> Option<Section> {
    let list: Vec<String> = d.list("/flips").iter().map(|flip| d.own(flip).to_owned()).collect();
    let blocks = if list.is_empty() { Vec::new() } else { vec![Block::List(list)] };
    d.section("flips", ("什么会改变结果", "What would have changed it"), blocks)
}

fn rights(d: &View<'_>) -> Option<Section> {
    let mut blocks: Vec<Block> = words::RIGHTS.iter().map(|both| Block::Text(d.say(*both))).collect();
    blocks.push(Block::Pairs(vec![(d.say(("决定编号", "Decision")), d.text("/id").to_owned())]));
    d.section("rights", ("您的权利", "Your rights"), blocks)
}

fn proof(d: &View<'_>, proof: Option<&Proof>) -> Option<Section> {
    let block = match proof {
        None => Block::Text(d.say((
            "本决定已写入账本；并入检查点后，可向平台索取收录证明。",
            "The decision is written to the ledger; once a checkpoint covers it, a receipt can be had from the platform.",
        ))),
        Some(proof) => Block::Pairs(vec![
            (d.say(("账本", "Log")), proof.log.clone()),
            (d.say(("位置", "Leaf")), proof.leaf_index.to_string()),
            (d.say(("检查点大小", "Size of the checkpoint")), proof.tree_size.to_string()),
            (d.say(("根哈希", "Root")), proof.root.clone()),
        ]),
    };
    d.section("proof", ("收录证明", "Proof of inclusion"), vec![block])
}

fn pins(d: &View<'_>) -> Option<Section> {
    let mut pairs = Vec::new();
    for (name, value) in d.d.get("pins").and_then(Value::as_object)? {
        match value {
            Value::Object(inner) => {
                let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
                pairs.extend(inner.iter().map(|(key, v)| (format!("{name}.{key}"), text(v))));
            }
            value => pairs.push((name.clone(), value.as_str().unwrap_or("-").to_owned())),
        }
    }
    pairs.push(("case".to_owned(), d.text("/case_hash").to_owned()));
    pairs.push(("trace".to_owned(), d.text("/trace_sha256").to_owned()));
    d.section("pins", ("所依据的版本（哈希）", "Versions it rests on (hashes)"), vec![Block::Pairs(pairs)])
}
