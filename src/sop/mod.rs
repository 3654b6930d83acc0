//! Standard operating procedures: parse packs, prove them, compile them to a rule book, evaluate and search it.
//!
//! A pack is data a policy editor writes; a [`RuleBook`] is what decisions pin. Nothing in here does I/O but
//! [`load`], and nothing reads a clock.

pub mod duration;
pub mod expr;
pub mod facts;
pub mod table;
