//! The ledger: its proofs against another implementation, and what happens to whoever tampers.

mod receipts;
mod trees;
