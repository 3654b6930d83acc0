//! The second pass: a reward model reads the decision (PRA) and says whether it is right. Its first token comes from one
//! pass; where that is not sure enough it reflects and gives a second verdict.
//!
//! What it says can send a case to a person. It changes no other finding, and no remedy.

use serde::Serialize;

use super::pra;
use super::{Finding, Findings, NodeError, NodeId, head};
use crate::case::Case;
use crate::judge::{Answer, Probability, Question, Said, SecondPass, Task};
use crate::sop::RuleBook;

/// The finding of the second pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyFinding {
    /// Hash of the text that was read.
    pub pra_sha256: String,
    /// That the decision is right, by the first token.
    pub first_token: Probability,
    /// The same after reflecting; absent when the first token was enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Probability>,
    /// The reflection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reflection: Option<String>,
    /// Tokens read and decoded.
    pub tokens: Tokens,
}

/// What a second pass took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Read.
    pub read: usize,
    /// Decoded.
    pub decoded: usize,
}

impl Tokens {
    fn add(&mut self, said: Option<&Said>) {
        self.read += said.map_or(0, |s| s.read);
        self.decoded += said.map_or(0, |s| s.decoded);
    }
}

/// The text to ask about and its hash.
fn text(case: &Case, findings: &Findings, book: &RuleBook, pass: &SecondPass) -> Result<pra::Pra, NodeError> {
    pra::render(case, findings, book, pass.characters)
}

/// The first question, of every case.
pub fn needs_first(
    case: &Case,
    findings: &Findings,
    book: &RuleBook,
    pass: &SecondPass,
) -> Result<Question, NodeError> {
    Ok(Question { task: Task::Verify, text: text(case, findings, book, pass)?.text })
}

/// What the first answer says.
pub fn judge_first(
    case: &Case,
    findings: &Findings,
    answer: Option<&Answer>,
    book: &RuleBook,
    pass: &SecondPass,
) -> Result<Finding, NodeError> {
    let mut tokens = Tokens::default();
    tokens.add(answer.and_then(|a| a.said.as_ref()));
    Ok(Finding::Verify(VerifyFinding {
        pra_sha256: text(case, findings, book, pass)?.sha256(),
        first_token: head(answer, "first_token")?.get("right"),
        second: None,
        reflection: None,
        tokens,
    }))
}

/// The second question, where the first answer was not sure enough: under the certified threshold, if there is one, else
/// under the one that comes with the reward model.
pub fn needs_second(
    case: &Case,
    findings: &Findings,
    book: &RuleBook,
    pass: &SecondPass,
    certified: Option<Probability>,
) -> Result<Option<Question>, NodeError> {
    let first = Findings::required(&findings.verify, NodeId::Verify)?.first_token;
    if pass.reflect_below.is_none_or(|least| first >= certified.unwrap_or(least)) {
        return Ok(None);
    }
    Ok(Some(Question { task: Task::Reflect, text: text(case, findings, book, pass)?.text }))
}

/// The finding with what the reflection came to.
pub fn judge_second(findings: &Findings, answer: Option<&Answer>) -> Result<Finding, NodeError> {
    let mut finding = Findings::required(&findings.verify, NodeId::Verify)?.clone();
    let said = answer.and_then(|a| a.said.as_ref());
    finding.tokens.add(said);
    finding.second = Some(head(answer, "second")?.get("right"));
    finding.reflection = said.map(|s| s.text.clone());
    Ok(Finding::Verify(finding))
}
