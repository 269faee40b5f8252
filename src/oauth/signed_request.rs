//! A signed request, and the proof of its signature.

use std::borrow::Cow;

use super::base_string::BaseString;
use super::body_hash::{BodyCheck, BodyHashing};
use super::compat::compat_variants;
use super::credentials::ProtocolCredentials;
use super::form::BodyType;
use super::message::Message;
use super::signature::SignatureClaim;
use super::wire::WireParameters;
use super::{
    BodyHashRule, CompatProfile, CompatSet, KeySchedule, ParameterPlace, Rejection, Request,
    RequestBody, SignatureMethod, VerificationKeys,
};

/// A request with a well-formed signature that is not proven yet.
pub struct SignedRequest<'a> {
    pub(super) request: Request<'a>,
    pub(super) credentials: ProtocolCredentials<'a>,
    pub(super) base_string: BaseString<'a>,
    pub(super) realm: Option<Cow<'a, [u8]>>,
    pub(super) place: ParameterPlace,
    pub(super) body_type: BodyType,
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
        let scope = self.prove_under(compat, keys, schedule, rule)?;
        scope.check_body(&self, None)?;
        Ok(Verified { signed: self })
    }

    /// Proves the signature as [`verify_under`](Self::verify_under) does, and leaves the body to
    /// [`ProvenScope::check_body`].
    pub(super) fn prove_under(
        &self,
        compat: CompatSet,
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
        rule: BodyHashRule,
    ) -> Result<ProvenScope, Rejection> {
        let scope = self.prove(compat, keys, schedule)?;
        self.proven_scope(scope == ProofScope::WithForm, compat, rule)
    }

    /// Proves the signature with each of `keys` as [`verify_under`](Self::verify_under) does, and
    /// leaves the body to the [`ProvenSignature`].
    ///
    /// # Errors
    /// As [`verify_under`](Self::verify_under), without those of the body.
    pub fn prove_signature(
        self,
        compat: CompatSet,
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
        rule: BodyHashRule,
    ) -> Result<ProvenSignature<'a>, Rejection> {
        let scope = self.prove_under(compat, keys, schedule, rule)?;
        Ok(ProvenSignature {
            signed: self,
            scope,
        })
    }

    /// Refuses a body that the signature does not cover and that some backends read as a form. An
    /// attacker could move the signed parameters to the query and send another form.
    ///
    /// # Errors
    /// [`Rejection::BodyUntyped`] and [`Rejection::BodyTypeUnclear`], unless `rule` compares the
    /// `oauth_body_hash` of the request with the body.
    pub fn refuse_unclear_body(&self, rule: BodyHashRule) -> Result<(), Rejection> {
        let has_hash = self.credentials.body_hash.is_some() && rule != BodyHashRule::Off;
        match (self.body_type, self.request.body) {
            (BodyType::Form | BodyType::Other, _) | (_, RequestBody::Whole(b"")) => Ok(()),
            _ if has_hash => Ok(()),
            (BodyType::Absent, RequestBody::Unseen) => Ok(()),
            (BodyType::Absent, _) => Err(Rejection::BodyUntyped),
            (BodyType::Unclear, _) => Err(Rejection::BodyTypeUnclear),
        }
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
        if self.is_too_long_for_variants() {
            return Err(Rejection::SignatureMismatch);
        }
        let wire = WireParameters::of(&self.request).ok_or(Rejection::SignatureMismatch)?;
        let mut tried = vec![self.base_string()];
        for variant in compat_variants(compat, &self.request, &wire) {
            let Some(base_string) = variant.base_string(&wire).map(|text| text.to_vec()) else {
                continue;
            };
            if tried.contains(&base_string) {
                continue;
            }
            if self.signs(&base_string, keys, schedule) {
                return Ok(ProofScope::of(variant.with_form));
            }
            tried.push(base_string);
        }
        Err(Rejection::SignatureMismatch)
    }

    /// Returns whether a text is the base string that the client signed.
    pub(super) fn signs(
        &self,
        text: &[u8],
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
    ) -> bool {
        self.claim(text, schedule).prove(keys).is_ok()
    }

    /// Returns the scope of a proof with a base string under `compat`, with or without the form.
    pub(super) fn proven_scope(
        &self,
        with_form: bool,
        compat: CompatSet,
        rule: BodyHashRule,
    ) -> Result<ProvenScope, Rejection> {
        if !self.credentials.has_strict_version && !compat.contains(CompatProfile::VersionLenient) {
            return Err(Rejection::VersionUnsupported);
        }
        Ok(ProvenScope {
            with_form,
            rule: ProofScope::of(with_form).body_hash_rule(compat, rule),
        })
    }

    /// Returns whether the request has more parameters than the base strings of profiles are
    /// computed for.
    pub(super) fn is_too_long_for_variants(&self) -> bool {
        self.parameter_bytes() > VARIANT_LIMIT
    }

    /// Returns the length of header, target and form body, which hold the parameters.
    fn parameter_bytes(&self) -> usize {
        let form = match (self.body_type, self.request.body) {
            (BodyType::Form, RequestBody::Whole(form)) => form.len(),
            _ => 0,
        };
        let headers = self.request.authorization.iter();
        self.request.target.len() + form + headers.map(|header| header.len()).sum::<usize>()
    }

    fn body_check<'s>(&'s self, scope: ProvenScope) -> BodyCheck<'s, 'a> {
        BodyCheck {
            method: self.credentials.method,
            sent: self.credentials.body_hash.as_deref(),
            body: self.request.body,
            is_signed_form: self.body_type == BodyType::Form && scope.with_form,
        }
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

/// The part of a request that a proven signature covers, and the rule for its body.
#[derive(Clone, Copy)]
pub(super) struct ProvenScope {
    with_form: bool,
    rule: BodyHashRule,
}

impl ProvenScope {
    /// Compares the body with `oauth_body_hash`, if the rule demands it. `hashed` is the hash of the
    /// body if it is computed already.
    pub(super) fn check_body(
        self,
        signed: &SignedRequest<'_>,
        hashed: Option<BodyHashing<'_>>,
    ) -> Result<(), Rejection> {
        signed.body_check(self).check(self.rule, hashed)
    }
}

/// A request with a proven signature, whose body is not compared with `oauth_body_hash` yet.
pub struct ProvenSignature<'a> {
    signed: SignedRequest<'a>,
    scope: ProvenScope,
}

impl<'a> ProvenSignature<'a> {
    /// Returns the hashing of a large body that must be compared, to be done in steps.
    pub fn body_hashing(&self) -> Option<BodyHashing<'a>> {
        let body = self.signed.body_check(self.scope);
        body.hashing(self.scope.rule)
    }

    /// Compares the body with `oauth_body_hash`; `hashed` is [`body_hashing`](Self::body_hashing)
    /// after its last step, if there is any.
    ///
    /// # Errors
    /// [`Rejection::BodyHashAbsent`], [`Rejection::BodyHashMismatch`] and
    /// [`Rejection::BodyNotWhole`].
    pub fn check_body(self, hashed: Option<BodyHashing<'_>>) -> Result<Verified<'a>, Rejection> {
        self.scope.check_body(&self.signed, hashed)?;
        Ok(Verified {
            signed: self.signed,
        })
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

/// The most bytes of header, query and form for which the base strings of profiles are computed, in
/// addition to that of RFC 5849.
const VARIANT_LIMIT: usize = 16 * 1024;
