//! Which SOP governs: the labels give each SOP a prior (the probability of all its scene and goods pairs); the judge says of
//! the likeliest how well the case fits the SOP's card, its clock, its requirements, its words. The two are combined; when
//! the best is too close to the next, the SOP is undetermined and a person decides.

use serde::Serialize;

use super::{Finding, Findings, LabelFinding, Node, NodeError, NodeId, Rules, head, probability, text};
use crate::case::{Case, Party};
use crate::judge::{Answer, Probability, Question, Task};
use crate::sop::{Index, IndexError, RuleBook, Sop};

/// Candidates kept in the trace.
const TOP_K: usize = 5;
/// SOPs fetched by words alone.
const SEARCHED: usize = 20;
/// An SOP that the labels give less than this is no candidate.
const MIN_PRIOR: f64 = 1e-4;
/// No odds are beyond what a probability in millionths can tell.
const LEAST: f64 = 5e-7;
/// Candidates the judge is asked about.
const ASKED: usize = 10;
/// How much the best word match, on a scale of 0 to 1, adds to the log prior of the labels when these are chosen.
const WORDS_WEIGHT: f64 = 0.5;

/// An SOP considered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// SOP id.
    pub id: String,
    /// Its posterior among the candidates.
    pub score: Probability,
    /// What the labels alone give it.
    pub prior: Probability,
    /// That it governs, by how the case fits its card.
    pub fit: Probability,
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

    fn needs(&self, case: &Case, findings: &Findings, rules: Rules<'_>) -> Result<Vec<Question>, NodeError> {
        let zone = rules.book.head.time_zone;
        let question = |c: &Considered<'_>| Question {
            task: Task::Relevant,
            text: text::relevant(case, c.sop, zone, c.percent()),
        };
        Ok(considered(case, findings, rules)?.iter().map(question).collect())
    }

    fn judge(
        &self,
        case: &Case,
        findings: &Findings,
        answers: &[Answer],
        rules: Rules<'_>,
    ) -> Result<Finding, NodeError> {
        let mut scored = Vec::new();
        for (n, candidate) in considered(case, findings, rules)?.into_iter().enumerate() {
            let fit = head(answers.get(n), "governs")?.get("yes");
            let odds = fit.as_f64().max(LEAST) / (1.0 - fit.as_f64()).max(LEAST);
            let score = candidate.prior * odds;
            scored.push((candidate, fit, score));
        }
        // Equal scores keep their order: sort_by is stable.
        scored.sort_by(|a, b| b.2.total_cmp(&a.2));
        let total: f64 = scored.iter().map(|s| s.2).sum();
        let candidates: Vec<Candidate> = scored
            .iter()
            .take(TOP_K)
            .map(|(c, fit, score)| Candidate {
                id: c.sop.id.0.clone(),
                score: probability(score / total),
                prior: probability(c.prior),
                fit: *fit,
                words: probability(c.words),
            })
            .collect();
        let best = scored.first().map(|(c, ..)| c.sop);
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

/// An SOP in force that the labels leave possible.
struct Considered<'a> {
    sop: &'a Sop,
    prior: f64,
    /// Its word match relative to the best one.
    words: f64,
}

impl Considered<'_> {
    fn percent(&self) -> i64 {
        (self.words * 100.0).floor() as i64
    }
}

/// The likeliest SOPs by labels and words, likeliest first; equal ones in the book's order.
fn considered<'a>(case: &Case, findings: &Findings, rules: Rules<'a>) -> Result<Vec<Considered<'a>>, NodeError> {
    let label = Findings::required(&findings.label, NodeId::Label)?;
    let words = word_match(case, rules.index, rules.book)?;
    let day = rules.day(case);
    let mut found = Vec::new();
    for (i, sop) in rules.book.sops.iter().enumerate().filter(|(_, s)| rules.book.in_force(s, day)) {
        let prior = prior(label, sop);
        if prior >= MIN_PRIOR {
            found.push(Considered { sop, prior, words: words[i] });
        }
    }
    let rank = |c: &Considered<'_>| c.prior * (WORDS_WEIGHT * c.words).exp();
    found.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    found.truncate(ASKED);
    Ok(found)
}

/// Each SOP's word match with a case, relative to the best one.
pub fn word_match(case: &Case, index: &Index, book: &RuleBook) -> Result<Vec<f64>, IndexError> {
    let hits = index.search(&policy_query(case), SEARCHED)?;
    let top = hits.first().map_or(1.0, |h| f64::from(h.score));
    let mut shares = vec![0.0; book.sops.len()];
    for hit in hits {
        shares[hit.sop] = f64::from(hit.score) / top;
    }
    Ok(shares)
}

/// The probability of all scene and goods pairs that the SOP governs, the two taken as independent.
fn prior(label: &LabelFinding, sop: &Sop) -> f64 {
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
