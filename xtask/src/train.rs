//! `cargo xtask train`: the models, trained and exported in a virtual environment under the target folder.
//! The environment is made from the pinned requirements, and made anew when they change. New models need a new
//! certificate, which is made at once.

use std::path::PathBuf;

use anyhow::Result;

use crate::certify;
use crate::ctx::{self, Ctx, answers};
use crate::setup::python;
use crate::step::Steps;

const REQUIREMENTS: &str = "models/training/requirements.txt";
const SCRIPT: &str = "models/training/train.py";
const TEACHER_SCRIPT: &str = "models/training/teacher/run.py";
const DATA_SCRIPT: &str = "models/training/data/authored/assemble.py";
const REWARD_SCRIPT: &str = "models/training/grm/train.py";
/// Names of the steps.
const DATA: &str = "authored cases";
const SMALL: &str = "small training run";
const TEACHER: &str = "small teacher run";
const REWARD: &str = "small reward model run";

/// Runs the training script with the given arguments.
pub(crate) fn run(ctx: &Ctx, args: &[String]) -> Result<()> {
    let python = prepare(ctx)?;
    println!("==> {SCRIPT}");
    ctx::run(ctx.command(&python).arg(SCRIPT).args(args))?;
    // What goes elsewhere, or asks for help, leaves the shipped models alone.
    let elsewhere = ["--smoke", "--out", "--models", "--help", "-h"];
    if args.iter().any(|arg| elsewhere.iter().any(|e| arg == e || arg.starts_with(&format!("{e}=")))) {
        return Ok(());
    }
    certify::run(ctx, &[])
}

fn prepare(ctx: &Ctx) -> Result<PathBuf> {
    python::environment(ctx, "train", REQUIREMENTS)
}

/// The small training runs, as steps of `cargo xtask test`: what cannot be fetched is said and skipped.
pub(crate) fn smoke(ctx: &Ctx, steps: &mut Steps) {
    match prepare(ctx) {
        // The program that the tests have built, not another one with other features.
        Ok(python) => {
            steps.run(DATA, || ctx::run(ctx.command(&python).args([DATA_SCRIPT, "--check"])));
            steps.run(SMALL, || {
                let mut small = ctx.command(&python);
                ctx::run(small.env("PRAETOR", ctx.target.join("debug/praetor")).args([SCRIPT, "--smoke"]))
            });
        }
        Err(error) => {
            steps.skip(DATA, &format!("{error:#}"));
            steps.skip(SMALL, &format!("{error:#}"));
        }
    }
    if answers("python3", &["-c", "import torch, safetensors, onnxruntime, tokenizers, sklearn"]) {
        steps.run(TEACHER, || ctx::run(ctx.command("python3").args([TEACHER_SCRIPT, "--smoke"])));
        let program = ctx.target.join("debug/praetor");
        steps.run(REWARD, || {
            let mut small = ctx.command("python3");
            ctx::run(small.args([REWARD_SCRIPT, "--smoke", "--program"]).arg(program))
        });
    } else {
        steps.skip(TEACHER, "python3 has no PyTorch");
        steps.skip(REWARD, "python3 has no PyTorch");
    }
}
