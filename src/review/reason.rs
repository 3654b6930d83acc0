//! Why a decision is overridden: which finding is corrected, and what it should have been. The reasons stand in the order
//! of the pipeline, so that the first of several says where a decision went wrong; what follows from it is not blamed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::resolution::Refused;

/// What a reason is of: a node of the pipeline, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// Scene and goods type.
    Label,
    /// The governing SOP.
    Sop,
    /// The first report.
    FirstReport,
    /// Whether it was in time.
    Timeliness,
    /// What was proved.
    Evidence,
    /// Quantities.
    Measures,
    /// What is ordered.
    Remedy,
}

impl Node {
    /// Every node, in order.
    pub const ALL: [Node; 7] =
        [Node::Label, Node::Sop, Node::FirstReport, Node::Timeliness, Node::Evidence, Node::Measures, Node::Remedy];

    /// Its name in both languages.
    pub fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Label => ("场景与品类", "scene and goods type"),
            Self::Sop => ("适用规则", "governing SOP"),
            Self::FirstReport => ("首次反馈", "first report"),
            Self::Timeliness => ("时效", "timeliness"),
            Self::Evidence => ("凭证", "evidence"),
            Self::Measures => ("数量", "quantities"),
            Self::Remedy => ("处理结果", "remedy"),
        }
    }
}

/// The form of a corrected value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// None is given: the remedy says it, or no finding was wrong.
    Nothing,
    /// An id of the rule pack.
    Id,
    /// RFC 3339.
    Time,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A whole number of the quantity's unit.
    Number,
}

/// Declares the reasons: name, code, node, what it is about, the form of the corrected value, titles.
macro_rules! reasons {
    ($($name:ident $code:literal $node:expr, $about:expr, $form:expr, $zh:literal $en:literal;)+) => {
        /// Why a decision is overridden.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $(#[doc = $en] $name,)+ }

        impl Reason {
            /// Every reason; those of findings in the order of the pipeline.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),+];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The node whose finding was wrong; none where no finding was.
            pub fn node(self) -> Option<Node> {
                match self { $(Self::$name => $node,)+ }
            }

            /// What it is about: `evidence_id`, `party` or `measure`.
            fn about(self) -> Option<&'static str> {
                match self { $(Self::$name => $about,)+ }
            }

            fn form(self) -> Form {
                match self { $(Self::$name => $form,)+ }
            }

            /// The title, Chinese and English.
            pub fn title(self) -> (&'static str, &'static str) {
                match self { $(Self::$name => ($zh, $en),)+ }
            }
        }
    };
}

reasons! {
    Scene "scene" Some(Node::Label), None, Form::Id, "场景判断有误" "the scene is wrong";
    GoodsType "goods_type" Some(Node::Label), None, Form::Id, "商品品类判断有误" "the goods type is wrong";
    Sop "sop" Some(Node::Sop), None, Form::Id, "适用规则有误" "another SOP governs";
    FirstReport "first_report" Some(Node::FirstReport), None, Form::Time, "首次反馈时间有误" "the first report was at another time";
    Timeliness "timeliness" Some(Node::Timeliness), None, Form::OneOf(&["in_time", "expired", "unknown"]),
        "时效判断有误" "the verdict on timeliness is wrong";
    EvidenceItem "evidence_item" Some(Node::Evidence), Some("evidence_id"), Form::OneOf(&["valid", "invalid"]),
        "某项凭证判断有误" "an item of evidence is judged wrongly";
    EvidenceVerdict "evidence_verdict" Some(Node::Evidence), Some("party"),
        Form::OneOf(&["sufficient", "insufficient", "none", "not_required"]),
        "一方举证是否充分判断有误" "the verdict on a party's evidence is wrong";
    Measure "measure" Some(Node::Measures), Some("measure"), Form::Number, "数量或金额读取有误" "a quantity is read wrongly";
    RemedyKind "remedy_kind" Some(Node::Remedy), None, Form::Nothing, "处理方式有误" "the kind of remedy is wrong";
    Amount "amount" Some(Node::Remedy), None, Form::Nothing, "金额有误" "an amount is wrong";
    FreightOrReturn "freight_or_return" Some(Node::Remedy), None, Form::Nothing,
        "运费承担或是否退货有误" "freight or return is wrong";
    PolicyException "policy_exception" None, None, Form::Nothing,
        "认定无误，平台政策另有例外" "the findings are right; a policy makes an exception";
    FraudSuspicion "fraud_suspicion" None, None, Form::Nothing,
        "认定无误，疑似欺诈" "the findings are right; fraud is suspected";
    NewFacts "new_facts" None, None, Form::Nothing,
        "决定之后出现新事实" "facts that came up after the decision";
    Other "other" None, None, Form::Nothing, "其他原因" "another reason";
}

/// A reason as the taxonomy lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReasonListed {
    /// The stable code.
    pub code: Reason,
    /// The node whose finding it corrects; null where no finding was wrong.
    pub node: Option<Node>,
    /// What `about` names: `evidence_id`, `party` or `measure`; null where nothing is named.
    pub about: Option<&'static str>,
    /// The form of `value`: `id`, `time`, `number` or the values themselves; empty where none is given.
    pub value: Vec<&'static str>,
    /// The title in Chinese.
    pub zh: &'static str,
    /// The title in English.
    pub en: &'static str,
}

impl Reason {
    /// As the taxonomy lists it.
    pub fn listed(self) -> ReasonListed {
        let (zh, en) = self.title();
        let value = match self.form() {
            Form::Nothing => Vec::new(),
            Form::Id => vec!["id"],
            Form::Time => vec!["time"],
            Form::Number => vec!["number"],
            Form::OneOf(values) => values.to_vec(),
        };
        ReasonListed { code: self, node: self.node(), about: self.about(), value, zh, en }
    }

    /// The reason with this code.
    pub fn of(code: &str) -> Option<Reason> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// What the decision says on it, in the form of a corrected value.
    fn decided(self, decision: &Value, about: &str) -> Option<String> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let named = |list: &Value, key: &str| list.as_array()?.iter().find(|each| each[key] == about).cloned();
        match self {
            Self::Scene => text(&decision["labels"]["scene"]["id"]),
            Self::GoodsType => text(&decision["labels"]["goods_type"]["id"]),
            Self::Sop => text(&decision["sop"]["id"]),
            Self::FirstReport => text(&decision["timeliness"]["first_report"]["at"]),
            Self::Timeliness => text(&decision["timeliness"]["verdict"]),
            Self::EvidenceItem => {
                let item = named(&decision["evidence"]["items"], "evidence_id")?;
                Some(if item["valid"] == true { "valid" } else { "invalid" }.to_owned())
            }
            Self::EvidenceVerdict => text(&decision["evidence"][about]["verdict"]),
            Self::Measure => {
                let measure = named(&decision["measures"], "id")?;
                Some(text(&measure["value"]).unwrap_or_default())
            }
            _ => None,
        }
    }
}

/// A finding that a reviewer corrects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Which finding.
    pub reason: Reason,
    /// The evidence's id, the party (`buyer`, `seller`) or the quantity's id, for the reasons that are about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub about: Option<String>,
    /// What the finding should have been, for the reasons of findings before the remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub value: Option<String>,
}

impl Correction {
    /// Refuses a correction that does not fit its reason, or that corrects nothing.
    pub(super) fn check(&self, decision: &Value) -> Result<(), Refused> {
        let code = self.reason.code();
        let about = match (self.reason.about(), self.about.as_deref()) {
            (None, None) => "",
            (Some(_), Some(about)) => about,
            (Some(what), None) => {
                return Err(Refused::new("about", code, format!("应给出 {what}"), format!("names the {what}")));
            }
            (None, Some(other)) => {
                return Err(Refused::new("about", other, format!("{code} 不需要"), format!("is not given for {code}")));
            }
        };
        let value = match (self.reason.form(), self.value.as_deref()) {
            (Form::Nothing, None) => return Ok(()),
            (Form::Nothing, Some(other)) => {
                return Err(Refused::new("value", other, format!("{code} 不需要"), format!("is not given for {code}")));
            }
            (_, None) => return Err(Refused::new("value", code, "应给出正确的值", "says what is right")),
            (form, Some(value)) if form.fits(value) => value,
            (form, Some(value)) => {
                let (zh, en) = form.rule();
                return Err(Refused::new("value", value, zh, en));
            }
        };
        match self.reason.decided(decision, about) {
            None if self.reason.about().is_some() => {
                Err(Refused::new("about", about, "该决定中没有此项", "is in the decision"))
            }
            Some(decided) if decided == value => {
                Err(Refused::new("value", value, "与原认定相同", "differs from what was decided"))
            }
            _ => Ok(()),
        }
    }
}

impl Form {
    fn fits(self, value: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Id => {
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._".contains(&b);
                (1..=64).contains(&value.len()) && value.bytes().all(plain)
            }
            Self::Time => chrono::DateTime::parse_from_rfc3339(value).is_ok(),
            Self::OneOf(values) => values.contains(&value),
            Self::Number => value.len() <= 15 && value.parse::<u64>().is_ok(),
        }
    }

    fn rule(self) -> (String, String) {
        match self {
            Self::Nothing => Default::default(),
            Self::Id => ("应为规则包中的 id".to_owned(), "is an id of the rule pack".to_owned()),
            Self::Time => ("应为 RFC 3339 时间".to_owned(), "is a time as of RFC 3339".to_owned()),
            Self::OneOf(values) => {
                (format!("应为 {} 之一", values.join("、")), format!("is one of {}", values.join(", ")))
            }
            Self::Number => {
                ("应为该项数量单位的整数".to_owned(), "is a whole number of the quantity's unit".to_owned())
            }
        }
    }
}
