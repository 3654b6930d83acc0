//! The store against a real PostgreSQL: one private cluster for the run, a fresh database for each test.

mod batches;
mod embedded;
mod guards;
mod isolation;
mod kill;
pub(crate) mod ledger;
mod records;
mod reviews;
mod servers;
pub(crate) mod support;
mod vault;
