//! `cargo xtask second-pass`: what the shipped reward model is worth, on cases that nothing of it learned from: how well its
//! verdicts tell right decisions from wrong ones, the pipeline's own and falsified ones, in how many tokens and
//! milliseconds, and what its certificate lets be automatic.

use anyhow::{Result, bail};

use crate::ctx::{self, Ctx};
use crate::setup;

const FOLDS: &str = "models/training/out";
const TEST: &str = "models/training/out/test";
/// The ways in which decisions are falsified.
const WAYS: [&str; 9] = ["noise", "sop", "report", "clock", "evidence", "measure", "burden", "row", "amount"];

/// Measures and prints.
pub(crate) fn run(ctx: &Ctx) -> Result<()> {
    if !ctx.root.join(TEST).is_dir() {
        bail!("there are no cases in {TEST} and no fold models beside it: `cargo xtask train` makes them");
    }
    let found = setup::all(ctx)?;
    let praetor = |args: &[&str]| {
        let run = ["run", "--release", "--quiet", "--locked", "--package", "praetor", "--bin", "praetor", "--"];
        let mut cargo = ctx.cargo(&run);
        found.tell(&mut cargo);
        cargo.args(["--second-pass", "on", "--intra-threads", "2"]).args(args);
        cargo
    };
    let (tickets, gold) = (format!("{TEST}/tickets.jsonl"), format!("{TEST}/gold.jsonl"));
    println!("==> praetor pra --figures, on cases that nothing learned from");
    let mut figures = praetor(&["pra", &tickets, "--gold", &gold, "--fold-models", FOLDS, "--figures"]);
    ctx::run(figures.args(WAYS.iter().flat_map(|way| ["--disturb", way])))?;
    println!("==> praetor calibrate check");
    ctx::run(&mut praetor(&["calibrate", "check"]))
}
