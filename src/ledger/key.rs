//! Ed25519 keys in the written form of signed notes (C2SP): `name+id+key` and `PRIVATE+KEY+name+id+key`.
//! A key is made for one purpose, which is part of its id: to sign the log's checkpoints, or to cosign as a witness.

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::{Signature as RawSignature, Signer, VerifyingKey};
use signed_note::{Signature, Verifier, is_key_name_valid, key_id};

use super::error::LedgerError;

/// What a key signs: the signature type of C2SP's signed-note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPurpose {
    /// Checkpoints, as the log.
    Log,
    /// Checkpoints of logs, as a witness, with the time (C2SP tlog-cosignature, cosignature/v1).
    Witness,
}

impl KeyPurpose {
    const fn algorithm(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Witness => 0x04,
        }
    }
}

/// A key that signs. Never printed: `encode` is the only way to its secret.
#[derive(Clone)]
pub struct SigningKey {
    public: PublicKey,
    secret: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// A new key. The name of a log's key is the log's origin. None if a signed note cannot hold the name.
    pub fn generate(name: &str, purpose: KeyPurpose) -> Option<Self> {
        is_key_name_valid(name).then(|| Self::of(name, purpose, &rand::random()))
    }

    fn of(name: &str, purpose: KeyPurpose, secret: &[u8; 32]) -> Self {
        let secret = ed25519_dalek::SigningKey::from_bytes(secret);
        Self { public: PublicKey { name: name.to_owned(), purpose, key: secret.verifying_key() }, secret }
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The written form, with the secret.
    pub fn encode(&self) -> String {
        let key = [&[self.public.purpose.algorithm()], self.secret.as_bytes().as_slice()].concat();
        format!("PRIVATE+KEY+{}+{:08x}+{}", self.public.name, self.public.key_id(), BASE64_STANDARD.encode(key))
    }

    /// Signs a checkpoint's text as the log.
    pub(super) fn sign(&self, text: &[u8]) -> Option<Signature> {
        self.signature(self.secret.sign(text).to_bytes().to_vec())
    }

    /// Signs a checkpoint's text as a witness that saw it at a time, in seconds since 1970.
    pub(super) fn cosign(&self, text: &[u8], time: u64) -> Option<Signature> {
        let signature = self.secret.sign(&cosigned(text, time)).to_bytes();
        self.signature([time.to_be_bytes().as_slice(), &signature].concat())
    }

    fn signature(&self, bytes: Vec<u8>) -> Option<Signature> {
        Signature::new(self.public.name.clone(), self.public.key_id(), bytes).ok()
    }
}

impl FromStr for SigningKey {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let wrong = || LedgerError::Key { expected: "signing" };
        let (name, id, purpose, secret) =
            parts(text.strip_prefix("PRIVATE+KEY+").ok_or_else(wrong)?).ok_or_else(wrong)?;
        let key = Self::of(name, purpose, &secret);
        if key.public.key_id() == id { Ok(key) } else { Err(wrong()) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey of {}", self.public)
    }
}

/// A key that proves signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    purpose: KeyPurpose,
    key: VerifyingKey,
}

impl PublicKey {
    /// What it is for.
    pub fn purpose(&self) -> KeyPurpose {
        self.purpose
    }

    /// The bytes that its id and its written form are made of.
    fn typed(&self) -> Vec<u8> {
        [&[self.purpose.algorithm()], self.key.as_bytes().as_slice()].concat()
    }

    /// True if a signature line names this key.
    pub(super) fn made(&self, signature: &Signature) -> bool {
        signature.name() == self.name && signature.id() == self.key_id()
    }
}

impl Verifier for PublicKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        key_id(&self.name, &self.typed())
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let proves =
            |message: &[u8], raw: &[u8; 64]| self.key.verify_strict(message, &RawSignature::from_bytes(raw)).is_ok();
        match self.purpose {
            KeyPurpose::Log => signature.try_into().is_ok_and(|raw| proves(text, raw)),
            KeyPurpose::Witness => {
                let Some((time, raw)) = signature.split_first_chunk::<8>() else { return false };
                raw.try_into().is_ok_and(|raw| proves(&cosigned(text, u64::from_be_bytes(*time)), raw))
            }
        }
    }
}

impl FromStr for PublicKey {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let wrong = || LedgerError::Key { expected: "public" };
        let (name, id, purpose, bytes) = parts(text).ok_or_else(wrong)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong())?;
        let public = Self { name: name.to_owned(), purpose, key };
        if public.key_id() == id { Ok(public) } else { Err(wrong()) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.key_id(), BASE64_STANDARD.encode(self.typed()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// Name, id, purpose and 32 bytes of `name+id+base64`.
fn parts(text: &str) -> Option<(&str, u32, KeyPurpose, [u8; 32])> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let lower_hex = id.len() == 8 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let id = lower_hex.then(|| u32::from_str_radix(id, 16).ok())??;
    let key = BASE64_STANDARD.decode(key).ok()?;
    let (algorithm, bytes) = key.split_first()?;
    let purpose = [KeyPurpose::Log, KeyPurpose::Witness].into_iter().find(|p| p.algorithm() == *algorithm)?;
    is_key_name_valid(name).then_some((name, id, purpose, bytes.try_into().ok()?))
}

/// What a witness signs.
fn cosigned(text: &[u8], time: u64) -> Vec<u8> {
    [format!("cosignature/v1\ntime {time}\n").as_bytes(), text].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A key of the signed-note documentation, which other programs read too.
    const SECRET: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn keys_are_written_as_other_programs_write_them() {
        let key: SigningKey = SECRET.parse().unwrap();
        assert_eq!(key.encode(), SECRET);
        assert_eq!(key.public().to_string(), PUBLIC);
        assert_eq!(PUBLIC.parse::<PublicKey>().unwrap(), *key.public());
        assert!(!format!("{key:?}").contains("AYEKFALVFGyN"));
        for broken in [&PUBLIC[1..], &PUBLIC.replace("c74f", "c74e"), &PUBLIC.replace("c74f20a3", "C74F20A3"), ""] {
            assert!(broken.parse::<PublicKey>().is_err(), "{broken}");
        }
    }

    #[test]
    fn a_witness_key_proves_no_log_signature() {
        let (log, witness) = [KeyPurpose::Log, KeyPurpose::Witness]
            .map(|purpose| SigningKey::generate("example.org/a", purpose).unwrap())
            .into();
        let text = b"a\n1\nb\n";
        let signed = log.sign(text).unwrap();
        let cosigned = witness.cosign(text, 1_700_000_000).unwrap();
        assert!(log.public().verify(text, signed.signature()));
        assert!(witness.public().verify(text, cosigned.signature()));
        assert!(!witness.public().verify(text, signed.signature()));
        assert!(!log.public().verify(text, cosigned.signature()));
        assert!(!witness.public().verify(b"a\n2\nb\n", cosigned.signature()));
        assert!(SigningKey::generate("a b", KeyPurpose::Log).is_none());
    }
}
