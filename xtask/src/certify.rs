//! `cargo xtask certify`: the certificate of the shipped models, from the labelled cases of the tree as decided by fold
//! models that have not seen them. It runs after every training and whenever rules or program decide differently.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::ctx::{self, Ctx};
use crate::setup;

const FOLDS: &str = "models/training/out";
const DATA: &str = "models/training/data";
/// Where the private key is, if not in the target folder. It never enters the tree.
const KEY: &str = "PRAETOR_CERTIFICATE_KEY";

/// Calibrates, signs and checks; `args` go to `praetor calibrate`.
pub(crate) fn run(ctx: &Ctx, args: &[String]) -> Result<()> {
    if !ctx.root.join(FOLDS).join("fold0").is_dir() {
        bail!("there are no fold models in {FOLDS}: `cargo xtask train` makes them, and certifies");
    }
    let found = setup::all(ctx)?;
    println!("==> praetor calibrate");
    let key = ctx::path_from_env(KEY).unwrap_or_else(|| ctx.target.join("train/certificate-key.pem"));
    let sets = ["public", "authored"].map(|set| ["tickets.jsonl", "gold.jsonl"].map(|f| format!("{DATA}/{set}/{f}")));
    let praetor = || {
        let mut cargo =
            ctx.cargo(&["run", "--quiet", "--locked", "--package", "praetor", "--bin", "praetor", "--", "calibrate"]);
        found.tell(&mut cargo);
        cargo
    };
    let mut calibrate = praetor();
    calibrate.args(sets.iter().flatten()).args(["--fold-models", FOLDS, "--trust"]).arg("--key").arg::<&PathBuf>(&key);
    ctx::run(calibrate.args(args))?;
    ctx::run(praetor().arg("check"))
}
