//! Backlogs: an upload cut into chunks (`lines`), a chunk decided (`decide`), and the worker that takes chunks from the job
//! queue until it is told to stop (`worker`). Whatever decides is the very pipeline of a single request; nothing here knows
//! of HTTP.

mod decide;
mod lines;
mod worker;

pub use decide::ChunkError;
pub use lines::{Chunk, Splitter};
pub use worker::{Foreground, Worker};

/// The longest ticket, in bytes.
pub const MAX_TICKET: usize = 1 << 20;
