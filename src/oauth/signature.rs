//! Signature methods (RFC 5849 section 3.4 and practice).

use std::fmt;

/// A signature method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureMethod {
    /// `HMAC-SHA1` (RFC 5849 section 3.4.2).
    HmacSha1,
    /// `HMAC-SHA256`, section 3.4.2 with SHA-256.
    HmacSha256,
    /// `HMAC-SHA512`, section 3.4.2 with SHA-512.
    HmacSha512,
    /// `RSA-SHA1` (RFC 5849 section 3.4.3).
    RsaSha1,
    /// `RSA-SHA256`, section 3.4.3 with SHA-256.
    RsaSha256,
    /// `RSA-SHA512`, section 3.4.3 with SHA-512.
    RsaSha512,
    /// `PLAINTEXT` (RFC 5849 section 3.4.4).
    Plaintext,
}

impl SignatureMethod {
    /// Every method, in the order in which they are listed to people.
    pub const ALL: [Self; 7] = [
        Self::HmacSha1,
        Self::HmacSha256,
        Self::HmacSha512,
        Self::RsaSha1,
        Self::RsaSha256,
        Self::RsaSha512,
        Self::Plaintext,
    ];

    /// The name on the wire, for example `HMAC-SHA1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha512 => "HMAC-SHA512",
            Self::RsaSha1 => "RSA-SHA1",
            Self::RsaSha256 => "RSA-SHA256",
            Self::RsaSha512 => "RSA-SHA512",
            Self::Plaintext => "PLAINTEXT",
        }
    }

    /// The method of that name; names are case-sensitive.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name().as_bytes() == name)
    }

    /// Whether it signs with an RSA key instead of the shared secrets.
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::RsaSha1 | Self::RsaSha256 | Self::RsaSha512)
    }
}

impl fmt::Display for SignatureMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a signature is held against.
///
/// # Security
/// A missing secret is not the empty secret: a consumer without a shared secret has an empty `consumer_secrets`, and
/// then no HMAC or PLAINTEXT signature matches.
#[derive(Clone, Copy)]
pub struct Keys<'k> {
    /// The consumer's secrets that are valid now: one, or two while one is being rotated.
    pub consumer_secrets: &'k [&'k [u8]],
    /// The token's secret; `None` when the request carries no token.
    pub token_secret: Option<&'k [u8]>,
    /// The consumer's RSA public keys.
    pub rsa_public_keys: &'k [&'k RsaPublicKey],
}

/// An RSA public key.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    der: Box<[u8]>,
}

/// Why a text is not an RSA public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RSA public key: expected PEM with BEGIN PUBLIC KEY")]
pub struct RsaPublicKeyError;

impl RsaPublicKey {
    /// Reads a PEM text (`BEGIN PUBLIC KEY`, `BEGIN RSA PUBLIC KEY` or `BEGIN CERTIFICATE`).
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn from_pem(_pem: &str) -> Result<Self, RsaPublicKeyError> {
        todo!()
    }
    /// The length of the modulus in bits.
    pub fn bits(&self) -> usize {
        todo!()
    }
    /// The key as PEM (`BEGIN PUBLIC KEY`).
    pub fn to_pem(&self) -> String {
        let _ = &self.der;
        todo!()
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPublicKey").field("bits", &self.bits()).finish()
    }
}
