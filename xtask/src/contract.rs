//! `cargo xtask contract`: the running service against its contract. Schemathesis sends what docs/openapi.json allows and
//! what it forbids, alone and in sequences, to a service with a database of its own, and checks every answer.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ctx::{self, Ctx};
use crate::setup::{Found, python};
use crate::step::Steps;

const REQUIREMENTS: &str = "tests/contract/requirements.txt";
const CONFIG: &str = "tests/contract/schemathesis.toml";
const CONTRACT: &str = "docs/openapi.json";
/// The name of the step.
const STEP: &str = "contract";
/// Keys: variable, role, tenant.
const KEYS: [(&str, &str, &str); 6] = [
    ("PRAETOR_KEY_OPERATOR", "operator", "default"),
    ("PRAETOR_KEY_REVIEWER", "reviewer", "default"),
    ("PRAETOR_KEY_AUDITOR", "auditor", "default"),
    ("PRAETOR_KEY_EDITOR", "editor", "default"),
    ("PRAETOR_KEY_ADMIN", "admin", "default"),
    ("PRAETOR_KEY_KEYS", "admin", "keys"),
];
/// The service under test: no limit of rate, or it would be all that is tested.
const SERVICE: &str = "[serve]\nrate_per_key = 1000000\nrate_per_tenant = 1000000\n";

/// Builds the program and tests it; further arguments go to schemathesis.
pub(crate) fn run(ctx: &Ctx, found: &Found, args: &[String]) -> Result<()> {
    let python = prepare(ctx)?;
    let mut build = ctx.cargo(&["build", "--locked", "--package=praetor", "--bin=praetor"]);
    found.tell(&mut build);
    ctx::run(&mut build)?;
    conform(ctx, found, &python, args)
}

/// The same as a step of `cargo xtask test`, with the program that is built already.
pub(crate) fn step(ctx: &Ctx, found: &Found, steps: &mut Steps) {
    match prepare(ctx) {
        Ok(python) => drop(steps.run(STEP, || conform(ctx, found, &python, &["--max-examples=10".to_owned()]))),
        Err(error) => steps.skip(STEP, &format!("{error:#}")),
    }
}

fn prepare(ctx: &Ctx) -> Result<PathBuf> {
    python::environment(ctx, "contract", &[REQUIREMENTS])
}

fn conform(ctx: &Ctx, found: &Found, python: &Path, args: &[String]) -> Result<()> {
    let service = Service::start(ctx, found)?;
    let mut test = ctx.command(python.with_file_name("schemathesis"));
    test.args(["--config-file", CONFIG, "run", CONTRACT, "--checks=all", "--no-color"]);
    test.arg("--url").arg(&service.url).args(args);
    test.envs(service.keys.iter().map(|(name, key)| (*name, key)));
    ctx::run(&mut test)
}

/// A running service in a folder of its own. Dropping it stops the service and removes the folder.
struct Service {
    folder: PathBuf,
    process: Option<Child>,
    url: String,
    keys: Vec<(&'static str, String)>,
}

impl Service {
    fn start(ctx: &Ctx, found: &Found) -> Result<Self> {
        let folder = Path::new("/tmp").join(format!("praetor-contract-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let mut this = Self { folder, process: None, url: String::new(), keys: Vec::new() };
        fs::write(this.folder.join("praetor.toml"), SERVICE)?;
        for (variable, role, tenant) in KEYS {
            let made = ctx::output(
                this.praetor(ctx, found).args(["--tenant", tenant, "key", "create", "--raw", "--role", role]),
            )?;
            this.keys.push((variable, made.trim().to_owned()));
        }
        let mut serve = this.praetor(ctx, found);
        serve.args(["--lang", "en", "serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped());
        let mut process = serve.spawn().context("cannot start the service")?;
        let said = process.stderr.take();
        this.process = Some(process);
        let mut lines = said.map(BufReader::new).context("the service has no stderr")?.lines();
        for line in lines.by_ref() {
            if let Some((_, url)) = line?.split_once("serving at ") {
                url.trim().clone_into(&mut this.url);
                break;
            }
        }
        if this.url.is_empty() {
            bail!("the service does not start");
        }
        // What it says further is shown: an error in the service belongs beside the failure that it explains.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Ok(this)
    }

    fn praetor(&self, ctx: &Ctx, found: &Found) -> Command {
        let mut command = ctx.command(ctx.target.join("debug/praetor"));
        found.tell(&mut command);
        command.env_remove("DATABASE_URL").arg("--data-dir").arg(self.folder.join("data"));
        command.arg("--config").arg(self.folder.join("praetor.toml"));
        command
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGTERM: the private database is stopped by the service itself.
            let _ = Command::new("kill").arg(process.id().to_string()).status();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
