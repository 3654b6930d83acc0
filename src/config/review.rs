//! How people's work is ordered: how soon a task is due, how long a claim holds, when a second reviewer is asked.

use std::num::NonZeroU32;

use serde::Deserialize;

/// The section `[review]` of `praetor.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReviewConfig {
    /// Hours until a decision that waits for a person is due.
    pub review_hours: NonZeroU32,
    /// Hours until an automatic decision drawn for the audit is due.
    pub audit_hours: NonZeroU32,
    /// Hours until an appeal is due.
    pub appeal_hours: NonZeroU32,
    /// Minutes for which a claim keeps others out.
    pub claim_minutes: NonZeroU32,
    /// From this amount on, refund and compensation together in fen, a resolution needs a second reviewer.
    pub second_reviewer_fen: NonZeroU32,
    /// Appeals that a decision admits.
    pub appeals: u8,
}

impl Default for ReviewConfig {
    fn default() -> Self {
        let positive = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            review_hours: positive(24),
            audit_hours: positive(168),
            appeal_hours: positive(48),
            claim_minutes: positive(30),
            second_reviewer_fen: positive(500_000),
            appeals: 2,
        }
    }
}
