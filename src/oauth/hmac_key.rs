//! HMAC keys (RFC 5849 section 3.4.2, RFC 2104) that need not be read for every request: a key is longer than a block of
//! its hash when secrets are long, and is hashed then, and twice more to begin with; all of it before the request comes in.

use std::fmt;
use std::sync::OnceLock;

use hmac::digest::{KeyInit, Output};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::base_string::Message;
use super::hash::Hash;
use super::signature::signing_key;

/// An HMAC key that was read: two states of its hash.
///
/// # Security
/// As good as the secrets, and wiped as they are: the features `zeroize` of `hmac`, `sha1` and `sha2` see to it.
pub(super) enum HmacKey {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Box<Hmac<Sha512>>),
}

impl HmacKey {
    /// Reads a key.
    pub(super) fn new(hash: Hash, key: &[u8]) -> Self {
        match hash {
            Hash::Sha1 => Self::Sha1(read(key)),
            Hash::Sha256 => Self::Sha256(read(key)),
            Hash::Sha512 => Self::Sha512(Box::new(read(key))),
        }
    }

    /// The key of two secrets.
    fn of(hash: Hash, consumer_secret: &[u8], token_secret: &[u8]) -> Self {
        Self::new(hash, &signing_key(consumer_secret, token_secret))
    }

    /// What `then` makes of the HMAC of a message.
    pub(super) fn sign<T>(
        &self,
        message: &(impl Message + ?Sized),
        then: impl FnOnce(&[u8]) -> T,
    ) -> T {
        match self {
            Self::Sha1(key) => then(&mac(key.clone(), message)),
            Self::Sha256(key) => then(&mac(key.clone(), message)),
            Self::Sha512(key) => then(&mac(Hmac::clone(key), message)),
        }
    }
}

/// Remembers, for each hash, the HMAC key of the first consumer secret and token secret that it is asked for; every other
/// one is read anew.
///
/// What it remembers never changes, so keep it with what the secrets were read from. A caller who proved nothing may be the
/// first to ask with a hash, which is why each has its place: what is warm for one method stays so whatever comes with
/// others.
#[derive(Default)]
pub struct KeySchedule([OnceLock<Box<Remembered>>; Hash::ALL.len()]);

struct Remembered {
    secrets: Secrets,
    key: HmacKey,
}

/// Of a consumer and of a token.
struct Secrets(Zeroizing<Box<[u8]>>, Zeroizing<Box<[u8]>>);

impl KeySchedule {
    /// What `then` makes of the HMAC of a message.
    pub(super) fn sign<T>(
        &self,
        hash: Hash,
        (consumer, token): (&[u8], &[u8]),
        message: &(impl Message + ?Sized),
        then: impl FnOnce(&[u8]) -> T,
    ) -> T {
        let remember = || {
            let secrets = Secrets(
                Zeroizing::new(consumer.into()),
                Zeroizing::new(token.into()),
            );
            Box::new(Remembered {
                secrets,
                key: HmacKey::of(hash, consumer, token),
            })
        };
        let remembered = self.0[hash as usize].get_or_init(remember);
        // Both are ours, so it tells a caller nothing how long this takes.
        if **remembered.secrets.0 == *consumer && **remembered.secrets.1 == *token {
            remembered.key.sign(message, then)
        } else {
            HmacKey::of(hash, consumer, token).sign(message, then)
        }
    }
}

impl KeySchedule {
    /// What one takes beside its own size when everything is remembered, in bytes: `secrets` is the length of both secrets
    /// together.
    pub const fn heap_size(secrets: usize) -> usize {
        Hash::ALL.len() * (size_of::<Remembered>() + secrets) + size_of::<Hmac<Sha512>>()
    }
}

impl fmt::Debug for KeySchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySchedule(redacted)")
    }
}

#[expect(
    clippy::expect_used,
    reason = "the trait allows for MACs whose keys have one length; HMAC's have any"
)]
fn read<M: KeyInit>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn mac<M: Mac>(mut mac: M, message: &(impl Message + ?Sized)) -> Output<M> {
    message.write(&mut |piece| mac.update(piece));
    mac.finalize().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hash_has_a_place_of_its_own_whichever_is_asked_for_first() {
        let schedule = KeySchedule::default();
        for hash in [Hash::Sha512, Hash::Sha1, Hash::Sha256] {
            let signed = schedule.sign(hash, (b"consumer", b"token"), &"message", <[u8]>::to_vec);
            assert_eq!(
                signed,
                HmacKey::new(hash, b"consumer&token").sign(&"message", <[u8]>::to_vec)
            );
            assert!(schedule.0[hash as usize].get().is_some(), "{hash:?}");
        }
        let others = schedule.sign(
            Hash::Sha1,
            (b"consumer", b"another"),
            &"message",
            <[u8]>::to_vec,
        );
        assert_eq!(
            others,
            HmacKey::new(Hash::Sha1, b"consumer&another").sign(&"message", <[u8]>::to_vec)
        );
    }
}
