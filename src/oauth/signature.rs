//! Verifying a signature (RFC 5849 sections 3.4.2 to 3.4.4).

use aws_lc_rs::digest;
use base64::engine::general_purpose::STANDARD;
use base64::{DecodeSliceError, Engine as _};
use subtle::{Choice, ConstantTimeEq as _};

use super::hash::HashFunction;
use super::message::Message;
use super::shared_key::SharedSecrets;
use super::{KeySchedule, Rejection, RsaPublicKey, SignatureMethod};

/// The keys that may prove a signature.
///
/// # Security
/// A missing secret is not the empty secret: a consumer without a shared secret has an empty
/// `consumer_secrets`, and then no HMAC or PLAINTEXT signature matches.
#[derive(Clone, Copy)]
pub struct VerificationKeys<'k> {
    /// The consumer's valid secrets: one, or two during a rotation.
    pub consumer_secrets: &'k [&'k [u8]],
    /// The token's secret; `None` if the request has no token.
    pub token_secret: Option<&'k [u8]>,
    /// The consumer's RSA public keys.
    pub rsa_public_keys: &'k [&'k RsaPublicKey],
}

/// A signature, and the message that it claims to sign.
pub(super) struct SignatureClaim<'s, M: ?Sized> {
    pub(super) method: SignatureMethod,
    pub(super) message: &'s M,
    /// `oauth_signature`, percent-decoded.
    pub(super) signature: &'s [u8],
    /// The request has a token, so a token secret is needed.
    pub(super) with_token: bool,
    /// The cache of HMAC keys.
    pub(super) schedule: &'s KeySchedule,
}

impl<M: Message + ?Sized> SignatureClaim<'_, M> {
    /// Recomputes the signature with every key and compares in constant time, even after one key
    /// matched.
    ///
    /// An early return depends only on the request, never on a key.
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

    /// Verifies a signature by HMAC.
    ///
    /// [RFC 5849 section 3.4.2](https://www.rfc-editor.org/rfc/rfc5849#section-3.4.2)
    fn hmac(&self, keys: &VerificationKeys<'_>) -> Result<Choice, Rejection> {
        let hash = self.method.hash();
        self.with_decoded(|sent| {
            self.any_secret(keys, |secrets| {
                self.schedule
                    .sign(hash, secrets, self.message, |expected| expected.ct_eq(sent))
            })
        })
    }

    /// Verifies a signature by RSA, which uses no token secret ([RFC 5849 section
    /// 3.4.3](https://www.rfc-editor.org/rfc/rfc5849#section-3.4.3)).
    fn rsa(&self, keys: &VerificationKeys<'_>) -> Result<Choice, Rejection> {
        let hash = self.method.hash();
        self.with_decoded(|sent| {
            let digest = self.digest(hash);
            keys.rsa_public_keys
                .iter()
                .map(|key| Choice::from(u8::from(key.verifies(hash, &digest, sent))))
                .fold(Choice::from(0), |matched, verified| matched | verified)
        })
    }

    /// Compares hashes, so that the time does not show the length of the secrets.
    ///
    /// [RFC 5849 section 3.4.4](https://www.rfc-editor.org/rfc/rfc5849#section-3.4.4)
    fn plaintext(&self, keys: &VerificationKeys<'_>) -> Choice {
        let sent = HashFunction::Sha256.digest(self.signature);
        self.any_secret(keys, |secrets| {
            HashFunction::Sha256
                .digest(&secrets.signing_key())
                .ct_eq(&sent)
        })
    }

    fn any_secret(
        &self,
        keys: &VerificationKeys<'_>,
        matches: impl Fn(SharedSecrets<'_>) -> Choice,
    ) -> Choice {
        let token = match keys.token_secret {
            Some(secret) => secret,
            None if self.with_token => return Choice::from(0),
            None => b"",
        };
        keys.consumer_secrets
            .iter()
            .map(|consumer| matches(SharedSecrets { consumer, token }))
            .fold(Choice::from(0), |matched, verified| matched | verified)
    }

    /// Decodes the signature and passes its bytes to `read`.
    ///
    /// Only one text may stand for them (section 3.4.2 and RFC 4648 section 3.5).
    fn with_decoded<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Result<T, Rejection> {
        let mut room = [0; USUAL_LEN];
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

    fn digest(&self, hash: HashFunction) -> digest::Digest {
        let mut context = digest::Context::new(digest_algorithm(hash));
        self.message.write(&mut |piece| context.update(piece));
        context.finish()
    }
}

/// Returns the hash of an RSA signature, for aws-lc.
pub(super) fn digest_algorithm(hash: HashFunction) -> &'static digest::Algorithm {
    match hash {
        HashFunction::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        HashFunction::Sha256 => &digest::SHA256,
        HashFunction::Sha512 => &digest::SHA512,
    }
}

/// Room for every HMAC, and for a signature by an RSA key of 4096 bits.
const USUAL_LEN: usize = 515;
