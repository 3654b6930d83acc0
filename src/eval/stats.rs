//! Shares with their intervals, and the two measures of a score that ranks right before wrong.

use serde::Serialize;

/// The 97.5th percentile of the normal distribution: two-sided 95%.
const Z: f64 = 1.959_963_984_540_054;

/// So many right out of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Rate {
    /// How many are right.
    pub right: usize,
    /// Out of how many.
    pub of: usize,
}

impl Rate {
    /// The share, 0 to 1; `None` out of nothing.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.right as f64 / self.of as f64)
    }

    /// Wilson's 95% interval of the share; `None` out of nothing.
    pub fn wilson(self) -> Option<(f64, f64)> {
        let (share, n) = (self.share()?, self.of as f64);
        let z2 = Z * Z / n;
        let middle = (share + z2 / 2.0) / (1.0 + z2);
        let half = Z / (1.0 + z2) * (share * (1.0 - share) / n + z2 / (4.0 * n)).sqrt();
        Some(((middle - half).max(0.0), (middle + half).min(1.0)))
    }
}

/// Rounded to four decimals, ties of the exact binary value to even: what Python's `round(x, 4)` gives.
pub fn round4(x: f64) -> f64 {
    format!("{x:.4}").parse().unwrap_or(x)
}

/// The chance that a right one scores above a wrong one, ties counting half; `None` unless there are both.
pub fn auc(scores: &[(f64, bool)]) -> Option<f64> {
    let of = |wanted: bool| scores.iter().filter(move |(_, right)| *right == wanted).map(|(score, _)| *score);
    let (right, wrong) = (of(true).count(), of(false).count());
    if right == 0 || wrong == 0 {
        return None;
    }
    // In halves, so that the sum is exact.
    let mut halves = 0_u64;
    for p in of(true) {
        for n in of(false) {
            halves += if p > n { 2 } else { u64::from(p == n) };
        }
    }
    Some(halves as f64 / 2.0 / (right * wrong) as f64)
}

/// The largest share of the right ones kept by a score threshold whose precision is at least `floor`.
pub fn recall_at_precision(scores: &[(f64, bool)], floor: f64) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total = sorted.iter().filter(|(_, right)| *right).count();
    let (mut hit, mut best) = (0_usize, 0.0);
    for (index, (score, right)) in sorted.iter().enumerate() {
        hit += usize::from(*right);
        let tied = sorted.get(index + 1).is_some_and(|next| next.0 == *score);
        if !tied && hit as f64 / (index + 1) as f64 >= floor {
            best = if total > 0 { hit as f64 / total as f64 } else { 0.0 };
        }
    }
    best
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn wilson_matches_published_values() {
        for (right, of, low, high) in [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)] {
            let (l, h) = Rate { right, of }.wilson().unwrap();
            assert!((l - low).abs() < 1e-4 && (h - high).abs() < 1e-4, "{right}/{of}: {l} {h}");
        }
        assert_eq!(Rate { right: 0, of: 0 }.wilson(), None);
    }

    #[test]
    fn rounding_is_pythons() {
        for (x, want) in [(0.00005, 0.0001), (0.12345, 0.1235), (0.00015, 0.0001), (2.0 / 3.0, 0.6667), (1.0, 1.0)] {
            assert_eq!(round4(x), want, "{x}");
        }
    }

    #[test]
    fn a_ranking_is_judged_with_its_ties() {
        assert_eq!(auc(&[(0.9, true), (0.1, false)]), Some(1.0));
        assert_eq!(auc(&[(0.5, true), (0.5, false), (0.1, true)]), Some(0.25));
        assert_eq!(auc(&[(0.5, true)]), None);
        let scores = [(0.9, true), (0.8, true), (0.8, false), (0.7, true)];
        assert_eq!(recall_at_precision(&scores, 0.9), 1.0 / 3.0);
        assert_eq!(recall_at_precision(&scores, 0.75), 1.0);
        assert_eq!(recall_at_precision(&[], 0.9), 0.0);
    }
}
