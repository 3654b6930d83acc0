//! Which decisions may be automatic, with a guarantee: thresholds by Learn-then-Test on labelled decisions, the signed
//! certificate that carries them, and the report that watches whether it still holds.
//!
//! It reads decisions as anyone else does, as JSON; it decides no case and changes no remedy. The gate itself is
//! `decision`'s.

mod certificate;
mod fit;
mod keys;
mod ltt;
mod monitor;
mod report;
mod sample;
mod stats;
mod svg;

pub use certificate::{
    AuditPlan, Basis, Certificate, CertificateError, Differs, SecondVerdict, Signed, Stratum, Told, binds,
    recorded_gate,
};
pub use fit::{Origin, Request, fit, same_training};
pub use keys::{KeyError, create_private, read_private, read_trusted, write_trusted};
pub use ltt::{Level, Scored, Step, Tested, grid, test};
pub use monitor::{Alarm, Audited, Bin, Drift, Figures, Point, Reference, psi};
pub use report::html;
pub use sample::{LabelError, Labels, Sample, tunes};
pub use stats::{exact_interval, exact_interval_missing, p_value};
