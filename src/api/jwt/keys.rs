//! The public keys of the issuer: read from a file or fetched, kept for an hour, and fetched anew when a token names a key
//! that is not among them, but never more often than configured. Keys that could not be renewed for a day are let go.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::Mutex;

use super::JwtError;
use crate::config::JwtConfig;

/// Keys are renewed when they are older.
const FRESH: Duration = Duration::from_secs(3_600);

/// And not used when they are older than this.
const STALE: Duration = Duration::from_secs(86_400);

/// The issuer has this long to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest set of keys, in bytes.
const LONGEST: usize = 256 << 10;

/// Where keys come from.
#[derive(Debug)]
enum Source {
    File(PathBuf),
    Web(Client, Url),
}

#[derive(Debug, Default)]
struct Cache {
    keys: Option<(JwkSet, Instant)>,
    tried: Option<Instant>,
}

/// The issuer's keys.
#[derive(Debug)]
pub(super) struct Keys {
    source: Source,
    interval: Duration,
    cache: Mutex<Cache>,
}

impl Keys {
    pub(super) fn open(config: &JwtConfig) -> Result<Self, JwtError> {
        let interval = Duration::from_secs(u64::from(config.renew_seconds));
        let (source, cache) = match (&config.jwks_file, &config.jwks_url) {
            (Some(path), None) => {
                let read = std::fs::read(path).map_err(|e| unusable(path.display(), e))?;
                let keys = parse(&read).map_err(|reason| unusable(path.display(), reason))?;
                let now = Instant::now();
                (Source::File(path.clone()), Cache { keys: Some((keys, now)), tried: Some(now) })
            }
            (None, Some(address)) => {
                let refused = || unusable(address, "it is no https address (http is taken for this machine alone)");
                let url: Url = address.parse().map_err(|_| refused())?;
                let here = url.host_str().is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host));
                if !(url.scheme() == "https" || url.scheme() == "http" && here) {
                    return Err(refused());
                }
                // Somebody else may have installed one: any will do.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).build();
                (Source::Web(client.map_err(|e| unusable(address, e))?, url), Cache::default())
            }
            _ => return Err(JwtError::Config("jwks_url or jwks_file is given, not both".to_owned())),
        };
        Ok(Self { source, interval, cache: Mutex::new(cache) })
    }

    /// The key of this id, if the issuer has it and it is for this algorithm.
    pub(super) async fn find(&self, id: &str, algorithm: Algorithm) -> Result<Option<DecodingKey>, JwtError> {
        // One at a time: those who come meanwhile use what is fetched for the first.
        let mut cache = self.cache.lock().await;
        let known = cache.keys.as_ref().is_some_and(|(keys, at)| at.elapsed() < FRESH && keys.find(id).is_some());
        if !known && cache.tried.is_none_or(|at| at.elapsed() >= self.interval) {
            cache.tried = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => cache.keys = Some((keys, Instant::now())),
                Err(error) => tracing::warn!(%error, "the issuer's keys are not renewed"),
            }
        }
        let keys = cache.keys.as_ref().filter(|(_, at)| at.elapsed() < STALE).map(|(keys, _)| keys);
        Ok(keys
            .and_then(|keys| keys.find(id))
            .filter(|key| serves(key, algorithm))
            .and_then(|key| DecodingKey::from_jwk(key).ok()))
    }

    async fn fetch(&self) -> Result<JwkSet, JwtError> {
        match &self.source {
            Source::File(path) => {
                let read = tokio::fs::read(path).await.map_err(|e| unusable(path.display(), e))?;
                parse(&read).map_err(|reason| unusable(path.display(), reason))
            }
            Source::Web(client, url) => {
                let failed = |e: reqwest::Error| unusable(url, e.without_url());
                let mut answer =
                    client.get(url.clone()).send().await.and_then(|a| a.error_for_status()).map_err(failed)?;
                let mut read = Vec::new();
                while let Some(chunk) = answer.chunk().await.map_err(failed)? {
                    read.extend_from_slice(&chunk);
                    if read.len() > LONGEST {
                        return Err(unusable(url, "it is too long"));
                    }
                }
                parse(&read).map_err(|reason| unusable(url, reason))
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<JwkSet, String> {
    let keys: JwkSet = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if keys.keys.is_empty() { Err("it holds no key".to_owned()) } else { Ok(keys) }
}

/// True for a public key that is meant for signatures of this algorithm. A shared secret never is.
fn serves(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = matches!(
        (&key.algorithm, algorithm),
        (AlgorithmParameters::RSA(_), Algorithm::RS256)
            | (AlgorithmParameters::EllipticCurve(_), Algorithm::ES256)
            | (AlgorithmParameters::OctetKeyPair(_), Algorithm::EdDSA)
    );
    let signs = key.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let same = key.common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(algorithm));
    kind && signs && same
}

fn unusable(place: impl std::fmt::Display, reason: impl std::fmt::Display) -> JwtError {
    JwtError::Keys { place: place.to_string(), reason: reason.to_string() }
}
