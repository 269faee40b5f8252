//! The hash below a signature method: of bodies, and keyed (HMAC, RFC 2104) of base strings.

use hmac::digest::{KeyInit, Output};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::SignatureMethod;
use super::base_string::Message;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    /// The hash of `bytes`.
    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// What `read` makes of the HMAC of a message.
    pub(super) fn hmac<T>(self, key: &[u8], message: &impl Message, read: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Sha1 => read(&mac::<Hmac<Sha1>>(key, message)),
            Self::Sha256 => read(&mac::<Hmac<Sha256>>(key, message)),
            Self::Sha512 => read(&mac::<Hmac<Sha512>>(key, message)),
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

#[expect(clippy::expect_used, reason = "the trait allows for MACs whose keys have one length; HMAC's have any")]
fn mac<M: Mac + KeyInit>(key: &[u8], message: &impl Message) -> Output<M> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    message.write(&mut |piece| mac.update(piece));
    mac.finalize().into_bytes()
}
