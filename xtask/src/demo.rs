//! `cargo xtask demo`: from a fresh clone to adjudicated tickets. It uses the private Postgres under the target
//! folder, never a database that the caller's environment names.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::ctx::{self, Ctx};
use crate::setup;
use crate::step::seconds;

const TICKETS: &str = "examples/tickets.jsonl";
/// Exit code of praetor when everything ran but some input was refused: the examples hold such a ticket.
const REFUSED: i32 = 3;

/// Sets up, builds, migrates, adjudicates.
pub(crate) fn run(ctx: &Ctx) -> Result<()> {
    let start = Instant::now();
    println!("==> set-up");
    let found = setup::all(ctx)?;

    println!("==> build");
    let program = ctx.target.join("release/praetor");
    if !program.exists() {
        println!("    the first release build takes some minutes; later runs start at once");
    }
    ctx::run(&mut ctx.cargo(&["build", "--release", "--locked", "--package", "praetor"]))?;

    let data = ctx::path_from_env("PRAETOR_DATA_DIR").unwrap_or_else(|| ctx.target.join("demo"));
    if std::env::var_os("DATABASE_URL").is_some() {
        println!("    DATABASE_URL is set and left alone: the demo keeps to its own Postgres");
    }
    let praetor = |args: &[&str]| -> Command {
        let mut command = ctx.command(&program);
        command.args(args).env("PRAETOR_DATA_DIR", &data);
        found.tell(&mut command);
        command
    };
    println!("==> database in {}", data.display());
    ctx::run(&mut praetor(&["db", "migrate"]))?;

    println!("==> adjudicate {TICKETS}");
    let mut adjudicate = praetor(&["adjudicate", TICKETS, "--format", "text"]);
    let status = ctx::status(&mut adjudicate)?;
    if !status.success() && status.code() != Some(REFUSED) {
        bail!("`{}` failed ({status})", ctx::shown(&adjudicate));
    }
    println!("\ndemo finished in {}", seconds(start.elapsed()));
    Ok(())
}
