//! Which SOP governs: candidates by the case's words, filtered and boosted by the labels.
//!
//! The labels give each SOP a prior (the probability of all its scene and goods pairs); the words give it a
//! BM25 score. The two are combined; when the best is too close to the next, or words and labels contradict
//! each other, the SOP is undetermined and a person decides.

use serde::Serialize;

use super::{Finding, Findings, LabelFinding, Node, NodeError, NodeId, Rules, probability, text};
use crate::case::{Case, Party};
use crate::judge::{Answer, Probability, Question};
use crate::sop::RuleBook;

/// Candidates kept in the trace.
const TOP_K: usize = 5;
/// SOPs fetched by words alone.
const SEARCHED: usize = 20;
/// How much the best word match, on a scale of 0 to 1, adds to the log prior of the labels.
const WORDS_WEIGHT: f64 = 0.5;
/// An SOP that the labels give less than this is no candidate.
const MIN_PRIOR: f64 = 1e-6;

/// An SOP considered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// SOP id.
    pub id: String,
    /// Its posterior among the candidates.
    pub score: Probability,
    /// What the labels alone give it.
    pub prior: Probability,
    /// Its word match relative to the best one.
    pub words: Probability,
}

/// The finding of the policy node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyFinding {
    /// The best candidate's id; `None` when no SOP governs.
    pub sop: Option<String>,
    /// Its version.
    pub version: Option<u32>,
    /// Its posterior.
    pub score: Probability,
    /// True when the posterior reaches the threshold.
    pub certain: bool,
    /// The best candidates, best first.
    pub candidates: Vec<Candidate>,
}

/// The node.
pub(super) struct Policy;

impl Node for Policy {
    fn id(&self) -> NodeId {
        NodeId::Policy
    }

    fn needs(&self, _: &Case, _: &Findings, _: Rules<'_>) -> Result<Vec<Question>, NodeError> {
        Ok(Vec::new())
    }

    fn judge(&self, case: &Case, findings: &Findings, _: &[Answer], rules: Rules<'_>) -> Result<Finding, NodeError> {
        let label = Findings::required(&findings.label, NodeId::Label)?;
        let hits = rules.index.search(&policy_query(case), SEARCHED)?;
        let top = hits.first().map_or(0.0, |h| f64::from(h.score));
        let day = rules.day(case);

        let mut scored: Vec<(usize, f64, f64, f64)> = Vec::new();
        for (i, _) in rules.book.sops.iter().enumerate().filter(|(_, s)| rules.book.in_force(s, day)) {
            let prior = prior(label, rules.book, i);
            if prior < MIN_PRIOR {
                continue;
            }
            let words = hits.iter().find(|h| h.sop == i).map_or(0.0, |h| f64::from(h.score) / top);
            scored.push((i, prior, words, prior * (WORDS_WEIGHT * words).exp()));
        }
        // Equal scores keep the book's order: sort_by is stable.
        scored.sort_by(|a, b| b.3.total_cmp(&a.3));
        let total: f64 = scored.iter().map(|s| s.3).sum();
        let candidates: Vec<Candidate> = scored
            .iter()
            .take(TOP_K)
            .map(|&(i, prior, words, score)| Candidate {
                id: rules.book.sops[i].id.0.clone(),
                score: probability(score / total),
                prior: probability(prior),
                words: probability(words),
            })
            .collect();
        let best = scored.first().map(|s| &rules.book.sops[s.0]);
        let score = candidates.first().map_or(Probability::ZERO, |c| c.score);
        Ok(Finding::Policy(PolicyFinding {
            sop: best.map(|s| s.id.0.clone()),
            version: best.map(|s| s.version),
            score,
            certain: best.is_some() && score >= rules.thresholds.scene,
            candidates,
        }))
    }
}

/// The probability of all scene and goods pairs that the SOP governs, the two taken as independent.
fn prior(label: &LabelFinding, book: &RuleBook, sop: usize) -> f64 {
    let sop = &book.sops[sop];
    let scene = label.scenes.iter().find(|l| l.id == sop.scene).map_or(0.0, |l| l.score.as_f64());
    let goods: f64 = label.goods.iter().filter(|l| sop.goods.contains(&l.id)).map(|l| l.score.as_f64()).sum();
    scene * goods
}

/// The words that SOPs are searched by: what was asked for, what was bought and what the buyer says, as a reader sees it.
pub fn policy_query(case: &Case) -> String {
    let mut out = format!("{} {}", case.claim.reason, case.claim.statement);
    for item in &case.order.items {
        out.push(' ');
        out.push_str(&item.title);
    }
    for message in case.dialogue.iter().filter(|m| m.from == Party::Buyer) {
        out.push(' ');
        out.push_str(&message.text);
    }
    text::seen(&out).into_owned()
}
