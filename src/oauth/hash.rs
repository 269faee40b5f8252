//! The hash below a signature method.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::SignatureMethod;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    /// Every hash, in the order of the enumeration.
    pub(super) const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        }
    }

    /// The hash of `bytes`.
    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

impl SignatureMethod {
    /// The hash that it signs, and that `oauth_body_hash` is made with; SHA-1 for PLAINTEXT, which signs nothing.
    pub(super) const fn hash(self) -> Hash {
        match self {
            Self::HmacSha1 | Self::RsaSha1 | Self::Plaintext => Hash::Sha1,
            Self::HmacSha256 | Self::RsaSha256 => Hash::Sha256,
            Self::HmacSha512 | Self::RsaSha512 => Hash::Sha512,
        }
    }
}
