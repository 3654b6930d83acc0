//! Backlogs: how they are cut, how much is taken, how many chunks this process decides at once.

use std::num::{NonZeroU8, NonZeroU32, NonZeroUsize};

use serde::Deserialize;

/// The section `[batch]` of `praetor.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Chunks that `praetor serve` decides at once beside its requests; 0 leaves them to `praetor worker`.
    pub workers: usize,
    /// Tickets of a chunk.
    pub chunk_lines: NonZeroU32,
    /// Cases decided together.
    pub together: NonZeroUsize,
    /// Bytes of an upload, after decompression.
    pub max_bytes: u64,
    /// Tickets of an upload.
    pub max_lines: u64,
    /// Uploads at a time.
    pub uploads: usize,
    /// Streams of progress at a time.
    pub streams: usize,
    /// How often a chunk is tried before its batch fails.
    pub attempts: NonZeroU8,
    /// How often a worker says that it lives.
    pub heartbeat_seconds: NonZeroU32,
    /// After this long without a word a worker is held to be dead, and others take its chunks.
    pub dead_after_seconds: NonZeroU32,
}

impl Default for BatchConfig {
    fn default() -> Self {
        let positive = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            workers: 1,
            chunk_lines: positive(1_000),
            together: NonZeroUsize::new(32).unwrap_or(NonZeroUsize::MIN),
            max_bytes: 1 << 30,
            max_lines: 1_000_000,
            uploads: 4,
            streams: 64,
            attempts: NonZeroU8::new(10).unwrap_or(NonZeroU8::MIN),
            heartbeat_seconds: positive(5),
            dead_after_seconds: positive(30),
        }
    }
}
