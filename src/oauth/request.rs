//! A request, from bytes to proof.

use std::borrow::Cow;

use super::base_string::{BaseString, Message};
use super::body_hash::BodyCheck;
use super::compat::compat_variants;
use super::header::oauth_credentials;
use super::media_type::is_form;
use super::params::{Collector, Protocol};
use super::signature::Claim;
use super::uri::{BaseUri, split_target};
use super::wire::Wire;
use super::{
    BodyHashRule, CompatProfile, CompatSet, KeySchedule, ParameterPlace, ParameterSet,
    ProtocolParameter, Rejection, SignatureMethod, VerificationKeys,
};

/// The scheme that the client signed (RFC 5849 section 3.4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`, default port 80.
    Http,
    /// `https`, default port 443.
    Https,
}

/// The body of a request, as far as it is here.
#[derive(Clone, Copy)]
pub enum RequestBody<'a> {
    /// Every byte of the body.
    Whole(&'a [u8]),
    /// There is, or may be, a body that is not wholly here: it can not be verified.
    NotWhole,
}

/// A request as the client sent it, borrowed from wherever it arrived.
///
/// `Debug` is deliberately absent: headers and bodies carry secrets.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The HTTP method as on the wire.
    pub method: &'a [u8],
    /// The scheme that the client signed.
    pub scheme: Scheme,
    /// The `Host` header or `:authority`, as on the wire: any case, with its port if it has one.
    pub authority: &'a [u8],
    /// What a proxy in front took off the path, to be put back in front of it; mostly empty.
    pub path_prefix: &'a [u8],
    /// Path and query as on the wire; split at the first `?`, never parsed as a URL.
    pub target: &'a [u8],
    /// The value of every `Authorization` header.
    pub authorization: &'a [&'a [u8]],
    /// The value of every `Content-Type` header.
    pub content_type: &'a [&'a [u8]],
    /// The body.
    pub body: RequestBody<'a>,
}

/// Bounds on what is worth parsing.
#[derive(Clone, Copy, Debug)]
pub struct ParseLimits {
    /// The most parameters of header, query and body together.
    pub parameters: usize,
    /// The most bytes of any one protocol parameter's value (consumer key, token, nonce …), decoded.
    pub protocol_value: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self {
            parameters: 1000,
            protocol_value: 4096,
        }
    }
}

impl<'a> Request<'a> {
    /// Finds the protocol parameters.
    ///
    /// `Ok(None)` is a request without any `oauth_` parameter: unsigned, which is not the same as refused.
    ///
    /// # Errors
    /// The [`Rejection`] that names what is malformed. Also of an unsigned request, when something in it might hide a
    /// protocol parameter: a form that is not wholly here, several `Content-Type`s, too many parameters.
    pub fn parse(&self, limits: &ParseLimits) -> Result<Option<SignedRequest<'a>>, Rejection> {
        let mut collector = Collector::new(limits);
        let credentials = oauth_credentials(self.authorization)?;
        let realm = credentials
            .map(|credentials| collector.header(credentials))
            .transpose()?
            .flatten();
        collector.form(ParameterPlace::Query, split_target(self.target).1)?;
        let is_form = is_form(self.content_type)?;
        match self.body {
            RequestBody::Whole(body) if is_form => collector.form(ParameterPlace::Body, body)?,
            RequestBody::NotWhole if is_form => return Err(Rejection::BodyNotWhole),
            RequestBody::Whole(_) | RequestBody::NotWhole => {}
        }
        let Some(collected) = collector.finish()? else {
            return if credentials.is_some() {
                Err(Rejection::Absent(REQUIRED))
            } else {
                Ok(None)
            };
        };
        let base_string = BaseString::new(self.method, BaseUri::of(self)?, collected.pairs);
        base_string.refuse_duplicates(collected.place)?;
        let credentials = Credentials::of(collected.protocol, limits)?;
        Ok(Some(SignedRequest {
            request: *self,
            credentials,
            base_string,
            realm,
            place: collected.place,
            is_form,
        }))
    }
}

/// A request that carries a well-formed signature; whether it is a true one is not known yet.
pub struct SignedRequest<'a> {
    request: Request<'a>,
    credentials: Credentials<'a>,
    base_string: BaseString<'a>,
    realm: Option<Cow<'a, [u8]>>,
    place: ParameterPlace,
    is_form: bool,
}

impl<'a> SignedRequest<'a> {
    /// `oauth_consumer_key`, decoded; never empty.
    pub fn consumer_key(&self) -> &[u8] {
        &self.credentials.consumer_key
    }

    /// `oauth_token`, decoded; `None` when it is absent or empty.
    pub fn token(&self) -> Option<&[u8]> {
        self.credentials.token.as_deref()
    }

    /// `oauth_signature_method`.
    pub const fn signature_method(&self) -> SignatureMethod {
        self.credentials.method
    }

    /// `oauth_timestamp` in seconds; `None` only with PLAINTEXT.
    pub const fn timestamp(&self) -> Option<u64> {
        self.credentials.timestamp
    }

    /// `oauth_nonce`, decoded; `None` only with PLAINTEXT.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.credentials.nonce.as_deref()
    }

    /// The `realm` of the Authorization header, unquoted; `None` when there is none.
    pub fn realm(&self) -> Option<&[u8]> {
        self.realm.as_deref()
    }

    /// Whether the protocol parameters came in the Authorization header.
    pub fn in_header(&self) -> bool {
        self.place == ParameterPlace::Header
    }

    /// `oauth_signature`, decoded from the wire.
    pub(super) fn signature(&self) -> &[u8] {
        &self.credentials.signature
    }

    /// The values of a parameter, decoded, wherever it was sent, in order of the base string; `oauth_signature` has none here.
    ///
    /// `name` has unreserved characters only (RFC 3986 section 2.3).
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = Cow<'a, [u8]>> + 's {
        self.base_string.values(name.as_bytes())
    }

    /// The signature base string (RFC 5849 section 3.4.1), for people to look at.
    pub fn base_string(&self) -> Vec<u8> {
        self.base_string.to_vec()
    }

    /// The signature base string with `***` for every name and value that others than its sender may not see.
    pub fn masked_base_string(&self) -> Vec<u8> {
        self.base_string.to_masked_vec()
    }

    /// Recomputes the signature with each of `keys` and compares in constant time, then holds the body against
    /// `oauth_body_hash` as `rule` says.
    ///
    /// # Errors
    /// [`Rejection::SignatureMismatch`], [`Rejection::SignatureNotCanonical`] and, only after the signature is proven,
    /// [`Rejection::VersionUnsupported`], [`Rejection::BodyHashAbsent`], [`Rejection::BodyHashMismatch`] and
    /// [`Rejection::BodyNotWhole`].
    pub fn verify(
        self,
        keys: &VerificationKeys<'_>,
        rule: BodyHashRule,
    ) -> Result<Verified<'a>, Rejection> {
        self.verify_under(CompatSet::NONE, keys, &KeySchedule::default(), rule)
    }

    /// As [`verify`](Self::verify), and where RFC 5849 does not prove it, as the profiles of `compat` read it; the HMAC key
    /// of the first of `keys` is remembered in `schedule`.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    ///
    /// # Security
    /// `compat` has to be the consumer's own. How long a refusal takes shows whether it has any.
    pub fn verify_under(
        self,
        compat: CompatSet,
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
        rule: BodyHashRule,
    ) -> Result<Verified<'a>, Rejection> {
        let proven = match self.claim(&self.base_string, schedule).prove(keys) {
            Err(Rejection::SignatureMismatch) if !compat.is_empty() => {
                self.prove_variant(compat, keys, schedule)?
            }
            proven => proven.map(|()| Proven { with_form: true })?,
        };
        let Credentials {
            method,
            body_hash,
            strict_version,
            ..
        } = &self.credentials;
        if !strict_version && !compat.contains(CompatProfile::VersionLenient) {
            return Err(Rejection::VersionUnsupported);
        }
        let (sent, body) = (body_hash.as_deref(), self.request.body);
        // Whatever the route demands: nothing else covers a form that is not in the base string. A hash that was sent counts
        // also where the body came as something else, since nothing signs its type.
        let (rule, is_form) = match (proven.with_form, rule) {
            (false, _) => (BodyHashRule::Require, false),
            (true, BodyHashRule::Off) if compat.contains(CompatProfile::BodyUnsignedForm) => {
                (BodyHashRule::Accept, self.is_form)
            }
            (true, rule) => (rule, self.is_form),
        };
        BodyCheck {
            method: *method,
            sent,
            body,
            is_form,
        }
        .check(rule)?;
        Ok(Verified { signed: self })
    }

    /// Tries what the profiles make of the request; a handful at most.
    fn prove_variant(
        &self,
        compat: CompatSet,
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
    ) -> Result<Proven, Rejection> {
        let wire = Wire::of(&self.request).ok_or(Rejection::SignatureMismatch)?;
        let mut tried = vec![self.base_string()];
        for variant in compat_variants(compat, &self.request, &wire) {
            let Some(base_string) = variant.base_string(&wire).map(|made| made.to_vec()) else {
                continue;
            };
            if tried.contains(&base_string) {
                continue;
            }
            if self
                .claim(base_string.as_slice(), schedule)
                .prove(keys)
                .is_ok()
            {
                return Ok(Proven {
                    with_form: variant.form,
                });
            }
            tried.push(base_string);
        }
        Err(Rejection::SignatureMismatch)
    }

    fn claim<'s, M: Message + ?Sized>(
        &'s self,
        message: &'s M,
        schedule: &'s KeySchedule,
    ) -> Claim<'s, M> {
        let Credentials {
            method,
            signature,
            token,
            ..
        } = &self.credentials;
        Claim {
            method: *method,
            message,
            signature,
            with_token: token.is_some(),
            schedule,
        }
    }
}

/// What of a request a matching signature covers.
struct Proven {
    /// The parameters of a form body are in the base string.
    with_form: bool,
}

/// Proof that the holder of the keys signed this request.
pub struct Verified<'a> {
    signed: SignedRequest<'a>,
}

impl<'a> Verified<'a> {
    /// The request that was proven.
    pub const fn request(&self) -> &SignedRequest<'a> {
        &self.signed
    }
}

/// The protocol parameters, each checked (RFC 5849 sections 3.1 and 3.2).
struct Credentials<'a> {
    consumer_key: Cow<'a, [u8]>,
    token: Option<Cow<'a, [u8]>>,
    method: SignatureMethod,
    signature: Cow<'a, [u8]>,
    timestamp: Option<u64>,
    nonce: Option<Cow<'a, [u8]>>,
    body_hash: Option<Cow<'a, [u8]>>,
    /// `oauth_version` is as RFC 5849 has it.
    strict_version: bool,
}

impl<'a> Credentials<'a> {
    fn of(mut sent: Protocol<'a>, limits: &ParseLimits) -> Result<Self, Rejection> {
        refuse_absent(&sent)?;
        let strict_version = is_strict(sent.value(ProtocolParameter::Version))?;
        refuse_lengths(&sent, limits)?;
        let method = sent
            .value(ProtocolParameter::SignatureMethod)
            .and_then(SignatureMethod::from_name);
        Ok(Self {
            method: method.ok_or(Rejection::SignatureMethodUnsupported)?,
            timestamp: sent
                .value(ProtocolParameter::Timestamp)
                .map(timestamp)
                .transpose()?,
            consumer_key: sent
                .take(ProtocolParameter::ConsumerKey)
                .unwrap_or_default(),
            token: sent
                .take(ProtocolParameter::Token)
                .filter(|token| !token.is_empty()),
            signature: sent.take(ProtocolParameter::Signature).unwrap_or_default(),
            nonce: sent.take(ProtocolParameter::Nonce),
            body_hash: sent.take(ProtocolParameter::BodyHash),
            strict_version,
        })
    }
}

/// PLAINTEXT needs neither timestamp nor nonce (section 3.1).
fn refuse_absent(sent: &Protocol<'_>) -> Result<(), Rejection> {
    let plaintext = sent.value(ProtocolParameter::SignatureMethod)
        == Some(SignatureMethod::Plaintext.name().as_bytes());
    let required = if plaintext {
        REQUIRED_OF_PLAINTEXT
    } else {
        REQUIRED
    };
    let absent = required.without(sent.names());
    if absent.is_empty() {
        Ok(())
    } else {
        Err(Rejection::Absent(absent))
    }
}

/// Whether the version is written as section 3.1 says; how else it is known to be written is for the proof to judge.
fn is_strict(version: Option<&[u8]>) -> Result<bool, Rejection> {
    match version {
        None | Some(b"1.0") => Ok(true),
        Some(b"1.0a" | b"1.0A" | b"1") => Ok(false),
        Some(_) => Err(Rejection::VersionUnsupported),
    }
}

fn refuse_lengths(sent: &Protocol<'_>, limits: &ParseLimits) -> Result<(), Rejection> {
    for (parameter, value) in sent.iter() {
        if value.len() > limits.protocol_value {
            return Err(Rejection::TooLong(parameter));
        }
        if value.is_empty() && NEVER_EMPTY.contains(parameter) {
            return Err(Rejection::Empty(parameter));
        }
    }
    Ok(())
}

/// Section 3.3: a positive whole number, in decimal digits alone.
fn timestamp(text: &[u8]) -> Result<u64, Rejection> {
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(Rejection::TimestampMalformed);
    }
    if text.len() == MILLISECONDS_LEN && text[0] != b'0' {
        return Err(Rejection::TimestampInMilliseconds);
    }
    let seconds = str::from_utf8(text)
        .ok()
        .and_then(|digits| digits.parse().ok());
    seconds
        .filter(|&seconds| seconds > 0)
        .ok_or(Rejection::TimestampMalformed)
}

const REQUIRED_OF_PLAINTEXT: ParameterSet = ParameterSet::only(ProtocolParameter::ConsumerKey)
    .with(ProtocolParameter::Signature)
    .with(ProtocolParameter::SignatureMethod);

const REQUIRED: ParameterSet = REQUIRED_OF_PLAINTEXT
    .with(ProtocolParameter::Nonce)
    .with(ProtocolParameter::Timestamp);

/// An empty `oauth_token` means that there is none (RFC 5849 section 3.1), so it is not among these.
const NEVER_EMPTY: ParameterSet = REQUIRED;

/// How many digits a time in milliseconds has, from 2001 to 2286.
const MILLISECONDS_LEN: usize = 13;
