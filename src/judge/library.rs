//! Finds the ONNX Runtime library and loads it, once a process, by its absolute path.
//! Downloads nothing and never lets the system's loader pick a library by name.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use sha2::{Digest, Sha256};

use super::LibraryError;

/// The environment variable that names the library.
pub(super) const VARIABLE: &str = "PRAETOR_ORT_LIB";
/// The library's file name.
const FILE_NAME: &str = "libonnxruntime.so.1.31.1";
/// Where the set-up task of this repository puts it, below a checkout.
const RUNTIME_DIR: &str = "target/runtime/onnxruntime-1.31.1";

/// The library in use.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    pub(super) environment: Environment,
    pub(super) path: PathBuf,
    pub(super) version: String,
}

/// Kept for the life of the process: ONNX Runtime allows one environment, created once.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// Finds the library: the configured path, else `PRAETOR_ORT_LIB`, else beside the executable, else the set-up
/// folder `target/runtime` of the working directory or of any folder above the executable. A path that was asked for
/// explicitly is never replaced by another.
pub(super) fn find(configured: Option<&Path>) -> Result<PathBuf, LibraryError> {
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let working = std::env::current_dir().ok();
    let executable = std::env::current_exe().ok();
    let found = locate(configured, variable.as_deref(), working.as_deref(), executable.as_deref())?;
    found.canonicalize().map_err(|error| LibraryError::Unusable { path: found.clone(), reason: error.to_string() })
}

fn locate(
    configured: Option<&Path>,
    variable: Option<&Path>,
    working: Option<&Path>,
    executable: Option<&Path>,
) -> Result<PathBuf, LibraryError> {
    for (asked, source_name) in [(configured, "the configuration"), (variable, VARIABLE)] {
        if let Some(path) = asked {
            return match path.is_file() {
                true => Ok(path.to_path_buf()),
                false => Err(LibraryError::NotThere { path: path.to_path_buf(), source_name }),
            };
        }
    }
    let looked_for = usual_places(working, executable);
    match looked_for.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(LibraryError::NotFound { looked_for }),
    }
}

fn usual_places(working: Option<&Path>, executable: Option<&Path>) -> Vec<PathBuf> {
    let beside = executable.and_then(Path::parent);
    let mut places = Vec::new();
    if let Some(folder) = beside {
        places.push(folder.join(FILE_NAME));
        places.push(folder.join("lib").join(FILE_NAME));
    }
    for folder in working.into_iter().chain(beside.into_iter().flat_map(Path::ancestors)) {
        let place = folder.join(RUNTIME_DIR).join(FILE_NAME);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// Loads the library, or gives the one already loaded if it is the same file.
pub(super) fn load(configured: Option<&Path>) -> Result<Runtime, LibraryError> {
    let path = find(configured)?;
    // A poisoned lock still holds a valid value: it is only ever replaced as a whole.
    let mut loaded = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = loaded.as_ref() {
        return match runtime.path == path {
            true => Ok(runtime.clone()),
            false => Err(LibraryError::AnotherLoaded { asked: path, loaded: runtime.path.clone() }),
        };
    }
    let unusable = |reason: String| LibraryError::Unusable { path: path.clone(), reason };
    let bytes = std::fs::read(&path).map_err(|error| unusable(error.to_string()))?;
    let environment = ort::environment::init_from(&path)
        .map_err(|error| unusable(error.to_string()))?
        .with_name("praetor")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    environment.set_log_level(ort::logging::LogLevel::Warning);
    let runtime = Runtime { environment, version: describe(&bytes, ort::info()), path };
    *loaded = Some(runtime.clone());
    Ok(runtime)
}

/// The library's version, commit and SHA-256: `onnxruntime 1.31.1 commit 6af1a93 sha256 …`. The version is read off the
/// symbol version of its exports (`VERS_1.31.1`); the build information names only the commit.
fn describe(library: &[u8], build_info: &str) -> String {
    let commit = build_info
        .split_once("git-commit-id=")
        .map_or("unknown", |(_, rest)| rest.split([',', ' ']).next().unwrap_or_default());
    let version = symbol_version(library).unwrap_or_else(|| "unknown".to_owned());
    format!("onnxruntime {version} commit {commit} sha256 {}", hex::encode(Sha256::digest(library)))
}

fn symbol_version(library: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"\0VERS_";
    library.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).find_map(|(at, _)| {
        let rest = library.get(at + MARK.len()..)?;
        let end = rest.iter().position(|&b| b == 0)?;
        let version = rest.get(..end)?;
        let numeric = version.first()?.is_ascii_digit() && version.iter().all(|b| b.is_ascii_digit() || *b == b'.');
        numeric.then(|| String::from_utf8_lossy(version).into_owned())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn put(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn an_explicit_path_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (here, gone) = (folder.path().join("here.so"), folder.path().join("gone.so"));
        put(&here);
        put(&folder.path().join(RUNTIME_DIR).join(FILE_NAME));
        assert_eq!(locate(Some(&here), Some(&gone), Some(folder.path()), None), Ok(here.clone()));
        assert_eq!(locate(None, Some(&here), Some(folder.path()), None), Ok(here.clone()));
        let error = locate(Some(&gone), Some(&here), Some(folder.path()), None).unwrap_err();
        assert_eq!(error, LibraryError::NotThere { path: gone, source_name: "the configuration" });
    }

    #[test]
    fn the_usual_places_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let working = folder.path().join("work");
        let executable = folder.path().join("checkout/target/debug/deps/praetor");
        let find = || locate(None, None, Some(&working), Some(&executable));

        let LibraryError::NotFound { looked_for } = find().unwrap_err() else { panic!("not found is expected") };
        let message = LibraryError::NotFound { looked_for: looked_for.clone() }.to_string();
        assert!(looked_for.iter().all(|path| message.contains(&path.display().to_string())), "{message}");
        assert!(message.contains(VARIABLE), "{message}");

        let in_order = [
            folder.path().join("checkout").join(RUNTIME_DIR).join(FILE_NAME),
            working.join(RUNTIME_DIR).join(FILE_NAME),
            executable.with_file_name(FILE_NAME),
        ];
        for place in in_order {
            put(&place);
            assert_eq!(find(), Ok(place));
        }
    }

    #[test]
    fn describes_by_version_commit_and_hash() {
        let text =
            describe(b"..\0VERS_x\0..\0VERS_1.31.1\0", "ORT Build Info: git-branch=HEAD, git-commit-id=6af1a93, x=1");
        assert!(text.starts_with("onnxruntime 1.31.1 commit 6af1a93 sha256 "), "{text}");
        assert!(describe(b"", "").starts_with("onnxruntime unknown commit unknown sha256 e3b0c442"));
    }
}
