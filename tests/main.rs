//! All integration tests, in one executable: it links once and the tests share what is slow to set up.
//! A new area is a folder here and a `mod` line below.
#![allow(clippy::unwrap_used)]

mod api;
mod calibrate;
mod case;
mod eval;
mod golden;
mod judge;
mod ledger;
mod pipeline;
mod replay;
mod sop;
mod store;
