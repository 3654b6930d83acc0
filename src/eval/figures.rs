//! The benchmark's figures over any set of marked decisions.

use serde_json::{Map, Value, json};

use super::score::Marks;
use super::stats::{Rate, auc, recall_at_precision, round4};

/// The figures that are right or wrong once a ticket, by the scorer's names and in its order.
pub const SCORED: [&str; 10] = [
    "scene",
    "goods_type",
    "label_both",
    "sop",
    "first_report",
    "timeliness",
    "evidence_buyer",
    "evidence_seller",
    "remedy_kind",
    "remedy_exact",
];
/// The precision at which the recall of a score is taken.
const FLOOR: f64 = 0.9;

/// The figures of a set of decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Tickets with gold.
    pub cases: usize,
    /// Those decided.
    pub decided: usize,
    /// Of all cases, in the order of [`SCORED`].
    pub nodes: [Rate; 10],
    /// Of all items of all cases.
    pub items: Rate,
    /// Of all quantities that amounts depend on: read within two percent.
    pub measures: Rate,
    /// Of the settlement's probability.
    pub settles_auc: Option<f64>,
    /// Of the first token's score and the second pass's: ranking of right remedies before wrong ones.
    pub verification_auc: [Option<f64>; 2],
    /// Of the same two: right remedies kept at 90% precision.
    pub verification_recall: [f64; 2],
    /// Decided without a person, of all cases.
    pub auto: Rate,
    /// Right remedies among those.
    pub auto_right: Rate,
    /// Cases whose SOP is the first candidate, among the first three, and among the first five.
    pub retrieval: [Rate; 3],
}

impl Figures {
    /// Sums marks up.
    pub fn of<'a>(marks: impl IntoIterator<Item = &'a Marks>) -> Figures {
        let marks: Vec<&Marks> = marks.into_iter().collect();
        let cases = marks.len();
        let rate =
            |right: &dyn Fn(&Marks) -> bool| Rate { right: marks.iter().filter(|m| right(m)).count(), of: cases };
        let exact = |m: &Marks| m.nodes[SCORED.len() - 1];
        let settles: Vec<_> = marks.iter().filter_map(|m| m.settles).collect();
        let first: Vec<_> = marks.iter().filter_map(|m| m.first_token).collect();
        let second: Vec<_> = marks.iter().filter_map(|m| m.second).collect();
        let auto = rate(&|m| m.auto);
        Figures {
            cases,
            decided: rate(&|m| m.decided).right,
            nodes: std::array::from_fn(|node| rate(&|m| m.nodes[node])),
            items: Rate { right: marks.iter().map(|m| m.items_right).sum(), of: marks.iter().map(|m| m.items).sum() },
            measures: Rate {
                right: marks.iter().map(|m| m.measures_right).sum(),
                of: marks.iter().map(|m| m.measures).sum(),
            },
            settles_auc: auc(&settles),
            verification_auc: [auc(&first), auc(&second)],
            verification_recall: [recall_at_precision(&first, FLOOR), recall_at_precision(&second, FLOOR)],
            auto,
            auto_right: Rate { right: rate(&|m| m.auto && exact(m)).right, of: auto.right },
            retrieval: [1, 3, 5].map(|k| rate(&|m| m.sop_rank.is_some_and(|rank| rank < k))),
        }
    }

    /// Every rate by its name, in the order of the report.
    pub fn rates(&self) -> Vec<(&'static str, Rate)> {
        let mut out: Vec<_> = SCORED.into_iter().zip(self.nodes).collect();
        out.extend([
            ("evidence_item", self.items),
            ("measure", self.measures),
            ("sop_recall_at_1", self.retrieval[0]),
            ("sop_recall_at_3", self.retrieval[1]),
            ("sop_recall_at_5", self.retrieval[2]),
            ("auto_share", self.auto),
            ("auto_precision", self.auto_right),
        ]);
        out
    }

    /// Every figure that is no rate, by its name.
    pub fn others(&self) -> [(&'static str, Option<f64>); 5] {
        [
            ("settles_auc", self.settles_auc),
            ("a1_auc", self.verification_auc[0]),
            ("a2_auc", self.verification_auc[1]),
            ("a1_recall_at_p90", Some(self.verification_recall[0])),
            ("a2_recall_at_p90", Some(self.verification_recall[1])),
        ]
    }

    /// What the benchmark's scorer prints, figure by figure and with its rounding.
    pub fn scorer(&self) -> Value {
        let rounded = |rate: Rate| rate.share().map(round4);
        let mut out = Map::new();
        out.insert("cases".to_owned(), self.cases.into());
        out.insert("decided".to_owned(), self.decided.into());
        for (name, rate) in SCORED.into_iter().zip(self.nodes) {
            out.insert(name.to_owned(), json!(rounded(rate)));
        }
        out.insert("evidence_item".to_owned(), json!(rounded(self.items).unwrap_or(0.0)));
        for (name, figure) in self.others() {
            out.insert(name.to_owned(), json!(figure));
        }
        out.insert("auto_share".to_owned(), json!(rounded(self.auto)));
        out.insert("auto_precision".to_owned(), json!(rounded(self.auto_right)));
        Value::Object(out)
    }
}
