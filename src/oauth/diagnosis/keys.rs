//! The keys that a search tries (RFC 5849 sections 3.4.2 to 3.4.4): the right ones, and those that
//! clients are known to make of the right secrets.

use std::borrow::Cow;

use aws_lc_rs::digest;
use aws_lc_rs::signature::ParsedPublicKey;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::super::hash::HashFunction;
use super::super::hmac_key::HmacKey;
use super::super::shared_key::SharedSecrets;
use super::super::signature::digest_algorithm;
use super::super::{RsaPublicKey, SignatureMethod, SignedRequest, VerificationKeys};
use super::budget::RSA_COST;
use super::reading::SignatureReading;
use super::secrets::{KeyTexts, without_consumer_secret, without_token_secret};
use super::wrong_key::{SecretBytes, WrongKey};
use super::{MismatchCause, MismatchEvidence, remedy};

/// A key, and the cause if a client signs with it.
pub(super) struct CandidateKey<'k> {
    /// `None` for the right key.
    pub(super) cause: Option<MismatchCause>,
    /// A remedy that is more precise than that of the cause.
    pub(super) remedy: Option<Cow<'static, str>>,
    /// The secret at fault, for people.
    pub(super) secret: &'static str,
    /// The key is tried together with a change of the base string.
    pub(super) is_usual: bool,
    material: KeyMaterial<'k>,
}

enum KeyMaterial<'k> {
    Hmac(HmacKey),
    /// A hash of key and base string that is no HMAC, or one of them exchanged.
    Misused(HashFunction, HmacMisuse, SecretBytes),
    Plaintext(SecretBytes),
    Rsa(HashFunction, &'k RsaPublicKey),
    RsaPss {
        hash: HashFunction,
        bits: usize,
        key: Box<ParsedPublicKey>,
    },
}

/// A way to make a code of key and base string that is not the HMAC of RFC 2104.
#[derive(Clone, Copy)]
enum HmacMisuse {
    /// The HMAC of the key under the base string.
    Exchanged,
    /// The hash of base string and key.
    TextFirst,
    /// The hash of key and base string.
    KeyFirst,
    /// The hash of base string and key, joined by `&`.
    Joined,
}

impl HmacMisuse {
    const ALL: [Self; 4] = [
        Self::Exchanged,
        Self::TextFirst,
        Self::KeyFirst,
        Self::Joined,
    ];

    const fn remedy(self) -> &'static str {
        match self {
            Self::Exchanged => remedy::HMAC_EXCHANGED,
            Self::TextFirst | Self::KeyFirst | Self::Joined => remedy::HASH_FOR_HMAC,
        }
    }

    fn code(self, hash: HashFunction, key: &[u8], text: &[u8]) -> Vec<u8> {
        // Wiped, since it holds the key.
        let joined = |parts: &[&[u8]]| Zeroizing::new(parts.concat());
        let message = match self {
            Self::Exchanged => return HmacKey::new(hash, text).sign(key, <[u8]>::to_vec),
            Self::TextFirst => joined(&[text, key]),
            Self::KeyFirst => joined(&[key, text]),
            Self::Joined => joined(&[text, b"&", key]),
        };
        hash.digest(&message)
    }
}

impl<'k> CandidateKey<'k> {
    /// Returns the keys that verify a request with this signature method.
    pub(super) fn right(keys: &VerificationKeys<'k>, signed: &SignedRequest<'_>) -> Vec<Self> {
        let token = token_secret(keys, signed);
        of_method(signed.signature_method(), keys, token, None)
    }

    /// Returns the right keys with another method or padding than the request names.
    pub(super) fn of_other_methods(
        keys: &VerificationKeys<'k>,
        signed: &SignedRequest<'_>,
    ) -> Vec<Self> {
        let token = token_secret(keys, signed);
        let mut others = other_methods(signed.signature_method(), keys, token);
        others.extend(with_other_padding(keys));
        others
    }

    /// Returns the right keys of clients that do not use HMAC as RFC 5849 section 3.4.2 says.
    pub(super) fn without_hmac(
        keys: &VerificationKeys<'k>,
        signed: &SignedRequest<'_>,
    ) -> Vec<Self> {
        let method = signed.signature_method();
        let token = token_secret(keys, signed);
        let Some(token) =
            token.filter(|_| !method.is_rsa() && method != SignatureMethod::Plaintext)
        else {
            return Vec::new();
        };
        let secrets = keys.consumer_secrets.iter();
        let of_secret = |consumer| {
            HmacMisuse::ALL.map(|misuse| {
                let key = SharedSecrets { consumer, token }.signing_key();
                let material = KeyMaterial::Misused(method.hash(), misuse, key);
                Self {
                    remedy: Some(Cow::Borrowed(misuse.remedy())),
                    ..Self::of(Some(MismatchCause::HmacMisused), material)
                }
            })
        };
        secrets.flat_map(|consumer| of_secret(consumer)).collect()
    }

    /// Returns the keys that clients are known to sign with instead of the right secrets, in the
    /// order of their causes. Each cause depends on a secret.
    pub(super) fn of_wrong_secrets(
        evidence: &MismatchEvidence<'k>,
        signed: &SignedRequest<'_>,
    ) -> Vec<Self> {
        let (method, keys) = (signed.signature_method(), &evidence.keys);
        if method.is_rsa() {
            return Vec::new();
        }
        let mut wrong = misused(method, keys, signed);
        if let Some(token) = token_secret(keys, signed) {
            wrong.extend(expired(method, evidence.expired_secrets, token));
        }
        wrong
    }

    const fn of(cause: Option<MismatchCause>, material: KeyMaterial<'k>) -> Self {
        Self {
            cause,
            remedy: None,
            secret: "",
            is_usual: true,
            material,
        }
    }

    fn shared(cause: Option<MismatchCause>, method: SignatureMethod, key: &[u8]) -> Self {
        let material = if method == SignatureMethod::Plaintext {
            KeyMaterial::Plaintext(Zeroizing::new(key.to_vec()))
        } else {
            KeyMaterial::Hmac(HmacKey::new(method.hash(), key))
        };
        Self::of(cause, material)
    }

    /// Returns the number of HMACs that take as long.
    pub(super) fn cost(&self) -> u32 {
        match self.material {
            KeyMaterial::Hmac(_) | KeyMaterial::Misused(..) => 1,
            KeyMaterial::Plaintext(_) => 0,
            KeyMaterial::Rsa(_, key) => rsa_cost(key.bits()),
            KeyMaterial::RsaPss { bits, .. } => rsa_cost(bits),
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
            KeyMaterial::Misused(hash, misuse, key) => {
                let code = misuse.code(*hash, key, base_string);
                readings.find(|reading| is_equal(reading.bytes.as_deref(), &code))
            }
            KeyMaterial::Plaintext(key) => {
                readings.find(|reading| is_equal(reading.text.as_deref(), key))
            }
            KeyMaterial::Rsa(hash, key) => {
                let digest = digest::digest(digest_algorithm(*hash), base_string);
                let verifies = |bytes: &[u8]| key.verifies(*hash, &digest, bytes);
                readings.find(|reading| reading.bytes.as_deref().is_some_and(verifies))
            }
            KeyMaterial::RsaPss { hash, key, .. } => {
                let digest = digest::digest(digest_algorithm(*hash), base_string);
                let verifies = |bytes: &[u8]| key.verify_digest_sig(&digest, bytes).is_ok();
                readings.find(|reading| reading.bytes.as_deref().is_some_and(verifies))
            }
        }
    }
}

fn rsa_cost(bits: usize) -> u32 {
    let times = u32::try_from(bits.div_ceil(2048)).unwrap_or(u32::MAX);
    RSA_COST.saturating_mul(times.saturating_mul(times))
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
        let rsa =
            |key: &&'k RsaPublicKey| CandidateKey::of(cause, KeyMaterial::Rsa(method.hash(), key));
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
    let mut wrong = Vec::new();
    for other in others.filter(|&other| other != method) {
        let keys = of_method(other, keys, token, cause).into_iter();
        wrong.extend(keys.map(|key| CandidateKey {
            remedy: Some(remedy::OTHER_METHOD.replace("{other}", other.name()).into()),
            ..key
        }));
    }
    wrong
}

/// Returns the keys of clients that pad as RSASSA-PSS says (RFC 8017 section 8.1).
fn with_other_padding<'k>(keys: &VerificationKeys<'k>) -> Vec<CandidateKey<'k>> {
    let cause = Some(MismatchCause::RsaPadding);
    let mut padded = Vec::new();
    for public in keys.rsa_public_keys {
        for (hash, key) in public.with_pss() {
            let material = KeyMaterial::RsaPss {
                hash,
                bits: public.bits(),
                key: Box::new(key),
            };
            padded.push(CandidateKey::of(cause, material));
        }
    }
    padded
}

/// Returns the keys that clients wrongly make of the right secrets.
fn misused<'k>(
    method: SignatureMethod,
    keys: &VerificationKeys<'k>,
    signed: &SignedRequest<'_>,
) -> Vec<CandidateKey<'k>> {
    wrong_keys(keys, signed)
        .into_iter()
        .map(|wrong| CandidateKey {
            remedy: wrong.remedy.map(Cow::Borrowed),
            secret: wrong.secret,
            is_usual: wrong.is_usual,
            ..CandidateKey::shared(Some(wrong.cause), method, &wrong.key)
        })
        .collect()
}

/// Returns the wrong keys that can be made of the secrets that are known.
fn wrong_keys(keys: &VerificationKeys<'_>, signed: &SignedRequest<'_>) -> Vec<WrongKey> {
    let consumer_secrets = keys.consumer_secrets.iter();
    match (token_secret(keys, signed), signed.token()) {
        (Some(token_secret), token) if !keys.consumer_secrets.is_empty() => consumer_secrets
            .flat_map(|consumer_secret| {
                let texts = KeyTexts {
                    consumer_secret,
                    token_secret,
                    consumer_key: signed.consumer_key(),
                    token: token.unwrap_or_default(),
                };
                texts.wrong_keys()
            })
            .collect(),
        (Some(token_secret), Some(_)) => without_consumer_secret(token_secret),
        (None, _) => consumer_secrets
            .flat_map(|consumer| without_token_secret(consumer))
            .collect(),
        (Some(_), None) => Vec::new(),
    }
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
