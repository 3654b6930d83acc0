//! Whose tokens of people are trusted (OpenID Connect, or any issuer of signed JWTs), for what, and by which keys.

use std::path::PathBuf;

use serde::Deserialize;

/// The section `[serve.jwt]` of `praetor.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// The claim `iss`, letter by letter.
    pub issuer: String,
    /// What the claim `aud` must name.
    pub audience: String,
    /// Where the issuer's public keys (RFC 7517) are: an https address; http for this machine alone.
    pub jwks_url: Option<String>,
    /// Or a file.
    pub jwks_file: Option<PathBuf>,
    /// The algorithms that are taken; all others are refused, whatever a token says.
    #[serde(default = "both")]
    pub algorithms: Vec<JwtAlgorithm>,
    /// The claim with the role: a role's name, or a list that holds one. A path such as `/realm_access/roles` leads inwards.
    #[serde(default = "role")]
    pub role_claim: String,
    /// The claim with the tenant, likewise.
    #[serde(default = "tenant")]
    pub tenant_claim: String,
    /// Seconds by which clocks may differ, 300 at most.
    #[serde(default = "leeway")]
    pub leeway_seconds: u16,
    /// Seconds between two fetches of the keys at least.
    #[serde(default = "interval")]
    pub renew_seconds: u32,
}

/// An algorithm by which tokens may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum JwtAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, keys of 2,048 bits or more.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

fn both() -> Vec<JwtAlgorithm> {
    vec![JwtAlgorithm::RS256, JwtAlgorithm::ES256]
}

fn role() -> String {
    "praetor_role".to_owned()
}

fn tenant() -> String {
    "praetor_tenant".to_owned()
}

fn leeway() -> u16 {
    30
}

fn interval() -> u32 {
    60
}
