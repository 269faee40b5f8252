//! HMAC keys (RFC 5849 section 3.4.2, RFC 2104), prepared before the request arrives.
//!
//! Preparing a key takes two blocks of its hash, and more if the secrets are longer than a block.

use std::fmt;
use std::sync::OnceLock;

use hmac::digest::{KeyInit, Output};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::hash::HashFunction;
use super::message::Message;
use super::shared_key::SharedSecrets;

/// A prepared HMAC key: two states of its hash.
///
/// # Security
/// As sensitive as the secrets, and wiped like them: the features `zeroize` of `hmac`, `sha1` and
/// `sha2` do that.
pub(super) enum HmacKey {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Box<Hmac<Sha512>>),
}

impl HmacKey {
    /// Prepares a key.
    pub(super) fn new(hash: HashFunction, key: &[u8]) -> Self {
        match hash {
            HashFunction::Sha1 => Self::Sha1(prepare(key)),
            HashFunction::Sha256 => Self::Sha256(prepare(key)),
            HashFunction::Sha512 => Self::Sha512(Box::new(prepare(key))),
        }
    }

    fn of(hash: HashFunction, secrets: SharedSecrets<'_>) -> Self {
        Self::new(hash, &secrets.signing_key())
    }

    /// Computes the HMAC of a message and passes it to `then`.
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

/// A cache with one prepared HMAC key for each hash: that of the first secrets that sign with the
/// hash.
///
/// Other secrets are prepared anew each time. An entry never changes, so keep the cache with the
/// secrets that it serves. A caller who proved nothing may be the first to use a hash, so each hash
/// has its own entry: requests with one method never cost another method its prepared key.
#[derive(Default)]
pub struct KeySchedule([OnceLock<Box<ScheduledKey>>; HashFunction::ALL.len()]);

struct ScheduledKey {
    consumer: Zeroizing<Box<[u8]>>,
    token: Zeroizing<Box<[u8]>>,
    key: HmacKey,
}

impl ScheduledKey {
    fn new(hash: HashFunction, secrets: SharedSecrets<'_>) -> Self {
        Self {
            consumer: Zeroizing::new(secrets.consumer.into()),
            token: Zeroizing::new(secrets.token.into()),
            key: HmacKey::of(hash, secrets),
        }
    }

    /// Returns whether the key is made of these secrets. Both sides are ours, so the time tells a
    /// caller nothing.
    fn is_of(&self, secrets: SharedSecrets<'_>) -> bool {
        **self.consumer == *secrets.consumer && **self.token == *secrets.token
    }
}

impl KeySchedule {
    /// Computes the HMAC of a message and passes it to `then`.
    pub(super) fn sign<T>(
        &self,
        hash: HashFunction,
        secrets: SharedSecrets<'_>,
        message: &(impl Message + ?Sized),
        then: impl FnOnce(&[u8]) -> T,
    ) -> T {
        let scheduled =
            self.0[hash as usize].get_or_init(|| Box::new(ScheduledKey::new(hash, secrets)));
        if scheduled.is_of(secrets) {
            scheduled.key.sign(message, then)
        } else {
            HmacKey::of(hash, secrets).sign(message, then)
        }
    }

    /// Returns the bytes that a full cache takes in addition to its own size, if both secrets
    /// together have `secrets` bytes.
    pub const fn heap_size(secrets: usize) -> usize {
        HashFunction::ALL.len() * (size_of::<ScheduledKey>() + secrets) + size_of::<Hmac<Sha512>>()
    }
}

impl fmt::Debug for KeySchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySchedule(redacted)")
    }
}

#[expect(
    clippy::expect_used,
    reason = "the trait allows for MACs with keys of one length; HMAC takes any"
)]
fn prepare<M: KeyInit>(key: &[u8]) -> M {
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
    fn each_hash_has_its_own_entry_whichever_comes_first() {
        let schedule = KeySchedule::default();
        for hash in [
            HashFunction::Sha512,
            HashFunction::Sha1,
            HashFunction::Sha256,
        ] {
            let signed = schedule.sign(
                hash,
                secrets(b"token"),
                b"message".as_slice(),
                <[u8]>::to_vec,
            );
            assert_eq!(signed, prepared(hash, b"consumer&token"));
            assert!(schedule.0[hash as usize].get().is_some(), "{hash:?}");
        }
        let hash = HashFunction::Sha1;
        let others = schedule.sign(
            hash,
            secrets(b"another"),
            b"message".as_slice(),
            <[u8]>::to_vec,
        );
        assert_eq!(others, prepared(hash, b"consumer&another"));
    }

    #[test]
    fn the_size_of_a_cache_counts_both_secrets_for_each_hash_and_the_largest_state() {
        assert_eq!(
            KeySchedule::heap_size(20),
            3 * (size_of::<ScheduledKey>() + 20) + size_of::<Hmac<Sha512>>()
        );
    }

    fn secrets(token: &[u8]) -> SharedSecrets<'_> {
        SharedSecrets {
            consumer: b"consumer",
            token,
        }
    }

    fn prepared(hash: HashFunction, key: &[u8]) -> Vec<u8> {
        HmacKey::new(hash, key).sign(b"message".as_slice(), <[u8]>::to_vec)
    }
}
