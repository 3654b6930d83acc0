//! Checks records and decides their cases again, a batch at a time, through the same pipeline as ever.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::artifacts::{Shelf, sha256};
use super::diverge::{Divergence, Sides, diverge};
use super::edits::{CaseEdit, EditError, Known, edited, known_at};
use super::proof::{Inclusion, Proven, Prover};
use super::transition::Change;
use super::{Level, ReplayError};
use crate::case::{Case, Timestamp};
use crate::judge::{Judge, JudgeConfig, JudgeError, Probability, Thresholds};
use crate::pipeline::{Decided, Edit, Pipeline};
use crate::sop::RuleBook;
use crate::store::{Body, Store, StoreError, StoredDecision, TenantStore};

/// A recorded decision with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The decision's id.
    pub id: String,
    /// The ticket.
    pub ticket_id: String,
    /// Its canonical bytes; absent when they were erased.
    pub decision: Option<Vec<u8>>,
    /// Its trace; absent when it was erased.
    pub trace: Option<Vec<u8>>,
    /// Its case file; absent when it was erased.
    pub case: Option<Vec<u8>>,
}

impl Record {
    /// A decision with its trace and case, as they are kept.
    pub async fn read(store: &TenantStore, stored: StoredDecision) -> Result<Self, StoreError> {
        let (trace, case) = (store.trace(&stored.id).await?, store.case(&stored.case_hash).await?);
        let kept = |body: Option<Body>| match body {
            Some(Body::Kept(bytes)) => Some(bytes),
            Some(Body::Erased(_)) | None => None,
        };
        Ok(Self {
            id: stored.id,
            ticket_id: stored.ticket_id,
            decision: kept(Some(stored.body)),
            trace: kept(trace),
            case: kept(case),
        })
    }
}

/// What is otherwise than it was. Nothing at all for R0 to R2.
#[derive(Default)]
pub struct Changes {
    /// Other rules.
    pub book: Option<Arc<RuleBook>>,
    /// Other models.
    pub judge: Option<Arc<Judge>>,
    /// Other thresholds of certainty, by name.
    pub thresholds: Vec<(String, Probability)>,
    /// Other facts.
    pub facts: Vec<Edit>,
    /// Another case file.
    pub case: Vec<CaseEdit>,
    /// The case file as it was then, decided then.
    pub as_of: Option<Timestamp>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("facts", &self.facts).field("case", &self.case).finish_non_exhaustive()
    }
}

impl Changes {
    /// True when nothing is changed.
    pub fn none(&self) -> bool {
        self.same_input() && self.book.is_none() && self.judge.is_none() && self.thresholds.is_empty()
    }

    fn same_input(&self) -> bool {
        self.facts.is_empty() && self.case.is_empty() && self.as_of.is_none()
    }
}

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The record is whole.
    Whole,
    /// Deciding again gave the same bytes.
    Identical,
    /// The same in all but what is pinned.
    SameFindings,
    /// A node found something else.
    Diverged,
    /// The record is not what its hashes say.
    Damaged,
    /// It cannot be decided again: something it needs is not there.
    Unavailable,
}

/// One record, replayed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// The decision's id.
    pub id: String,
    /// The ticket.
    pub ticket_id: String,
    /// What was asked.
    pub level: Level,
    /// Whether it holds.
    pub agrees: bool,
    /// What became of it.
    pub status: Status,
    /// What is wrong with the record, or why it cannot be decided again.
    pub problems: Vec<String>,
    /// Where it stands in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub included: Option<Inclusion>,
    /// Where the new decision parts from the old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
    /// The old decision beside the new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// What was known at the time asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// The SOP's version in force on the day asked for, by the rule book used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<String>,
    /// The new decision, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Value>,
}

/// What is wrong with a record by itself: hashes that do not hold. The proof that it is in the log comes on top.
pub fn verify(record: &Record) -> Vec<String> {
    let mut problems = Vec::new();
    // What was erased leaves nothing but its leaf.
    let Some(bytes) = &record.decision else { return problems };
    let decision: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return vec![format!("the decision is no JSON: {error}")],
    };
    let text = |name: &str| decision.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut bare = decision.clone();
    bare.as_object_mut().map(|map| map.remove("id"));
    let hashed = serde_json_canonicalizer::to_vec(&bare).map(|bytes| format!("dec_{}", &sha256(&bytes)[..32]));
    let canonical = serde_json_canonicalizer::to_vec(&decision).is_ok_and(|canonical| canonical == *bytes);
    match hashed {
        Ok(id) if canonical && id == record.id && id == text("id") => {}
        _ => problems.push("the decision's bytes are not those of its id".to_owned()),
    }
    let parts = [("trace", &record.trace, "trace_sha256"), ("case", &record.case, "case_hash")];
    for (name, bytes, pin) in parts {
        if bytes.as_ref().is_some_and(|bytes| sha256(bytes) != text(pin)) {
            problems.push(format!("the {name} is not the one that the decision names"));
        }
    }
    problems
}

/// A record on its way through a batch.
struct Job {
    at: usize,
    recorded: Sides,
    case: Case,
    as_of: Option<Timestamp>,
    pinned: Pinned,
}

/// What makes a pipeline: the pins of rules, models and certificate.
type Pinned = [String; 3];

/// Replays records. Holds opened artifacts between batches.
pub struct Rerun<'a> {
    shelf: Shelf<'a>,
    level: Level,
    changes: Changes,
    pipelines: Vec<(Pinned, Arc<Pipeline>)>,
    /// A pipeline whose models are the only ones used.
    running: Option<Arc<Pipeline>>,
    prover: Option<Prover>,
}

/// Pipelines kept ready.
const PIPELINES: usize = 4;

impl<'a> Rerun<'a> {
    /// `folder` is where the files of pinned models are laid out.
    pub fn new(store: &'a Store, judge: JudgeConfig, folder: PathBuf, level: Level, changes: Changes) -> Self {
        let shelf = Shelf::new(store, judge, folder);
        Self { shelf, level, changes, pipelines: Vec::new(), running: None, prover: None }
    }

    /// With the models of a pipeline that runs already, and no others: what was decided by others cannot be decided again.
    pub fn over(store: &'a Store, running: Arc<Pipeline>, level: Level, changes: Changes) -> Self {
        let mut rerun = Self::new(store, JudgeConfig::default(), PathBuf::new(), level, changes);
        rerun.running = Some(running);
        rerun
    }

    /// Level R0 proves records to be in the log as well.
    pub fn proving(mut self, prover: Prover) -> Self {
        self.prover = Some(prover);
        self
    }

    /// Replays a batch, in its order.
    pub async fn batch(&mut self, records: &[Record]) -> Result<Vec<Replayed>, ReplayError> {
        let mut out: Vec<Replayed> = records.iter().map(|record| self.checked(record)).collect();
        if self.level == Level::R0 {
            for one in &mut out {
                self.prove(one).await?;
            }
            return Ok(out);
        }
        let mut jobs = Vec::new();
        for (at, record) in records.iter().enumerate() {
            if out[at].status != Status::Whole {
                continue;
            }
            match self.job(at, record, &mut out[at]) {
                Ok(job) => jobs.extend(job),
                Err(problem) => unavailable(&mut out[at], problem),
            }
        }
        // Those of one pipeline are decided together, in their order.
        while let Some(first) = jobs.first() {
            let key = first.pinned.clone();
            let (group, rest): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.pinned == key);
            jobs = rest;
            let pipeline = match self.pipeline(&key).await {
                Ok(pipeline) => pipeline,
                // Kept for another version of the program, or not at all: that of these decisions alone.
                Err(
                    error @ (ReplayError::NotKept { .. }
                    | ReplayError::NotRunning { .. }
                    | ReplayError::Book(_)
                    | ReplayError::Certificate(_)
                    | ReplayError::Judge(JudgeError::Manifest { .. } | JudgeError::Signature { .. })),
                ) => {
                    group.iter().for_each(|job| unavailable(&mut out[job.at], error.to_string()));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let cases: Vec<_> = group.iter().map(|job| (&job.case, job.as_of)).collect();
            let decided = tokio::task::block_in_place(|| pipeline.decide_each(&cases, &self.changes.facts))?;
            for (job, decided) in group.iter().zip(decided) {
                self.compare(job, &decided, &pipeline, &records[job.at], &mut out[job.at])?;
            }
        }
        Ok(out)
    }

    async fn prove(&mut self, out: &mut Replayed) -> Result<(), ReplayError> {
        let (Some(prover), Status::Whole) = (&mut self.prover, out.status) else { return Ok(()) };
        match prover.prove(&out.id).await? {
            Proven::Included(inclusion) => out.included = Some(inclusion),
            Proven::Pending => {
                out.agrees = false;
                out.problems.push("it waits for the next checkpoint".to_owned());
            }
            Proven::Not(why) => {
                (out.agrees, out.status) = (false, Status::Damaged);
                out.problems.push(why);
            }
        }
        Ok(())
    }

    /// The record itself.
    fn checked(&self, record: &Record) -> Replayed {
        let problems = verify(record);
        let whole = problems.is_empty();
        Replayed {
            id: record.id.clone(),
            ticket_id: record.ticket_id.clone(),
            level: self.level,
            agrees: whole && self.level == Level::R0,
            status: if whole { Status::Whole } else { Status::Damaged },
            problems,
            included: None,
            divergence: None,
            change: None,
            known: None,
            in_force: None,
            decision: None,
        }
    }

    /// What is to be decided for a record; `None` when there is nothing to decide yet.
    fn job(&self, at: usize, record: &Record, out: &mut Replayed) -> Result<Option<Job>, String> {
        let (Some(decision), Some(case), Some(trace)) = (&record.decision, &record.case, &record.trace) else {
            return Err("its case was erased; the record stands, but nothing can be decided again".to_owned());
        };
        let recorded = Sides {
            decision: serde_json::from_slice(decision).map_err(|e| e.to_string())?,
            trace: serde_json::from_slice(trace).map_err(|e| e.to_string())?,
        };
        let text = |pointer: &str| recorded.decision.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let mut as_of = Some(text("/decided_as_of").parse().map_err(|_| "its time of decision cannot be read")?);
        let mut case = edited(case, &self.changes.case).map_err(|e: EditError| e.to_string())?;
        if let Some(then) = self.changes.as_of {
            let (cut, known) = known_at(&case, then).map_err(|e| e.to_string())?;
            out.known = Some(known);
            as_of = Some(then);
            let Some(cut) = cut else {
                out.problems.push("no claim had been filed by then".to_owned());
                return Ok(None);
            };
            case = cut;
        }
        let pinned = ["/pins/rulebook", "/pins/manifest", "/pins/certificate"].map(|pin| text(pin).to_owned());
        Ok(Some(Job { at, case, as_of, pinned, recorded }))
    }

    /// The pipeline that a decision pins, or what it is replaced by.
    async fn pipeline(&mut self, key: &Pinned) -> Result<Arc<Pipeline>, ReplayError> {
        if let Some((_, pipeline)) = self.pipelines.iter().find(|(of, _)| of == key) {
            return Ok(pipeline.clone());
        }
        let book = match &self.changes.book {
            Some(book) => book.clone(),
            None => self.shelf.book(&key[0]).await?,
        };
        // Under other rules or models, too, what may be automatic is judged as it was.
        let gate = self.shelf.gate(&key[2]).await?;
        let pipeline = match &self.running {
            Some(running) if running.pins().manifest == key[1] => {
                let thresholds = with_thresholds(running.thresholds(), &self.changes.thresholds)?;
                running.under((*book).clone())?.with_thresholds(thresholds)?
            }
            Some(_) => return Err(ReplayError::NotRunning { manifest: key[1].clone() }),
            None => {
                let judge = match &self.changes.judge {
                    Some(judge) => judge.clone(),
                    None => self.shelf.judge(&key[1]).await?,
                };
                let thresholds = with_thresholds(&judge.manifest().thresholds, &self.changes.thresholds)?;
                let (pins, second_pass) = (judge.pins().clone(), judge.second_pass().cloned());
                Pipeline::with((*book).clone(), Box::new(judge), &pins, thresholds)?.verified_by(second_pass)?
            }
        };
        let pipeline = Arc::new(pipeline.gated(gate));
        if self.pipelines.len() >= PIPELINES {
            self.pipelines.remove(0);
        }
        self.pipelines.push((key.clone(), pipeline.clone()));
        Ok(pipeline)
    }

    fn compare(
        &self,
        job: &Job,
        decided: &Decided,
        pipeline: &Pipeline,
        record: &Record,
        out: &mut Replayed,
    ) -> Result<(), ReplayError> {
        let (decision, trace) = (decided.decision.canonical()?, decided.trace.canonical()?);
        if let Some(then) = self.changes.as_of {
            out.in_force = in_force(pipeline.book(), &decided.decision.sop.id, then);
        }
        if Some(&decision) == record.decision.as_ref() && Some(&trace) == record.trace.as_ref() {
            out.status = Status::Identical;
            out.agrees = true;
            out.change = Some(Change::between(&job.recorded.decision, &job.recorded.decision));
            return Ok(());
        }
        let now = Sides::of(decided)?;
        let change = Change::between(&job.recorded.decision, &now.decision);
        out.divergence = diverge(&job.recorded, &now, !self.changes.facts.is_empty());
        out.status = if out.divergence.is_some() { Status::Diverged } else { Status::SameFindings };
        out.agrees = match self.level {
            Level::R3 | Level::R4 => !change.matters(),
            // Under other models or rules another pin is what was asked for.
            Level::R2 => !self.changes.none() && out.divergence.is_none(),
            _ => false,
        };
        out.change = Some(change);
        out.decision = (self.level > Level::R2).then_some(now.decision);
        Ok(())
    }
}

fn unavailable(out: &mut Replayed, problem: String) {
    out.status = Status::Unavailable;
    out.problems.push(problem);
}

fn with_thresholds(pinned: &Thresholds, changes: &[(String, Probability)]) -> Result<Thresholds, ReplayError> {
    let mut value = serde_json::to_value(pinned)?;
    for (name, p) in changes {
        match value.get_mut(name).filter(|old| old.is_number()) {
            Some(place) => *place = serde_json::to_value(p)?,
            None => return Err(ReplayError::NoThreshold(name.clone())),
        }
    }
    Ok(serde_json::from_value(value)?)
}

/// `id vN` of the SOP's version in force on a day in the pack's time zone.
fn in_force(book: &RuleBook, sop: &Option<String>, at: Timestamp) -> Option<String> {
    let day = at.day_in(&book.head.time_zone);
    let id = sop.as_ref()?;
    book.sops.iter().rfind(|s| s.id.0 == *id && book.in_force(s, day)).map(|s| format!("{id} v{}", s.version))
}
