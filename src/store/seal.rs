//! Sealing: XChaCha20-Poly1305 with a random nonce in front, bound to the place where the sealed text belongs. And the
//! salts of the ledger's commitments, from the same key: once it is destroyed, neither text nor salt can be had again.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

const NONCE: usize = 24;

/// A key of 32 random bytes.
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(super) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(super) fn random() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals a text for a place.
    pub(super) fn seal(&self, place: &[u8], text: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = rand::random();
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), Payload { msg: text, aad: place });
        let mut out = nonce.to_vec();
        out.extend(sealed.expect("a text is shorter than the cipher's 256 GiB"));
        out
    }

    /// What was sealed by this key for this place; None for anything else.
    pub(super) fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE>()?;
        self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: place }).ok().map(Zeroizing::new)
    }

    /// The salt of a record's commitment in the ledger.
    pub(super) fn salt(&self, record_id: &str) -> Zeroizing<[u8; 32]> {
        self.derive("leaf", record_id.as_bytes())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.derive("seal", b"")).into())
    }

    /// A key for one purpose: HMAC-SHA256(key, purpose ‖ of).
    fn derive(&self, purpose: &str, of: &[u8]) -> Zeroizing<[u8; 32]> {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("HMAC takes keys of any length");
        Zeroizing::new(mac.chain_update(purpose).chain_update(of).finalize().into_bytes().into())
    }
}

/// Where a sealed text belongs: in which table, whose, under which id. No part can contain the separator.
pub(super) fn place(table: &str, tenant: &str, id: &str) -> Vec<u8> {
    [table, tenant, id].join("\0").into_bytes()
}
