//! Witnesses: somebody else who remembers how large the log was, so that whoever holds the log's key cannot rewrite it.
//! The service of a witness, the client that asks one, and the mark of what was witnessed last, which is kept outside
//! the database. What may be cosigned is judged in `ledger`.

mod client;
mod mark;
mod server;

use crate::ledger::PublicKey;

pub use client::{Witness, WitnessError};
pub use mark::{Mark, MarkError};
pub use server::{Keeper, serve};

/// Which witness to ask.
#[derive(Debug, Clone)]
pub struct WitnessConfig {
    /// Its address, such as `https://witness.example`.
    pub url: String,
    /// The key it cosigns with.
    pub key: PublicKey,
}
