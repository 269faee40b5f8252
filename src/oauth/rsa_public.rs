//! RSA public keys: reading PEM, and verifying signatures (RFC 5849 section 3.4.3).

use std::fmt;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicKey;
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPssSaltLength,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::hash::HashFunction;

/// An RSA public key.
///
/// # Security
/// A key of 1024 bits verifies here, so that captured requests can be explained. Registration
/// demands longer keys.
#[derive(Clone)]
pub struct RsaPublicKey {
    /// The SubjectPublicKeyInfo of RFC 5280 as aws-lc writes it: equal keys have equal bytes.
    spki: Box<[u8]>,
    bits: usize,
    /// One verifier per hash. Each holds what aws-lc computes for a key, a fifth of the time of a
    /// verification.
    verifiers: [ParsedPublicKey; 3],
}

/// The error for a text that is not a usable RSA public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RsaPublicKeyError {
    /// Not one of the three kinds of PEM, or the key of another algorithm.
    #[error(
        "not an RSA public key: expected PEM with BEGIN PUBLIC KEY, BEGIN RSA PUBLIC KEY or \
         BEGIN CERTIFICATE"
    )]
    NotAKey,
    /// A private key.
    #[error(
        "this is a private key: expected the public key, as `openssl pkey -in FILE -pubout` \
         prints it"
    )]
    Private,
    /// A key that is too short or too long.
    #[error("the RSA key has {0} bits: expected 1024 to 8192")]
    Length(usize),
}

impl RsaPublicKey {
    /// Reads a PEM text (`BEGIN PUBLIC KEY`, `BEGIN RSA PUBLIC KEY` or `BEGIN CERTIFICATE`).
    ///
    /// Takes only the key of a certificate, and checks neither its dates nor its issuer.
    ///
    /// # Errors
    /// Any other text, and a key that is too short or too long.
    pub fn from_pem(pem: &str) -> Result<Self, RsaPublicKeyError> {
        let (label, der) = decode_pem(pem).ok_or(RsaPublicKeyError::NotAKey)?;
        let key = match label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => &der[..],
            "CERTIFICATE" => certified_key(&der).ok_or(RsaPublicKeyError::NotAKey)?,
            private if private.ends_with("PRIVATE KEY") => return Err(RsaPublicKeyError::Private),
            _ => return Err(RsaPublicKeyError::NotAKey),
        };
        Self::from_der(key)
    }

    /// Returns the length of the modulus in bits.
    pub const fn bits(&self) -> usize {
        self.bits
    }

    /// Returns the key as PEM (`BEGIN PUBLIC KEY`).
    pub fn to_pem(&self) -> String {
        let text = STANDARD.encode(&self.spki);
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for at in (0..text.len()).step_by(PEM_COLUMNS) {
            pem.push_str(&text[at..text.len().min(at + PEM_COLUMNS)]);
            pem.push('\n');
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        pem
    }

    /// Returns the SHA-256 of the key in hexadecimal, over the bytes that `openssl pkey -pubin
    /// -outform DER` writes.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.spki)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Returns whether `signature` is the key's RSASSA-PKCS1-v1_5 signature of `digest`, made with
    /// `hash`.
    ///
    /// [RFC 5849 section 3.4.3](https://www.rfc-editor.org/rfc/rfc5849#section-3.4.3)
    pub(super) fn verifies(&self, hash: HashFunction, digest: &Digest, signature: &[u8]) -> bool {
        let [sha1, sha256, sha512] = &self.verifiers;
        let verifier = match hash {
            HashFunction::Sha1 => sha1,
            HashFunction::Sha256 => sha256,
            HashFunction::Sha512 => sha512,
        };
        verifier.verify_digest_sig(digest, signature).is_ok()
    }

    /// Returns verifiers of RSASSA-PSS signatures, which no signature method makes: with the salt
    /// as long as the hash, and as long as possible. None for a key that is too short for them.
    pub(super) fn with_pss(&self) -> Vec<(HashFunction, ParsedPublicKey)> {
        PSS.iter()
            .filter_map(|&(hash, scheme)| {
                Some((hash, ParsedPublicKey::new(scheme, &*self.spki).ok()?))
            })
            .collect()
    }

    fn from_der(der: &[u8]) -> Result<Self, RsaPublicKeyError> {
        let key = PublicKey::from_der(der).map_err(|_| RsaPublicKeyError::NotAKey)?;
        let spki: PublicKeyX509Der<'_> = key.as_der().map_err(|_| RsaPublicKeyError::NotAKey)?;
        let bits = modulus_bits(&key)?;
        let verifier =
            |scheme| ParsedPublicKey::new(scheme, &key).map_err(|_| RsaPublicKeyError::NotAKey);
        Ok(Self {
            spki: spki.as_ref().into(),
            bits,
            verifiers: [
                verifier(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY)?,
                verifier(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY)?,
                verifier(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY)?,
            ],
        })
    }
}

fn modulus_bits(key: &PublicKey) -> Result<usize, RsaPublicKeyError> {
    let bits = RsaParameters::public_modulus_len(key.as_ref())
        .map_err(|_| RsaPublicKeyError::NotAKey)? as usize;
    if (MIN_BITS..=MAX_BITS).contains(&bits) {
        Ok(bits)
    } else {
        Err(RsaPublicKeyError::Length(bits))
    }
}

impl PartialEq for RsaPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for RsaPublicKey {}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPublicKey")
            .field("bits", &self.bits)
            .finish_non_exhaustive()
    }
}

/// Returns the label and the bytes of the first PEM section (RFC 7468).
pub(super) fn decode_pem(pem: &str) -> Option<(&str, Vec<u8>)> {
    let (_, from_label) = pem.split_once("-----BEGIN ")?;
    let (label, from_text) = from_label.split_once("-----")?;
    let (text, from_end) = from_text.split_once("-----END ")?;
    if !from_end.starts_with(&format!("{label}-----")) {
        return None;
    }
    let text: String = text.split_ascii_whitespace().collect();
    Some((label, STANDARD.decode(text).ok()?))
}

/// Returns the SubjectPublicKeyInfo of a certificate (RFC 5280 section 4.1).
fn certified_key(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = read_der(certificate, SEQUENCE)?;
    let (to_be_signed, _) = read_der(certificate.content, SEQUENCE)?;
    let mut fields = to_be_signed.content;
    if let Some((_, after_version)) = read_der(fields, VERSION) {
        fields = after_version;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        fields = read_der(fields, tag)?.1;
    }
    Some(read_der(fields, SEQUENCE)?.0.whole)
}

/// One element of DER, with and without its header.
struct DerElement<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// Splits off the first element, if it has that tag.
fn read_der(input: &[u8], tag: u8) -> Option<(DerElement<'_>, &[u8])> {
    let (&found, after_tag) = input.split_first()?;
    let (len, after_len) = read_len(after_tag)?;
    if found != tag {
        return None;
    }
    let (content, rest) = after_len.split_at_checked(len)?;
    let whole = &input[..input.len() - rest.len()];
    Some((DerElement { whole, content }, rest))
}

/// Splits off a length: one byte, or the number of its bytes and then those.
fn read_len(input: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = input.split_first()?;
    match first {
        short @ ..0x80 => Some((usize::from(short), rest)),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long - 0x80))?;
            Some((big_endian(digits)?, rest))
        }
    }
}

fn big_endian(digits: &[u8]) -> Option<usize> {
    let append = |number, &digit: &u8| number << 8 | usize::from(digit);
    (digits.len() <= 4).then(|| digits.iter().fold(0, append))
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The key lengths that aws-lc verifies.
const MIN_BITS: usize = 1024;
const MAX_BITS: usize = 8192;

const PEM_COLUMNS: usize = 64;

/// The padding of RSASSA-PSS (RFC 8017 section 8.1), as clients use it.
const PSS: [(HashFunction, &RsaParameters); 4] = [
    (HashFunction::Sha256, &RSA_PSS_2048_8192_SHA256),
    (HashFunction::Sha512, &RSA_PSS_2048_8192_SHA512),
    (
        HashFunction::Sha256,
        &RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max),
    ),
    (
        HashFunction::Sha512,
        &RSA_PSS_2048_8192_SHA512.with_pss_salt_length(RsaPssSaltLength::Max),
    ),
];
