//! A signed request, and the proof of its signature.

use std::borrow::Cow;

use super::base_string::BaseString;
use super::body_hash::BodyCheck;
use super::compat::compat_variants;
use super::credentials::ProtocolCredentials;
use super::message::Message;
use super::signature::SignatureClaim;
use super::wire::WireParameters;
use super::{
    BodyHashRule, CompatProfile, CompatSet, KeySchedule, ParameterPlace, Rejection, Request,
    SignatureMethod, VerificationKeys,
};

/// A request with a well-formed signature that is not proven yet.
pub struct SignedRequest<'a> {
    pub(super) request: Request<'a>,
    pub(super) credentials: ProtocolCredentials<'a>,
    pub(super) base_string: BaseString<'a>,
    pub(super) realm: Option<Cow<'a, [u8]>>,
    pub(super) place: ParameterPlace,
    pub(super) is_form: bool,
}

impl<'a> SignedRequest<'a> {
    /// Returns `oauth_consumer_key`, decoded; never empty.
    pub fn consumer_key(&self) -> &[u8] {
        &self.credentials.consumer_key
    }

    /// Returns `oauth_token`, decoded; `None` if it is absent or empty.
    pub fn token(&self) -> Option<&[u8]> {
        self.credentials.token.as_deref()
    }

    /// Returns `oauth_signature_method`.
    pub const fn signature_method(&self) -> SignatureMethod {
        self.credentials.method
    }

    /// Returns `oauth_timestamp` in seconds; `None` only with PLAINTEXT.
    pub const fn timestamp(&self) -> Option<u64> {
        self.credentials.timestamp
    }

    /// Returns `oauth_nonce`, decoded; `None` only with PLAINTEXT.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.credentials.nonce.as_deref()
    }

    /// Returns the `realm` of the Authorization header, unquoted, if it has one.
    pub fn realm(&self) -> Option<&[u8]> {
        self.realm.as_deref()
    }

    /// Returns whether the protocol parameters came in the Authorization header.
    pub fn in_header(&self) -> bool {
        self.place == ParameterPlace::Header
    }

    /// Returns `oauth_signature`, percent-decoded.
    pub(super) fn signature(&self) -> &[u8] {
        &self.credentials.signature
    }

    /// Returns the decoded values of a parameter in the order of the base string, from every place;
    /// `oauth_signature` has none here.
    ///
    /// `name` has unreserved characters only (RFC 3986 section 2.3).
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = Cow<'a, [u8]>> + 's {
        self.base_string.values(name.as_bytes())
    }

    /// Returns the signature base string (RFC 5849 section 3.4.1), for people to read.
    pub fn base_string(&self) -> Vec<u8> {
        self.base_string.to_vec()
    }

    /// Returns the signature base string with `***` for every name and value that only the sender
    /// may see.
    pub fn masked_base_string(&self) -> Vec<u8> {
        self.base_string.to_masked_vec()
    }

    /// Verifies the signature with each of `keys` in constant time, then the body against
    /// `oauth_body_hash` as `rule` says.
    ///
    /// [RFC 5849 section 3.2](https://www.rfc-editor.org/rfc/rfc5849#section-3.2)
    ///
    /// # Errors
    /// [`Rejection::SignatureMismatch`] and [`Rejection::SignatureNotCanonical`]. Only after the
    /// signature is proven: [`Rejection::VersionUnsupported`], [`Rejection::BodyHashAbsent`],
    /// [`Rejection::BodyHashMismatch`] and [`Rejection::BodyNotWhole`].
    pub fn verify(
        self,
        keys: &VerificationKeys<'_>,
        rule: BodyHashRule,
    ) -> Result<Verified<'a>, Rejection> {
        self.verify_under(CompatSet::NONE, keys, &KeySchedule::default(), rule)
    }

    /// Verifies as [`verify`](Self::verify) does. If RFC 5849 does not prove the signature, the
    /// profiles of `compat` may. `schedule` caches the HMAC key of the first of `keys`.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    ///
    /// # Security
    /// `compat` must be the consumer's own. The time that a refusal takes shows whether the
    /// consumer has any profile.
    pub fn verify_under(
        self,
        compat: CompatSet,
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
        rule: BodyHashRule,
    ) -> Result<Verified<'a>, Rejection> {
        self.check(compat, keys, schedule, rule)?;
        Ok(Verified { signed: self })
    }

    /// Does the work of [`verify_under`](Self::verify_under), and gives no proof away.
    pub(super) fn check(
        &self,
        compat: CompatSet,
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
        rule: BodyHashRule,
    ) -> Result<(), Rejection> {
        let scope = self.prove(compat, keys, schedule)?;
        if !self.credentials.has_strict_version && !compat.contains(CompatProfile::VersionLenient) {
            return Err(Rejection::VersionUnsupported);
        }
        self.check_body(scope, compat, rule)
    }

    fn prove(
        &self,
        compat: CompatSet,
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
    ) -> Result<ProofScope, Rejection> {
        match self.claim(&self.base_string, schedule).prove(keys) {
            Ok(()) => Ok(ProofScope::WithForm),
            Err(Rejection::SignatureMismatch) if !compat.is_empty() => {
                self.prove_variant(compat, keys, schedule)
            }
            Err(rejection) => Err(rejection),
        }
    }

    /// Tries the few other base strings that the profiles allow.
    fn prove_variant(
        &self,
        compat: CompatSet,
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
    ) -> Result<ProofScope, Rejection> {
        let wire = WireParameters::of(&self.request).ok_or(Rejection::SignatureMismatch)?;
        let mut tried = vec![self.base_string()];
        for variant in compat_variants(compat, &self.request, &wire) {
            let Some(base_string) = variant.base_string(&wire).map(|text| text.to_vec()) else {
                continue;
            };
            if tried.contains(&base_string) {
                continue;
            }
            let claim = self.claim(base_string.as_slice(), schedule);
            if claim.prove(keys).is_ok() {
                return Ok(ProofScope::of(variant.with_form));
            }
            tried.push(base_string);
        }
        Err(Rejection::SignatureMismatch)
    }

    fn check_body(
        &self,
        scope: ProofScope,
        compat: CompatSet,
        rule: BodyHashRule,
    ) -> Result<(), Rejection> {
        let check = BodyCheck {
            method: self.credentials.method,
            sent: self.credentials.body_hash.as_deref(),
            body: self.request.body,
            is_signed_form: self.is_form && scope == ProofScope::WithForm,
        };
        check.check(scope.body_hash_rule(compat, rule))
    }

    fn claim<'s, M: Message + ?Sized>(
        &'s self,
        message: &'s M,
        schedule: &'s KeySchedule,
    ) -> SignatureClaim<'s, M> {
        SignatureClaim {
            method: self.credentials.method,
            message,
            signature: &self.credentials.signature,
            with_token: self.credentials.token.is_some(),
            schedule,
        }
    }
}

/// The part of a request that a matching signature covers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProofScope {
    /// The base string holds the parameters of a form body.
    WithForm,
    /// The base string leaves a form body out.
    WithoutForm,
}

impl ProofScope {
    const fn of(with_form: bool) -> Self {
        if with_form {
            Self::WithForm
        } else {
            Self::WithoutForm
        }
    }

    /// Returns the rule that holds for the body, given that of the route.
    ///
    /// # Security
    /// Only the hash covers a form that is not in the base string, so the route cannot waive it.
    /// With that profile a hash counts even if the body came with another type: nothing signs the
    /// `Content-Type`.
    const fn body_hash_rule(self, compat: CompatSet, route: BodyHashRule) -> BodyHashRule {
        match (self, route) {
            (Self::WithoutForm, _) => BodyHashRule::Require,
            (Self::WithForm, BodyHashRule::Off)
                if compat.contains(CompatProfile::BodyUnsignedForm) =>
            {
                BodyHashRule::Accept
            }
            (Self::WithForm, rule) => rule,
        }
    }
}

/// Proof that the holder of the keys signed this request.
pub struct Verified<'a> {
    signed: SignedRequest<'a>,
}

impl<'a> Verified<'a> {
    /// Returns the proven request.
    pub const fn request(&self) -> &SignedRequest<'a> {
        &self.signed
    }
}
