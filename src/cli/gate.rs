//! Puts the certificate before what decides, and says once when it holds nothing back because there is none that fits.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::calibrate::{CertificateError, Signed};
use crate::config::Config;
use crate::decision::{Gate, Pins};
use crate::lang::Lang;
use crate::ledger::Kind;
use crate::pipeline::Pipeline;
use crate::store::{NewRecord, StoreError, TenantStore};

/// A certificate that fits what runs.
#[derive(Debug)]
pub(super) struct Fit {
    /// Its file.
    pub path: PathBuf,
    /// The certificate.
    pub signed: Signed,
    /// The gate that it makes.
    pub gate: Gate,
}

/// No configured certificate fits what runs.
#[derive(Debug)]
pub(super) struct Unfit {
    /// The last that was looked at, if it is signed by a trusted key.
    pub signed: Option<Signed>,
    /// What is wrong with each, by its file.
    pub errors: Vec<(PathBuf, CertificateError)>,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (path, error)) in self.errors.iter().enumerate() {
            let between = if n == 0 { "" } else { "; " };
            match error {
                CertificateError::Read { .. } => write!(f, "{between}{error}")?,
                _ => write!(f, "{between}{}: {error}", path.display())?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Unfit {}

/// The certificate of the configuration and the gate that it makes before what runs. Where a folder is configured, the first
/// of its `.json` files that fits, so that rules may change and find theirs; where none fits, what is wrong with each.
pub(super) fn certificate(config: &Config, pins: &Pins, folds: bool) -> Result<Fit, Box<Unfit>> {
    let mut unfit = Unfit { signed: None, errors: Vec::new() };
    for path in files(&config.calibration.certificate) {
        let error = match Signed::open(&path, &config.calibration.trusted_keys) {
            Ok(signed) => match signed.gate(pins, folds) {
                Ok(gate) => return Ok(Fit { path, signed, gate }),
                Err(error) => {
                    unfit.signed = Some(signed);
                    error
                }
            },
            Err(error) => error,
        };
        unfit.errors.push((path, error));
    }
    if unfit.errors.is_empty() {
        let (path, source) = (config.calibration.certificate.clone(), io::ErrorKind::NotFound.into());
        unfit.errors.push((path.clone(), CertificateError::Read { path, source }));
    }
    Err(Box::new(unfit))
}

/// The file itself, or the certificates of a folder by name.
fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut files: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "json"));
    files.sort_unstable();
    files
}

/// The gate of the configured certificate before what runs; shut, with a word on standard error, where none fits.
/// `folds` when fold models run instead of those that it is for.
pub(super) fn gate(config: &Config, pins: &Pins, folds: bool) -> io::Result<Gate> {
    match certificate(config, pins, folds) {
        Ok(fit) => Ok(fit.gate),
        Err(unfit) => {
            let path = config.calibration.certificate.display();
            let note = match config.lang {
                Lang::Zh => format!("不自动处理任何案件：证书 {path} 无效：{unfit}"),
                Lang::En => format!("nothing is decided automatically: the certificate {path} does not hold: {unfit}"),
            };
            writeln!(io::stderr(), "praetor: {note}")?;
            Ok(Gate::Shut)
        }
    }
}

/// The pipeline behind its gate.
pub(super) fn gated(pipeline: Pipeline, config: &Config) -> io::Result<Pipeline> {
    let gate = gate(config, pipeline.pins(), false)?;
    Ok(pipeline.gated(gate))
}

/// Enters the certificate that decisions pin among a tenant's records, and so into the log, before the first of them.
pub(super) async fn enter(store: &TenantStore, pipeline: &Pipeline) -> Result<(), StoreError> {
    let Gate::Certified(certified) = pipeline.gate() else { return Ok(()) };
    let record = NewRecord { id: certified.hash(), subject: None, body: certified.certificate.clone() };
    store.append_records(Kind::Certificate, &[record]).await?;
    Ok(())
}
