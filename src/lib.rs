//! Praetor: rule-driven arbitration of e-commerce after-sale disputes.
pub mod case;
pub mod judge;
pub mod lang;
pub mod sop;
pub mod store;
