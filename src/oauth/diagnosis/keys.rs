//! The keys that a search tries (RFC 5849 sections 3.4.2 to 3.4.4): the right ones, and those that
//! clients are known to make of the right secrets.

use aws_lc_rs::digest;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::super::encode::encode;
use super::super::hash::HashFunction;
use super::super::hmac_key::HmacKey;
use super::super::shared_key::SharedSecrets;
use super::super::signature::digest_algorithm;
use super::super::{RsaPublicKey, SignatureMethod, SignedRequest, VerificationKeys};
use super::reading::SignatureReading;
use super::{MismatchCause, MismatchEvidence};

/// A key, and the cause if a client signs with it.
pub(super) struct CandidateKey<'k> {
    /// `None` for the right key.
    pub(super) cause: Option<MismatchCause>,
    material: KeyMaterial<'k>,
}

enum KeyMaterial<'k> {
    Hmac(HmacKey),
    Plaintext(Zeroizing<Vec<u8>>),
    Rsa(HashFunction, &'k RsaPublicKey),
}

impl<'k> CandidateKey<'k> {
    /// Returns the keys that verify a request with this signature method.
    pub(super) fn right(keys: &VerificationKeys<'k>, signed: &SignedRequest<'_>) -> Vec<Self> {
        let token = token_secret(keys, signed);
        of_method(signed.signature_method(), keys, token, None)
    }

    /// Returns the keys that clients are known to sign with instead, in the order of their causes.
    pub(super) fn wrong(evidence: &MismatchEvidence<'k>, signed: &SignedRequest<'_>) -> Vec<Self> {
        let method = signed.signature_method();
        let token = token_secret(&evidence.keys, signed);
        let mut wrong = other_methods(method, &evidence.keys, token);
        if let (false, Some(token)) = (method.is_rsa(), token) {
            wrong.extend(misused(method, evidence.keys.consumer_secrets, token));
            wrong.extend(expired(method, evidence.expired_secrets, token));
        }
        wrong
    }

    fn shared(cause: Option<MismatchCause>, method: SignatureMethod, key: &[u8]) -> Self {
        let material = if method == SignatureMethod::Plaintext {
            KeyMaterial::Plaintext(Zeroizing::new(key.to_vec()))
        } else {
            KeyMaterial::Hmac(HmacKey::new(method.hash(), key))
        };
        Self { cause, material }
    }

    /// Returns the number of HMACs that take as long.
    pub(super) fn cost(&self) -> u32 {
        match self.material {
            KeyMaterial::Hmac(_) => 1,
            KeyMaterial::Plaintext(_) => 0,
            KeyMaterial::Rsa(_, key) => {
                let times = u32::try_from(key.bits().div_ceil(2048)).unwrap_or(u32::MAX);
                RSA_COST.saturating_mul(times.saturating_mul(times))
            }
        }
    }

    /// Returns the reading that is this key's signature of the base string.
    pub(super) fn proves<'r>(
        &self,
        base_string: &[u8],
        readings: &'r [SignatureReading],
    ) -> Option<&'r SignatureReading> {
        let mut readings = readings.iter();
        match &self.material {
            KeyMaterial::Hmac(key) => key.sign(base_string, |mac| {
                readings.find(|reading| is_equal(reading.bytes.as_deref(), mac))
            }),
            KeyMaterial::Plaintext(key) => {
                readings.find(|reading| is_equal(reading.text.as_deref(), key))
            }
            KeyMaterial::Rsa(hash, key) => {
                let digest = digest::digest(digest_algorithm(*hash), base_string);
                let verifies = |bytes: &[u8]| key.verifies(*hash, &digest, bytes);
                readings.find(|reading| reading.bytes.as_deref().is_some_and(verifies))
            }
        }
    }
}

fn is_equal(sent: Option<&[u8]>, expected: &[u8]) -> bool {
    sent.is_some_and(|sent| sent.ct_eq(expected).into())
}

/// Returns the keys of a method; none if the consumer has no secret for it.
fn of_method<'k>(
    method: SignatureMethod,
    keys: &VerificationKeys<'k>,
    token: Option<&[u8]>,
    cause: Option<MismatchCause>,
) -> Vec<CandidateKey<'k>> {
    if method.is_rsa() {
        let rsa = |key: &&'k RsaPublicKey| CandidateKey {
            cause,
            material: KeyMaterial::Rsa(method.hash(), key),
        };
        return keys.rsa_public_keys.iter().map(rsa).collect();
    }
    let Some(token) = token else {
        return Vec::new();
    };
    let secrets = keys.consumer_secrets.iter();
    secrets
        .map(|consumer| {
            let key = SharedSecrets { consumer, token }.signing_key();
            CandidateKey::shared(cause, method, &key)
        })
        .collect()
}

/// Returns the keys of every other method.
fn other_methods<'k>(
    method: SignatureMethod,
    keys: &VerificationKeys<'k>,
    token: Option<&[u8]>,
) -> Vec<CandidateKey<'k>> {
    let cause = Some(MismatchCause::MethodConfusion);
    let others = SignatureMethod::ALL.into_iter();
    others
        .filter(|&other| other != method)
        .flat_map(|other| of_method(other, keys, token, cause))
        .collect()
}

/// Returns the keys that clients wrongly make of the right secrets.
fn misused<'k>(
    method: SignatureMethod,
    consumer_secrets: &[&[u8]],
    token: &[u8],
) -> Vec<CandidateKey<'k>> {
    consumer_secrets
        .iter()
        .flat_map(|consumer| misjoined(consumer, token))
        .map(|(cause, key)| CandidateKey::shared(Some(cause), method, &key))
        .collect()
}

/// Returns the keys of secrets that are no longer valid.
fn expired<'k>(
    method: SignatureMethod,
    expired_secrets: &[&[u8]],
    token: &[u8],
) -> Vec<CandidateKey<'k>> {
    let cause = Some(MismatchCause::OldSecret);
    let secrets = expired_secrets.iter();
    secrets
        .map(|consumer| {
            let key = SharedSecrets { consumer, token }.signing_key();
            CandidateKey::shared(cause, method, &key)
        })
        .collect()
}

/// Returns the token's secret, or the empty one for a request without a token; `None` if it is
/// unknown.
fn token_secret<'k>(keys: &VerificationKeys<'k>, signed: &SignedRequest<'_>) -> Option<&'k [u8]> {
    match signed.token() {
        Some(_) => keys.token_secret,
        None => Some(b""),
    }
}

/// A key, and the cause if a client signs with it.
type Misjoined = (MismatchCause, Zeroizing<Vec<u8>>);

/// Joins two secrets in the ways in which clients get it wrong. Never returns an empty key, nor the
/// right one.
fn misjoined(consumer: &[u8], token: &[u8]) -> Vec<Misjoined> {
    let plain = SharedSecrets { consumer, token };
    let (consumer, token) = (&*encoded_secret(consumer), &*encoded_secret(token));
    let encoded = SharedSecrets { consumer, token };
    let mut keys = without_ampersand(plain, encoded);
    keys.extend(with_one_secret(encoded));
    keys.extend(not_encoded(plain, encoded));
    let right = joined(consumer, b"&", token);
    keys.retain(|(_, key)| *key != right && !matches!(&key[..], b"" | b"&"));
    keys
}

fn without_ampersand(plain: SharedSecrets<'_>, encoded: SharedSecrets<'_>) -> Vec<Misjoined> {
    [encoded, plain]
        .map(|secrets| joined(secrets.consumer, b"", secrets.token))
        .map(|key| (MismatchCause::AmpersandMissing, key))
        .into()
}

fn with_one_secret(encoded: SharedSecrets<'_>) -> [Misjoined; 4] {
    let SharedSecrets { consumer, token } = encoded;
    [
        joined(consumer, b"&", b""),
        joined(consumer, b"", b""),
        joined(b"", b"&", token),
        joined(token, b"", b""),
    ]
    .map(|key| (MismatchCause::SecretMissing, key))
}

fn not_encoded(plain: SharedSecrets<'_>, encoded: SharedSecrets<'_>) -> [Misjoined; 3] {
    [
        joined(plain.consumer, b"&", plain.token),
        joined(encoded.consumer, b"&", plain.token),
        joined(plain.consumer, b"&", encoded.token),
    ]
    .map(|key| (MismatchCause::SecretsNotEncoded, key))
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

/// The number of HMACs that take as long as a verification with 2048 bits. More bits cost the
/// square.
const RSA_COST: u32 = 5;
