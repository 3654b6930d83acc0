//! Everything besides the case that determines a decision's bytes, each by its hash or version.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::judge::{Device, SecondPass, Task};

/// Changes whenever the program could decide the same case under the same other pins differently.
pub const ENGINE: &str = concat!("praetor ", env!("CARGO_PKG_VERSION"), " engine/7");

/// The pins of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pins {
    /// The program.
    pub engine: String,
    /// The pack's id and version.
    pub pack: String,
    /// Hash of the compiled rules.
    pub rulebook: String,
    /// Hash of the pack's calendar.
    pub calendar: String,
    /// Hash of the SOP index.
    pub index: String,
    /// Hash of the models' manifest.
    pub manifest: String,
    /// Hash of each model.
    pub models: BTreeMap<Task, String>,
    /// Hash of the tokenizer.
    pub tokenizer: String,
    /// Hash of the thresholds of certainty.
    pub thresholds: String,
    /// Hash of the certificate that lets decisions be automatic; `none` or `ungated` without one.
    pub certificate: String,
    /// ONNX Runtime's version and build.
    pub runtime: String,
    /// Where models ran.
    pub device: Device,
    /// The reward model and how it is asked; absent when the second pass is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_pass: Option<SecondPass>,
}
