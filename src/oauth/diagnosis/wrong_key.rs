//! A key that a client makes of wrong secrets, and the parts of such keys.

use zeroize::Zeroizing;

use super::super::encode::encode;
use super::super::shared_key::SharedSecrets;
use super::MismatchCause;

/// A key that a client makes of wrong secrets.
pub(super) struct WrongKey {
    pub(super) cause: MismatchCause,
    /// A remedy that is more precise than that of the cause.
    pub(super) remedy: Option<&'static str>,
    /// The secret at fault, for people.
    pub(super) secret: &'static str,
    pub(super) key: SecretBytes,
    /// The mistake is frequent enough to be tried together with a change of the base string.
    pub(super) is_usual: bool,
}

impl WrongKey {
    pub(super) const fn new(cause: MismatchCause, secret: &'static str, key: SecretBytes) -> Self {
        Self {
            cause,
            remedy: None,
            secret,
            key,
            is_usual: false,
        }
    }

    pub(super) const fn with_remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = Some(remedy);
        self
    }

    pub(super) const fn with_remedy_if(self, applies: bool, remedy: &'static str) -> Self {
        if applies {
            self.with_remedy(remedy)
        } else {
            self
        }
    }

    pub(super) const fn usual(mut self, is_usual: bool) -> Self {
        self.is_usual = is_usual;
        self
    }
}

pub(super) type SecretBytes = Zeroizing<Vec<u8>>;

/// Joins two secrets as RFC 5849 section 3.4.2 says.
pub(super) fn joined(consumer: &[u8], token: &[u8]) -> SecretBytes {
    SharedSecrets { consumer, token }.signing_key()
}

/// Joins two secrets by a text, as they are.
pub(super) fn glued(consumer: &[u8], by: &[u8], token: &[u8]) -> SecretBytes {
    Zeroizing::new([consumer, by, token].concat())
}

/// Returns a secret percent-encoded.
pub(super) fn encoded_secret(secret: &[u8]) -> SecretBytes {
    // Room for every byte escaped: growing would leave an unwiped copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(3 * secret.len()));
    encode(secret, &mut |piece| out.extend_from_slice(piece));
    out
}

/// Returns the digits of some bytes.
pub(super) fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * bytes.len());
    for &byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out
}

pub(super) const CONSUMER: &str = "the consumer secret";

pub(super) const TOKEN: &str = "the token secret";

pub(super) const BOTH: &str = "both secrets";

const DIGITS: &[u8; 16] = b"0123456789abcdef";
