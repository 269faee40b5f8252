//! RSA private keys, for signing as a client does (RFC 5849 section 3.4.3).
//!
//! aws-lc-rs verifies RSA-SHA1 but refuses to sign with it. Old clients still do, so `rsa` signs
//! here.

use std::fmt;

use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::hash::HashFunction;

/// An RSA private key.
///
/// # Security
/// For a client that signs its own requests. A server that signs other people's requests needs
/// blinding, and that needs randomness.
pub struct RsaPrivateKey(PrivateKey);

/// The error for a text that is not an RSA private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an RSA private key: expected unencrypted PEM with BEGIN PRIVATE KEY or BEGIN RSA \
     PRIVATE KEY"
)]
pub struct RsaPrivateKeyError;

impl RsaPrivateKey {
    /// Reads a PEM text (`BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// Any other text, and an encrypted key.
    pub fn from_pem(pem: &str) -> Result<Self, RsaPrivateKeyError> {
        let key = PrivateKey::from_pkcs8_pem(pem)
            .ok()
            .or_else(|| PrivateKey::from_pkcs1_pem(pem).ok());
        key.map(Self).ok_or(RsaPrivateKeyError)
    }

    /// Returns the RSASSA-PKCS1-v1_5 signature of a message; `None` if the key is too short for the
    /// hash.
    ///
    /// [RFC 5849 section 3.4.3](https://www.rfc-editor.org/rfc/rfc5849#section-3.4.3)
    pub(super) fn sign(&self, hash: HashFunction, message: &[u8]) -> Option<Vec<u8>> {
        let signature = match hash {
            HashFunction::Sha1 => self.0.pkcs1v15_sign::<Sha1>(message),
            HashFunction::Sha256 => self.0.pkcs1v15_sign::<Sha256>(message),
            HashFunction::Sha512 => self.0.pkcs1v15_sign::<Sha512>(message),
        };
        signature.ok()
    }
}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaPrivateKey(redacted)")
    }
}
