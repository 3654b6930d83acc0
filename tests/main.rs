//! All integration tests, in one executable: it links once and the tests share what is slow to set up.
#![allow(clippy::unwrap_used)]

mod store;
