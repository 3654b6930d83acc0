//! Praetor: rule-driven arbitration of e-commerce after-sale disputes.
pub mod calibrate;
pub mod case;
pub mod cli;
pub mod config;
pub mod decision;
pub mod eval;
pub mod explain;
pub mod judge;
pub mod lang;
pub mod ledger;
pub mod nodes;
pub mod pipeline;
pub mod replay;
pub mod sop;
pub mod store;
pub mod telemetry;
