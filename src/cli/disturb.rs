//! Falsifies answers and findings on purpose, for training alone: decisions that look like the pipeline's own and are
//! wrong in a known way. The same seed gives the same falsehoods. Nothing that decides real tickets uses this.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};

use super::pra::findings;
use crate::case::Case;
use crate::judge::{Answer, Distribution, Judge, JudgeError, Probability, Question, Task};
use crate::nodes::{Finding, Findings, Verdict, money};
use crate::pipeline::{Ask, Decided, Pipeline};
use crate::sop::facts::Sufficiency;

/// What is falsified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Disturbance {
    /// All answers become those of a weaker judge
    Noise,
    /// Another scene or goods type: the wrong SOP
    Sop,
    /// Another message is the first report
    Report,
    /// The clock is read the other way round
    Clock,
    /// An item of evidence is misread
    Evidence,
    /// A quantity is read from the wrong place
    Measure,
    /// The parties' burdens are exchanged
    Burden,
    /// An exception is missed: another row of the table
    Row,
    /// An amount is worked out wrongly
    Amount,
}

impl Disturbance {
    /// Its name in data files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Sop => "sop",
            Self::Report => "report",
            Self::Clock => "clock",
            Self::Evidence => "evidence",
            Self::Measure => "measure",
            Self::Burden => "burden",
            Self::Row => "row",
            Self::Amount => "amount",
        }
    }
}

/// A judge whose answers are falsified.
pub(super) struct Disturbed {
    pub(super) judge: Judge,
    pub(super) kind: Option<Disturbance>,
    pub(super) seed: u64,
}

impl Ask for Disturbed {
    fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        let mut answers = self.judge.answer(questions)?;
        let Some(kind) = self.kind else { return Ok(answers) };
        for (question, answer) in questions.iter().zip(&mut answers) {
            // By the question alone, so that one asked twice is falsified alike.
            let mut rng = rng(self.seed, kind, &question.text);
            for (head, distribution) in &mut answer.heads {
                match (kind, question.task, head.as_str()) {
                    (Disturbance::Noise, ..) => blur(distribution, &mut rng),
                    (Disturbance::Sop, Task::Classify, "scene") => swap(distribution, 0.8, &mut rng),
                    (Disturbance::Sop, Task::Classify, "goods_type") => swap(distribution, 0.2, &mut rng),
                    (Disturbance::Report, Task::FirstReport, _) => swap(distribution, 0.35, &mut rng),
                    (Disturbance::Evidence, Task::Supports, _) => swap(distribution, 0.6, &mut rng),
                    (Disturbance::Measure, Task::Measure, _) => swap(distribution, 0.5, &mut rng),
                    _ => {}
                }
            }
        }
        Ok(answers)
    }
}

fn rng(seed: u64, kind: Disturbance, text: &str) -> StdRng {
    let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(kind.name()).chain_update(text).finalize();
    StdRng::from_seed(hash.into())
}

/// Moves the log odds about: the answer of a judge that has read less.
fn blur(d: &mut Distribution, rng: &mut StdRng) {
    let spread = 2.5;
    // Twelve uniform numbers add up to something close enough to a normal one.
    let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    let weights: Vec<f64> = d.p.iter().map(|p| (p.as_f64().max(1e-6).ln() + spread * normal()).exp()).collect();
    let total: f64 = weights.iter().sum();
    for (p, weight) in d.p.iter_mut().zip(weights) {
        *p = Probability::from_fraction((weight / total).clamp(0.0, 1.0)).unwrap_or_default();
    }
}

/// With some probability exchanges the best label with another: with the next best half of the time.
fn swap(d: &mut Distribution, chance: f64, rng: &mut StdRng) {
    if d.p.len() < 2 || !rng.random_bool(chance) {
        return;
    }
    let mut order: Vec<usize> = (0..d.p.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(d.p[i]));
    let other = if rng.random_bool(0.5) { Some(&order[1]) } else { order[1..].choose(rng) };
    if let (Some(&best), Some(&other)) = (order.first(), other) {
        d.p.swap(best, other);
        // As sure as a right answer would be, or less so.
        if rng.random_bool(0.5) {
            blur(d, rng);
        }
    }
}

/// Falsifies what was found, for the kinds that no answer can falsify, and concludes again where findings changed.
pub(super) fn falsify(
    kind: Disturbance,
    seed: u64,
    pipeline: &Pipeline,
    case: &Case,
    decided: Decided,
) -> anyhow::Result<Decided> {
    let mut rng = rng(seed, kind, case.ticket_id.as_str());
    let mut found = findings(&decided);
    match kind {
        Disturbance::Clock => turn_clock(&mut found),
        Disturbance::Burden => exchange_burdens(&mut found),
        Disturbance::Row | Disturbance::Amount => return Ok(falsify_remedy(kind, decided, &found, &mut rng)),
        _ => return Ok(decided),
    }
    let mut again = pipeline.conclude_from(case, found.clone(), None)?;
    // The nodes before the remedy keep their records, with what is now said to have been found; the times stay.
    let mut nodes = decided.trace.nodes;
    nodes.truncate(nodes.len() - 1);
    for record in &mut nodes {
        match (&mut record.finding, &found.timeliness, &found.evidence) {
            (Finding::Timeliness(t), Some(falsified), _) => t.verdict = falsified.verdict,
            (Finding::Evidence(e), _, Some(falsified)) => e.clone_from(falsified),
            _ => {}
        }
    }
    nodes.append(&mut again.trace.nodes);
    again.trace.nodes = nodes;
    Ok(again)
}

fn turn_clock(found: &mut Findings) {
    let Some(t) = &mut found.timeliness else { return };
    let within = t.deadline.zip(t.clock_start).map(|(end, start)| end.since(start).num_seconds());
    let (Some(within), Some(elapsed)) = (within, t.elapsed_seconds) else { return };
    t.verdict = if elapsed > within { Verdict::InTime } else { Verdict::Expired };
    t.elapsed_seconds = Some(if elapsed > within { within } else { within + 1 });
    t.possible_elapsed = t.elapsed_seconds.into_iter().collect();
}

fn exchange_burdens(found: &mut Findings) {
    let Some(e) = &mut found.evidence else { return };
    let stays = [Sufficiency::NotRequired];
    if stays.contains(&e.buyer.verdict) || stays.contains(&e.seller.verdict) {
        return;
    }
    std::mem::swap(&mut e.buyer.verdict, &mut e.seller.verdict);
    std::mem::swap(&mut e.buyer.possible, &mut e.seller.possible);
}

fn falsify_remedy(kind: Disturbance, mut decided: Decided, found: &Findings, rng: &mut StdRng) -> Decided {
    let Some(remedy) = &found.remedy else { return decided };
    let mut remedy = remedy.clone();
    let proposal = &mut remedy.proposal;
    match kind {
        Disturbance::Row => {
            let Some(flip) = remedy.flips.iter().filter(|f| f.refund.is_none()).choose(rng) else { return decided };
            proposal.kind.clone_from(&flip.remedy);
            proposal.row = Some(flip.row);
            let pays = flip.remedy.contains("refund");
            if !pays {
                (proposal.refund_fen, proposal.compensation_fen) = (0, 0);
            }
        }
        _ => {
            let factor = *[3, 5, 7, 8, 9, 11, 12, 20, 100].choose(rng).unwrap_or(&9);
            let amount =
                if proposal.refund_fen > 0 { &mut proposal.refund_fen } else { &mut proposal.compensation_fen };
            *amount = (*amount * factor + 5) / 10;
        }
    }
    proposal.refund = money(proposal.refund_fen);
    proposal.compensation = money(proposal.compensation_fen);
    decided.decision.remedy.proposal = proposal.clone();
    if let Some(record) = decided.trace.nodes.last_mut() {
        record.finding = Finding::Remedy(remedy);
    }
    decided
}
