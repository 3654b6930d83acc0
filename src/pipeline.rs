//! Runs the nodes over many cases at once, in waves: each wave's questions are asked together, so that one case
//! takes few passes and a backlog fills the models. What nodes compute about different cases is spread over the processor's
//! cores. The API, the batch and the replay run this very pipeline.

mod stay;

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use crate::case::{Case, Timestamp};
use crate::decision::{self, Asked, Decision, DecisionError, Gate, NodeRecord, Pins, Trace};
use crate::judge::{Answer, Judge, JudgeError, Question, SecondPass, Thresholds};
pub use crate::nodes::{Edit, UnknownEdit};
use crate::nodes::{Finding, Findings, Node, NodeError, NodeId, Rules, pra, verify, waves};
use crate::sop::{Index, IndexError, RuleBook};
use stay::{Stay, asking};

/// Whoever answers questions: the judge, or answers recorded before.
pub trait Ask: Send + Sync {
    /// Answers in the order of the questions.
    fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError>;
}

impl Ask for Judge {
    fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        self.answer(questions)
    }
}

impl<A: Ask + ?Sized> Ask for Arc<A> {
    fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        (**self).ask(questions)
    }
}

/// The pipeline failed for a reason that is not the ticket's.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The judge failed.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// A node failed.
    #[error("ticket {ticket}: {source}")]
    Node {
        /// The ticket.
        ticket: String,
        /// Why.
        source: NodeError,
    },
    /// A decision could not be put together.
    #[error("ticket {ticket}: {source}")]
    Decision {
        /// The ticket.
        ticket: String,
        /// Why.
        source: DecisionError,
    },
    /// The index could not be built.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The reward model reads another text than this program writes.
    #[error("the reward model reads texts of the version {reads}, this program writes {}", pra::FORMAT)]
    Format {
        /// What it reads.
        reads: String,
    },
    /// A pin has no canonical form.
    #[error("a pin has no canonical form: {0}")]
    Pins(#[from] serde_json::Error),
}

/// Rules, index, models, thresholds and gate, ready to decide.
pub struct Pipeline {
    book: RuleBook,
    index: Index,
    ask: Arc<dyn Ask>,
    thresholds: Thresholds,
    pins: Pins,
    gate: Gate,
    waves: [Vec<Box<dyn Node>>; 4],
    second_pass: Option<SecondPass>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("pins", &self.pins).finish_non_exhaustive()
    }
}

/// A decision with the record of how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// The record.
    pub trace: Trace,
}

/// A case on its way through the waves.
struct Run<'a> {
    case: &'a Case,
    as_of: Option<Timestamp>,
    findings: Findings,
    trace: Trace,
}

impl<'a> Run<'a> {
    fn new(case: &'a Case, as_of: Option<Timestamp>, findings: Findings) -> Self {
        Self { case, as_of, findings, trace: Trace::new(case.hash().to_string()) }
    }
}

impl Pipeline {
    /// A pipeline over a rule book and an opened judge.
    pub fn new(book: RuleBook, judge: Judge) -> Result<Self, PipelineError> {
        let (pins, thresholds) = (judge.pins().clone(), judge.manifest().thresholds.clone());
        let second_pass = judge.second_pass().cloned();
        Self::with(book, Box::new(judge), &pins, thresholds)?.verified_by(second_pass)
    }

    /// The pipeline with a second pass, or without one. The source of answers must know the reward model's tasks.
    pub fn verified_by(mut self, second_pass: Option<SecondPass>) -> Result<Self, PipelineError> {
        if let Some(pass) = second_pass.as_ref().filter(|pass| pass.format != pra::FORMAT) {
            return Err(PipelineError::Format { reads: pass.format.clone() });
        }
        self.pins.second_pass.clone_from(&second_pass);
        self.second_pass = second_pass;
        Ok(self)
    }

    /// A pipeline with any source of answers; `pins` say what they come from. Nothing is automatic until it is [`gated`](Self::gated).
    pub fn with(
        book: RuleBook,
        ask: Box<dyn Ask>,
        judge: &crate::judge::Pins,
        thresholds: Thresholds,
    ) -> Result<Self, PipelineError> {
        let index = Index::build(&book)?;
        let pins = Pins {
            engine: decision::ENGINE.to_owned(),
            pack: format!("{}@{}", book.head.id, book.head.version),
            rulebook: book.hash().to_string(),
            calendar: book.calendar_hash()?,
            index: index.hash().to_owned(),
            manifest: judge.manifest.clone(),
            models: judge.models.clone(),
            tokenizer: judge.tokenizer.clone(),
            thresholds: decision::sha256(&serde_json_canonicalizer::to_vec(&thresholds)?),
            certificate: Gate::Shut.pin(),
            runtime: judge.runtime.clone(),
            device: judge.device,
            second_pass: None,
        };
        let ask = Arc::from(ask);
        Ok(Self { book, index, ask, thresholds, pins, gate: Gate::Shut, waves: waves(), second_pass: None })
    }

    /// Other rules over the same models, thresholds and second pass. Nothing is automatic until it is [`gated`](Self::gated):
    /// what was certified was certified for other rules.
    pub fn under(&self, book: RuleBook) -> Result<Self, PipelineError> {
        let index = Index::build(&book)?;
        let pins = Pins {
            pack: format!("{}@{}", book.head.id, book.head.version),
            rulebook: book.hash().to_string(),
            calendar: book.calendar_hash()?,
            index: index.hash().to_owned(),
            certificate: Gate::Shut.pin(),
            ..self.pins.clone()
        };
        let (ask, thresholds, second_pass) = (Arc::clone(&self.ask), self.thresholds.clone(), self.second_pass.clone());
        Ok(Self { book, index, ask, thresholds, pins, gate: Gate::Shut, waves: waves(), second_pass })
    }

    /// The same with other thresholds of certainty.
    pub fn with_thresholds(mut self, thresholds: Thresholds) -> Result<Self, PipelineError> {
        self.pins.thresholds = decision::sha256(&serde_json_canonicalizer::to_vec(&thresholds)?);
        self.thresholds = thresholds;
        Ok(self)
    }

    /// The same with this gate before automatic decisions.
    pub fn gated(mut self, gate: Gate) -> Self {
        self.pins.certificate = gate.pin();
        self.gate = gate;
        self
    }

    /// The gate.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The thresholds of certainty.
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// The rule book.
    pub fn book(&self) -> &RuleBook {
        &self.book
    }

    /// What every decision of this pipeline pins.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    fn rules(&self) -> Rules<'_> {
        Rules { book: &self.book, index: &self.index, thresholds: &self.thresholds }
    }

    /// Decides cases, in their order. The result for a case does not depend on the others. `as_of` is the time
    /// of decision; when absent each case is decided as of the latest moment its file speaks of.
    pub fn decide(&self, cases: &[Case], as_of: Option<Timestamp>) -> Result<Vec<Decided>, PipelineError> {
        let cases: Vec<_> = cases.iter().map(|case| (case, as_of)).collect();
        self.decide_each(&cases, &[])
    }

    /// Decides cases each as of a time of its own. With edits it says what would have been decided if nodes had found
    /// these facts.
    pub fn decide_each(
        &self,
        cases: &[(&Case, Option<Timestamp>)],
        edits: &[Edit],
    ) -> Result<Vec<Decided>, PipelineError> {
        let _span = tracing::info_span!("decide", cases = cases.len()).entered();
        let mut runs: Vec<Run<'_>> =
            cases.iter().map(|&(case, as_of)| Run::new(case, as_of, Findings::default())).collect();
        for wave in &self.waves {
            self.run_wave(wave, &mut runs, edits)?;
        }
        self.verify(&mut runs)?;
        in_order(runs.into_par_iter().map(|run| self.conclude(run)))
    }

    /// Decides one case from findings made elsewhere: only the remedy node and what follows it runs.
    pub fn conclude_from(
        &self,
        case: &Case,
        findings: Findings,
        as_of: Option<Timestamp>,
    ) -> Result<Decided, PipelineError> {
        let mut runs = [Run::new(case, as_of, findings)];
        let [.., last] = &self.waves;
        self.run_wave(last, &mut runs, &[])?;
        self.verify(&mut runs)?;
        let [run] = runs;
        self.conclude(run)
    }

    fn run_wave(&self, wave: &[Box<dyn Node>], runs: &mut [Run<'_>], edits: &[Edit]) -> Result<(), PipelineError> {
        let rules = self.rules();
        let mut stays: Vec<Stay> = wave.iter().map(|node| Stay::begin(node.id(), runs.len())).collect();
        let mut questions = Vec::new();
        // Where each node's questions about each case lie among all.
        let mut places: Vec<Vec<Range<usize>>> = Vec::with_capacity(wave.len());
        for (node, stay) in wave.iter().zip(&mut stays) {
            let needs = |run: &Run<'_>| node.needs(run.case, &run.findings, rules).map_err(|e| at(run.case, e));
            let asked = stay.during(|| in_order(runs.par_iter().map(needs)))?;
            let place = |asked: Vec<Question>| {
                let from = questions.len();
                questions.extend(asked);
                from..questions.len()
            };
            places.push(asked.into_iter().map(place).collect());
        }
        let (answers, waited) = asking(questions.len(), || self.ask.ask(&questions));
        let answers = answers?;
        // Nodes of one wave do not see each other: all judge by the findings of the waves before.
        let inputs = in_order(runs.par_iter().map(|run| run.trace.inputs_sha256()))?;
        let mut found: Vec<Vec<NodeRecord>> = Vec::with_capacity(wave.len());
        for ((node, mut stay), places) in wave.iter().zip(stays).zip(places) {
            let judge = |((run, inputs), place): ((&Run<'_>, &String), &Range<usize>)| {
                let own = answers.get(place.clone()).unwrap_or(&[]);
                let mut finding = node.judge(run.case, &run.findings, own, rules).map_err(|e| at(run.case, e))?;
                for edit in edits {
                    edit.apply(&mut finding, &run.findings, rules).map_err(|e| at(run.case, e))?;
                }
                let asked = questions[place.clone()].iter().zip(own).map(|(q, a)| Asked::new(q, a)).collect();
                Ok::<_, PipelineError>(NodeRecord { node: node.id(), inputs_sha256: inputs.clone(), asked, finding })
            };
            found.push(stay.during(|| in_order(runs.par_iter().zip(&inputs).zip(&places).map(judge)))?);
            stay.asked(places.iter().map(ExactSizeIterator::len).sum(), waited);
            stay.end();
        }
        for records in found {
            for (run, record) in runs.iter_mut().zip(records) {
                run.findings.put(record.finding.clone());
                run.trace.nodes.push(record);
            }
        }
        Ok(())
    }

    /// The second pass: the first token of all cases, then reflections where that was not sure enough.
    fn verify(&self, runs: &mut [Run<'_>]) -> Result<(), PipelineError> {
        let Some(pass) = &self.second_pass else { return Ok(()) };
        let mut stay = Stay::begin(NodeId::Verify, runs.len());
        stay.during(|| self.verify_by(pass, runs))?;
        stay.end();
        Ok(())
    }

    fn verify_by(&self, pass: &SecondPass, runs: &mut [Run<'_>]) -> Result<(), PipelineError> {
        let first = |run: &Run<'_>| {
            verify::needs_first(run.case, &run.findings, &self.book, pass).map(Some).map_err(|e| at(run.case, e))
        };
        self.ask_each(runs, first, |run, answer| {
            verify::judge_first(run.case, &run.findings, Some(answer), &self.book, pass)
        })?;
        let second = |run: &Run<'_>| {
            let kind = run.findings.remedy.as_ref().map(|r| r.proposal.kind.as_str()).unwrap_or_default();
            let labels = run.findings.labels(&self.book).map_err(|e| at(run.case, e))?;
            let least = self.gate.least_first_token(kind, &labels.scene.id);
            verify::needs_second(run.case, &run.findings, &self.book, pass, least).map_err(|e| at(run.case, e))
        };
        self.ask_each(runs, second, |run, answer| verify::judge_second(&run.findings, Some(answer)))
    }

    /// Asks at most one question a case, all together, and records what is made of the answers.
    fn ask_each(
        &self,
        runs: &mut [Run<'_>],
        needs: impl Fn(&Run<'_>) -> Result<Option<Question>, PipelineError>,
        judge: impl Fn(&Run<'_>, &Answer) -> Result<Finding, NodeError>,
    ) -> Result<(), PipelineError> {
        let questions: Vec<Option<Question>> = runs.iter().map(needs).collect::<Result<_, _>>()?;
        let asked: Vec<Question> = questions.iter().flatten().cloned().collect();
        let mut answers = asking(asked.len(), || self.ask.ask(&asked)).0?.into_iter();
        for (run, question) in runs.iter_mut().zip(questions) {
            let Some((question, answer)) = question.and_then(|q| Some((q, answers.next()?))) else { continue };
            let inputs_sha256 = run.trace.inputs_sha256()?;
            let finding = judge(run, &answer).map_err(|e| at(run.case, e))?;
            let asked = vec![Asked::new(&question, &answer)];
            run.findings.put(finding.clone());
            run.trace.nodes.push(NodeRecord { node: NodeId::Verify, inputs_sha256, asked, finding });
        }
        Ok(())
    }

    fn conclude(&self, run: Run<'_>) -> Result<Decided, PipelineError> {
        let as_of = run.as_of.unwrap_or_else(|| decision::as_of(run.case));
        let pins = self.pins.clone();
        let decision = decision::decide(run.case, &run.findings, &run.trace, &self.book, pins, &self.gate, as_of)
            .map_err(|source| PipelineError::Decision { ticket: run.case.ticket_id.as_str().to_owned(), source })?;
        Ok(Decided { decision, trace: run.trace })
    }
}

/// What was worked out side by side, or the first failure in the order of the cases.
fn in_order<T: Send, E: Send>(work: impl IndexedParallelIterator<Item = Result<T, E>>) -> Result<Vec<T>, E> {
    let mut done = Vec::new();
    work.collect_into_vec(&mut done);
    done.into_iter().collect()
}

fn at(case: &Case, source: NodeError) -> PipelineError {
    PipelineError::Node { ticket: case.ticket_id.as_str().to_owned(), source }
}
