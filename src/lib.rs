//! Praetor: rule-driven arbitration of e-commerce after-sale disputes.
pub mod sop;
