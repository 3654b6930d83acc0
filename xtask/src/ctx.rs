//! Where things are, and how programs are started: the repository root, the target folder, and commands whose
//! environment is known. It never lets a variable of the caller's shell decide what a test or a build does.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, anyhow, bail};

/// Variables of the caller that would point a test or a build at somebody's real database.
const LEAKS: &[&str] = &["DATABASE_URL", "SQLX_OFFLINE_DIR"];
/// Prefixes of such variables: libpq's own (PGHOST, …), ours, and those `cargo run` sets for this process.
const LEAK_PREFIXES: &[&str] = &["PG", "PRAETOR_", "CARGO_PKG_"];

/// The repository and its target folder.
pub(crate) struct Ctx {
    /// The repository root, absolute.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, absolute: CARGO_TARGET_DIR or what the configuration says.
    pub(crate) target: PathBuf,
}

impl Ctx {
    /// Asks cargo where the workspace is built.
    pub(crate) fn new() -> Result<Ctx> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("the folder of xtask has no parent")?.to_path_buf();
        let mut metadata = Command::new(cargo());
        metadata.current_dir(&root).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
        let out = metadata.output().context("cannot run `cargo metadata`")?;
        if !out.status.success() {
            bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&out.stderr).trim());
        }
        let target = json_string(&String::from_utf8_lossy(&out.stdout), "target_directory")
            .context("`cargo metadata` names no target_directory")?;
        Ok(Ctx { root, target: PathBuf::from(target) })
    }

    /// The folder of everything that is fetched: libraries, Postgres, wheels.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.target.join("runtime")
    }

    /// A program started in the repository root, without the caller's database and Praetor variables.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env_remove("CARGO_MANIFEST_DIR");
        for (name, _) in std::env::vars_os() {
            let Some(text) = name.to_str() else { continue };
            if LEAKS.contains(&text) || LEAK_PREFIXES.iter().any(|p| text.starts_with(p)) {
                command.env_remove(&name);
            }
        }
        command
    }

    /// Cargo itself, building from the committed .sqlx data whatever databases are about.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command(cargo());
        command.env("SQLX_OFFLINE", "true").args(args);
        command
    }
}

/// The cargo that started us, so that the same toolchain is used throughout.
fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs a command with our terminal and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = spawn_error(command.status(), command)?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs a command and returns its standard output; its standard error goes to the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    command.stderr(std::process::Stdio::inherit());
    let out = spawn_error(command.output(), command)?;
    if !out.status.success() {
        bail!("`{}` failed ({})", shown(command), out.status);
    }
    String::from_utf8(out.stdout).with_context(|| format!("`{}` printed no UTF-8", shown(command)))
}

/// A path that the caller gave in a variable, absolute, since what we start runs in the repository root.
pub(crate) fn path_from_env(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(std::path::absolute(&value).unwrap_or_else(|_| PathBuf::from(value)))
}

/// Is there such a program, and does it answer `args` with success?
pub(crate) fn answers(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn spawn_error<T>(result: std::io::Result<T>, command: &Command) -> Result<T> {
    result.map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        if error.kind() == ErrorKind::NotFound {
            anyhow!("`{program}` is not installed or not on PATH")
        } else {
            anyhow!("cannot run `{program}`: {error}")
        }
    })
}

/// The command line as a person would type it, program by its file name.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let mut text = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

/// The first string field of that name in a JSON text. Enough for `cargo metadata`, whose names are unique.
fn json_string(json: &str, field: &str) -> Option<String> {
    let start = json.find(&format!("\"{field}\":\""))? + field.len() + 4;
    let mut text = String::new();
    let mut chars = json[start..].chars();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}

/// `ExitStatus` of a command run with our terminal, for those whose failure is not an error.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    spawn_error(command.status(), command)
}

#[cfg(test)]
mod tests {
    use super::json_string;

    #[test]
    fn a_json_field_is_read_with_its_escapes() {
        let json = r#"{"packages":[],"target_directory":"/a \"b\"/c\\d","x":1}"#;
        assert_eq!(json_string(json, "target_directory").as_deref(), Some(r#"/a "b"/c\d"#));
        assert_eq!(json_string(json, "absent"), None);
        assert_eq!(json_string(r#"{"target_directory":"/cut"#, "target_directory"), None);
    }
}
