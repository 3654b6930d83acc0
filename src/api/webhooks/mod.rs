//! Webhooks: tells receivers of what is recorded, in the ledger's order, at least once. What is told are ids and outcomes;
//! no text of a party ever leaves this way.

mod dispatch;
mod message;
mod sign;
mod target;

pub use dispatch::Dispatcher;
pub(super) use dispatch::paused;
pub(super) use message::{Event, Message};
pub(super) use sign::Secret;
pub(super) use target::{Attempt, Targets};
