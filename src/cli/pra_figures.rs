//! How well the reward model tells right decisions from wrong ones, and what it takes: it reads each once for the first
//! verdict, and reflects on each, so that both verdicts are of all.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use super::disturb::Disturbance;
use crate::config::Config;
use crate::eval::{auc, recall_at_precision};
use crate::judge::{Answer, Judge, JudgeConfig, Probability, Question, SecondPass, SecondPassMode, Task};

/// Decisions read together.
const BATCH: usize = 64;
/// The precision at which the recall of a verdict is taken.
const FLOOR: f64 = 0.9;

/// A decision to be read.
pub(super) struct Unread {
    /// How it was falsified.
    pub(super) kind: Option<Disturbance>,
    /// The decision as text.
    pub(super) text: String,
    /// Whether its remedy is right.
    pub(super) right: bool,
    /// The confidence of the nodes.
    pub(super) confidence: f64,
}

/// What was made of it.
struct Read<'a> {
    of: &'a Unread,
    first: Probability,
    /// None where it is a server, which gives no second verdict.
    second: Option<Probability>,
    read: usize,
    shared: usize,
    decoded: usize,
}

/// The reward model.
pub(super) struct Reader {
    judge: Judge,
    pass: SecondPass,
}

/// Opens the reward model, whether or not it is on.
pub(super) fn open(config: &Config) -> anyhow::Result<Reader> {
    let on = JudgeConfig { second_pass: SecondPassMode::On, ..config.judge.clone() };
    let judge = Judge::open(&config.models, &on)
        .with_context(|| format!("cannot open the models in {}", config.models.display()))?;
    let pass = judge.second_pass().cloned().context("there is no reward model to read the decisions")?;
    Ok(Reader { judge, pass })
}

impl Reader {
    /// The most characters it reads.
    pub(super) fn characters(&self) -> usize {
        self.pass.characters
    }

    /// Reads the decisions and writes the figures.
    pub(super) fn write(&self, unread: &[Unread], out: &mut impl Write) -> anyhow::Result<()> {
        let (mut read, mut took) = (Vec::with_capacity(unread.len()), [Duration::ZERO; 2]);
        for group in unread.chunks(BATCH) {
            let first = self.ask(Task::Verify, group, &mut took[0])?;
            // A server gives one token, and so no second verdict.
            let second = match self.pass.reflect_below {
                Some(_) => self.ask(Task::Reflect, group, &mut took[1])?,
                None => Vec::new(),
            };
            for (i, (of, first)) in group.iter().zip(&first).enumerate() {
                let second = second.get(i);
                let said = second.unwrap_or(first).said.as_ref();
                read.push(Read {
                    of,
                    first: right(first, "first_token")?,
                    second: second.map(|answer| right(answer, "second")).transpose()?,
                    read: said.map_or(0, |s| s.read),
                    shared: said.map_or(0, |s| s.shared),
                    decoded: said.map_or(0, |s| s.decoded),
                });
            }
        }
        table(&read, out)?;
        let each = |total: usize| total as f64 / read.len().max(1) as f64;
        let millis = took.map(|took| took.as_secs_f64() * 1_000.0 / read.len().max(1) as f64);
        let all: usize = read.iter().map(|r| r.decoded).sum();
        writeln!(
            out,
            "{:.0} tokens read a decision, {:.0} of them of a rule that is read once: {:.1} ms for A'",
            each(read.iter().map(|r| r.read).sum()),
            each(read.iter().map(|r| r.shared).sum()),
            millis[0]
        )?;
        let Some(least) = self.pass.reflect_below else { return Ok(()) };
        writeln!(
            out,
            "{:.1} tokens written where all are reflected on: {:.1} ms for R' and A''",
            each(all),
            millis[1]
        )?;
        let slow = read.iter().filter(|r| r.first < least);
        let (slow, tokens) = slow.fold((0, 0), |(slow, tokens), r| (slow + 1, tokens + r.decoded));
        let (share, saved) = (100.0 * each(slow), 100.0 - 100.0 * tokens as f64 / all.max(1) as f64);
        writeln!(
            out,
            "{:.1} where those below {least} are ({share:.1}% of them): {saved:.1}% of the tokens are saved",
            each(tokens)
        )?;
        Ok(())
    }

    fn ask(&self, task: Task, unread: &[Unread], took: &mut Duration) -> anyhow::Result<Vec<Answer>> {
        let questions: Vec<Question> = unread.iter().map(|u| Question { task, text: u.text.clone() }).collect();
        let began = Instant::now();
        let answers = tokio::task::block_in_place(|| self.judge.answer(&questions))?;
        *took += began.elapsed();
        Ok(answers)
    }
}

fn right(answer: &Answer, head: &str) -> anyhow::Result<Probability> {
    let said = answer.heads.get(head).ok_or_else(|| anyhow!("the reward model gives no {head}"))?;
    Ok(said.get("right"))
}

/// One line for decisions as they are and one for all falsified ones, then one a way to be wrong, against all right ones.
fn table(read: &[Read<'_>], out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "decisions    number  wrong  confidence     A'  recall    A''  recall")?;
    let own: Vec<&Read<'_>> = read.iter().filter(|r| r.of.kind.is_none()).collect();
    let falsified: Vec<&Read<'_>> = read.iter().filter(|r| r.of.kind.is_some()).collect();
    for (name, group) in [("own", own), ("falsified", falsified)] {
        if !group.is_empty() {
            line(name, &group, out)?;
        }
    }
    let mut kinds: Vec<Disturbance> = Vec::new();
    for kind in read.iter().filter_map(|r| r.of.kind) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    for kind in kinds {
        let picked = |r: &&Read<'_>| r.of.kind.is_some() && (r.of.right || r.of.kind == Some(kind));
        line(&format!("  {}", kind.name()), &read.iter().filter(picked).collect::<Vec<_>>(), out)?;
    }
    Ok(())
}

fn line(name: &str, group: &[&Read<'_>], out: &mut impl Write) -> anyhow::Result<()> {
    let wrong = group.iter().filter(|r| !r.of.right).count();
    let scores = |score: &dyn Fn(&Read<'_>) -> f64| group.iter().map(|r| (score(r), r.of.right)).collect::<Vec<_>>();
    let area = |scores: &[(f64, bool)]| auc(scores).map_or_else(|| "-".to_owned(), |auc| format!("{auc:.3}"));
    let first = scores(&|r| r.first.as_f64());
    let second: Option<Vec<_>> = group.iter().map(|r| Some((r.second?.as_f64(), r.of.right))).collect();
    let told = |scores: &[(f64, bool)]| format!("{:>5}  {:>6.3}", area(scores), recall_at_precision(scores, FLOOR));
    writeln!(
        out,
        "{name:<12} {:>6} {wrong:>6}  {:>10}  {}  {}",
        group.len(),
        area(&scores(&|r| r.of.confidence)),
        told(&first),
        second.map_or_else(|| "    -       -".to_owned(), |second| told(&second)),
    )?;
    Ok(())
}
