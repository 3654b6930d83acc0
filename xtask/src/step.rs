//! A list of named steps, each timed, with a summary at the end. A failed step does not stop the others, save
//! those which need what it makes.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// The steps run so far.
pub(crate) struct Steps {
    done: Vec<(String, Outcome, Duration)>,
    started: Instant,
}

impl Steps {
    /// No step yet; the clock of the whole starts here.
    pub(crate) fn new() -> Steps {
        Steps { done: Vec::new(), started: Instant::now() }
    }

    /// Runs one step and says how it ended. Returns whether it passed.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("\n==> {name}");
        let start = Instant::now();
        let outcome = match step() {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                eprintln!("error: {error:#}");
                Outcome::Failed
            }
        };
        let took = start.elapsed();
        let word = if outcome == Outcome::Passed { "ok" } else { "FAILED" };
        println!("    {name}: {word} in {}", seconds(took));
        self.done.push((name.to_owned(), outcome, took));
        outcome == Outcome::Passed
    }

    /// Records a step that was not run, and why.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        println!("\n==> {name}\n    {name}: skipped, {why}");
        self.done.push((name.to_owned(), Outcome::Skipped, Duration::ZERO));
    }

    /// Prints every step with its time and the closing count.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\nSummary ({} in all)", seconds(self.started.elapsed()));
        let width = self.done.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        for (name, outcome, took) in &self.done {
            let word = match outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "skipped",
            };
            println!("  {name:<width$}  {word:<7}  {:>8}", seconds(*took));
        }
        println!("\n{}", self.closing_line());
        if self.count(Outcome::Failed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn closing_line(&self) -> String {
        let (passed, failed) = (self.count(Outcome::Passed), self.count(Outcome::Failed));
        match self.count(Outcome::Skipped) {
            0 => format!("{passed} passed, {failed} failed"),
            skipped => format!("{passed} passed, {failed} failed, {skipped} skipped"),
        }
    }

    fn count(&self, which: Outcome) -> usize {
        self.done.iter().filter(|(_, outcome, _)| *outcome == which).count()
    }
}

/// Seconds with one decimal below a minute, minutes and seconds above.
pub(crate) fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if whole < 60 {
        format!("{}.{} s", whole, time.subsec_millis() / 100)
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_counts_every_kind() {
        let mut steps = Steps::new();
        assert!(steps.run("good", || Ok(())));
        assert_eq!(steps.closing_line(), "1 passed, 0 failed");
        assert!(!steps.run("bad", || anyhow::bail!("no")));
        steps.skip("later", "bad failed");
        assert_eq!(steps.closing_line(), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(seconds(Duration::from_millis(1_960)), "1.9 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }
}
