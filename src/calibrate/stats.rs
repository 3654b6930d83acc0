//! Exact binomial tail probabilities and intervals, and the chi-squared tail: the statistics of certificate and report.
//!
//! Pure numbers; nothing here knows what is counted.

use statrs::distribution::{Beta, Binomial, ChiSquared, ContinuousCDF, DiscreteCDF};

/// The chance of at most `wrong` errors among `n` when each is an error with probability `alpha`: the exact p-value of
/// "the error rate is above alpha". 1 where there is nothing to judge by.
pub fn p_value(wrong: u64, n: u64, alpha: f64) -> f64 {
    match Binomial::new(alpha, n) {
        Ok(binomial) if n > 0 => binomial.cdf(wrong),
        _ => 1.0,
    }
}

/// The chance of at least `wrong` errors among `n` when each is an error with probability `alpha`: small where the error
/// rate must be above alpha. 1 where there is nothing to judge by.
pub(super) fn excess(wrong: u64, n: u64, alpha: f64) -> f64 {
    match (Binomial::new(alpha, n), wrong.checked_sub(1)) {
        (Ok(binomial), Some(fewer)) if n > 0 => binomial.sf(fewer),
        _ => 1.0,
    }
}

/// Clopper and Pearson's exact 95% interval of a share; `None` out of nothing.
pub fn exact_interval(right: u64, n: u64) -> Option<(f64, f64)> {
    exact_interval_missing(right, n, 0.05)
}

/// Clopper and Pearson's exact interval that misses the share with at most this chance; `None` out of nothing.
pub fn exact_interval_missing(right: u64, n: u64, chance: f64) -> Option<(f64, f64)> {
    if n == 0 || right > n {
        return None;
    }
    let (k, rest) = (right as f64, (n - right) as f64);
    let low = if right == 0 { 0.0 } else { Beta::new(k, rest + 1.0).ok()?.inverse_cdf(chance / 2.0) };
    let high = if right == n { 1.0 } else { Beta::new(k + 1.0, rest).ok()?.inverse_cdf(1.0 - chance / 2.0) };
    Some((low, high))
}

/// The chance of a chi-squared value at least this large.
pub(super) fn chi_squared_tail(value: f64, freedom: f64) -> f64 {
    ChiSquared::new(freedom).map_or(1.0, |d| d.sf(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_exact() {
        // 0.9^29 is the first power below 0.05; the rest by hand or from scipy.stats.
        assert!((p_value(0, 29, 0.1) - 0.9_f64.powi(29)).abs() < 1e-12);
        assert!(p_value(0, 28, 0.1) > 0.05 && p_value(0, 29, 0.1) < 0.05);
        assert!((p_value(1, 2, 0.5) - 0.75).abs() < 1e-12);
        assert!((excess(1, 2, 0.5) - 0.75).abs() < 1e-12);
        assert!((excess(2, 2, 0.1) - 0.01).abs() < 1e-12);
        assert_eq!((p_value(0, 0, 0.1), excess(0, 10, 0.1), excess(0, 0, 0.1)), (1.0, 1.0, 1.0));
        assert!((chi_squared_tail(3.841_458_820_694_124, 1.0) - 0.05).abs() < 1e-9);
    }

    #[test]
    fn the_exact_interval_is_clopper_and_pearsons() {
        let close = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-4 && (b - d).abs() < 1e-4;
        assert!(close(exact_interval(81, 263).unwrap(), (0.252_7, 0.367_6)), "{:?}", exact_interval(81, 263));
        assert!(close(exact_interval(0, 10).unwrap(), (0.0, 0.308_5)));
        assert!(close(exact_interval(10, 10).unwrap(), (0.691_5, 1.0)));
        assert_eq!(exact_interval(0, 0), None);
    }
}
