//! One chunk, from lines to what is recorded. A line that is no ticket, or whose ticket cannot be decided, is refused with
//! reasons and stops nobody else. If the models fail, that is nobody's fault in the chunk: all of it is tried again later.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::worker::Foreground;
use super::{MAX_TICKET, lines};
use crate::case::{Case, Timestamp};
use crate::config::ReviewConfig;
use crate::pipeline::{Decided, Pipeline, PipelineError};
use crate::store::{BatchChunk, DoneChunk, NewRejection};
use crate::{record, review};

/// Why a chunk is not done this time. Its text goes into the queue and names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The worker is about to end.
    #[error("the worker was told to stop")]
    Stopped,
    /// A model cannot answer.
    #[error("the models failed")]
    Models,
    /// The tenant's rules cannot be opened here.
    #[error("the rules in force cannot be opened")]
    Rules,
    /// The database refused or did not answer.
    #[error("the database failed")]
    Store,
    /// The worker cannot do this job.
    #[error("a defect of the worker")]
    Defect,
}

/// What a chunk is decided with.
pub(super) struct Means<'a> {
    /// Rules and models.
    pub pipeline: &'a Pipeline,
    /// Which decisions people are to look at.
    pub review: &'a ReviewConfig,
    /// Cases decided together.
    pub together: usize,
    /// Whom to give way to.
    pub foreground: &'a Foreground,
    /// Asked between two groups of cases.
    pub stop: &'a dyn Fn() -> bool,
}

/// Decides a chunk. `source` is where its refused lines are said to come from.
pub(super) fn decide(chunk: &BatchChunk, source: &str, means: &Means<'_>) -> Result<DoneChunk, ChunkError> {
    let as_of: Option<Timestamp> = match &chunk.as_of {
        Some(text) => Some(text.parse().map_err(|_| ChunkError::Defect)?),
        None => None,
    };
    let mut done = DoneChunk::default();
    let mut waiting: Vec<(i64, &[u8], Case)> = Vec::with_capacity(means.together);
    for (line, bytes) in lines::tickets(chunk.first_line, &chunk.text) {
        let refused = match bytes.len() > MAX_TICKET {
            true => Err(reason("line_too_long")),
            false => Case::parse(bytes).map_err(|errors| serde_json::to_string(&errors).unwrap_or_default()),
        };
        match refused {
            Ok(case) => waiting.push((line, bytes, case)),
            Err(errors) => done.rejections.push(rejection(source, line, bytes, errors)),
        }
        if waiting.len() == means.together {
            group(&mut waiting, as_of, source, means, &mut done)?;
        }
    }
    group(&mut waiting, as_of, source, means, &mut done)?;
    Ok(done)
}

/// Decides the cases that have gathered, together, or each alone if that fails.
fn group(
    waiting: &mut Vec<(i64, &[u8], Case)>,
    as_of: Option<Timestamp>,
    source: &str,
    means: &Means<'_>,
    done: &mut DoneChunk,
) -> Result<(), ChunkError> {
    if waiting.is_empty() {
        return Ok(());
    }
    if (means.stop)() {
        return Err(ChunkError::Stopped);
    }
    means.foreground.give_way();
    let cases: Vec<(&Case, Option<Timestamp>)> = waiting.iter().map(|(_, _, case)| (case, as_of)).collect();
    let decided: Vec<Option<Decided>> = match attempt(means.pipeline, &cases)? {
        Some(decided) => decided.into_iter().map(Some).collect(),
        None => {
            let alone = |case| Ok(attempt(means.pipeline, std::slice::from_ref(case))?.and_then(|mut d| d.pop()));
            cases.iter().map(alone).collect::<Result<_, ChunkError>>()?
        }
    };
    if decided.len() != waiting.len() {
        return Err(ChunkError::Defect);
    }
    for ((line, bytes, case), decided) in waiting.drain(..).zip(decided) {
        let stored = decided.map(|decided| {
            let task = review::task(means.review, &case, &decided.decision);
            record::stored(&case, &decided, task)
        });
        match stored {
            Some(Ok(new)) => done.decisions.push((line, new)),
            Some(Err(_)) | None => {
                tracing::error!(case_hash = %case.hash(), "a case cannot be decided");
                done.rejections.push(rejection(source, line, bytes, reason("undecidable")));
            }
        }
    }
    Ok(())
}

/// The decisions; None if some case among them has none, or brought a node down.
fn attempt(pipeline: &Pipeline, cases: &[(&Case, Option<Timestamp>)]) -> Result<Option<Vec<Decided>>, ChunkError> {
    match catch_unwind(AssertUnwindSafe(|| pipeline.decide_each(cases, &[]))) {
        Ok(Ok(decided)) => Ok(Some(decided)),
        Ok(Err(PipelineError::Judge(error))) => {
            tracing::error!(%error, "the models do not answer");
            Err(ChunkError::Models)
        }
        Ok(Err(_)) | Err(_) => Ok(None),
    }
}

/// A reason in the form in which those of a ticket are kept, about the line as a whole.
fn reason(rule: &str) -> String {
    serde_json::json!([{ "path": "$", "value": "", "rule": rule }]).to_string()
}

fn rejection(source: &str, line: i64, bytes: &[u8], errors: String) -> NewRejection {
    NewRejection { source: source.to_owned(), line, errors, subject: Case::subject_of(bytes), input: bytes.to_vec() }
}
