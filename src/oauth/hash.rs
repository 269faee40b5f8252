//! The hash functions of signature methods.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use strum::{IntoStaticStr, VariantArray};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub(super) enum HashFunction {
    #[strum(serialize = "SHA-1")]
    Sha1,
    #[strum(serialize = "SHA-256")]
    Sha256,
    #[strum(serialize = "SHA-512")]
    Sha512,
}

impl HashFunction {
    /// Every hash function, in the order of the enumeration.
    pub(super) const ALL: [Self; Self::VARIANTS.len()] =
        *Self::VARIANTS.first_chunk().expect("the same length");

    /// Returns the name that people know, for example `SHA-256`.
    pub(super) fn name(self) -> &'static str {
        self.into()
    }

    /// Hashes `bytes`.
    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}
