//! The repository's own commands: `cargo xtask demo`, `cargo xtask test` and what they rest on.
//!
//! It depends on nothing of the product, so that it compiles in seconds and can still say what is wrong
//! when the product does not build. It never installs anything outside the target folder.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for people at a terminal")]

mod bench;
mod certify;
mod contract;
mod ctx;
mod demo;
mod second_pass;
mod setup;
mod sqlx;
mod step;
mod test;
mod throwaway;
mod tidy;
mod train;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::ctx::Ctx;

const HELP: &str = "\
Usage: cargo xtask <command>

Commands:
  demo            set up, build, start a private Postgres and adjudicate examples/tickets.jsonl
  test [--pytorch] set up, then every check of the repository: fmt, clippy, tests, .sqlx, docs, SOPs, tidy, training;
                  with --pytorch also what python3 needs PyTorch for, installed below the target folder (5 GB)
  setup [PART]    fetch and verify what the others need; PART is `onnxruntime` or `postgres` (default: both)
  tidy            the architecture invariants alone (seconds)
  sqlx            rewrite the committed .sqlx query data after a change to a query or a migration
  bench [ARGS]    the benchmarks; ARGS go to `cargo bench`
  contract [ARGS] the running service against docs/openapi.json; ARGS go to schemathesis
  train [ARGS]    train, export and certify the models; ARGS go to models/training/train.py
  certify [ARGS]  certify the models as they are, from the fold models of their training; ARGS go to `praetor calibrate`
  second-pass     what the shipped reward model is worth, on cases that nothing of it learned from
  help            this text

Everything that is fetched lies under the target folder (CARGO_TARGET_DIR is honoured), is pinned by sha256,
and is fetched once: later runs work offline.

Environment:
  PRAETOR_PG_BIN    folder with the Postgres programs to use (initdb, postgres, pg_ctl)
  PRAETOR_ORT_LIB   an ONNX Runtime library to use instead of the pinned one
  PRAETOR_CERTIFICATE_KEY  the private key that signs the certificate (default: train/certificate-key.pem under the
                    target folder, made when missing)
  PRAETOR_DATA_DIR  data folder of the demo (default: demo/ under the target folder)
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = args.collect();
    if matches!(command.as_str(), "help" | "-h" | "--help") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let takes_args = matches!(command.as_str(), "setup" | "bench" | "contract" | "train" | "certify" | "test");
    if !takes_args && let Some(extra) = rest.first() {
        bail!("`{command}` takes no argument, got `{extra}`; see `cargo xtask help`");
    }
    let ctx = Ctx::new()?;
    match command.as_str() {
        "demo" => demo::run(&ctx).map(|()| ExitCode::SUCCESS),
        "test" => test::run(&ctx, &rest),
        "setup" => setup::run(&ctx, rest.first().map(String::as_str)).map(|()| ExitCode::SUCCESS),
        "tidy" => tidy::run(&ctx).map(|()| ExitCode::SUCCESS),
        "sqlx" => sqlx::rewrite(&ctx).map(|()| ExitCode::SUCCESS),
        "bench" => bench::run(&ctx, &rest).map(|()| ExitCode::SUCCESS),
        "contract" => contract::run(&ctx, &setup::all(&ctx)?, &rest).map(|()| ExitCode::SUCCESS),
        "train" => train::run(&ctx, &rest).map(|()| ExitCode::SUCCESS),
        "certify" => certify::run(&ctx, &rest).map(|()| ExitCode::SUCCESS),
        "second-pass" => second_pass::run(&ctx).map(|()| ExitCode::SUCCESS),
        other => bail!("there is no command `{other}`; see `cargo xtask help`"),
    }
}
