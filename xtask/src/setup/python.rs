//! Python and pip, which only fetch: what is missing is told in one line with its remedy.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::sha256;
use crate::ctx::{self, Ctx, answers};

/// Marks, in what pip prints, of an index that cannot be reached.
const UNREACHABLE: &[&str] = &[
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "Max retries exceeded",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "Connection refused",
    "Connection reset",
];

/// Runs pip quietly; its error is one line: what is missing, or pip's own last words.
pub(crate) fn pip(ctx: &Ctx, args: &[&str]) -> Result<()> {
    require_pip()?;
    let out = ctx
        .command("python3")
        .args(["-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "2"])
        .args(args)
        .env("PIP_REQUIRE_VIRTUALENV", "0") // nothing is installed
        .output()?;
    if out.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    bail!("{}", reason(&said));
}

/// Says what to install when python3 or its pip is missing.
pub(crate) fn require_pip() -> Result<()> {
    if !answers("python3", &["--version"]) {
        bail!(
            "python3 is missing; it fetches the pinned libraries. Install it with pip \
             (Debian, Ubuntu: apt-get install python3 python3-pip)"
        );
    }
    if !answers("python3", &["-m", "pip", "--version"]) {
        bail!(
            "python3 has no pip; run `python3 -m ensurepip --user` or install it \
             (Debian, Ubuntu: apt-get install python3-pip)"
        );
    }
    Ok(())
}

/// The Python of a virtual environment under the target folder with what requirements files ask for. It is made when
/// it is missing, and made anew when a file has changed. Of one that cannot be made nothing is left.
pub(crate) fn environment(ctx: &Ctx, name: &str, requirements: &[&str]) -> Result<PathBuf> {
    let wanted = requirements.iter().map(|file| sha256(&ctx.root.join(file))).collect::<Result<Vec<_>>>()?.join("\n");
    let folder = ctx.target.join(name);
    let here = folder.join("venv");
    let stamp = folder.join("requirements.sha256");
    let python = here.join("bin/python3");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(wanted.as_str()) {
        let named = requirements.join(" and ");
        println!("==> a virtual environment with {named}");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let made = venv(ctx, &here).and_then(|()| {
            let mut pip = ctx.command(&python);
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]);
            for file in requirements {
                pip.arg("--requirement").arg(ctx.root.join(file));
            }
            ctx::run(&mut pip).with_context(|| format!("cannot install {named}"))
        });
        if made.is_err() {
            // A disk that is full is not left full.
            let _ = fs::remove_dir_all(&folder);
        }
        made?;
        fs::write(&stamp, &wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    Ok(python)
}

/// Creates a virtual environment in that folder unless it is there.
fn venv(ctx: &Ctx, folder: &Path) -> Result<()> {
    require_pip()?;
    if folder.join("bin/python3").exists() {
        return Ok(());
    }
    let out = ctx.command("python3").args(["-m", "venv"]).arg(folder).output()?;
    if !out.status.success() {
        bail!(
            "python3 cannot make a virtual environment; install its venv module (Debian, Ubuntu: apt-get install \
             python3-venv): {}",
            last_line(&String::from_utf8_lossy(&out.stdout))
        );
    }
    Ok(())
}

fn reason(said: &str) -> String {
    if UNREACHABLE.iter().any(|mark| said.contains(mark)) {
        "no network: pip cannot reach the Python package index (a proxy or a mirror is taken from pip's own \
         configuration)"
            .to_owned()
    } else {
        format!("pip failed: {}", last_line(said))
    }
}

fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing")
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn an_unreachable_index_is_called_no_network() {
        let said = "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n\
                    ERROR: No matching distribution found for onnxruntime==1.31.1\n";
        assert!(reason(said).starts_with("no network"));
    }

    #[test]
    fn other_failures_keep_pip_s_last_words() {
        assert_eq!(reason("ERROR: no space left\n\n"), "pip failed: ERROR: no space left");
        assert_eq!(reason(""), "pip failed: it said nothing");
    }
}
