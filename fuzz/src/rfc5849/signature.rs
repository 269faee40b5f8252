//! HMAC and PLAINTEXT signatures (sections 3.4.2 and 3.4.4), and `oauth_body_hash`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha512};

use super::escape::escape;

/// The hash of a signature method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, arbitrary::Arbitrary)]
pub enum Hash {
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

impl Hash {
    /// Returns the hash of a method; `None` if the method is not HMAC.
    pub fn of_method(name: &[u8]) -> Option<Self> {
        match name {
            b"HMAC-SHA1" => Some(Self::Sha1),
            b"HMAC-SHA256" => Some(Self::Sha256),
            b"HMAC-SHA512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Returns the name of the method.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Sha1 => "HMAC-SHA1",
            Self::Sha256 => "HMAC-SHA256",
            Self::Sha512 => "HMAC-SHA512",
        }
    }
}

/// The secrets that a client signs with.
#[derive(Clone, Copy, Debug)]
pub struct SharedKey<'k> {
    /// The consumer's secret.
    pub consumer: &'k [u8],
    /// The token's secret, or empty.
    pub token: &'k [u8],
}

impl SharedKey<'_> {
    /// Returns the key of HMAC, which is also the signature of PLAINTEXT.
    pub fn text(&self) -> String {
        format!("{}&{}", escape(self.consumer), escape(self.token))
    }
}

/// Returns `oauth_signature` for a base string, not escaped.
pub fn sign(hash: Hash, key: SharedKey<'_>, base_string: &str) -> String {
    let (key, text) = (key.text(), base_string.as_bytes());
    let key = key.as_bytes();
    // A key of HMAC may have any length.
    match hash {
        Hash::Sha1 => STANDARD.encode(mac::<Hmac<Sha1>>(key, text)),
        Hash::Sha256 => STANDARD.encode(mac::<Hmac<Sha256>>(key, text)),
        Hash::Sha512 => STANDARD.encode(mac::<Hmac<Sha512>>(key, text)),
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Returns `oauth_body_hash` of a body.
pub fn body_hash(hash: Hash, body: &[u8]) -> String {
    match hash {
        Hash::Sha1 => STANDARD.encode(Sha1::digest(body)),
        Hash::Sha256 => STANDARD.encode(Sha256::digest(body)),
        Hash::Sha512 => STANDARD.encode(Sha512::digest(body)),
    }
}
