//! RSA private keys, for signing as a client does (RFC 5849 section 3.4.3).
//!
//! aws-lc-rs verifies RSA-SHA1 and refuses to sign it; old clients still do, and have to be imitated.

use std::fmt;

use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::hash::Hash;

/// An RSA private key.
///
/// # Security
/// For a client that signs its own requests. A server that signs what others hand it would want blinding, which needs
/// randomness.
pub struct RsaPrivateKey(PrivateKey);

/// Why a text is not an RSA private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an RSA private key: expected PEM with BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY, not encrypted"
)]
pub struct RsaPrivateKeyError;

impl RsaPrivateKey {
    /// Reads a PEM text (`BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn from_pem(pem: &str) -> Result<Self, RsaPrivateKeyError> {
        let key = PrivateKey::from_pkcs8_pem(pem)
            .ok()
            .or_else(|| PrivateKey::from_pkcs1_pem(pem).ok());
        key.map(Self).ok_or(RsaPrivateKeyError)
    }

    /// The RSASSA-PKCS1-v1_5 signature of a message; `None` when the key is too short for the hash.
    pub(super) fn sign(&self, hash: Hash, message: &[u8]) -> Option<Vec<u8>> {
        let signature = match hash {
            Hash::Sha1 => self.0.pkcs1v15_sign::<Sha1>(message),
            Hash::Sha256 => self.0.pkcs1v15_sign::<Sha256>(message),
            Hash::Sha512 => self.0.pkcs1v15_sign::<Sha512>(message),
        };
        signature.ok()
    }
}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaPrivateKey(redacted)")
    }
}
