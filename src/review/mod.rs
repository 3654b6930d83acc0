//! What people do about decisions: which of them become tasks and in what order, what a resolution has to say, what stands
//! after it, and what all of them together say about the pipeline.
//!
//! It never changes a decision: a resolution is a record of its own beside it. It reads no clock and no database.

mod agreement;
mod diagnosis;
mod reason;
mod resolution;
mod standing;
mod task;

pub use agreement::{Agreement, Measure, alpha};
pub use diagnosis::{Diagnosis, Figure, LEAST, NodeFigures, SceneDiagnosis, Stratum, Weakest};
pub use reason::{Correction, Node, Reason, ReasonListed};
pub use resolution::{Freight, Refused, Remedy, Resolution, resolve};
pub use standing::{Standing, State};
pub use task::{Appeal, Party, appeal, task};
