//! Tokens of people: signed JWTs of one configured issuer, as an alternative to keys. What a token may be signed with is
//! said by the configuration and never by the token; its claims name role and tenant. Nothing here issues a token.

mod crypto;
mod keys;

use std::collections::HashSet;
use std::sync::Mutex;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::auth::{Caller, Role};
use super::error::ApiError;
use crate::config::{JwtAlgorithm, JwtConfig};
use crate::store::{Store, TenantId};
use keys::Keys;

/// The longest token, in bytes.
const LONGEST: usize = 8 << 10;

/// The most that clocks may differ, in seconds.
const MOST_LEEWAY: u16 = 300;

/// Tokens cannot be taken as configured.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// A value breaks a rule.
    #[error("serve.jwt: {0}")]
    Config(String),
    /// The issuer's keys cannot be had.
    #[error("the issuer's keys at {place}: {reason}")]
    Keys {
        /// The file or address.
        place: String,
        /// Why.
        reason: String,
    },
}

/// The issuer whose tokens are taken.
#[derive(Debug)]
pub(super) struct Issuer {
    config: JwtConfig,
    algorithms: Vec<Algorithm>,
    keys: Keys,
    /// Tenants that are known to exist.
    tenants: Mutex<HashSet<TenantId>>,
}

impl Issuer {
    /// That of the configuration. A file of keys must be readable; an address is asked when the first token comes.
    pub(super) fn open(config: &JwtConfig) -> Result<Self, JwtError> {
        let refuse = |why: &str| Err(JwtError::Config(why.to_owned()));
        if config.issuer.is_empty() || config.audience.is_empty() {
            return refuse("issuer and audience are not empty");
        }
        if config.algorithms.is_empty() || config.leeway_seconds > MOST_LEEWAY {
            return refuse("algorithms names one at least; leeway_seconds is at most 300");
        }
        crypto::install();
        let algorithm = |one: &JwtAlgorithm| match one {
            JwtAlgorithm::RS256 => Algorithm::RS256,
            JwtAlgorithm::ES256 => Algorithm::ES256,
            JwtAlgorithm::EdDSA => Algorithm::EdDSA,
        };
        Ok(Self {
            algorithms: config.algorithms.iter().map(algorithm).collect(),
            keys: Keys::open(config)?,
            config: config.clone(),
            tenants: Mutex::default(),
        })
    }

    /// Who calls with this token. Why a token is refused goes to the log, never to the caller.
    pub(super) async fn caller(&self, store: &Store, token: &str) -> Result<Caller, ApiError> {
        let refused = |why: &str| {
            tracing::info!(why, "a token is refused");
            ApiError::Unauthenticated
        };
        let claims = self.verified(token).await.map_err(|why| refused(&why))?;
        let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty());
        let subject = subject.ok_or_else(|| refused("it has no subject"))?;
        let role = role(claim(&claims, &self.config.role_claim)).ok_or_else(|| refused("it has no one role"))?;
        let tenant = claim(&claims, &self.config.tenant_claim).and_then(Value::as_str);
        let tenant: Option<TenantId> = tenant.and_then(|tenant| tenant.parse().ok());
        let tenant = tenant.ok_or_else(|| refused("it has no tenant"))?;
        if !self.is_known(store, &tenant).await? {
            return Err(refused("its tenant does not exist"));
        }
        // The subject may be a person's name or mail address: records bear its hash.
        let mut hash = Sha256::digest(format!("{}\0{subject}", self.config.issuer)).to_vec();
        hash.truncate(12);
        Ok(Caller { key_id: format!("jwt:{}", hex::encode(hash)), tenant, role })
    }

    async fn verified(&self, token: &str) -> Result<Map<String, Value>, String> {
        if token.len() > LONGEST {
            return Err("it is too long".to_owned());
        }
        let header = decode_header(token).map_err(|error| in_words(&error))?;
        if !self.algorithms.contains(&header.alg) {
            return Err(format!("{:?} is not taken", header.alg));
        }
        if header.crit.is_some() {
            return Err("it demands extensions".to_owned());
        }
        let id = header.kid.ok_or("it names no key")?;
        let key = self.keys.find(&id, header.alg).await.map_err(|error| error.to_string())?;
        let key = key.ok_or("its key is none of the issuer's")?;
        let mut rules = Validation::new(header.alg);
        rules.leeway = u64::from(self.config.leeway_seconds);
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.config.issuer]);
        rules.set_audience(&[&self.config.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Ok(decode::<Map<String, Value>>(token, &key, &rules).map_err(|error| in_words(&error))?.claims)
    }

    async fn is_known(&self, store: &Store, tenant: &TenantId) -> Result<bool, ApiError> {
        let known = |all: &Mutex<HashSet<TenantId>>| {
            all.lock().unwrap_or_else(std::sync::PoisonError::into_inner).contains(tenant)
        };
        if known(&self.tenants) {
            return Ok(true);
        }
        let all: HashSet<TenantId> = store.tenants().await?.into_iter().collect();
        *self.tenants.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = all;
        Ok(known(&self.tenants))
    }
}

/// Why a token does not hold, without anything that stands in it.
fn in_words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Base64(_) | ErrorKind::Json(_) | ErrorKind::Utf8(_) => "it cannot be read".to_owned(),
        kind => format!("{kind:?}"),
    }
}

/// A claim by its name or by the path to it.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let Some(path) = name.strip_prefix('/') else { return claims.get(name) };
    let mut parts = path.split('/');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// The role that a claim names: itself, or the only one in its list.
fn role(claim: Option<&Value>) -> Option<Role> {
    match claim? {
        Value::String(name) => name.parse().ok(),
        Value::Array(names) => {
            let mut roles = names.iter().filter_map(|name| name.as_str()?.parse::<Role>().ok());
            roles.next().filter(|_| roles.next().is_none())
        }
        _ => None,
    }
}
