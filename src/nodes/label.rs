//! What the dispute is about: scene and goods type, decoded together over the pairs that the pack governs.

use serde::Serialize;

use super::facts::sop_in;
use super::{Finding, Findings, Node, NodeError, NodeId, Rules, head, probability, text};
use crate::case::Case;
use crate::judge::{Answer, Distribution, Probability, Question, Task};
use crate::sop::{RuleBook, Sop};

/// One label with the model's probability for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Labelled {
    /// Taxonomy id.
    pub id: String,
    /// The model's probability.
    pub score: Probability,
}

/// The finding of the label node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelFinding {
    /// The scene.
    pub scene: Labelled,
    /// The goods type.
    pub goods_type: Labelled,
    /// Share of the probability of all governed pairs that this pair holds.
    pub score: Probability,
    /// True when both labels reach their thresholds.
    pub certain: bool,
    /// All scenes, for retrieval.
    #[serde(skip)]
    pub scenes: Vec<Labelled>,
    /// All goods types, for retrieval.
    #[serde(skip)]
    pub goods: Vec<Labelled>,
}

impl Findings {
    /// The labels as the decision gives them: under the SOP that was found to govern, if one was.
    pub fn labels(&self, book: &RuleBook) -> Result<LabelFinding, NodeError> {
        let label = Findings::required(&self.label, NodeId::Label)?;
        Ok(sop_in(self, book)?.map_or_else(|| label.clone(), |sop| label.under(sop)))
    }
}

impl LabelFinding {
    /// The labels under the SOP that was found to govern: where the likeliest pair is none of the SOP's, the SOP's scene and
    /// the likeliest of its goods types.
    pub fn under(&self, sop: &Sop) -> LabelFinding {
        let mut label = self.clone();
        let fits = |kind: &Labelled| sop.goods.contains(&kind.id);
        if sop.scene == self.scene.id && fits(&self.goods_type) {
            return label;
        }
        let scene = self.scenes.iter().find(|l| l.id == sop.scene);
        let goods = self.goods.iter().filter(|l| fits(l)).reduce(|best, l| if l.score > best.score { l } else { best });
        if let (Some(scene), Some(goods)) = (scene, goods) {
            (label.scene, label.goods_type, label.certain) = (scene.clone(), goods.clone(), false);
        }
        label
    }
}

/// The node.
pub(super) struct Label;

impl Node for Label {
    fn id(&self) -> NodeId {
        NodeId::Label
    }

    fn needs(&self, case: &Case, _: &Findings, _: Rules<'_>) -> Result<Vec<Question>, NodeError> {
        Ok(vec![Question { task: Task::Classify, text: text::classify(case) }])
    }

    fn judge(&self, case: &Case, _: &Findings, answers: &[Answer], rules: Rules<'_>) -> Result<Finding, NodeError> {
        let scenes = labelled(head(answers.first(), "scene")?);
        let goods = labelled(head(answers.first(), "goods_type")?);
        let day = rules.day(case);
        let (mut best, mut total) = (None::<(f64, &Labelled, &Labelled)>, 0.0);
        for scene in &scenes {
            for kind in &goods {
                if rules.book.governing(&scene.id, &kind.id, day).is_none() {
                    continue;
                }
                let joint = scene.score.as_f64() * kind.score.as_f64();
                total += joint;
                if best.is_none_or(|(p, ..)| joint > p) {
                    best = Some((joint, scene, kind));
                }
            }
        }
        // A pack that governs nothing on this day still gets labels; the policy node then finds no SOP.
        let first = |list: &[Labelled]| list.iter().max_by_key(|l| l.score).cloned();
        let (joint, scene, goods_type) = match best {
            Some((joint, scene, kind)) => (joint, scene.clone(), kind.clone()),
            None => (
                0.0,
                first(&scenes).ok_or(NodeError::Answer("scene"))?,
                first(&goods).ok_or(NodeError::Answer("goods_type"))?,
            ),
        };
        let certain = scene.score >= rules.thresholds.scene && goods_type.score >= rules.thresholds.goods_type;
        let score = probability(if total > 0.0 { joint / total } else { 0.0 });
        Ok(Finding::Label(LabelFinding { scene, goods_type, score, certain, scenes, goods }))
    }
}

fn labelled(d: &Distribution) -> Vec<Labelled> {
    d.labels.iter().zip(&d.p).map(|(id, p)| Labelled { id: id.clone(), score: *p }).collect()
}
