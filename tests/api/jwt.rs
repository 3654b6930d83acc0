//! Tokens of people: who gets in with one, and every way of forging one that has ever worked somewhere.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use praetor::api::Role;
use praetor::config::{JwtAlgorithm, JwtConfig, ServeConfig};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::Sha256;

use super::receiver::receive;
use super::support::Service;
use crate::pipeline::repo;

/// An issuer's keys.
struct Issuer {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ec() -> EcdsaKeyPair {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap()
}

fn ec_jwk(key: &EcdsaKeyPair, id: &str) -> Value {
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256", "x": b64(x), "y": b64(y) })
}

fn ec_sign(key: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

impl Issuer {
    fn new() -> Self {
        let pem = PrivateKeyDer::from_pem_file(repo("tests/fixtures/jwt/rsa.pem")).unwrap();
        let rsa = RsaKeyPair::from_pkcs8(pem.secret_der()).unwrap();
        Self { rsa, ec: ec(), ed: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap() }
    }

    fn jwks(&self) -> Value {
        let public = self.public();
        let rsa = json!({ "kty": "RSA", "kid": "rsa", "use": "sig", "n": b64(&public.n), "e": b64(&public.e) });
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(self.ed.public_key()) });
        let shared = json!({ "kty": "oct", "kid": "oct", "k": b64("a secret that somebody published") });
        let encrypts = json!({ "kty": "RSA", "kid": "enc", "use": "enc", "n": b64(&public.n), "e": b64(&public.e) });
        json!({ "keys": [rsa, ec_jwk(&self.ec, "ec"), ed, shared, encrypts] })
    }

    fn public(&self) -> RsaPublicKeyComponents<Vec<u8>> {
        RsaPublicKeyComponents::from(self.rsa.public())
    }

    fn rs256(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.rsa.public().modulus_len()];
        self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}

fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(message).finalize().into_bytes().to_vec()
}

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", b64(signature))
}

fn claims() -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "iss": "https://id.example", "aud": ["praetor", "desk"], "sub": "欧阳静怡 <ouyang@corp.example>", "iat": now,
        "exp": now + 300, "praetor_tenant": "default", "praetor_role": "admin",
    })
}

fn with(change: &[(&str, Value)]) -> Value {
    let mut claims = claims();
    for (name, value) in change {
        match value {
            Value::Null => _ = claims.as_object_mut().unwrap().remove(*name),
            value => claims[*name] = value.clone(),
        }
    }
    claims
}

fn config(jwks_url: Option<String>, jwks_file: Option<std::path::PathBuf>) -> JwtConfig {
    JwtConfig {
        issuer: "https://id.example".to_owned(),
        audience: "praetor".to_owned(),
        jwks_url,
        jwks_file,
        algorithms: vec![JwtAlgorithm::RS256, JwtAlgorithm::ES256],
        role_claim: "praetor_role".to_owned(),
        tenant_claim: "praetor_tenant".to_owned(),
        leeway_seconds: 30,
        renew_seconds: 60,
    }
}

async fn service(jwt: JwtConfig) -> Service {
    let many = NonZeroU32::new(10_000).unwrap();
    let bounds = ServeConfig { rate_per_key: many, rate_per_tenant: many, ..ServeConfig::default() };
    Service::with(ServeConfig { jwt: Some(jwt), ..bounds }).await
}

async fn status(service: &Service, token: &str) -> u16 {
    service.get("/v1/keys", token).await.status().as_u16()
}

#[tokio::test]
async fn a_token_of_the_issuer_acts_in_its_role_and_tenant_and_a_forged_one_nowhere() {
    let issuer = Issuer::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, issuer.jwks().to_string()).unwrap();
    let service = service(config(None, Some(file))).await;
    let rsa = json!({ "alg": "RS256", "typ": "JWT", "kid": "rsa" });
    let es = json!({ "alg": "ES256", "kid": "ec" });
    let rs256 = |claims: &Value| token(&rsa, claims, |m| issuer.rs256(m));
    let es256 = |claims: &Value| token(&es, claims, |m| ec_sign(&issuer.ec, m));
    let now = chrono::Utc::now().timestamp();
    for (what, good) in [
        ("RS256", rs256(&claims())),
        ("ES256", es256(&claims())),
        ("one audience", es256(&with(&[("aud", json!("praetor"))]))),
        ("just expired, within the leeway", es256(&with(&[("exp", json!(now - 5))]))),
        ("a list with one role", es256(&with(&[("praetor_role", json!(["desk-user", "admin"]))]))),
    ] {
        assert_eq!(status(&service, &good).await, 200, "{what}");
    }
    // A role is a role, wherever it comes from; keys go on to work.
    assert_eq!(status(&service, &es256(&with(&[("praetor_role", json!("caller"))]))).await, 403);
    let key = service.key(Role::Admin, "default").await;
    assert_eq!(status(&service, &key).await, 200);

    let none = |alg: &str| token(&json!({ "alg": alg, "kid": "rsa" }), &claims(), |_| Vec::new());
    let public = issuer.public();
    let hs = json!({ "alg": "HS256", "kid": "rsa" });
    let point = issuer.ec.public_key().as_ref().to_vec();
    let stranger = ec();
    let whole = rs256(&claims());
    let parts: Vec<&str> = whole.split('.').collect();
    let mut forged = vec![
        ("alg none".to_owned(), none("none")),
        ("alg None".to_owned(), none("None")),
        ("alg NONE without its last dot".to_owned(), none("NONE").trim_end_matches('.').to_owned()),
        ("HS256 by the modulus".to_owned(), token(&hs, &claims(), |m| hs256(&public.n, m))),
        (
            "HS256 by the set of keys".to_owned(),
            token(&hs, &claims(), |m| hs256(issuer.jwks().to_string().as_bytes(), m)),
        ),
        (
            "HS256 by the point".to_owned(),
            token(&json!({ "alg": "HS256", "kid": "ec" }), &claims(), |m| hs256(&point, m)),
        ),
        (
            "HS256 by the published secret".to_owned(),
            token(&json!({ "alg": "HS256", "kid": "oct" }), &claims(), |m| {
                hs256(b"a secret that somebody published", m)
            }),
        ),
        ("signed by a stranger".to_owned(), token(&es, &claims(), |m| ec_sign(&stranger, m))),
        (
            "a stranger's key in the header".to_owned(),
            token(&json!({ "alg": "ES256", "kid": "x", "jwk": ec_jwk(&stranger, "x") }), &claims(), |m| {
                ec_sign(&stranger, m)
            }),
        ),
        (
            "a stranger's key under a known name".to_owned(),
            token(&json!({ "alg": "ES256", "kid": "ec", "jwk": ec_jwk(&stranger, "ec") }), &claims(), |m| {
                ec_sign(&stranger, m)
            }),
        ),
        (
            "a stranger's address of keys".to_owned(),
            token(&json!({ "alg": "ES256", "kid": "ec", "jku": "https://evil.example/jwks" }), &claims(), |m| {
                ec_sign(&stranger, m)
            }),
        ),
        (
            "an algorithm that is not taken".to_owned(),
            token(&json!({ "alg": "EdDSA", "kid": "ed" }), &claims(), |m| issuer.ed.sign(m).as_ref().to_vec()),
        ),
        (
            "RS256 by name, EC by key".to_owned(),
            token(&json!({ "alg": "RS256", "kid": "ec" }), &claims(), |m| issuer.rs256(m)),
        ),
        ("PS256 by name".to_owned(), token(&json!({ "alg": "PS256", "kid": "rsa" }), &claims(), |m| issuer.rs256(m))),
        ("no key named".to_owned(), token(&json!({ "alg": "ES256" }), &claims(), |m| ec_sign(&issuer.ec, m))),
        (
            "an unknown key".to_owned(),
            token(&json!({ "alg": "ES256", "kid": "../ec" }), &claims(), |m| ec_sign(&issuer.ec, m)),
        ),
        (
            "a key for encryption".to_owned(),
            token(&json!({ "alg": "RS256", "kid": "enc" }), &claims(), |m| issuer.rs256(m)),
        ),
        (
            "an extension demanded".to_owned(),
            token(&json!({ "alg": "ES256", "kid": "ec", "crit": ["b64"], "b64": false }), &claims(), |m| {
                ec_sign(&issuer.ec, m)
            }),
        ),
        (
            "other claims under the signature".to_owned(),
            format!("{}.{}.{}", parts[0], b64(with(&[("praetor_role", json!("editor"))]).to_string()), parts[2]),
        ),
        ("no signature".to_owned(), format!("{}.{}.", parts[0], parts[1])),
        ("an all-zero ECDSA signature".to_owned(), token(&es, &claims(), |_| vec![0; 64])),
        ("a token that never ends".to_owned(), es256(&with(&[("note", json!("x".repeat(10_000)))]))),
        ("two dots".to_owned(), "..".to_owned()),
    ];
    for (name, value) in [
        ("exp", json!(now - 120)),
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("nbf", json!(now + 120)),
        ("iss", json!("https://id.example/")),
        ("iss", Value::Null),
        ("iss", json!(["https://evil.example"])),
        ("aud", json!("desk")),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("praetor_role", Value::Null),
        ("praetor_role", json!("king")),
        ("praetor_role", json!(["admin", "caller"])),
        ("praetor_role", json!({ "admin": true })),
        ("praetor_tenant", Value::Null),
        ("praetor_tenant", json!("*")),
        ("praetor_tenant", json!("nobody-here")),
        ("praetor_tenant", json!("default'; --")),
    ] {
        forged.push((format!("{name} is {value}"), es256(&with(&[(name, value)]))));
    }
    for (what, token) in &forged {
        assert_eq!(status(&service, token).await, 401, "{what}");
    }
    // Records name a person by a hash alone.
    let wanted = json!({ "url": "https://hooks.example/", "events": ["decision.recorded"] }).to_string();
    assert_eq!(service.post("/v1/webhooks", &rs256(&claims()), wanted).send().await.unwrap().status(), 201);
    let listed = service.get("/v1/webhooks", &key).await.text().await.unwrap();
    let by = serde_json::from_str::<Value>(&listed).unwrap()["items"][0]["created_by"].as_str().unwrap().to_owned();
    assert!(by.starts_with("jwt:") && by.len() == 28 && !listed.contains("ouyang"), "{listed}");
    service.stop().await;
}

#[tokio::test]
async fn keys_are_fetched_when_one_is_new_and_not_more_often_than_allowed() {
    let issuer = Issuer::new();
    let next = ec();
    let (before, mut after) = (issuer.jwks(), issuer.jwks());
    after["keys"].as_array_mut().unwrap().push(ec_jwk(&next, "next"));
    let answer = move |n: usize| ("200 OK", if n == 0 { before.to_string() } else { after.to_string() });
    let new = token(&json!({ "alg": "ES256", "kid": "next" }), &claims(), |m| ec_sign(&next, m));
    let old = token(&json!({ "alg": "ES256", "kid": "ec" }), &claims(), |m| ec_sign(&issuer.ec, m));

    let (url, fetched) = receive(answer.clone());
    let eager = service(JwtConfig { renew_seconds: 0, ..config(Some(url), None) }).await;
    assert_eq!((status(&eager, &old).await, status(&eager, &old).await), (200, 200));
    assert_eq!(fetched.try_iter().count(), 1, "what is known is not fetched again");
    assert_eq!(status(&eager, &new).await, 200);
    assert_eq!(fetched.try_iter().count(), 1);
    eager.stop().await;

    let (url, fetched) = receive(answer);
    let slow = service(config(Some(url), None)).await;
    for _ in 0..20 {
        assert_eq!(status(&slow, &new).await, 401);
    }
    assert_eq!(status(&slow, &old).await, 200);
    assert_eq!(fetched.try_iter().count(), 1, "strangers cannot make the service ask");
    slow.stop().await;
}
