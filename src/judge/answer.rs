//! What a model answers: distributions over labels, in millionths so that an answer has one written form.
//! Turns logits into probabilities; never decides anything from them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A probability in millionths, 0 to 1,000,000. Its JSON form is a number with at most six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Probability(u32);

impl Probability {
    /// Impossible.
    pub const ZERO: Probability = Probability(0);
    /// Certain.
    pub const ONE: Probability = Probability(1_000_000);

    /// From millionths; `None` above 1,000,000.
    pub const fn from_millionths(millionths: u32) -> Option<Probability> {
        if millionths <= Self::ONE.0 { Some(Probability(millionths)) } else { None }
    }

    /// From a fraction, rounded half up to the nearest millionth; `None` outside 0..=1 or for NaN.
    pub fn from_fraction(fraction: f64) -> Option<Probability> {
        (0.0..=1.0).contains(&fraction).then(|| Probability((fraction * 1e6 + 0.5).floor() as u32))
    }

    /// In millionths.
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// As a fraction, 0 to 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// `self - other`, or zero when `other` is larger.
    pub fn saturating_sub(self, other: Probability) -> Probability {
        Probability(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Probability {
    /// All six decimals: `0.930000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fraction;

        impl Visitor<'_> for Fraction {
            type Value = Probability;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 1 with at most six decimals")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Probability, E> {
                Probability::from_fraction(value)
                    .filter(|p| (p.as_f64() - value).abs() < 1e-9)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Probability, E> {
                match value {
                    0 => Ok(Probability::ZERO),
                    1 => Ok(Probability::ONE),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(value), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Probability, E> {
                u64::try_from(value)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
                    .and_then(|value| self.visit_u64(value))
            }
        }

        deserializer.deserialize_any(Fraction)
    }
}

/// One probability a label, in the manifest's label order. Each is rounded by itself, so their sum may differ from 1 by
/// up to half a millionth a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// The labels; shared by every answer of the same head.
    pub labels: Arc<[String]>,
    /// Their probabilities, as many as there are labels.
    pub p: Vec<Probability>,
}

impl Distribution {
    /// The softmax of a row of logits, computed in f64. `None` if a logit is NaN or infinite, or the counts differ.
    pub fn from_logits(labels: &Arc<[String]>, logits: &[f32]) -> Option<Distribution> {
        if logits.len() != labels.len() || !logits.iter().all(|logit| logit.is_finite()) {
            return None;
        }
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f64> = logits.iter().map(|&logit| (f64::from(logit) - f64::from(highest)).exp()).collect();
        let total: f64 = weights.iter().sum();
        let p = weights.iter().map(|weight| Probability::from_fraction(weight / total)).collect::<Option<_>>()?;
        Some(Distribution { labels: Arc::clone(labels), p })
    }

    /// The probability of a label; zero for a label the head does not have.
    pub fn get(&self, label: &str) -> Probability {
        self.iter().find(|(name, _)| *name == label).map_or(Probability::ZERO, |(_, p)| p)
    }

    /// Labels with their probabilities, in label order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Probability)> {
        self.labels.iter().map(String::as_str).zip(self.p.iter().copied())
    }
}

/// What a model answered to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// One distribution a head, by the head's name.
    pub heads: BTreeMap<String, Distribution>,
    /// What stands behind it besides numbers: a reflection, or what a server sent. Only the reward model says any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

/// Words behind an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The reflection; empty where a server was asked for one token.
    pub text: String,
    /// Tokens read to answer.
    pub read: usize,
    /// Those of them that are the rule's and need not be read again for other cases under it.
    #[serde(default, skip_serializing_if = "none")]
    pub shared: usize,
    /// Tokens decoded to answer.
    pub decoded: usize,
    /// SHA-256 of a server's whole response, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_sha256: Option<String>,
}

fn none(tokens: &usize) -> bool {
    *tokens == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn labels(n: usize) -> Arc<[String]> {
        (0..n).map(|i| format!("l{i}")).collect()
    }

    #[test]
    fn softmax_is_quantised_half_up() {
        let d = Distribution::from_logits(&labels(2), &[0.0, 0.0]).unwrap();
        assert_eq!(d.p, [Probability(500_000), Probability(500_000)]);
        assert_eq!(Probability::from_fraction(0.000_000_5).unwrap(), Probability(1));
        assert_eq!(Probability::from_fraction(0.000_000_499).unwrap(), Probability(0));
        assert_eq!(d.get("none"), Probability::ZERO);
    }

    #[test]
    fn only_finite_rows_of_the_right_width_are_answers() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(Distribution::from_logits(&labels(2), &[0.0, bad]), None);
        }
        assert_eq!(Distribution::from_logits(&labels(3), &[0.0, 1.0]), None);
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let d = Distribution::from_logits(&labels(3), &[f32::MAX, f32::MIN, 0.0]).unwrap();
        assert_eq!(d.p, [Probability::ONE, Probability::ZERO, Probability::ZERO]);
    }

    #[test]
    fn json_is_a_number_of_six_decimals() {
        for (millionths, text) in [(0, "0.0"), (930_000, "0.93"), (123_457, "0.123457"), (1_000_000, "1.0")] {
            assert_eq!(serde_json::to_string(&Probability(millionths)).unwrap(), text);
        }
        for bad in ["1.1", "-0.1", "0.1234567", "2", "-1", "\"0.5\""] {
            assert!(serde_json::from_str::<Probability>(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<Probability>("1").unwrap(), Probability::ONE);
    }

    proptest! {
        #[test]
        fn every_probability_survives_json(millionths in 0u32..=1_000_000) {
            let text = serde_json::to_string(&Probability(millionths)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Probability>(&text).unwrap(), Probability(millionths));
        }

        #[test]
        fn a_distribution_sums_to_one_within_rounding(logits in prop::collection::vec(-30f32..30.0, 1..50)) {
            let d = Distribution::from_logits(&labels(logits.len()), &logits).unwrap();
            let sum: i64 = d.p.iter().map(|p| i64::from(p.millionths())).sum();
            prop_assert!((sum - 1_000_000).abs() <= logits.len() as i64);
        }
    }
}
