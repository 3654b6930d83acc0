//! The HTTP service, driven as a client drives it: a real server on a free port, real models, a real database each.

mod audit;
mod batch_kill;
mod batches;
mod contract;
mod cut;
mod decisions;
mod edge;
mod jwt;
mod keys;
mod limits;
mod loss;
mod observing;
mod owasp;
mod program;
mod receiver;
mod reviews;
mod rules;
mod security;
mod support;
mod webhooks;
