//! The certificate: what may be automatic, shown on which cases, for which models and rules; signed with Ed25519 over its
//! canonical bytes. One that is not signed by a trusted key, or not for what runs, opens no gate.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::keys::{KeyError, read_trusted};
use super::ltt::Step;
use super::monitor::Reference;
use crate::decision::{Audit, Certified, Gate, Pins, Score, Second, Strata};
use crate::judge::Probability;

/// The only format there is.
const FORMAT: &str = "praetor.certificate/1";
/// Pins of the models themselves.
const MODELS: [&str; 2] = ["manifest", "models"];
/// Pins that say where and how it ran, not what decides, and the certificate itself.
const UNBOUND: [&str; 3] = ["certificate", "device", "runtime"];

/// What is certified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Version of this form.
    pub format: String,
    /// When it was issued, RFC 3339.
    pub issued: String,
    /// The score that is compared.
    pub score: Score,
    /// The share of wrong remedies that is not exceeded.
    pub alpha: Probability,
    /// The chance that some stratum's promise fails all the same.
    pub delta: Probability,
    /// How decisions are told apart.
    pub strata: Strata,
    /// What was found, by stratum.
    pub certified: BTreeMap<String, Stratum>,
    /// What decides: the pins of decisions without machine, runtime and certificate.
    pub binds: Map<String, Value>,
    /// The cases it rests on.
    pub basis: Basis,
    /// The random share that is looked at all the same.
    pub audit: AuditPlan,
    /// The scores as they were, to see drift by.
    pub reference: Reference,
}

/// One stratum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stratum {
    /// Its share of delta.
    pub delta: f64,
    /// The least score; none where the first test failed, and nothing is automatic.
    pub threshold: Option<Probability>,
    /// Calibration cases decided this way.
    pub cases: u64,
    /// Those of them whose facts were certain.
    pub certain: u64,
    /// The tests, from strict to loose.
    pub steps: Vec<Step>,
    /// What was found about the second verdict, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<SecondVerdict>,
}

/// The second verdict in a stratum: a promise of its own about the decisions that the first one leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondVerdict {
    /// Its share of delta.
    pub delta: f64,
    /// It is for decisions whose first verdict is below this.
    pub below: Probability,
    /// The least second verdict; none where the first test failed.
    pub threshold: Option<Probability>,
    /// Calibration cases that are left to it.
    pub certain: u64,
    /// The tests, from strict to loose.
    pub steps: Vec<Step>,
}

/// A threshold with the test that it rests on, as figures are told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told<'a> {
    /// The stratum.
    pub name: &'a str,
    /// Whether this is of the second verdict.
    pub second: bool,
    /// The threshold; none where nothing passed.
    pub threshold: Option<Probability>,
    /// Calibration cases of the stratum, or those left to the second verdict.
    pub cases: u64,
    /// Those of them whose facts were certain.
    pub certain: u64,
    /// Decisions that reach it, and wrong ones among them.
    pub kept: Option<(u64, u64)>,
    /// The p-value of the test that passed last, or of the one that failed.
    pub p: Option<f64>,
}

impl Certificate {
    /// Every threshold, a stratum's second verdict after its first.
    pub fn told(&self) -> Vec<Told<'_>> {
        let told = |name, second, threshold: Option<Probability>, (cases, certain), steps: &[Step]| {
            let passed = steps.iter().rfind(|s| Some(s.threshold) == threshold);
            let (kept, p) = (passed.map(|s| (s.kept, s.wrong)), passed.or(steps.last()).map(|s| s.p));
            Told { name, second, threshold, cases, certain, kept, p }
        };
        let mut out = Vec::new();
        for (name, s) in &self.certified {
            out.push(told(name, false, s.threshold, (s.cases, s.certain), &s.steps));
            out.extend(s.second.as_ref().map(|s| told(name, true, s.threshold, (s.certain, s.certain), &s.steps)));
        }
        out
    }
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// `gold`, `review` or both: who said what is right.
    pub labels: String,
    /// SHA-256 of the labels' files.
    pub labels_sha256: String,
    /// SHA-256 of the decisions, one canonical line each.
    pub decisions_sha256: String,
    /// Labelled decisions that thresholds were chosen on.
    pub tuning: u64,
    /// Labelled decisions that they were tested on.
    pub calibration: u64,
    /// SHA-256 of each fold's manifest when each case was decided by models that had not seen it; empty when the models
    /// in use decided.
    pub folds: Vec<String>,
}

/// The audited share as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditPlan {
    /// The share.
    pub rate: Probability,
    /// The key of the lots, 64 hex digits.
    pub key: String,
}

/// A certificate does not hold.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be read.
    #[error("cannot read the certificate {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not have the expected form.
    #[error("this is no certificate of the form {FORMAT}: {0}")]
    Form(String),
    /// The trusted keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The key that signed it is not trusted.
    #[error("it is signed by {0}, which is not among the trusted keys")]
    Stranger(String),
    /// The signature is not of these bytes.
    #[error("its signature does not fit: it was changed after it was signed")]
    Signature,
    /// It is not for what runs.
    #[error("it is for other {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Mismatch(Vec<Differs>),
}

/// Something that a certificate binds and that runs otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differs {
    /// The pin.
    pub name: String,
    /// What the certificate binds, in short: the beginning of a hash, or `none`.
    pub bound: String,
    /// What runs.
    pub running: String,
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (bound {}, running {})", self.name, self.bound, self.running)
    }
}

/// The beginning of a hash or name, or of the hash of anything larger.
fn short(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => hex::encode(Sha256::digest(other.to_string())),
    };
    text.chars().take(12).collect()
}

/// A certificate whose signature is by a trusted key.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// What it says.
    pub body: Certificate,
    /// Its canonical bytes: what is signed, hashed and kept.
    pub canonical: Vec<u8>,
}

/// What is bound of a pipeline's pins.
pub fn binds(pins: &Pins) -> Result<Map<String, Value>, serde_json::Error> {
    let mut value = serde_json::to_value(pins)?;
    let mut map = value.as_object_mut().map(std::mem::take).unwrap_or_default();
    map.retain(|name, _| !UNBOUND.contains(&name.as_str()));
    Ok(map)
}

impl Certificate {
    /// The format that this program writes.
    pub fn format() -> String {
        FORMAT.to_owned()
    }

    /// The file's text: body, public key and signature.
    pub fn sign(&self, key: &SigningKey) -> Result<String, serde_json::Error> {
        let bytes = serde_json_canonicalizer::to_vec(self)?;
        let file = json!({
            "certificate": self,
            "key": hex::encode(key.verifying_key().to_bytes()),
            "signature": hex::encode(key.sign(&bytes).to_bytes()),
        });
        Ok(format!("{file:#}\n"))
    }

    fn certified(&self, canonical: &[u8]) -> Result<Gate, CertificateError> {
        let key = hex::decode(&self.audit.key).ok().and_then(|bytes| bytes.try_into().ok());
        let key = key.ok_or_else(|| CertificateError::Form("the audit's key has 64 hex digits".to_owned()))?;
        let thresholds = self.certified.iter().map(|(name, stratum)| (name.clone(), stratum.threshold));
        let second = self.certified.iter().filter_map(|(name, stratum)| {
            let second = stratum.second.as_ref()?;
            Some((name.clone(), Second { below: second.below, least: second.threshold? }))
        });
        Ok(Gate::Certified(Box::new(Certified {
            certificate: canonical.to_vec(),
            score: self.score,
            strata: self.strata.clone(),
            thresholds: thresholds.collect(),
            second: second.collect(),
            audit: Audit { rate: self.audit.rate, key },
        })))
    }

    /// What differs between what it binds and what runs. Fold models of a cross-validation are other models on purpose.
    fn differing(&self, pins: &Pins, folds: bool) -> Result<Vec<Differs>, CertificateError> {
        let running = binds(pins).map_err(|e| CertificateError::Form(e.to_string()))?;
        let names = running.keys().chain(self.binds.keys().filter(|name| !running.contains_key(*name)));
        let differs = |name: &String| {
            let (bound, runs) = (self.binds.get(name), running.get(name));
            let differs = bound != runs && !(folds && MODELS.contains(&name.as_str()));
            differs.then(|| Differs { name: name.clone(), bound: short(bound), running: short(runs) })
        };
        Ok(names.filter_map(differs).collect())
    }
}

impl Signed {
    /// Reads a certificate and checks its signature against the trusted keys.
    pub fn open(path: &Path, keys: &Path) -> Result<Signed, CertificateError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })?;
        Signed::parse(&text, &read_trusted(keys)?)
    }

    /// The same from the file's text.
    pub fn parse(text: &str, trusted: &[VerifyingKey]) -> Result<Signed, CertificateError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            certificate: Value,
            key: String,
            signature: String,
        }
        let form = |e: &dyn std::fmt::Display| CertificateError::Form(e.to_string());
        let file: File = serde_json::from_str(text).map_err(|e| form(&e))?;
        let key = trusted.iter().find(|key| hex::encode(key.to_bytes()) == file.key);
        let key = key.ok_or_else(|| CertificateError::Stranger(file.key.clone()))?;
        let signature = hex::decode(&file.signature).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
        let bytes = serde_json_canonicalizer::to_vec(&file.certificate).map_err(|e| form(&e))?;
        let signature = signature.ok_or(CertificateError::Signature)?;
        key.verify_strict(&bytes, &signature).map_err(|_| CertificateError::Signature)?;
        let body: Certificate = serde_json::from_value(file.certificate).map_err(|e| form(&e))?;
        if body.format != FORMAT {
            return Err(form(&body.format));
        }
        Ok(Signed { body, canonical: bytes })
    }

    /// SHA-256 of its canonical bytes, which decisions pin.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.canonical))
    }

    /// The gate it opens before what runs; `folds` when that is fold models of the training whose models it is for.
    pub fn gate(&self, pins: &Pins, folds: bool) -> Result<Gate, CertificateError> {
        let differing = self.body.differing(pins, folds)?;
        if !differing.is_empty() {
            return Err(CertificateError::Mismatch(differing));
        }
        self.body.certified(&self.canonical)
    }
}

/// The gate that a recorded decision went through, from the certificate's canonical bytes as they were kept. That they
/// are the ones it pins is for the caller to know.
pub fn recorded_gate(canonical: &[u8]) -> Result<Gate, CertificateError> {
    let body: Certificate = serde_json::from_slice(canonical).map_err(|e| CertificateError::Form(e.to_string()))?;
    body.certified(canonical)
}
