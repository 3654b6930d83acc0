//! `cargo xtask certify`: the certificates of the shipped models, without and with the second pass, from the labelled cases
//! of the tree as decided by fold models that have not seen them. It runs after every training and whenever rules or
//! program decide differently.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::ctx::{self, Ctx};
use crate::setup;

const FOLDS: &str = "models/training/out";
const DATA: &str = "models/training/data";
/// Folders of the cases that no reward model learned from.
const UNSEEN: [&str; 2] = ["models/training/out/dev", "models/training/out/test"];
/// Where certificates are looked for.
const CERTIFICATES: &str = "models/certificates";
/// Where the private key is, if not in the target folder. It never enters the tree.
const KEY: &str = "PRAETOR_CERTIFICATE_KEY";

/// Calibrates, signs and checks; `args` go to `praetor calibrate`.
pub(crate) fn run(ctx: &Ctx, args: &[String]) -> Result<()> {
    if !ctx.root.join(FOLDS).join("fold0").is_dir() {
        bail!("there are no fold models in {FOLDS}: `cargo xtask train` makes them, and certifies");
    }
    let found = setup::all(ctx)?;
    let key = ctx::path_from_env(KEY).unwrap_or_else(|| ctx.target.join("train/certificate-key.pem"));
    let praetor = |second_pass: &str| {
        let mut cargo = ctx.cargo(&["run", "--quiet", "--locked", "--package", "praetor", "--bin", "praetor", "--"]);
        found.tell(&mut cargo);
        cargo.args(["--second-pass", second_pass, "calibrate"]);
        cargo
    };
    let pair = |folder: &str| ["tickets.jsonl", "gold.jsonl"].map(|file| format!("{folder}/{file}"));
    let all = ["public", "authored"].map(|set| pair(&format!("{DATA}/{set}"))).concat();
    let mut passes = vec![("off", "first-pass", all)];
    // The reward model's own certificate, where the fold models have it too.
    if ctx.root.join(FOLDS).join("fold0/grm").is_dir() {
        passes.push(("on", "second-pass", UNSEEN.map(pair).concat()));
    }
    for (second_pass, name, labelled) in passes {
        println!("==> praetor calibrate, second pass {second_pass}");
        let mut calibrate = praetor(second_pass);
        calibrate.args(labelled).args(["--fold-models", FOLDS, "--trust"]).arg("--key").arg::<&PathBuf>(&key);
        ctx::run(calibrate.args(["--out", &format!("{CERTIFICATES}/{name}.json")]).args(args))?;
        ctx::run(praetor(second_pass).arg("check"))?;
    }
    Ok(())
}
