//! A cognitive diagnosis of the pipeline: which of its findings do people correct, scene by scene. Of a corrected decision
//! the first wrong finding is blamed; what comes before it was right, what follows from it is not judged.
//!
//! Decisions for review are all judged, automatic ones by the audit's lot alone. So the two are counted apart, and put
//! together they weigh as many decisions as they stand for. Appeals choose themselves and are left out.

use std::collections::BTreeMap;

use serde::Serialize;

use super::agreement::rounded;
use super::reason::{Node, Reason};
use crate::calibrate::{exact_interval, exact_interval_missing};
use crate::store::Judged;

/// Judged decisions of a scene below which nothing is said of it.
pub const LEAST: u64 = 20;

/// A share that is estimated, with an interval that covers it with a chance of at least 95%.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Figure {
    /// The estimate.
    pub share: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// How often a finding was right among the judged decisions of one stratum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Stratum {
    /// Decisions whose finding was judged.
    pub judged: u64,
    /// Of these, not corrected.
    pub right: u64,
    /// The share, with Clopper and Pearson's interval; null of nothing.
    pub figure: Option<Figure>,
}

/// One node in one scene.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct NodeFigures {
    /// The node.
    pub node: Node,
    /// Its name in Chinese.
    pub zh: &'static str,
    /// Its name in English.
    pub en: &'static str,
    /// Among decisions that waited for a person.
    pub review: Stratum,
    /// Among automatic decisions drawn for the audit.
    pub audit: Stratum,
    /// Among all decisions of the scene; null where one of the two strata has nothing judged.
    pub all: Option<Figure>,
}

/// The weakest node of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Weakest {
    /// The node whose interval ends lowest.
    pub node: Node,
    /// Whether that is below where every other node's interval begins: then chance does not explain it.
    pub clear: bool,
}

/// One scene.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SceneDiagnosis {
    /// The scene.
    pub scene: String,
    /// Decisions that people judged.
    pub judged: u64,
    /// Tasks that wait.
    pub waiting: u64,
    /// Of the judged ones, overridden for a reason that blames no finding that can be named; not counted below.
    pub other: u64,
    /// Whether there are enough to say anything.
    pub enough: bool,
    /// Node by node, in the pipeline's order.
    pub nodes: Vec<NodeFigures>,
    /// The weakest node; null where there is not enough, or none was ever corrected.
    pub weakest: Option<Weakest>,
}

/// The pipeline as people's reviews show it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Diagnosis {
    /// Judged decisions of a scene below which nothing is said of it.
    pub least: u64,
    /// The share of automatic decisions that was drawn for the audit; null where none was automatic.
    pub audited: Option<f64>,
    /// Scene by scene.
    pub scenes: Vec<SceneDiagnosis>,
}

/// What was counted in one scene and stratum.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    drawn: u64,
    waiting: u64,
    other: u64,
    /// Right in every finding.
    right: u64,
    /// Wrong first in this node.
    wrong: [u64; Node::ALL.len()],
}

impl Counts {
    fn add(&mut self, row: &Judged) {
        let tasks = u64::try_from(row.tasks).unwrap_or(0);
        self.drawn += tasks;
        match row.reason.as_deref().map(Reason::of) {
            _ if !row.resolved => self.waiting += tasks,
            Some(Some(Reason::Other) | None) => self.other += tasks,
            None => self.right += tasks,
            Some(Some(reason)) => match reason.node() {
                Some(node) => self.wrong[node as usize] += tasks,
                None => self.right += tasks,
            },
        }
    }

    fn judged(&self) -> u64 {
        self.right + self.wrong.iter().sum::<u64>()
    }

    /// A node is judged where no node before it was wrong.
    fn stratum(&self, node: Node) -> Stratum {
        let from = node as usize;
        let judged = self.right + self.wrong[from..].iter().sum::<u64>();
        let right = judged - self.wrong[from];
        let figure = exact_interval(right, judged).map(|(low, high)| Figure {
            share: rounded(right as f64 / judged as f64),
            low: rounded(low),
            high: rounded(high),
        });
        Stratum { judged, right, figure }
    }
}

impl Diagnosis {
    /// From the tasks and the number of automatic decisions of the same time.
    pub fn of(judged: &[Judged], automatic: i64) -> Diagnosis {
        let mut scenes: BTreeMap<&str, [Counts; 2]> = BTreeMap::new();
        for row in judged {
            scenes.entry(&row.scene).or_default()[usize::from(row.kind == "audit")].add(row);
        }
        let drawn: u64 = scenes.values().map(|[_, audit]| audit.drawn).sum();
        let automatic = u64::try_from(automatic).unwrap_or(0);
        let audited = (automatic > 0).then(|| drawn as f64 / automatic as f64);
        let scenes = scenes.into_iter().map(|(scene, counts)| diagnose(scene, &counts, audited.unwrap_or(1.0)));
        Diagnosis { least: LEAST, scenes: scenes.collect(), audited: audited.map(rounded) }
    }
}

fn diagnose(scene: &str, [review, audit]: &[Counts; 2], audited: f64) -> SceneDiagnosis {
    // Each audited decision stands for as many automatic ones as were drawn from.
    let (reviewed, automatic) = (review.drawn as f64, audit.drawn as f64 / audited.max(f64::MIN_POSITIVE));
    let weight = automatic / (reviewed + automatic);
    let nodes: Vec<NodeFigures> = Node::ALL
        .into_iter()
        .map(|node| {
            let (of_review, of_audit) = (review.stratum(node), audit.stratum(node));
            let all = together(&of_review, &of_audit, weight);
            let (zh, en) = node.title();
            NodeFigures { node, zh, en, review: of_review, audit: of_audit, all }
        })
        .collect();
    let judged = review.judged() + audit.judged();
    let other = review.other + audit.other;
    let enough = judged >= LEAST;
    SceneDiagnosis {
        scene: scene.to_owned(),
        judged: judged + other,
        waiting: review.waiting + audit.waiting,
        other,
        enough,
        weakest: if enough { weakest(&nodes) } else { None },
        nodes,
    }
}

/// Both strata, each with an interval that misses with a chance of 2.5%, so that the weighted one misses with 5% at most.
/// The weights are taken as known.
fn together(review: &Stratum, audit: &Stratum, weight: f64) -> Option<Figure> {
    let of = |s: &Stratum| exact_interval_missing(s.right, s.judged, 0.025);
    let (a, b) = (of(review)?, of(audit)?);
    let mixed = |review: f64, audit: f64| rounded(review * (1.0 - weight) + audit * weight);
    Some(Figure {
        share: mixed(review.figure?.share, audit.figure?.share),
        low: mixed(a.0, b.0),
        high: mixed(a.1, b.1),
    })
}

/// By interval, not by estimate: few cases make a wide one, which proves nothing. All nodes are compared on one footing:
/// over all decisions where each node has that figure, else over those that waited for a person, else over the audit.
fn weakest(nodes: &[NodeFigures]) -> Option<Weakest> {
    let sources: [fn(&NodeFigures) -> Option<Figure>; 3] = [|n| n.all, |n| n.review.figure, |n| n.audit.figure];
    let of = sources.into_iter().find(|of| nodes.iter().all(|node| of(node).is_some()))?;
    let figures: Vec<(Node, Figure)> = nodes.iter().filter_map(|node| Some((node.node, of(node)?))).collect();
    let (node, lowest) = figures.iter().min_by(|(_, a), (_, b)| a.high.total_cmp(&b.high))?;
    let clear = figures.iter().all(|(other, figure)| other == node || lowest.high < figure.low);
    (lowest.share < 1.0).then_some(Weakest { node: *node, clear })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, reason: Option<&str>, tasks: i64) -> Judged {
        Judged {
            scene: "invoice".to_owned(),
            kind: kind.to_owned(),
            resolved: true,
            reason: reason.map(str::to_owned),
            tasks,
        }
    }

    fn node(diagnosis: &Diagnosis, node: Node) -> NodeFigures {
        diagnosis.scenes[0].nodes[node as usize].clone()
    }

    #[test]
    fn the_first_wrong_finding_is_blamed_and_what_follows_is_not_judged() {
        let rows = [
            row("review", None, 60),
            row("review", Some("policy_exception"), 5),
            row("review", Some("scene"), 10),
            row("review", Some("evidence_item"), 25),
            row("review", Some("other"), 3),
            Judged { resolved: false, ..row("review", None, 7) },
        ];
        let diagnosis = Diagnosis::of(&rows, 0);
        let scene = &diagnosis.scenes[0];
        assert_eq!((scene.judged, scene.other, scene.waiting, scene.enough), (103, 3, 7, true));
        let counts = |n| (node(&diagnosis, n).review.judged, node(&diagnosis, n).review.right);
        assert_eq!(counts(Node::Label), (100, 90));
        assert_eq!(counts(Node::Timeliness), (90, 90));
        assert_eq!(counts(Node::Evidence), (90, 65));
        assert_eq!(counts(Node::Remedy), (65, 65));
        // Clopper and Pearson, 65 of 90: 0.618 to 0.811; the next lowest, 90 of 100, begins at 0.824.
        let figure =
            node(&diagnosis, Node::Evidence).review.figure.unwrap_or(Figure { share: 0.0, low: 0.0, high: 0.0 });
        assert!((figure.low - 0.618).abs() < 1e-3 && (figure.high - 0.811).abs() < 1e-3, "{figure:?}");
        assert_eq!(scene.weakest, Some(Weakest { node: Node::Evidence, clear: true }));
        assert_eq!((node(&diagnosis, Node::Evidence).all, diagnosis.audited), (None, None));
    }

    #[test]
    fn audited_decisions_weigh_as_many_as_they_stand_for() {
        // 100 reviewed, half wrong; 20 audited of 2,000 automatic, all right: 100 of 2,100 weigh 1, the rest 100 each.
        let rows = [row("review", None, 50), row("review", Some("remedy_kind"), 50), row("audit", None, 20)];
        let diagnosis = Diagnosis::of(&rows, 2_000);
        assert_eq!(diagnosis.audited, Some(0.01));
        let all = node(&diagnosis, Node::Remedy).all.map(|f| f.share).unwrap_or_default();
        assert!((all - (50.0 + 2_000.0) / 2_100.0).abs() < 1e-6, "{all}");
        assert_eq!(diagnosis.scenes[0].weakest.map(|w| w.node), Some(Node::Remedy));
    }

    #[test]
    fn too_few_name_nobody_and_nobody_wrong_is_nobody_weak() {
        let few = Diagnosis::of(&[row("review", Some("sop"), 19)], 0);
        assert_eq!((few.scenes[0].enough, few.scenes[0].weakest), (false, None));
        let right = Diagnosis::of(&[row("review", None, 40)], 0);
        assert_eq!((right.scenes[0].enough, right.scenes[0].weakest), (true, None));
    }
}
