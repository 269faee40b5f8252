//! Signature methods (RFC 5849 sections 3.4.2 to 3.4.4, and SHA-2 in their place as practice has it).

use std::fmt;

use aws_lc_rs::digest;
use base64::engine::general_purpose::STANDARD;
use base64::{DecodeSliceError, Engine as _};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::base_string::Message;
use super::encode::encode;
use super::hash::Hash;
use super::{KeySchedule, Rejection, RsaPublicKey};

/// A signature method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureMethod {
    /// `HMAC-SHA1` (RFC 5849 section 3.4.2).
    HmacSha1,
    /// `HMAC-SHA256`, section 3.4.2 with SHA-256.
    HmacSha256,
    /// `HMAC-SHA512`, section 3.4.2 with SHA-512.
    HmacSha512,
    /// `RSA-SHA1` (RFC 5849 section 3.4.3).
    RsaSha1,
    /// `RSA-SHA256`, section 3.4.3 with SHA-256.
    RsaSha256,
    /// `RSA-SHA512`, section 3.4.3 with SHA-512.
    RsaSha512,
    /// `PLAINTEXT` (RFC 5849 section 3.4.4).
    Plaintext,
}

impl SignatureMethod {
    /// Every method, in the order in which they are listed to people.
    pub const ALL: [Self; 7] = [
        Self::HmacSha1,
        Self::HmacSha256,
        Self::HmacSha512,
        Self::RsaSha1,
        Self::RsaSha256,
        Self::RsaSha512,
        Self::Plaintext,
    ];

    /// The name on the wire, for example `HMAC-SHA1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha512 => "HMAC-SHA512",
            Self::RsaSha1 => "RSA-SHA1",
            Self::RsaSha256 => "RSA-SHA256",
            Self::RsaSha512 => "RSA-SHA512",
            Self::Plaintext => "PLAINTEXT",
        }
    }

    /// The method of that name; names are case-sensitive.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|method| method.name().as_bytes() == name)
    }

    /// Whether it signs with an RSA key instead of the shared secrets.
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::RsaSha1 | Self::RsaSha256 | Self::RsaSha512)
    }
}

impl fmt::Display for SignatureMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a signature is held against.
///
/// # Security
/// A missing secret is not the empty secret: a consumer without a shared secret has an empty `consumer_secrets`, and
/// then no HMAC or PLAINTEXT signature matches.
#[derive(Clone, Copy)]
pub struct VerificationKeys<'k> {
    /// The consumer's secrets that are valid now: one, or two while one is being rotated.
    pub consumer_secrets: &'k [&'k [u8]],
    /// The token's secret; `None` when the request carries no token.
    pub token_secret: Option<&'k [u8]>,
    /// The consumer's RSA public keys.
    pub rsa_public_keys: &'k [&'k RsaPublicKey],
}

/// A signature that was sent, and what it is said to sign.
pub(super) struct Claim<'s, M: ?Sized> {
    pub(super) method: SignatureMethod,
    pub(super) message: &'s M,
    /// `oauth_signature`, decoded from the wire.
    pub(super) signature: &'s [u8],
    /// Whether the request carries a token, so that a token secret is needed.
    pub(super) with_token: bool,
    /// Where HMAC keys are remembered.
    pub(super) schedule: &'s KeySchedule,
}

impl<M: Message + ?Sized> Claim<'_, M> {
    /// Recomputes the signature with each key and compares; every key is tried, whichever matches.
    ///
    /// What is returned early depends on what was sent alone.
    pub(super) fn prove(&self, keys: &VerificationKeys<'_>) -> Result<(), Rejection> {
        let matches = match self.method {
            SignatureMethod::HmacSha1
            | SignatureMethod::HmacSha256
            | SignatureMethod::HmacSha512 => self.hmac(keys)?,
            SignatureMethod::RsaSha1 | SignatureMethod::RsaSha256 | SignatureMethod::RsaSha512 => {
                self.rsa(keys)?
            }
            SignatureMethod::Plaintext => self.plaintext(keys),
        };
        if matches.into() {
            Ok(())
        } else {
            Err(Rejection::SignatureMismatch)
        }
    }

    /// Section 3.4.2.
    fn hmac(&self, keys: &VerificationKeys<'_>) -> Result<Choice, Rejection> {
        let hash = self.method.hash();
        self.with_decoded(|sent| {
            self.any_secret(keys, |secrets| {
                self.schedule
                    .sign(hash, secrets, self.message, |expected| expected.ct_eq(sent))
            })
        })
    }

    /// Section 3.4.3; the token secret is not used.
    fn rsa(&self, keys: &VerificationKeys<'_>) -> Result<Choice, Rejection> {
        let hash = self.method.hash();
        self.with_decoded(|sent| {
            let digest = self.digest(hash);
            let verified = keys
                .rsa_public_keys
                .iter()
                .map(|key| key.verifies(hash, &digest, sent));
            verified.fold(Choice::from(0), |matched, verified| {
                matched | Choice::from(u8::from(verified))
            })
        })
    }

    /// Section 3.4.4. Hashes are compared, so that the length of the secrets does not show.
    fn plaintext(&self, keys: &VerificationKeys<'_>) -> Choice {
        let sent = Hash::Sha256.digest(self.signature);
        self.any_secret(keys, |(consumer, token)| {
            Hash::Sha256
                .digest(&signing_key(consumer, token))
                .ct_eq(&sent)
        })
    }

    fn any_secret(
        &self,
        keys: &VerificationKeys<'_>,
        matches: impl Fn((&[u8], &[u8])) -> Choice,
    ) -> Choice {
        let token_secret = match keys.token_secret {
            Some(secret) => secret,
            None if self.with_token => return Choice::from(0),
            None => b"",
        };
        let secrets = keys.consumer_secrets.iter();
        secrets.fold(Choice::from(0), |matched, secret| {
            matched | matches((*secret, token_secret))
        })
    }

    /// What `read` makes of the bytes of the signature; there must be one text only for them (section 3.4.2 and RFC 4648
    /// section 3.5).
    fn with_decoded<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Result<T, Rejection> {
        let mut room = [0; DECODED];
        match STANDARD.decode_slice(self.signature, &mut room) {
            Ok(len) => Ok(read(&room[..len])),
            Err(DecodeSliceError::DecodeError(_)) => Err(Rejection::SignatureNotCanonical),
            Err(DecodeSliceError::OutputSliceTooSmall) => {
                let decoded = STANDARD
                    .decode(self.signature)
                    .map_err(|_| Rejection::SignatureNotCanonical)?;
                Ok(read(&decoded))
            }
        }
    }

    fn digest(&self, hash: Hash) -> digest::Digest {
        let mut context = digest::Context::new(digest_algorithm(hash));
        self.message.write(&mut |piece| context.update(piece));
        context.finish()
    }
}

/// The hash that an RSA signature is verified with.
pub(super) fn digest_algorithm(hash: Hash) -> &'static digest::Algorithm {
    match hash {
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha512 => &digest::SHA512,
    }
}

/// Room for every HMAC, and for a signature by an RSA key of 4096 bits.
const DECODED: usize = 515;

/// Both secrets encoded and joined by `&`, which is never left out: the key of section 3.4.2 and the signature of
/// section 3.4.4.
pub(super) fn signing_key(consumer_secret: &[u8], token_secret: &[u8]) -> Zeroizing<Vec<u8>> {
    // Room for every byte escaped: growing would leave an unwiped copy behind.
    let room = 3 * (consumer_secret.len() + token_secret.len()) + 1;
    let mut key = Zeroizing::new(Vec::with_capacity(room));
    encode(consumer_secret, &mut |piece| key.extend_from_slice(piece));
    key.push(b'&');
    encode(token_secret, &mut |piece| key.extend_from_slice(piece));
    key
}
