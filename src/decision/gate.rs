//! What must hold, besides certain facts, before a decision may stand without a person: a certificate that fits what
//! runs, and a score at or above the threshold that was certified for decisions of its kind. A first verdict of the reward
//! model that falls short may be made good by the second one, where that has been certified too.
//!
//! The gate says automatic or for a person. It never sees a remedy to change it.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::reasons::{Reason, percent};
use super::trace::sha256;
use crate::judge::Probability;

/// Which number of a decision is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// `verification.first_token`, of the reward model.
    FirstToken,
    /// `confidence`, the least certain finding's probability.
    Confidence,
}

impl Score {
    /// The name in certificates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstToken => "first_token",
            Self::Confidence => "confidence",
        }
    }
}

/// How decisions are told apart before thresholds are chosen; each kind has a guarantee of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strata {
    /// By what the remedy does: see [`direction`].
    Direction,
    /// By the scene's group; a scene that is in none is of the group `other`.
    Scenes(BTreeMap<String, String>),
}

impl Strata {
    /// The stratum of a decision.
    pub fn of(&self, remedy_kind: &str, scene: &str) -> &str {
        match self {
            Self::Direction => direction(remedy_kind),
            Self::Scenes(groups) => groups.get(scene).map_or("other", String::as_str),
        }
    }
}

/// What a remedy does: `grants` the buyer something, `rejects` the claim, or `asks` the parties for more.
pub fn direction(remedy_kind: &str) -> &'static str {
    match remedy_kind {
        "reject_claim" | "not_accepted" | "pay_seller" | "deposit_forfeit" | "freight_buyer" => "rejects",
        "request_evidence" | "negotiate" | "suspend" => "asks",
        _ => "grants",
    }
}

/// A random share of the automatic decisions, looked at by a person all the same: what is found there is unbiased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The share.
    pub rate: Probability,
    /// With this key a case's hash draws its lot, so that the same case always draws the same.
    pub key: [u8; 32],
}

impl Audit {
    /// Whether a case is drawn.
    pub fn draws(&self, case_hash: &str) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return true };
        mac.update(case_hash.as_bytes());
        let lot = mac.finalize().into_bytes().iter().take(8).fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        (u128::from(lot) * 1_000_000) >> 64 < u128::from(self.rate.millionths())
    }
}

/// What a valid certificate allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// The certificate's canonical bytes, to be hashed and kept.
    pub certificate: Vec<u8>,
    /// What is compared.
    pub score: Score,
    /// How decisions are told apart.
    pub strata: Strata,
    /// The least score of each stratum; none where nothing passed.
    pub thresholds: BTreeMap<String, Option<Probability>>,
    /// What the second verdict may make good, by stratum; none where that is not certified.
    pub second: BTreeMap<String, Second>,
    /// The share that is looked at all the same.
    pub audit: Audit,
}

/// When the second verdict is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// For decisions whose first verdict is below this.
    pub below: Probability,
    /// The least second verdict.
    pub least: Probability,
}

/// The gate of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Gate {
    /// There is no certificate that fits what runs: nothing is automatic.
    #[default]
    Shut,
    /// No certificate is asked for: certain facts are enough. For measuring alone.
    Open,
    /// As open, and every decision is reflected on: for calibrating, where the second verdict of each must be known.
    Reflecting,
    /// A certificate decides.
    Certified(Box<Certified>),
}

/// What the gate looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) case_hash: &'a str,
    pub(super) scene: &'a str,
    pub(super) remedy_kind: &'a str,
    pub(super) confidence: Probability,
    pub(super) first_token: Option<Probability>,
    pub(super) second: Option<Probability>,
}

impl Gate {
    /// What decisions pin: the certificate's hash, `none`, or `ungated`.
    pub fn pin(&self) -> String {
        match self {
            Self::Shut => "none".to_owned(),
            Self::Open | Self::Reflecting => "ungated".to_owned(),
            Self::Certified(certified) => certified.hash(),
        }
    }

    /// The least first token with which a decision may be automatic, where a certificate on it decides. With less there is
    /// reason to reflect.
    pub fn least_first_token(&self, remedy_kind: &str, scene: &str) -> Option<Probability> {
        match self {
            Self::Certified(certified) if certified.score == Score::FirstToken => {
                certified.thresholds.get(certified.strata.of(remedy_kind, scene)).copied().flatten()
            }
            Self::Reflecting => Some(Probability::ONE),
            _ => None,
        }
    }

    /// Whether a decision whose facts are certain is drawn for the audit, or why it may not be automatic.
    pub(super) fn pass(&self, seen: Seen<'_>) -> Result<bool, Reason> {
        match self {
            Self::Open | Self::Reflecting => Ok(false),
            Self::Shut => Err(reason(
                "no_certificate",
                "没有与现用模型和规则相符的有效证书，任何案件都不自动处理".to_owned(),
                "no valid certificate fits the models and rules in use, so nothing is decided automatically".to_owned(),
            )),
            Self::Certified(certified) => certified.pass(seen),
        }
    }
}

impl Certified {
    /// The certificate's SHA-256.
    pub fn hash(&self) -> String {
        sha256(&self.certificate)
    }

    fn pass(&self, seen: Seen<'_>) -> Result<bool, Reason> {
        let stratum = self.strata.of(seen.remedy_kind, seen.scene);
        let (zh, en) = stratum_name(stratum);
        let Some(least) = self.thresholds.get(stratum).copied().flatten() else {
            return Err(reason(
                "not_certified",
                format!("证书没有准许“{zh}”类的决定自动处理"),
                format!("the certificate lets no decision of the kind “{en}” be automatic"),
            ));
        };
        let score = match self.score {
            Score::Confidence => Some(seen.confidence),
            Score::FirstToken => seen.first_token,
        };
        let Some(score) = score else {
            return Err(reason(
                "score_missing",
                "复核模型没有给出分数".to_owned(),
                "the reward model gave no score".to_owned(),
            ));
        };
        if score < least {
            let heard = self.second.get(stratum).filter(|second| score < second.below).zip(seen.second);
            if heard.is_some_and(|(second, said)| said >= second.least) {
                return Ok(self.audit.draws(seen.case_hash));
            }
            let mut zh = format!("把握 {} 低于证书为“{zh}”类定的 {}", percent(score), percent(least));
            let mut en = format!("the score {} is below the {} certified for “{en}”", percent(score), percent(least));
            if let Some((second, said)) = heard {
                zh += &format!("，反思之后的 {} 也低于 {}", percent(said), percent(second.least));
                en += &format!(", and so is {} after reflecting, below {}", percent(said), percent(second.least));
            }
            return Err(reason("score_too_low", zh, en));
        }
        Ok(self.audit.draws(seen.case_hash))
    }
}

/// A stratum's name in both languages; a scene group's is its own.
pub fn stratum_name(stratum: &str) -> (&str, &str) {
    match stratum {
        "grants" => ("支持买家", "grants the claim"),
        "rejects" => ("驳回诉求", "rejects the claim"),
        "asks" => ("要求补证或协商", "asks for more"),
        other => (other, other),
    }
}

fn reason(code: &'static str, zh: String, en: String) -> Reason {
    Reason { code, zh, en }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn p(millionths: u32) -> Probability {
        Probability::from_millionths(millionths).unwrap()
    }

    fn seen(remedy_kind: &str, confidence: u32, first_token: Option<u32>) -> Seen<'_> {
        Seen {
            case_hash: "c0",
            scene: "invoice",
            remedy_kind,
            confidence: p(confidence),
            first_token: first_token.map(p),
            second: None,
        }
    }

    fn certified(score: Score) -> Gate {
        let thresholds = [("grants", Some(p(900_000))), ("rejects", Some(p(0))), ("asks", None)];
        Gate::Certified(Box::new(Certified {
            certificate: Vec::new(),
            score,
            strata: Strata::Direction,
            thresholds: thresholds.into_iter().map(|(name, t)| (name.to_owned(), t)).collect(),
            second: match score {
                Score::FirstToken => [("grants".to_owned(), Second { below: p(850_000), least: p(700_000) })].into(),
                Score::Confidence => BTreeMap::new(),
            },
            audit: Audit { rate: Probability::ZERO, key: [7; 32] },
        }))
    }

    #[test]
    fn a_threshold_holds_for_its_own_stratum_and_includes_itself() {
        let code = |gate: &Gate, seen| gate.pass(seen).map_err(|reason| reason.code);
        let gate = certified(Score::Confidence);
        assert_eq!(code(&gate, seen("refund_only", 900_000, None)), Ok(false));
        assert_eq!(code(&gate, seen("refund_only", 899_999, None)), Err("score_too_low"));
        assert_eq!(code(&gate, seen("reject_claim", 1, None)), Ok(false));
        assert_eq!(code(&gate, seen("request_evidence", 1_000_000, None)), Err("not_certified"));
        let gate = certified(Score::FirstToken);
        assert_eq!(code(&gate, seen("refund_only", 0, Some(950_000))), Ok(false));
        assert_eq!(code(&gate, seen("refund_only", 1_000_000, Some(10))), Err("score_too_low"));
        assert_eq!(code(&gate, seen("refund_only", 1_000_000, None)), Err("score_missing"));
        // The second verdict counts where the first is below what it was certified for, and nowhere else.
        let twice = |kind, first, second| Seen { second: Some(p(second)), ..seen(kind, 0, Some(first)) };
        assert_eq!(code(&gate, twice("refund_only", 849_999, 700_000)), Ok(false));
        assert_eq!(code(&gate, twice("refund_only", 849_999, 699_999)), Err("score_too_low"));
        assert_eq!(code(&gate, twice("refund_only", 850_000, 1_000_000)), Err("score_too_low"));
        assert_eq!(code(&gate, twice("request_evidence", 1, 1_000_000)), Err("not_certified"));
        assert_eq!(code(&Gate::Shut, seen("refund_only", 1_000_000, None)), Err("no_certificate"));
        assert_eq!(code(&Gate::Open, seen("refund_only", 0, None)), Ok(false));
    }

    #[test]
    fn the_audit_draws_its_share_and_always_the_same() {
        let audit = |rate| Audit { rate: p(rate), key: [3; 32] };
        let cases: Vec<String> = (0..20_000).map(|n| format!("case {n}")).collect();
        let drawn = |audit: &Audit| cases.iter().filter(|case| audit.draws(case)).count();
        assert_eq!((drawn(&audit(0)), drawn(&audit(1_000_000))), (0, 20_000));
        // 1,000 expected, standard deviation 31.
        assert!(drawn(&audit(50_000)).abs_diff(1_000) < 125, "{}", drawn(&audit(50_000)));
        assert!(cases.iter().all(|case| !audit(10_000).draws(case) || audit(50_000).draws(case)));
        let other = Audit { rate: p(50_000), key: [4; 32] };
        assert!(cases.iter().any(|case| audit(50_000).draws(case) != other.draws(case)));
    }

    #[test]
    fn a_scene_without_a_group_is_of_the_others() {
        let strata = Strata::Scenes([("invoice".to_owned(), "papers".to_owned())].into());
        assert_eq!((strata.of("repair", "invoice"), strata.of("repair", "repair")), ("papers", "other"));
    }
}
