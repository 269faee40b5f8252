//! A request, from bytes to proof.

use std::borrow::Cow;

use super::base_string::BaseString;
use super::body_hash::BodyCheck;
use super::header::oauth_credentials;
use super::media_type::is_form;
use super::params::{Collector, Protocol};
use super::signature::Claim;
use super::uri::{BaseUri, split_target};
use super::{BodyHashRule, KeySchedule, Keys, Parameter, Parameters, Place, Rejection, SignatureMethod};

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
pub enum Body<'a> {
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
    pub body: Body<'a>,
}

/// Bounds on what is worth parsing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most parameters of header, query and body together.
    pub parameters: usize,
    /// The most bytes of any one protocol parameter's value (consumer key, token, nonce …), decoded.
    pub protocol_value: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parameters: 1000, protocol_value: 4096 }
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
    pub fn parse(&self, limits: &Limits) -> Result<Option<SignedRequest<'a>>, Rejection> {
        let mut collector = Collector::new(limits);
        let credentials = oauth_credentials(self.authorization)?;
        let realm = credentials.map(|credentials| collector.header(credentials)).transpose()?.flatten();
        collector.form(Place::Query, split_target(self.target).1)?;
        let is_form = is_form(self.content_type)?;
        match self.body {
            Body::Whole(body) if is_form => collector.form(Place::Body, body)?,
            Body::NotWhole if is_form => return Err(Rejection::BodyNotWhole),
            Body::Whole(_) | Body::NotWhole => {}
        }
        let Some(collected) = collector.finish()? else {
            return if credentials.is_some() { Err(Rejection::Absent(REQUIRED)) } else { Ok(None) };
        };
        let base_string = BaseString::new(self.method, BaseUri::of(self)?, collected.pairs);
        base_string.refuse_duplicates(collected.place)?;
        let credentials = Credentials::of(collected.protocol, limits)?;
        let body = self.body;
        Ok(Some(SignedRequest { credentials, base_string, realm, place: collected.place, body, is_form }))
    }
}

/// A request that carries a well-formed signature; whether it is a true one is not known yet.
pub struct SignedRequest<'a> {
    credentials: Credentials<'a>,
    base_string: BaseString<'a>,
    realm: Option<Cow<'a, [u8]>>,
    place: Place,
    body: Body<'a>,
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
        self.place == Place::Header
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

    /// The signature base string with the value of every parameter not named `oauth_*` replaced by `***`.
    pub fn masked_base_string(&self) -> Vec<u8> {
        self.base_string.to_masked_vec()
    }

    /// Recomputes the signature with each of `keys` and compares in constant time, then holds the body against
    /// `oauth_body_hash` as `rule` says.
    ///
    /// # Errors
    /// [`Rejection::SignatureMismatch`], [`Rejection::SignatureNotCanonical`] and, only after the signature is proven,
    /// [`Rejection::BodyHashAbsent`], [`Rejection::BodyHashMismatch`] and [`Rejection::BodyNotWhole`].
    pub fn verify(self, keys: &Keys<'_>, rule: BodyHashRule) -> Result<Verified<'a>, Rejection> {
        self.verify_with(keys, &KeySchedule::default(), rule)
    }

    /// As [`verify`](Self::verify); the HMAC key of the first of `keys` is remembered in `schedule`.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_with(
        self,
        keys: &Keys<'_>,
        schedule: &KeySchedule,
        rule: BodyHashRule,
    ) -> Result<Verified<'a>, Rejection> {
        let Credentials { method, signature, token, body_hash, .. } = &self.credentials;
        let with_token = token.is_some();
        Claim { method: *method, message: &self.base_string, signature, with_token, schedule }.prove(keys)?;
        let sent = body_hash.as_deref();
        BodyCheck { method: *method, sent, body: self.body, is_form: self.is_form }.check(rule)?;
        Ok(Verified { signed: self })
    }
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
}

impl<'a> Credentials<'a> {
    fn of(mut sent: Protocol<'a>, limits: &Limits) -> Result<Self, Rejection> {
        refuse_absent(&sent)?;
        refuse_version(sent.value(Parameter::Version))?;
        refuse_lengths(&sent, limits)?;
        let method = sent.value(Parameter::SignatureMethod).and_then(SignatureMethod::from_name);
        Ok(Self {
            method: method.ok_or(Rejection::SignatureMethodUnsupported)?,
            timestamp: sent.value(Parameter::Timestamp).map(timestamp).transpose()?,
            consumer_key: sent.take(Parameter::ConsumerKey).unwrap_or_default(),
            token: sent.take(Parameter::Token).filter(|token| !token.is_empty()),
            signature: sent.take(Parameter::Signature).unwrap_or_default(),
            nonce: sent.take(Parameter::Nonce),
            body_hash: sent.take(Parameter::BodyHash),
        })
    }
}

/// PLAINTEXT needs neither timestamp nor nonce (section 3.1).
fn refuse_absent(sent: &Protocol<'_>) -> Result<(), Rejection> {
    let plaintext = sent.value(Parameter::SignatureMethod) == Some(SignatureMethod::Plaintext.name().as_bytes());
    let required = if plaintext { REQUIRED_OF_PLAINTEXT } else { REQUIRED };
    let absent = required.without(sent.names());
    if absent.is_empty() { Ok(()) } else { Err(Rejection::Absent(absent)) }
}

fn refuse_version(version: Option<&[u8]>) -> Result<(), Rejection> {
    match version {
        None | Some(b"1.0") => Ok(()),
        Some(_) => Err(Rejection::VersionUnsupported),
    }
}

fn refuse_lengths(sent: &Protocol<'_>, limits: &Limits) -> Result<(), Rejection> {
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
    let seconds = str::from_utf8(text).ok().and_then(|digits| digits.parse().ok());
    seconds.filter(|&seconds| seconds > 0).ok_or(Rejection::TimestampMalformed)
}

const REQUIRED_OF_PLAINTEXT: Parameters =
    Parameters::only(Parameter::ConsumerKey).with(Parameter::Signature).with(Parameter::SignatureMethod);

const REQUIRED: Parameters = REQUIRED_OF_PLAINTEXT.with(Parameter::Nonce).with(Parameter::Timestamp);

/// An empty `oauth_token` means that there is none (RFC 5849 section 3.1), so it is not among these.
const NEVER_EMPTY: Parameters = REQUIRED;

/// How many digits a time in milliseconds has, from 2001 to 2286.
const MILLISECONDS_LEN: usize = 13;
