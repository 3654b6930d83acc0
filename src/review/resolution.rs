//! What a reviewer decides about a decision: that it is right, or which findings are not and what is ordered instead. Large
//! amounts take two who agree without having seen each other's; where they do not, a third decides.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reason::{Correction, Node, Reason};
use crate::case::Fen;
use crate::config::ReviewConfig;
use crate::record::{Actor, canonical};
use crate::store::{NewResolution, RemedyColumns, ResolutionRow, TaskRow};

/// A value that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The field.
    pub name: &'static str,
    /// What was given.
    pub value: String,
    /// What is expected, Chinese and English.
    pub rule: (String, String),
}

impl Refused {
    pub(super) fn new(name: &'static str, value: &str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { name, value: value.to_owned(), rule: (zh.into(), en.into()) }
    }
}

/// Who pays freight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Freight {
    /// The seller.
    Seller,
    /// The buyer.
    Buyer,
    /// No freight arises.
    None,
}

/// A remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReviewedRemedy)]
pub struct Remedy {
    /// The remedy's id.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9_]{1,64}$")]
    pub kind: String,
    /// Money back, in yuan.
    #[schema(value_type = String, pattern = r"^[0-9]{1,10}(\.[0-9]{1,2})?$")]
    pub refund: Fen,
    /// Money on top, in yuan.
    #[schema(value_type = String, pattern = r"^[0-9]{1,10}(\.[0-9]{1,2})?$")]
    pub compensation: Fen,
    /// Who pays freight.
    pub freight_by: Freight,
    /// Whether the goods go back.
    pub return_goods: bool,
}

impl Remedy {
    /// What a decision proposes or orders.
    pub fn proposed(decision: &Value) -> Option<Remedy> {
        let r = &decision["remedy"];
        serde_json::from_value(json!({
            "kind": r["kind"], "refund": r["refund"], "compensation": r["compensation"], "freight_by": r["freight_by"],
            "return_goods": r["return_goods"],
        }))
        .ok()
    }

    /// Refund and compensation together, in fen.
    pub fn amount_fen(&self) -> i64 {
        self.refund.as_i64().saturating_add(self.compensation.as_i64())
    }

    fn columns(&self) -> RemedyColumns {
        let freight_by = match self.freight_by {
            Freight::Seller => "seller",
            Freight::Buyer => "buyer",
            Freight::None => "none",
        };
        RemedyColumns {
            kind: self.kind.clone(),
            refund_fen: self.refund.as_i64(),
            compensation_fen: self.compensation.as_i64(),
            freight_by: freight_by.to_owned(),
            return_goods: self.return_goods,
        }
    }
}

impl From<&RemedyColumns> for Remedy {
    fn from(columns: &RemedyColumns) -> Self {
        Self {
            kind: columns.kind.clone(),
            refund: Fen::new(columns.refund_fen).unwrap_or_default(),
            compensation: Fen::new(columns.compensation_fen).unwrap_or_default(),
            freight_by: match columns.freight_by.as_str() {
                "seller" => Freight::Seller,
                "buyer" => Freight::Buyer,
                _ => Freight::None,
            },
            return_goods: columns.return_goods,
        }
    }
}

/// What a reviewer decides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(tag = "verdict", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = ResolutionRequest)]
pub enum Resolution {
    /// The decision is right.
    Accept {
        /// Words for the file. Sealed; they may hold personal data.
        #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
        note: Option<String>,
    },
    /// Something in it is not.
    Override {
        /// What is corrected, each finding once.
        #[schema(min_items = 1, max_items = 10)]
        corrections: Vec<Correction>,
        /// What is ordered instead.
        remedy: Remedy,
        /// Words for the file. Sealed; they may hold personal data.
        #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
        note: Option<String>,
    },
}

/// The longest text of a person, in characters.
const LONGEST: usize = 2000;

/// A person's words, if there are any.
pub(super) fn text<'a>(name: &'static str, given: Option<&'a str>) -> Result<Option<&'a str>, Refused> {
    let fits = |text: &str| !text.trim().is_empty() && text.chars().count() <= LONGEST;
    match given {
        Some(given) if !fits(given) => Err(Refused::new(
            name,
            given,
            format!("应为 1 至 {LONGEST} 个字符，不全为空白"),
            format!("has 1 to {LONGEST} characters, not all of them blank"),
        )),
        given => Ok(given),
    }
}

/// A resolution of a task as it is recorded: `earlier` are those of the same task, `decision` the decision as recorded, the key is
/// the reviewer's.
pub fn resolve(
    config: &ReviewConfig,
    task: &TaskRow,
    earlier: &[ResolutionRow],
    decision: &Value,
    resolution: &Resolution,
    (key_id, role): (&str, &str),
) -> Result<NewResolution, Refused> {
    let proposed = Remedy::proposed(decision)
        .ok_or_else(|| Refused::new("decision", &task.decision_id, "没有处理结果", "has a remedy"))?;
    let (verdict, corrections, remedy, note) = match resolution {
        Resolution::Accept { note } => ("accept", [].as_slice(), &proposed, note),
        Resolution::Override { corrections, remedy, note } => {
            check(corrections, remedy, &proposed, decision)?;
            ("override", corrections.as_slice(), remedy, note)
        }
    };
    let note = text("note", note.as_deref())?;
    let (stands, columns) = (*remedy == proposed, remedy.columns());
    let closes = closes(config.second_reviewer_fen.get().into(), proposed.amount_fen(), earlier, &columns);
    let record_id = format!("rvw_{:032x}", rand::random::<u128>());
    let body = json!({
        "format": "praetor.review/1", "id": record_id, "task_id": task.id, "kind": task.kind,
        "decision_id": task.decision_id,
        "ticket_id": decision["ticket_id"], "actor": Actor::Key { id: key_id, role }.to_json(), "verdict": verdict, "corrections": corrections,
        "remedy": remedy, "right": stands, "final": closes, "note": note,
    });
    Ok(NewResolution {
        task_id: task.id.clone(),
        step: task.step,
        key_id: key_id.to_owned(),
        record_id,
        body: canonical(&body),
        closes,
        stands,
        reason: corrections.iter().map(|c| c.reason).min().map(|first| first.code().to_owned()),
        remedy: columns,
    })
}

fn check(corrections: &[Correction], remedy: &Remedy, proposed: &Remedy, decision: &Value) -> Result<(), Refused> {
    if !(1..=10).contains(&corrections.len()) {
        let (zh, en) = ("应有 1 至 10 项更正", "has 1 to 10 corrections");
        return Err(Refused::new("corrections", &corrections.len().to_string(), zh, en));
    }
    for (at, correction) in corrections.iter().enumerate() {
        correction.check(decision)?;
        if corrections[..at].iter().any(|c| (c.reason, &c.about) == (correction.reason, &correction.about)) {
            let (zh, en) = ("同一认定只更正一次", "corrects each finding once");
            return Err(Refused::new("corrections", correction.reason.code(), zh, en));
        }
    }
    // Only a correction of an earlier finding may leave the remedy as it was.
    let first = corrections.iter().map(|c| c.reason).min().and_then(Reason::node);
    if remedy == proposed && first.is_none_or(|node| node == Node::Remedy) {
        let (zh, en) = ("与原处理结果相同", "differs from what was proposed");
        return Err(Refused::new("remedy", &remedy.kind, zh, en));
    }
    Ok(())
}

/// Whether a resolution closes its task: the first of a small amount, the second that agrees, the third in any case.
fn closes(large: i64, proposed_fen: i64, earlier: &[ResolutionRow], new: &RemedyColumns) -> bool {
    let amount = |remedy: &RemedyColumns| remedy.refund_fen.saturating_add(remedy.compensation_fen);
    match earlier {
        [] => proposed_fen.max(amount(new)) < large,
        [first] => first.remedy == *new,
        _ => true,
    }
}
