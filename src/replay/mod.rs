//! Decides recorded cases again, with the artifacts their decisions pinned or with others, and says what agrees.
//!
//! Five levels: R0 the record is whole and proven, R1 deciding again gives the same bytes, R2 where it does not, the node
//! where it parts, why and by how much, R3 what would have been under other rules, models or facts, R4 what was known
//! at a time. Side-effect free: nothing is recorded but, once, the artifacts that new decisions pin.

mod artifacts;
mod diverge;
mod edits;
mod packs;
mod proof;
mod recorded;
mod rerun;
mod transition;

use serde::Serialize;

use crate::calibrate::CertificateError;
use crate::judge::JudgeError;
use crate::pipeline::PipelineError;
use crate::sop::KeptBookError;
use crate::store::StoreError;

pub use artifacts::{keep, keep_book, keep_certificate, kept_book, pinned_book};
pub use diverge::{Cause, Divergence, Sides, diverge};
pub use edits::{CaseEdit, EditError, Known, UnknownCaseEdit};
pub use packs::{Compared, Packs};
pub use proof::{Inclusion, Proven, Prover};
pub use recorded::RecordedAnswers;
pub use rerun::{Changes, Record, Replayed, Rerun, Status, verify};
pub use transition::{Cell, Change, Matrix, Transitions};

/// How much a replay asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The record is whole and proven included.
    R0,
    /// Deciding again with the pinned artifacts gives the same bytes.
    R1,
    /// Where it does not: the node, the cause and the distance.
    R2,
    /// What other rules, models, thresholds or facts would have given.
    R3,
    /// What was known at a time, and would have been decided.
    R4,
}

/// A replay cannot go on. What is wrong with one record is no such error: it is told of that record.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Models cannot be opened.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// Deciding failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// A kept rule book cannot be read.
    #[error(transparent)]
    Book(#[from] KeptBookError),
    /// A kept certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// An artifact that a decision pins is not kept.
    #[error("the {kind} {hash} is not kept in this database")]
    NotKept {
        /// What it is.
        kind: &'static str,
        /// Its hash.
        hash: String,
    },
    /// A decision was made by other models than those that run here.
    #[error("it was decided by the models {manifest}, which do not run here")]
    NotRunning {
        /// The manifest it pins.
        manifest: String,
    },
    /// An artifact's file cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A threshold has no such name.
    #[error("there is no threshold `{0}`; they are scene, goods_type, first_report, evidence and measure")]
    NoThreshold(String),
    /// Something has no JSON form.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
}
