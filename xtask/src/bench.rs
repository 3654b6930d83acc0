//! `cargo xtask bench`: the committed benchmarks, set up like the tests. Ratios are printed, never asserted.

use anyhow::Result;

use crate::ctx::{self, Ctx};
use crate::setup;

/// Runs `cargo bench` over the workspace with the given arguments.
pub(crate) fn run(ctx: &Ctx, args: &[String]) -> Result<()> {
    let found = setup::all(ctx)?;
    // Bench targets alone: the test harness of libraries does not take criterion's options.
    let mut command = ctx.cargo(&["bench", "--locked", "--workspace", "--bench", "*"]);
    command.args(args);
    found.tell(&mut command);
    ctx::run(&mut command)
}
