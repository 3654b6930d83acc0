//! What became of a certificate's promise: is the score still what it says, are the cases still those it was made on, and
//! what did the audited share find. Figures and alarms; drawing them is `report`'s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::sample::Sample;
use super::stats::{chi_squared_tail, exact_interval, excess};
use crate::judge::Probability;

/// Bins of scores.
const BINS: usize = 10;
/// Above this a population has shifted, as the index is commonly read.
const SHIFTED: f64 = 0.2;
/// The chance of a false alarm of drift, over all groups, and of one of precision.
const FALSE_ALARM: f64 = 0.05;

/// Scores as they were at calibration, in bins of equal counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The least score of every bin but the lowest, ascending.
    pub edges: Vec<Probability>,
    /// Cases a bin.
    pub all: Vec<u64>,
    /// The same by scene.
    pub scenes: BTreeMap<String, Vec<u64>>,
}

impl Reference {
    /// The distribution of these decisions' scores.
    pub fn of(samples: &[Sample]) -> Reference {
        let mut scores: Vec<Probability> = samples.iter().filter_map(|s| s.score).collect();
        scores.sort_unstable();
        let mut edges: Vec<Probability> =
            (1..BINS).filter_map(|bin| scores.get(scores.len() * bin / BINS).copied()).collect();
        edges.dedup();
        let mut out = Reference { all: vec![0; edges.len() + 1], edges, scenes: BTreeMap::new() };
        out.all = out.count(samples.iter());
        let scenes: BTreeMap<&str, Vec<&Sample>> = group(samples, |s| &s.scene);
        out.scenes = scenes.into_iter().map(|(scene, own)| (scene.to_owned(), out.count(own.into_iter()))).collect();
        out
    }

    fn count<'a>(&self, samples: impl Iterator<Item = &'a Sample>) -> Vec<u64> {
        let mut counts = vec![0; self.edges.len() + 1];
        for score in samples.filter_map(|s| s.score) {
            counts[self.edges.partition_point(|edge| *edge <= score)] += 1;
        }
        counts
    }
}

/// How far the scores of a group are from what they were.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// The scene, or the hash of the rules; `all` for all.
    pub group: String,
    /// Decisions now.
    pub cases: u64,
    /// Population stability index.
    pub psi: f64,
    /// The chance of one as large without any drift.
    pub p: f64,
    /// What the scores of the group's labelled decisions promise, and what came of it; none without any.
    pub reliability: Option<Bin>,
    /// Automatic ones.
    pub auto: u64,
    /// Automatic ones whose answer is known: right ones, and all.
    pub auto_right: (u64, u64),
}

/// The population stability index of two counts over the same bins, half a case added to each so that none is empty; and
/// the chance of one as large by chance, for the index over (1/n + 1/m) is then chi-squared.
pub fn psi(before: &[u64], now: &[u64]) -> (f64, f64) {
    let total = |counts: &[u64]| counts.iter().map(|n| *n as f64 + 0.5).sum::<f64>();
    let (n, m) = (total(before), total(now));
    let share = |count: u64, of: f64| (count as f64 + 0.5) / of;
    let index: f64 =
        before.iter().zip(now).map(|(a, b)| (share(*b, m) - share(*a, n)) * (share(*b, m) / share(*a, n)).ln()).sum();
    let freedom = before.len().saturating_sub(1);
    let p = if freedom == 0 { 1.0 } else { chi_squared_tail(index / (1.0 / n + 1.0 / m), freedom as f64) };
    (index, p)
}

/// One bin of the reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Mean score.
    pub score: f64,
    /// Labelled decisions.
    pub cases: u64,
    /// Right ones.
    pub right: u64,
}

/// One point of the risk-coverage curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Share of all labelled decisions that are certain and score at least as much.
    pub coverage: f64,
    /// Share of wrong ones among these.
    pub risk: f64,
}

/// The audited automatic decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audited {
    /// Drawn.
    pub drawn: u64,
    /// Of these, those whose answer is known.
    pub known: u64,
    /// Right ones.
    pub right: u64,
}

impl Audited {
    /// The exact 95% interval of the precision of all automatic decisions.
    pub fn interval(self) -> Option<(f64, f64)> {
        exact_interval(self.right, self.known)
    }
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Stable code.
    pub code: &'static str,
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

/// The figures of a set of decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Decisions.
    pub cases: u64,
    /// Automatic ones.
    pub auto: u64,
    /// Those whose answer is known.
    pub labelled: u64,
    /// Reliability.
    pub reliability: Vec<Bin>,
    /// Risk and coverage, from strict to loose.
    pub coverage: Vec<Point>,
    /// Drift: all together, then by scene, then by rules. Empty without a certificate to compare with.
    pub drift: Vec<Drift>,
    /// The audit.
    pub audited: Audited,
    /// Alarms.
    pub alarms: Vec<Alarm>,
}

impl Figures {
    /// Looks at decisions; `certificate` is the one they are held against, `problem` what is wrong with it.
    pub fn of(samples: &[Sample], certificate: Option<&Certificate>, problem: Option<&str>) -> Figures {
        let count = |holds: &dyn Fn(&Sample) -> bool| samples.iter().filter(|s| holds(s)).count() as u64;
        let audited = Audited {
            drawn: count(&|s| s.audit),
            known: count(&|s| s.audit && s.right.is_some()),
            right: count(&|s| s.audit && s.right == Some(true)),
        };
        let drift = certificate.map_or_else(Vec::new, |c| drift(samples, &c.reference));
        let mut alarms = Vec::new();
        if let Some(problem) = problem {
            alarms.push(Alarm {
                code: "certificate",
                zh: format!("证书无效：{problem}"),
                en: format!("the certificate does not hold: {problem}"),
            });
        }
        let groups = drift.len() as f64;
        for d in drift.iter().filter(|d| d.psi > SHIFTED && d.p < FALSE_ALARM / groups) {
            alarms.push(Alarm {
                code: "drift",
                zh: format!("“{}”的分数分布已变：PSI {:.3}，{} 案", d.group, d.psi, d.cases),
                en: format!("the scores of `{}` have shifted: PSI {:.3} over {} cases", d.group, d.psi, d.cases),
            });
        }
        if let Some(c) = certificate
            && excess(audited.known - audited.right, audited.known, c.alpha.as_f64()) <= FALSE_ALARM
        {
            let (right, known, least) = (audited.right, audited.known, 100.0 - 100.0 * c.alpha.as_f64());
            alarms.push(Alarm {
                code: "precision",
                zh: format!("抽查 {known} 案，正确 {right} 案：准确率低于证书保证的 {least:.1}%"),
                en: format!("{right} of {known} audited decisions are right: below the {least:.1}% certified"),
            });
        }
        Figures {
            cases: samples.len() as u64,
            auto: count(&|s| s.auto),
            labelled: count(&|s| s.right.is_some()),
            reliability: reliability(samples),
            coverage: coverage(samples),
            drift,
            audited,
            alarms,
        }
    }
}

fn group<'a>(samples: &'a [Sample], key: impl Fn(&'a Sample) -> &'a String) -> BTreeMap<&'a str, Vec<&'a Sample>> {
    let mut out: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        out.entry(key(sample)).or_default().push(sample);
    }
    out
}

fn drift(samples: &[Sample], reference: &Reference) -> Vec<Drift> {
    let compare = |name: &str, before: &[u64], own: &[&Sample]| {
        let now = reference.count(own.iter().copied());
        let (psi, p) = psi(before, &now);
        let known = labelled(own.iter().copied());
        let auto: Vec<&&Sample> = own.iter().filter(|s| s.auto).collect();
        let count = |holds: &dyn Fn(&Sample) -> bool| auto.iter().filter(|s| holds(s)).count() as u64;
        Drift {
            group: name.to_owned(),
            cases: now.iter().sum(),
            psi,
            p,
            reliability: (!known.is_empty()).then(|| bin(&known)),
            auto: auto.len() as u64,
            auto_right: (count(&|s| s.right == Some(true)), count(&|s| s.right.is_some())),
        }
    };
    let all: Vec<&Sample> = samples.iter().collect();
    let scenes = group(samples, |s| &s.scene);
    let rules = group(samples, |s| &s.rulebook);
    // A scene that was never calibrated on has nothing to be compared with.
    let known = scenes.iter().filter_map(|(scene, own)| Some((*scene, reference.scenes.get(*scene)?, own)));
    let by_scene = known.map(|(scene, before, own)| compare(scene, before, own));
    let by_rules = rules.iter().map(|(hash, own)| compare(hash, &reference.all, own));
    std::iter::once(compare("all", &reference.all, &all)).chain(by_scene).chain(by_rules).collect()
}

/// Score, whether right and whether certain, of those whose answer is known; from high scores to low.
fn labelled<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<(f64, bool, bool)> {
    let mut out: Vec<(f64, bool, bool)> =
        samples.filter_map(|s| Some((s.score?.as_f64(), s.right?, s.certain))).collect();
    out.sort_by(|a, b| b.0.total_cmp(&a.0));
    out
}

fn reliability(samples: &[Sample]) -> Vec<Bin> {
    let all = labelled(samples.iter());
    let size = all.len().div_ceil(BINS).max(1);
    all.chunks(size).map(bin).collect()
}

/// The bin of labelled decisions, of which there is at least one.
fn bin(own: &[(f64, bool, bool)]) -> Bin {
    Bin {
        score: own.iter().map(|s| s.0).sum::<f64>() / own.len() as f64,
        cases: own.len() as u64,
        right: own.iter().filter(|s| s.1).count() as u64,
    }
}

fn coverage(samples: &[Sample]) -> Vec<Point> {
    let all = labelled(samples.iter());
    let (total, certain) = (all.len() as f64, all.into_iter().filter(|s| s.2));
    let (mut kept, mut wrong) = (0_u32, 0_u32);
    let mut points: Vec<(f64, Point)> = Vec::new();
    for (score, right, _) in certain {
        kept += 1;
        wrong += u32::from(!right);
        let point = Point { coverage: f64::from(kept) / total, risk: f64::from(wrong) / f64::from(kept) };
        // Equal scores are kept or left together.
        match points.last_mut().filter(|(last, _)| *last == score) {
            Some(last) => last.1 = point,
            None => points.push((score, point)),
        }
    }
    points.into_iter().map(|(_, point)| point).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample(n: u32, score: u32, right: Option<bool>) -> Sample {
        Sample {
            ticket: format!("T{n}"),
            scene: ["invoice", "wrong_item"][n as usize % 2].to_owned(),
            remedy: "refund_only".to_owned(),
            rulebook: "ab".repeat(32),
            certain: true,
            auto: true,
            audit: n.is_multiple_of(4),
            score: Probability::from_millionths(score),
            second: None,
            right,
        }
    }

    #[test]
    fn the_index_is_nothing_for_the_same_and_large_for_another_population() {
        let (same, p) = psi(&[100, 100, 100], &[100, 100, 100]);
        assert!(same.abs() < 1e-12 && p > 0.99);
        let (index, p) = psi(&[100, 100, 100], &[280, 10, 10]);
        // By hand: (280.5/301.5 - 1/3) ln(2.791) + 2 (10.5/301.5 - 1/3) ln(0.1045)
        assert!((index - 1.960).abs() < 0.002, "{index}");
        assert!(p < 1e-9);
        // Ten cases do not prove a shift, however they fall.
        let (index, p) = psi(&[30, 30, 30], &[6, 2, 2]);
        assert!(index > SHIFTED && p > 0.05, "{index} {p}");
    }

    #[test]
    fn curves_add_up() {
        let samples: Vec<Sample> = (0..100).map(|n| sample(n, 1_000_000 - n * 5_000, Some(n < 90))).collect();
        let figures = Figures::of(&samples, None, None);
        assert_eq!((figures.cases, figures.auto, figures.labelled), (100, 100, 100));
        assert_eq!(figures.reliability.iter().map(|b| b.cases).sum::<u64>(), 100);
        assert_eq!(figures.reliability[9].right, 0);
        let last = figures.coverage.last().unwrap();
        assert!((last.coverage - 1.0).abs() < 1e-12 && (last.risk - 0.1).abs() < 1e-12);
        assert_eq!(figures.coverage[89].risk, 0.0);
        assert_eq!(figures.audited, Audited { drawn: 25, known: 25, right: 23 });
        assert!(figures.alarms.is_empty() && figures.drift.is_empty());
    }

    #[test]
    fn equal_scores_are_one_point() {
        let samples: Vec<Sample> = (0..10).map(|n| sample(n, 500_000, Some(n > 4))).collect();
        assert_eq!(coverage(&samples), [Point { coverage: 1.0, risk: 0.5 }]);
    }
}
