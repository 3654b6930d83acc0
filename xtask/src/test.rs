//! `cargo xtask test`: every check of the repository, the same on a laptop and in CI. It needs no network once
//! set up, leaves nothing behind outside the target folder, and never touches a database it did not start.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::ctx::{self, Ctx, answers};
use crate::step::Steps;
use crate::{contract, setup, sqlx, tidy, train};

/// Asks for the small training runs that need PyTorch where python3 has none.
const PYTORCH: &str = "--pytorch";

/// The auditor's program as it is handed out: without database, models and network.
const AUDIT_BUILD: [&str; 7] = [
    "build",
    "--locked",
    "--package=praetor",
    "--bin=praetor-audit",
    "--no-default-features",
    "--profile=audit",
    "--quiet",
];

fn audit_program(ctx: &Ctx, build: &mut Command) -> Result<()> {
    ctx::run(build)?;
    let bytes = std::fs::metadata(ctx.target.join("audit/praetor-audit"))?.len();
    println!("    praetor-audit: {:.1} MiB", bytes as f64 / 1_048_576.0);
    Ok(())
}

/// Runs all steps; the exit code says whether all of them passed.
pub(crate) fn run(ctx: &Ctx, args: &[String]) -> Result<ExitCode> {
    if let Some(other) = args.iter().find(|arg| *arg != PYTORCH) {
        bail!("`test` takes `{PYTORCH}` and nothing else, got `{other}`");
    }
    let mut steps = Steps::new();
    let mut found = None;
    steps.run("set-up", || {
        found = Some(setup::all(ctx)?);
        Ok(())
    });
    let Some(found) = found else {
        return Ok(steps.finish());
    };
    let cargo = |args: &[&str]| -> Command {
        let mut command = ctx.cargo(args);
        found.tell(&mut command);
        command
    };

    steps.run("tidy", || tidy::run(ctx));
    steps.run("fmt", || ctx::run(&mut cargo(&["fmt", "--all", "--check"])));
    steps.run("clippy", || {
        let mut clippy = cargo(&["clippy", "--locked", "--workspace", "--all-targets"]);
        ctx::run(clippy.args(["--", "--deny", "warnings"]))
    });
    steps.run("doc", || {
        let mut doc = cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
        ctx::run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
    });
    steps.run("praetor-audit alone", || audit_program(ctx, &mut cargo(&AUDIT_BUILD)));
    let built = steps.run("build", || ctx::run(&mut cargo(&["build", "--locked", "--workspace", "--bins", "--tests"])));
    if built {
        steps.run("tests", || ctx::run(&mut cargo(&["test", "--locked", "--workspace", "--no-fail-fast"])));
        let program = ctx.target.join("debug/praetor");
        for command in ["check", "test"] {
            steps.run(&format!("sop {command}"), || {
                let mut sop = ctx.command(&program);
                found.tell(&mut sop);
                ctx::run(sop.args(["sop", command, "sop_rules/demo"]))
            });
        }
        steps.run(".sqlx is current", || sqlx::prove(ctx, &found));
        contract::step(ctx, &found, &mut steps);
        train::smoke(ctx, !args.is_empty(), &mut steps);
    } else {
        for name in ["tests", "sop check", "sop test", ".sqlx is current", "contract", "small training runs"] {
            steps.skip(name, "the build failed");
        }
    }
    if answers("cargo", &["deny", "--version"]) {
        steps.run("deny", || ctx::run(&mut cargo(&["deny", "--workspace", "check", "bans", "licenses", "sources"])));
    } else {
        steps.skip("deny", "cargo-deny is not installed");
    }
    Ok(steps.finish())
}
