//! The hash functions of signature methods.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use strum::{IntoStaticStr, VariantArray};
use zeroize::{Zeroize as _, Zeroizing};

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

    /// Hashes a secret, and leaves no copy of the hash behind.
    pub(super) fn wiped_digest(self, secret: &[u8]) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Sha1 => wiped::<Sha1>(secret),
            Self::Sha256 => wiped::<Sha256>(secret),
            Self::Sha512 => wiped::<Sha512>(secret),
        }
    }
}

fn wiped<D: Digest>(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut hash = D::digest(secret);
    let copy = Zeroizing::new(hash.to_vec());
    hash.as_mut_slice().zeroize();
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wiped_digest_is_the_digest() {
        for hash in HashFunction::ALL {
            assert_eq!(*hash.wiped_digest(b"secret"), hash.digest(b"secret"));
        }
    }
}
