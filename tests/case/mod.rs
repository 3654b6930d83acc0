//! The case file against real tickets and against broken ones.

mod malformed;
mod messy;
mod public;
