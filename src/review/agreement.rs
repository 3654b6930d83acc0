//! How far reviewers agree who judged the same decision without seeing each other's: Krippendorff's alpha for nominal
//! values, beside the plain share. Alpha and not Cohen's kappa, for the pairs are not always the same two people and have
//! no order. K. Krippendorff, *Computing Krippendorff's Alpha-Reliability* (2011).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::calibrate::exact_interval;
use crate::store::Twice;

/// Agreement on one question.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Measure {
    /// Decisions on which both gave the same answer.
    pub agreed: u64,
    /// Their share; null of nothing.
    pub share: Option<f64>,
    /// The exact 95% interval of the share.
    pub interval: Option<[f64; 2]>,
    /// Krippendorff's alpha: 1 is agreement, 0 what chance gives; null where every answer is the same or there is none.
    pub alpha: Option<f64>,
}

/// Agreement of the first two reviewers, over the decisions that two reviewed.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Agreement {
    /// Decisions that two reviewed.
    pub cases: u64,
    /// On whether the proposed remedy stands.
    pub stands: Measure,
    /// On the kind of remedy.
    pub remedy_kind: Measure,
    /// Decisions on which both ordered the same remedy in every part.
    pub same_remedy: u64,
}

impl Agreement {
    /// Over these decisions.
    pub fn of(twice: &[Twice]) -> Agreement {
        let kinds = twice.iter().map(|t| (t.remedy_kind.0.as_str(), t.remedy_kind.1.as_str()));
        Agreement {
            cases: twice.len() as u64,
            stands: measure(twice.iter().map(|t| t.stands)),
            remedy_kind: measure(kinds),
            same_remedy: twice.iter().filter(|t| t.same).count() as u64,
        }
    }
}

fn measure<T: Ord>(pairs: impl Iterator<Item = (T, T)> + Clone) -> Measure {
    let (cases, agreed) = pairs.clone().fold((0, 0), |(n, same), (a, b)| (n + 1, same + u64::from(a == b)));
    Measure {
        agreed,
        share: (cases > 0).then(|| rounded(agreed as f64 / cases as f64)),
        interval: exact_interval(agreed, cases).map(|(low, high)| [rounded(low), rounded(high)]),
        alpha: alpha(pairs).map(rounded),
    }
}

/// Krippendorff's alpha of nominal values, two for each unit; none where all values are the same, for then nothing can be
/// told from chance.
pub fn alpha<T: Ord>(pairs: impl Iterator<Item = (T, T)>) -> Option<f64> {
    let (mut units, mut apart) = (0.0, 0.0);
    let mut counts: BTreeMap<T, f64> = BTreeMap::new();
    for (a, b) in pairs {
        units += 1.0;
        apart += f64::from(u8::from(a != b));
        *counts.entry(a).or_default() += 1.0;
        *counts.entry(b).or_default() += 1.0;
    }
    let values = 2.0 * units;
    let alike: f64 = counts.values().map(|n| n * (n - 1.0)).sum();
    let expected = 1.0 - alike / (values * (values - 1.0));
    (counts.len() > 1).then(|| 1.0 - apart / units / expected)
}

/// Six decimals, as probabilities have everywhere.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_krippendorffs() {
        // His example B, "binary data, two observers, no missing data": 0.095.
        let meg = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0];
        let owen = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0];
        let said = alpha(meg.into_iter().zip(owen)).unwrap_or_default();
        assert!((said - (1.0 - 0.4 / (1.0 - 212.0 / 380.0))).abs() < 1e-12 && (said - 0.095).abs() < 5e-4, "{said}");
        // His example C, "nominal data, two observers": 0.692.
        let ben: Vec<char> = "aabbdcccedda".chars().collect();
        let gerry: Vec<char> = "babbbccceddd".chars().collect();
        let said = alpha(ben.into_iter().zip(gerry)).unwrap_or_default();
        assert!((said - 0.692).abs() < 5e-4, "{said}");
        assert_eq!(alpha([(1, 1), (2, 2)].into_iter()), Some(1.0));
        assert_eq!(alpha([(1, 1), (1, 1)].into_iter()), None);
        assert_eq!(alpha(std::iter::empty::<(u8, u8)>()), None);
    }
}
