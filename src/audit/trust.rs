//! What the auditor brings along: public keys known from elsewhere, and checkpoints that witnesses have seen.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::ledger::{KeyPurpose, PublicKey, SignedCheckpoint};

/// Arguments that say whom to trust.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TrustArgs {
    /// A public key of the log or of a witness, known from elsewhere: the key itself or a file with one a line.
    /// A witness that is named must have cosigned
    #[arg(long = "key", value_name = "KEY|FILE")]
    keys: Vec<String>,
    /// A checkpoint that a witness has seen, or that was kept at an earlier visit: the log must contain it
    #[arg(long, value_name = "FILE")]
    witnessed: Vec<PathBuf>,
}

impl TrustArgs {
    /// The keys. Fails on what is no key.
    pub fn keys(&self) -> anyhow::Result<Vec<PublicKey>> {
        let mut keys = Vec::new();
        for given in &self.keys {
            if let Ok(key) = given.parse() {
                keys.push(key);
                continue;
            }
            let text = fs::read_to_string(given)
                .with_context(|| format!("`{given}` is neither a public key nor a file that can be read"))?;
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                if line.starts_with("PRIVATE+KEY+") {
                    bail!("{given} holds a signing key; give its public half");
                }
                keys.push(line.parse().with_context(|| format!("in {given}"))?);
            }
        }
        Ok(keys)
    }

    /// The checkpoints, each of which one of the keys must have signed.
    pub fn witnessed(&self, keys: &[PublicKey]) -> anyhow::Result<Vec<SignedCheckpoint>> {
        self.witnessed.iter().map(|path| read_witnessed(path, keys)).collect()
    }
}

fn read_witnessed(path: &Path, keys: &[PublicKey]) -> anyhow::Result<SignedCheckpoint> {
    let note = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let signed = SignedCheckpoint::parse(&note).with_context(|| path.display().to_string())?;
    let proves = |key: &PublicKey| match key.purpose() {
        KeyPurpose::Log => signed.is_signed_by(key),
        KeyPurpose::Witness => signed.cosigned_at(key).is_some(),
    };
    if !keys.iter().any(proves) {
        bail!("{} bears no signature of a key given with --key", path.display());
    }
    Ok(signed)
}
