//! Measures decisions against known answers: the benchmark's figures, their intervals, a baseline, the figures by scene.
//!
//! It reads decisions as anyone else does, as JSON; it never decides, and nothing that decides reads what is in here.

mod baseline;
mod figures;
mod gold;
mod panel;
mod report;
mod score;
mod stats;

pub use baseline::majority;
pub use figures::{Figures, SCORED};
pub use gold::{Gold, GoldError, GoldEvidence, GoldItem, GoldQuantities, GoldRemedy, GoldReport, read_gold};
pub use panel::{FOLDS, Panel, PanelError, fold_of};
pub use report::Report;
pub use score::{Marks, exact_remedy, score};
pub use stats::{Rate, auc, recall_at_precision, round4};
