//! Puts the certificate before what decides, and says once when it holds nothing back because there is none that fits.

use std::io::{self, Write};

use crate::calibrate::{CertificateError, Signed};
use crate::config::Config;
use crate::decision::{Gate, Pins};
use crate::lang::Lang;
use crate::ledger::Kind;
use crate::pipeline::Pipeline;
use crate::store::{NewRecord, StoreError, TenantStore};

/// The certificate of the configuration, if its signature is by a trusted key.
pub(super) fn certificate(config: &Config) -> Result<Signed, CertificateError> {
    Signed::open(&config.calibration.certificate, &config.calibration.trusted_keys)
}

/// The gate of the configured certificate before what runs; shut, with a word on standard error, where none fits.
/// `folds` when fold models run instead of those that it is for.
pub(super) fn gate(config: &Config, pins: &Pins, folds: bool) -> io::Result<Gate> {
    match certificate(config).and_then(|signed| signed.gate(pins, folds)) {
        Ok(gate) => Ok(gate),
        Err(error) => {
            let path = config.calibration.certificate.display();
            let note = match config.lang {
                Lang::Zh => format!("不自动处理任何案件：证书 {path} 无效：{error}"),
                Lang::En => format!("nothing is decided automatically: the certificate {path} does not hold: {error}"),
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
