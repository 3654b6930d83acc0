//! The ledger: its proofs against another implementation, and what happens to whoever tampers.

mod bundles;
mod log;
mod receipts;
mod tamper;
mod trees;
