//! Praetor: rule-driven arbitration of e-commerce after-sale disputes.
//!
//! Without the feature `full` only what proves a bundle is built: `audit`, `ledger` and `lang`.
pub mod audit;
#[cfg(feature = "full")]
pub mod calibrate;
#[cfg(feature = "full")]
pub mod case;
#[cfg(feature = "full")]
pub mod cli;
#[cfg(feature = "full")]
pub mod config;
#[cfg(feature = "full")]
pub mod decision;
#[cfg(feature = "full")]
pub mod eval;
#[cfg(feature = "full")]
pub mod explain;
#[cfg(feature = "full")]
pub mod judge;
pub mod lang;
pub mod ledger;
#[cfg(feature = "full")]
pub mod nodes;
#[cfg(feature = "full")]
pub mod pipeline;
#[cfg(feature = "full")]
pub mod replay;
#[cfg(feature = "full")]
pub mod sop;
#[cfg(feature = "full")]
pub mod store;
#[cfg(feature = "full")]
pub mod telemetry;
#[cfg(feature = "full")]
pub mod witness;
