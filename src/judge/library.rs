//! Finds the ONNX Runtime library and loads it, once a process, by its absolute path.
//! Downloads nothing and never lets the system's loader pick a library by name.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

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
    found
        .canonicalize()
        .map_err(|error| LibraryError::Unusable { path: found.clone(), reason: error.to_string() })
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
    let environment = ort::environment::init_from(&path)
        .map_err(|error| unusable(error.to_string()))?
        .with_name("praetor")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    environment.set_log_level(ort::logging::LogLevel::Warning);
    let runtime = Runtime { environment, path, version: version(ort::info()) };
    *loaded = Some(runtime.clone());
    Ok(runtime)
}

/// The version from the build information, with the commit it was built from. Build flags and paths are left out.
fn version(build_info: &str) -> String {
    build_info.to_owned()
}
