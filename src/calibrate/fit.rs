//! From labelled decisions to a certificate: split, freeze thresholds on one part, test them on the other, by stratum.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::certificate::{AuditPlan, Basis, Certificate, SecondVerdict, Stratum};
use super::ltt::{Level, Scored, grid, test};
use super::monitor::Reference;
use super::sample::{Sample, tunes};
use crate::decision::{Score, Strata};
use crate::judge::{Manifest, Probability};

/// The share of delta that goes to the second verdict, where there is one: few decisions are left to it.
const SECOND: f64 = 0.2;

/// What is asked of a calibration.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it is made, RFC 3339.
    pub issued: String,
    /// The score.
    pub score: Score,
    /// The share of errors.
    pub alpha: Probability,
    /// The chance that the promise fails, over all strata.
    pub delta: Probability,
    /// How decisions are told apart.
    pub strata: Strata,
    /// The audited share.
    pub audit: AuditPlan,
}

/// What the labelled decisions are, beside themselves.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// See [`Basis::labels`].
    pub labels: String,
    /// See [`Basis::labels_sha256`].
    pub labels_sha256: String,
    /// See [`Basis::decisions_sha256`].
    pub decisions_sha256: String,
    /// See [`Basis::folds`].
    pub folds: Vec<String>,
}

/// Calibrates. Decisions without label or score do not take part.
pub fn fit(samples: &[Sample], request: Request, binds: Map<String, Value>, origin: Origin) -> Certificate {
    let labelled: Vec<(&Sample, Scored)> =
        samples.iter().filter_map(|s| Some((s, Scored { score: s.score?, right: s.right? }))).collect();
    let (tuning, calibration): (Vec<_>, Vec<_>) = labelled.iter().copied().partition(|(s, _)| tunes(&s.ticket));
    let twice = request.score == Score::FirstToken && labelled.iter().any(|(s, _)| s.second.is_some());
    let names: BTreeSet<&str> = match &request.strata {
        Strata::Direction => ["grants", "rejects", "asks"].into(),
        Strata::Scenes(groups) => groups.values().map(String::as_str).chain(["other"]).collect(),
    };
    let (alpha, delta) = (request.alpha.as_f64(), request.delta.as_f64() / names.len() as f64);
    let mut certified = BTreeMap::new();
    for name in names {
        // How many of the stratum there are, and those that are certain in their facts.
        let own = |split: &[(&Sample, Scored)]| -> (u64, Vec<Twice>) {
            let own = || split.iter().filter(|(s, _)| request.strata.of(&s.remedy, &s.scene) == name);
            let certain = own().filter(|(s, _)| s.certain);
            (own().count() as u64, certain.map(|(s, first)| Twice { first: *first, second: s.second }).collect())
        };
        let ((_, tuning), (cases, calibration)) = (own(&tuning), own(&calibration));
        certified.insert(name.to_owned(), stratum(&tuning, &calibration, cases, Level { alpha, delta }, twice));
    }
    Certificate {
        format: Certificate::format(),
        issued: request.issued,
        score: request.score,
        alpha: request.alpha,
        delta: request.delta,
        strata: request.strata,
        certified,
        binds,
        basis: Basis {
            labels: origin.labels,
            labels_sha256: origin.labels_sha256,
            decisions_sha256: origin.decisions_sha256,
            tuning: tuning.len() as u64,
            calibration: calibration.len() as u64,
            folds: origin.folds,
        },
        audit: request.audit,
        reference: Reference::of(samples),
    }
}

/// A decision with both scores.
#[derive(Debug, Clone, Copy)]
struct Twice {
    first: Scored,
    second: Option<Probability>,
}

/// Tests one stratum. Where the second verdict is to be certified too, the first one's sequence ends with the loosest
/// threshold that holds on the tuning split, and the second has a sequence of its own on what lies below it: which cases
/// each test looks at is settled before the calibration split is.
fn stratum(tuning: &[Twice], calibration: &[Twice], cases: u64, level: Level, twice: bool) -> Stratum {
    let firsts = |of: &[Twice]| of.iter().map(|d| d.first).collect::<Vec<_>>();
    let (own_tuning, own) = (firsts(tuning), firsts(calibration));
    let first_level = Level { delta: if twice { level.delta * (1.0 - SECOND) } else { level.delta }, ..level };
    let mut thresholds = grid(&own_tuning, first_level);
    let below = twice.then(|| test(&thresholds, &own_tuning, first_level).threshold).flatten();
    thresholds.retain(|t| below.is_none_or(|below| *t >= below));
    let tested = test(&thresholds, &own, first_level);
    let second = below.filter(|_| tested.threshold.is_some()).and_then(|below| {
        let level = Level { delta: level.delta * SECOND, ..level };
        let left = |of: &[Twice]| -> Option<Vec<Scored>> {
            let left = of.iter().filter(|d| d.first.score < below);
            left.map(|d| Some(Scored { score: d.second?, ..d.first })).collect()
        };
        // A decision without a second verdict cannot be passed by it: nothing can be promised of those that have one.
        let (tuning, left) = (left(tuning)?, left(calibration)?);
        let tested = test(&grid(&tuning, level), &left, level);
        let (threshold, certain, steps) = (tested.threshold, left.len() as u64, tested.steps);
        Some(SecondVerdict { delta: level.delta, below, threshold, certain, steps })
    });
    Stratum {
        delta: first_level.delta,
        threshold: tested.threshold,
        cases,
        certain: own.len() as u64,
        steps: tested.steps,
        second,
    }
}

/// Whether fold models come from the training that made the models in use: it gives all of them one tokenizer, one set
/// of labels and one set of thresholds; and whether they decide with one reward model.
pub fn same_training(shipped: &Manifest, fold: &Manifest) -> bool {
    let labels = |m: &Manifest| -> Vec<_> { m.models.iter().map(|e| (e.id, e.heads.clone(), e.max_tokens)).collect() };
    shipped.tokenizer == fold.tokenizer
        && shipped.thresholds == fold.thresholds
        && labels(shipped) == labels(fold)
        && shipped.verifier == fold.verifier
}
