//! Asks a witness to cosign. It brings what the witness needs to see that the log goes on as before.

use std::time::Duration;

use reqwest::{Client, StatusCode, Url};

use super::WitnessConfig;
use crate::ledger::{AddCheckpoint, Hash, PublicKey, SignedCheckpoint};

const PATIENCE: Duration = Duration::from_secs(10);

/// A witness to ask.
pub struct Witness {
    http: Client,
    url: String,
    key: PublicKey,
}

/// Why a checkpoint is not witnessed.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The witness has seen more leaves than there are.
    #[error("the witness has seen {seen} leaves, here are {here}: this is an old backup, or its end was cut off")]
    Ahead {
        /// Leaves of the last checkpoint that the witness saw.
        seen: u64,
        /// Leaves of the log.
        here: u64,
    },
    /// The witness has seen another log under this name.
    #[error("the witness has seen another history: this log does not continue the {seen} leaves it saw")]
    OtherHistory {
        /// Leaves of the last checkpoint that the witness saw.
        seen: u64,
    },
    /// The witness refuses for another reason.
    #[error("the witness at {url} refuses: {status} {said}")]
    Refused {
        /// Where it is.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        said: String,
    },
    /// What it answers is no signature of it.
    #[error("the witness at {url} answers without a valid signature of {key}")]
    Unsigned {
        /// Where it is.
        url: String,
        /// The key it should have.
        key: String,
    },
    /// It cannot be reached.
    #[error("the witness at {url} cannot be reached")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The proof it needs cannot be made.
    #[error("the log cannot prove that it continues the {seen} leaves that the witness saw")]
    NoProof {
        /// Leaves of the last checkpoint that the witness saw.
        seen: u64,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl WitnessError {
    /// True if it says that this log is not the one that was witnessed, rather than that nobody answers.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Ahead { .. } | Self::OtherHistory { .. } | Self::NoProof { .. })
    }
}

/// An answer.
enum Said {
    Cosigned(String),
    SawLast(u64),
}

impl Witness {
    /// The witness of a configuration.
    pub fn new(config: &WitnessConfig) -> Result<Self, WitnessError> {
        // Somebody else may have installed one: any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = config.url.trim_end_matches('/').to_owned();
        let http = Client::builder().timeout(PATIENCE).build();
        let http = http.map_err(|source| WitnessError::Unreachable { url: url.clone(), source })?;
        Ok(Self { http, url, key: config.key.clone() })
    }

    /// Has a checkpoint cosigned and gives it with the cosignature, whose line is also given. `old` is the size believed
    /// to have been witnessed last; `prove` makes the consistency proof between two sizes of the log.
    pub async fn cosign<E: std::error::Error + Send + Sync + 'static>(
        &self,
        mut signed: SignedCheckpoint,
        mut old: u64,
        prove: impl AsyncFn(u64, u64) -> Result<Vec<Hash>, E>,
    ) -> Result<(SignedCheckpoint, String), WitnessError> {
        let here = signed.unproven().size;
        // The witness tells what it saw, and while it is asked again another of our processes may have been there.
        for _ in 0..4 {
            if old > here {
                return Err(WitnessError::Ahead { seen: old, here });
            }
            let proof = match old {
                0 => Vec::new(),
                old => prove(old, here)
                    .await
                    .map_err(|source| WitnessError::NoProof { seen: old, source: source.into() })?,
            };
            match self.add(&AddCheckpoint { old, proof, checkpoint: signed.clone() }).await? {
                Said::Cosigned(line) => {
                    let unsigned = |_| WitnessError::Unsigned { url: self.url.clone(), key: self.key.to_string() };
                    signed.add(&line, &self.key).map_err(unsigned)?;
                    return Ok((signed, line));
                }
                Said::SawLast(seen) if seen == old => return Err(WitnessError::OtherHistory { seen }),
                Said::SawLast(seen) => old = seen,
            }
        }
        Err(WitnessError::Ahead { seen: old, here })
    }

    /// What the witness saw last of a log. None where it saw nothing, or does not tell.
    pub async fn seen(&self, origin: &str) -> Result<Option<SignedCheckpoint>, WitnessError> {
        let unreachable = |source| WitnessError::Unreachable { url: self.url.clone(), source };
        let url = Url::parse_with_params(&format!("{}/checkpoint", self.url), [("origin", origin)]);
        let Ok(url) = url else { return Ok(None) };
        let answer = self.http.get(url).send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        let signed = SignedCheckpoint::parse(&answer.text().await.map_err(unreachable)?).ok();
        match signed.filter(|signed| signed.cosigned_at(&self.key).is_some()) {
            Some(signed) => Ok(Some(signed)),
            None => Err(WitnessError::Unsigned { url: self.url.clone(), key: self.key.to_string() }),
        }
    }

    async fn add(&self, request: &AddCheckpoint) -> Result<Said, WitnessError> {
        let unreachable = |source| WitnessError::Unreachable { url: self.url.clone(), source };
        let url = format!("{}/add-checkpoint", self.url);
        let answer = self.http.post(url).body(request.to_string()).send().await.map_err(unreachable)?;
        let status = answer.status();
        let said = answer.text().await.map_err(unreachable)?;
        match status {
            StatusCode::OK => Ok(Said::Cosigned(said)),
            StatusCode::UNPROCESSABLE_ENTITY => Err(WitnessError::OtherHistory { seen: request.old }),
            StatusCode::CONFLICT if said.trim_end().parse::<u64>().is_ok() => {
                Ok(Said::SawLast(said.trim_end().parse().unwrap_or(0)))
            }
            _ => {
                let said = said.trim().chars().take(200).collect();
                Err(WitnessError::Refused { url: self.url.clone(), status: status.as_u16(), said })
            }
        }
    }
}
