//! The keys that a signature is held against (RFC 5849 sections 3.4.2 to 3.4.4): the right ones, and those that clients are
//! known to make of the right secrets.

use aws_lc_rs::digest;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::super::encode::encode;
use super::super::hash::Hash;
use super::super::hmac_key::HmacKey;
use super::super::signature::{digest_algorithm, signing_key};
use super::super::{RsaPublicKey, SignatureMethod, SignedRequest, VerificationKeys};
use super::written::Reading;
use super::{MismatchCause, MismatchEvidence};

/// A key, and why a client signs with it.
pub(super) struct Key<'k> {
    /// `None` is the right one.
    pub(super) cause: Option<MismatchCause>,
    prover: Prover<'k>,
}

enum Prover<'k> {
    Hmac(HmacKey),
    Plaintext(Zeroizing<Vec<u8>>),
    Rsa(Hash, &'k RsaPublicKey),
}

impl<'k> Key<'k> {
    /// The keys that a request with this signature method is verified with.
    pub(super) fn right(keys: &VerificationKeys<'k>, signed: &SignedRequest<'_>) -> Vec<Self> {
        let token = token_secret(keys, signed);
        of_method(signed.signature_method(), keys, token, None)
    }

    /// The keys that clients are known to sign with instead, in the order of their causes.
    pub(super) fn wrong(evidence: &MismatchEvidence<'k>, signed: &SignedRequest<'_>) -> Vec<Self> {
        let keys = &evidence.keys;
        let method = signed.signature_method();
        let token = token_secret(keys, signed);
        let others = SignatureMethod::ALL
            .into_iter()
            .filter(|&other| other != method);
        let mut wrong: Vec<_> = others
            .flat_map(|other| of_method(other, keys, token, Some(MismatchCause::MethodConfusion)))
            .collect();
        if method.is_rsa() {
            return wrong;
        }
        if let Some(token) = token {
            for consumer in keys.consumer_secrets {
                wrong.extend(
                    made_otherwise(consumer, token)
                        .map(|(cause, key)| Self::shared(Some(cause), method, &key)),
                );
            }
            for old in evidence.expired_secrets {
                wrong.push(Self::shared(
                    Some(MismatchCause::OldSecret),
                    method,
                    &signing_key(old, token),
                ));
            }
        }
        wrong
    }

    fn shared(cause: Option<MismatchCause>, method: SignatureMethod, key: &[u8]) -> Self {
        let prover = if method == SignatureMethod::Plaintext {
            Prover::Plaintext(Zeroizing::new(key.to_vec()))
        } else {
            Prover::Hmac(HmacKey::new(method.hash(), key))
        };
        Self { cause, prover }
    }

    /// How many HMACs it counts as.
    pub(super) fn cost(&self) -> u32 {
        match self.prover {
            Prover::Hmac(_) => 1,
            Prover::Plaintext(_) => 0,
            Prover::Rsa(_, key) => {
                let times = u32::try_from(key.bits().div_ceil(2048)).unwrap_or(u32::MAX);
                RSA_COST.saturating_mul(times.saturating_mul(times))
            }
        }
    }

    /// Which reading of the signature is the signature of a base string by this key.
    pub(super) fn proves(&self, base_string: &[u8], readings: &[Reading]) -> Option<usize> {
        let is_bytes = |reading: &Reading, expected: &[u8]| {
            reading
                .bytes
                .as_deref()
                .is_some_and(|bytes| bytes.ct_eq(expected).into())
        };
        match &self.prover {
            Prover::Hmac(key) => key.sign(base_string, |mac| {
                readings.iter().position(|reading| is_bytes(reading, mac))
            }),
            Prover::Plaintext(key) => readings.iter().position(|reading| {
                reading
                    .text
                    .as_deref()
                    .is_some_and(|text| text.ct_eq(key).into())
            }),
            Prover::Rsa(hash, key) => {
                let digest = digest::digest(digest_algorithm(*hash), base_string);
                let verifies = |reading: &Reading| {
                    reading
                        .bytes
                        .as_deref()
                        .is_some_and(|bytes| key.verifies(*hash, &digest, bytes))
                };
                readings.iter().position(verifies)
            }
        }
    }
}

/// The keys of a method; none where it has no secret.
fn of_method<'k>(
    method: SignatureMethod,
    keys: &VerificationKeys<'k>,
    token: Option<&[u8]>,
    cause: Option<MismatchCause>,
) -> Vec<Key<'k>> {
    if method.is_rsa() {
        let rsa = |key: &&'k RsaPublicKey| Key {
            cause,
            prover: Prover::Rsa(method.hash(), key),
        };
        return keys.rsa_public_keys.iter().map(rsa).collect();
    }
    let Some(token) = token else {
        return Vec::new();
    };
    let shared = |secret: &&[u8]| Key::shared(cause, method, &signing_key(secret, token));
    keys.consumer_secrets.iter().map(shared).collect()
}

/// The token's secret, or the empty one where there is no token; `None` when it is not known.
fn token_secret<'k>(keys: &VerificationKeys<'k>, signed: &SignedRequest<'_>) -> Option<&'k [u8]> {
    match (signed.token(), keys.token_secret) {
        (Some(_), secret) => secret,
        (None, _) => Some(b""),
    }
}

/// What else clients make of two secrets; never without one that is not empty.
fn made_otherwise(
    consumer: &[u8],
    token: &[u8],
) -> impl Iterator<Item = (MismatchCause, Zeroizing<Vec<u8>>)> {
    let encoded = |secret| encoded_secret(secret);
    let (plain_consumer, plain_token) = (encoded(consumer), encoded(token));
    let ways = [
        (
            MismatchCause::AmpersandMissing,
            joined(&plain_consumer, b"", &plain_token),
        ),
        (
            MismatchCause::AmpersandMissing,
            joined(consumer, b"", token),
        ),
        (
            MismatchCause::SecretMissing,
            joined(&plain_consumer, b"&", b""),
        ),
        (
            MismatchCause::SecretMissing,
            joined(&plain_consumer, b"", b""),
        ),
        (
            MismatchCause::SecretMissing,
            joined(b"", b"&", &plain_token),
        ),
        (MismatchCause::SecretMissing, joined(&plain_token, b"", b"")),
        (
            MismatchCause::SecretsNotEncoded,
            joined(consumer, b"&", token),
        ),
        (
            MismatchCause::SecretsNotEncoded,
            joined(&plain_consumer, b"&", token),
        ),
        (
            MismatchCause::SecretsNotEncoded,
            joined(consumer, b"&", &plain_token),
        ),
    ];
    let right = joined(&plain_consumer, b"&", &plain_token);
    ways.into_iter()
        .filter(move |(_, key)| *key != right && !matches!(&key[..], b"" | b"&"))
}

fn joined(consumer: &[u8], by: &[u8], token: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([consumer, by, token].concat())
}

fn encoded_secret(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    // Room for every byte escaped: growing would leave an unwiped copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(3 * secret.len()));
    encode(secret, &mut |piece| out.extend_from_slice(piece));
    out
}

/// A verification with 2048 bits takes about as long as so many base strings that are made and signed by HMAC; one with more
/// bits as their square does.
const RSA_COST: u32 = 5;
