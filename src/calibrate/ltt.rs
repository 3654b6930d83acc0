//! Learn-then-Test (Angelopoulos et al., 2021) by fixed-sequence testing: thresholds are frozen on one split, from strict
//! to loose, and tested on another in that order with exact binomial p-values; the first that fails ends it.
//!
//! With probability at least 1 - delta the precision above the threshold that comes out is at least 1 - alpha, whatever
//! the score is worth. A useless score costs thresholds, never the guarantee.

use serde::{Deserialize, Serialize};

use super::stats::p_value;
use crate::judge::Probability;

/// Steps from the strictest threshold to the loosest.
const STEPS: usize = 20;

/// A labelled decision as the test sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scored {
    /// The score that thresholds are compared with.
    pub score: Probability,
    /// Whether the remedy was right.
    pub right: bool,
}

/// What is promised: an error rate of at most `alpha`, with probability at least 1 - `delta`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Share of errors.
    pub alpha: f64,
    /// Chance that the promise fails.
    pub delta: f64,
}

/// One threshold tested.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The threshold.
    pub threshold: Probability,
    /// Decisions of the calibration split that reach it.
    pub kept: u64,
    /// Wrong ones among them.
    pub wrong: u64,
    /// The chance of so few errors if the error rate were above alpha.
    pub p: f64,
}

/// The outcome of a sequence of tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// The tests that were made, in their order; the last may be the one that failed.
    pub steps: Vec<Step>,
    /// The loosest threshold that passed; none when the first test failed.
    pub threshold: Option<Probability>,
}

/// Thresholds to test, from strict to loose, from the tuning split alone: its quantiles, beginning with the one whose
/// p-value is smallest there. It is the likeliest to pass; what is stricter keeps too few cases to prove as much.
pub fn grid(tuning: &[Scored], level: Level) -> Vec<Probability> {
    let mut scores: Vec<Probability> = tuning.iter().map(|s| s.score).collect();
    scores.sort_unstable_by(|a, b| b.cmp(a));
    let rank = |step: usize| (scores.len() * step).div_ceil(STEPS);
    let mut thresholds: Vec<Probability> =
        (1..=STEPS).filter_map(|step| scores.get(rank(step).checked_sub(1)?).copied()).collect();
    thresholds.dedup();
    let tried = thresholds.iter().map(|t| step(tuning, *t, level.alpha).p).enumerate();
    let first = tried.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
    thresholds.split_off(first)
}

/// Tests a frozen grid on the calibration split.
pub fn test(grid: &[Probability], calibration: &[Scored], level: Level) -> Tested {
    let mut tested = Tested { steps: Vec::new(), threshold: None };
    for threshold in grid {
        let step = step(calibration, *threshold, level.alpha);
        tested.steps.push(step);
        if step.p > level.delta {
            break;
        }
        tested.threshold = Some(*threshold);
    }
    tested
}

fn step(scored: &[Scored], threshold: Probability, alpha: f64) -> Step {
    let kept = scored.iter().filter(|s| s.score >= threshold);
    let (kept, wrong) = kept.fold((0, 0), |(kept, wrong), s| (kept + 1, wrong + u64::from(!s.right)));
    Step { threshold, kept, wrong, p: p_value(wrong, kept, alpha) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LEVEL: Level = Level { alpha: 0.1, delta: 0.05 };

    /// Scores from high to low; the worst `wrong` are wrong.
    fn falling(n: u32, wrong: u32) -> Vec<Scored> {
        let score = |i| Probability::from_millionths(1_000_000 - i * 1_000).unwrap();
        (0..n).map(|i| Scored { score: score(i), right: i < n - wrong }).collect()
    }

    #[test]
    fn thresholds_run_from_strict_to_loose_and_stop_where_the_errors_begin() {
        let data = falling(200, 60);
        let grid = grid(&data, LEVEL);
        assert!(grid.windows(2).all(|w| w[0] > w[1]), "{grid:?}");
        // The first 140 are right: of no other part is so much proved.
        assert_eq!((grid[0], grid[6]), (data[139].score, data[199].score));
        let tested = test(&grid, &data, LEVEL);
        // Of the first 150, 10 are wrong, which may be chance.
        assert_eq!(tested.threshold, Some(data[139].score));
        assert!(tested.steps.len() == 2 && tested.steps[1].p > 0.05 && tested.steps[1].wrong == 10);
    }

    #[test]
    fn nothing_passes_without_proof() {
        assert_eq!(test(&grid(&[], LEVEL), &falling(100, 0), LEVEL).threshold, None);
        let few = falling(28, 0);
        assert_eq!(test(&grid(&few, LEVEL), &few, LEVEL).threshold, None);
        let bad = falling(300, 290);
        let tested = test(&grid(&bad, LEVEL), &bad, LEVEL);
        assert_eq!((tested.threshold, tested.steps.len()), (None, 1));
        assert_eq!(test(&grid(&falling(100, 0), LEVEL), &[], LEVEL).threshold, None);
    }

    #[test]
    fn equal_scores_stand_or_fall_together() {
        let same = vec![Scored { score: Probability::ONE, right: true }; 40];
        assert_eq!(grid(&same, LEVEL), [Probability::ONE]);
        assert_eq!(test(&[Probability::ONE], &same, LEVEL).threshold, Some(Probability::ONE));
    }
}
