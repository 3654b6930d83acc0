//! `cargo xtask train`: the models, trained and exported in a virtual environment under the target folder.
//! The environment is made from the pinned requirements, and made anew when they change. New models need a new
//! certificate, which is made at once.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::certify;
use crate::ctx::{self, Ctx, answers};
use crate::setup::python;
use crate::step::Steps;

const REQUIREMENTS: &str = "models/training/requirements.txt";
const TORCH_REQUIREMENTS: &str = "models/training/teacher/requirements.txt";
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
    let elsewhere = ["--smoke", "--models", "--help", "-h"];
    if args.iter().any(|arg| elsewhere.iter().any(|e| arg == e || arg.starts_with(&format!("{e}=")))) {
        return Ok(());
    }
    certify::run(ctx, &[])
}

fn prepare(ctx: &Ctx) -> Result<PathBuf> {
    python::environment(ctx, "train", &[REQUIREMENTS])
}

/// A Python with PyTorch: python3 where it has that, else one that is made when the caller wants it, for it takes some
/// five gigabytes.
fn with_pytorch(ctx: &Ctx, install: bool) -> Result<PathBuf> {
    if answers("python3", &["-c", "import torch, safetensors, onnxruntime, tokenizers, sklearn"]) {
        return Ok(PathBuf::from("python3"));
    }
    if !install {
        bail!("python3 has no PyTorch; `cargo xtask test --pytorch` installs it below the target folder (5 GB)");
    }
    python::environment(ctx, "pytorch", &[TORCH_REQUIREMENTS, REQUIREMENTS])
}

/// The small training runs, as steps of `cargo xtask test`: what cannot be fetched is said and skipped.
pub(crate) fn smoke(ctx: &Ctx, pytorch: bool, steps: &mut Steps) {
    // The program that the tests have built, not another one with other features.
    let program = ctx.target.join("debug/praetor");
    match prepare(ctx) {
        Ok(python) => {
            steps.run(DATA, || ctx::run(ctx.command(&python).args([DATA_SCRIPT, "--check"])));
            steps.run(SMALL, || ctx::run(ctx.command(&python).env("PRAETOR", &program).args([SCRIPT, "--smoke"])));
        }
        Err(error) => {
            steps.skip(DATA, &format!("{error:#}"));
            steps.skip(SMALL, &format!("{error:#}"));
        }
    }
    match with_pytorch(ctx, pytorch) {
        Ok(python) => {
            steps.run(TEACHER, || ctx::run(ctx.command(&python).args([TEACHER_SCRIPT, "--smoke"])));
            steps.run(REWARD, || {
                ctx::run(ctx.command(&python).args([REWARD_SCRIPT, "--smoke", "--program"]).arg(&program))
            });
        }
        Err(error) => {
            steps.skip(TEACHER, &format!("{error:#}"));
            steps.skip(REWARD, &format!("{error:#}"));
        }
    }
}
