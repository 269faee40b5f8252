//! RSA public keys: reading them from PEM, and verifying with them (RFC 5849 section 3.4.3).

use std::fmt;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicKey;
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RsaParameters,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::hash::Hash;

/// An RSA public key.
///
/// # Security
/// 1024 bits are enough to verify here, so that captured requests can be explained; what may be registered is decided by
/// whoever keeps it.
#[derive(Clone)]
pub struct RsaPublicKey {
    /// SubjectPublicKeyInfo of RFC 5280, as aws-lc writes it: equal keys are equal bytes.
    spki: Box<[u8]>,
    bits: usize,
    /// One per hash: what aws-lc computes for a key is kept with it, a fifth of the time of a verification.
    verifiers: [ParsedPublicKey; 3],
}

/// Why a text is not an RSA public key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RsaPublicKeyError {
    /// The text is none of the three kinds of PEM, or not of an RSA key.
    #[error(
        "not an RSA public key: expected PEM with BEGIN PUBLIC KEY, BEGIN RSA PUBLIC KEY or BEGIN CERTIFICATE"
    )]
    NotAKey,
    /// The text is a private key, which does not belong here.
    #[error(
        "this is a private key: expected the public key, as `openssl pkey -in FILE -pubout` prints it"
    )]
    Private,
    /// No signature of a key of that length is verified.
    #[error("the RSA key has {0} bits: expected 1024 to 8192")]
    Length(usize),
}

impl RsaPublicKey {
    /// Reads a PEM text (`BEGIN PUBLIC KEY`, `BEGIN RSA PUBLIC KEY` or `BEGIN CERTIFICATE`).
    ///
    /// Of a certificate only the key is taken: neither its dates nor its issuer are looked at.
    ///
    /// # Errors
    /// When the text is none of these, or of a key that is too short or too long.
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

    /// The length of the modulus in bits.
    pub const fn bits(&self) -> usize {
        self.bits
    }

    /// The key as PEM (`BEGIN PUBLIC KEY`).
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

    /// The SHA-256 of the key as `openssl pkey -pubin -outform DER` writes it, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.spki)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Whether `signature` is its RSASSA-PKCS1-v1_5 signature of `digest`, made with `hash`.
    pub(super) fn verifies(&self, hash: Hash, digest: &Digest, signature: &[u8]) -> bool {
        let [sha1, sha256, sha512] = &self.verifiers;
        let verifier = match hash {
            Hash::Sha1 => sha1,
            Hash::Sha256 => sha256,
            Hash::Sha512 => sha512,
        };
        verifier.verify_digest_sig(digest, signature).is_ok()
    }

    fn from_der(der: &[u8]) -> Result<Self, RsaPublicKeyError> {
        let key = PublicKey::from_der(der).map_err(|_| RsaPublicKeyError::NotAKey)?;
        let spki: PublicKeyX509Der<'_> = key.as_der().map_err(|_| RsaPublicKeyError::NotAKey)?;
        let bits = RsaParameters::public_modulus_len(key.as_ref())
            .map_err(|_| RsaPublicKeyError::NotAKey)? as usize;
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(RsaPublicKeyError::Length(bits));
        }
        let parse =
            |scheme| ParsedPublicKey::new(scheme, &key).map_err(|_| RsaPublicKeyError::NotAKey);
        let verifiers = [
            parse(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY)?,
            parse(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY)?,
            parse(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY)?,
        ];
        Ok(Self {
            spki: spki.as_ref().into(),
            bits,
            verifiers,
        })
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

/// The label and the bytes of the first PEM section (RFC 7468).
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

/// The SubjectPublicKeyInfo of a certificate (RFC 5280 section 4.1).
fn certified_key(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = read_der(certificate, SEQUENCE)?;
    let (mut fields, _) =
        read_der(certificate.content, SEQUENCE).map(|(tbs, rest)| (tbs.content, rest))?;
    if let Some((_, after_version)) = read_der(fields, VERSION) {
        fields = after_version;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        fields = read_der(fields, tag)?.1;
    }
    Some(read_der(fields, SEQUENCE)?.0.whole)
}

/// One element of DER.
struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// The first element, if it has that tag, and what follows it.
fn read_der(input: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    let (&[found, first], _) = input.split_first_chunk()?;
    let (header, len) = match usize::from(first) {
        short @ ..0x80 => (2, short),
        long => {
            let digits = input
                .get(2..2 + (long - 0x80))
                .filter(|digits| digits.len() <= 4)?;
            (
                2 + digits.len(),
                digits
                    .iter()
                    .fold(0, |len, &digit| len << 8 | usize::from(digit)),
            )
        }
    };
    let end = header.checked_add(len)?;
    let whole = input.get(..end).filter(|_| found == tag)?;
    Some((
        Element {
            whole,
            content: &whole[header..],
        },
        &input[end..],
    ))
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// What aws-lc verifies.
const MIN_BITS: usize = 1024;
const MAX_BITS: usize = 8192;

const PEM_COLUMNS: usize = 64;
