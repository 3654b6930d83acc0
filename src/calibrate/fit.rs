//! From labelled decisions to a certificate: split, freeze thresholds on one part, test them on the other, by stratum.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::certificate::{AuditPlan, Basis, Certificate, Stratum};
use super::ltt::{Level, Scored, grid, test};
use super::monitor::Reference;
use super::sample::{Sample, tunes};
use crate::decision::{Score, Strata};
use crate::judge::{Manifest, Probability};

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
    let names: BTreeSet<&str> = match &request.strata {
        Strata::Direction => ["grants", "rejects", "asks"].into(),
        Strata::Scenes(groups) => groups.values().map(String::as_str).chain(["other"]).collect(),
    };
    let (alpha, delta) = (request.alpha.as_f64(), request.delta.as_f64() / names.len() as f64);
    let mut certified = BTreeMap::new();
    for name in names {
        let of = |split: &[(&Sample, Scored)]| -> (Vec<Scored>, u64) {
            let own = split.iter().filter(|(s, _)| request.strata.of(&s.remedy, &s.scene) == name);
            let cases = own.clone().count() as u64;
            (own.filter(|(s, _)| s.certain).map(|(_, scored)| *scored).collect(), cases)
        };
        let ((tuning, _), (calibration, cases)) = (of(&tuning), of(&calibration));
        let level = Level { alpha, delta };
        let tested = test(&grid(&tuning, level), &calibration, level);
        let certain = calibration.len() as u64;
        let stratum = Stratum { delta, threshold: tested.threshold, cases, certain, steps: tested.steps };
        certified.insert(name.to_owned(), stratum);
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

/// Whether fold models come from the training that made the models in use: it gives all of them one tokenizer, one set
/// of labels and one set of thresholds; and whether they decide with one reward model.
pub fn same_training(shipped: &Manifest, fold: &Manifest) -> bool {
    let labels = |m: &Manifest| -> Vec<_> { m.models.iter().map(|e| (e.id, e.heads.clone(), e.max_tokens)).collect() };
    shipped.tokenizer == fold.tokenizer
        && shipped.thresholds == fold.thresholds
        && labels(shipped) == labels(fold)
        && shipped.verifier == fold.verifier
}
