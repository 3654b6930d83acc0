//! Signatures after Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. A receiver that knows
//! the secret can tell that a message is ours, whole and recent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::SecretString;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::super::error::ApiError;

/// Bytes of a secret.
const LENGTH: usize = 32;

/// A fresh secret.
pub(in super::super) struct Secret(Zeroizing<[u8; LENGTH]>);

impl Secret {
    /// From the operating system's generator.
    pub(in super::super) fn generate() -> Result<Self, ApiError> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(|error| {
            tracing::error!(%error, "no random bytes");
            ApiError::Internal
        })?;
        Ok(Self(bytes))
    }

    /// What is kept, sealed.
    pub(in super::super) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// What the receiver is given, once.
    pub(in super::super) fn shown(&self) -> SecretString {
        SecretString::from(format!("whsec_{}", STANDARD.encode(self.0.as_slice())))
    }
}

/// The header `webhook-signature`: one signature a secret.
pub(super) fn signatures(secrets: &[Vec<u8>], id: &str, timestamp: i64, body: &str) -> String {
    let sign = |secret: &Vec<u8>| {
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        let signed = mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body).finalize().into_bytes();
        format!("v1,{}", STANDARD.encode(signed))
    };
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard_webhooks_libraries() {
        // The example that the libraries of standardwebhooks.com test themselves with.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
