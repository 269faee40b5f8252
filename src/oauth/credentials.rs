//! The protocol parameters of a signed request, each checked (RFC 5849 sections 3.1 to 3.3).

use std::borrow::Cow;

use super::collector::ProtocolValues;
use super::{ParameterSet, ParseLimits, ProtocolParameter, Rejection, SignatureMethod};

/// The protocol parameters of a signed request.
pub(super) struct ProtocolCredentials<'a> {
    pub(super) consumer_key: Cow<'a, [u8]>,
    pub(super) token: Option<Cow<'a, [u8]>>,
    pub(super) method: SignatureMethod,
    pub(super) signature: Cow<'a, [u8]>,
    pub(super) timestamp: Option<u64>,
    pub(super) nonce: Option<Cow<'a, [u8]>>,
    pub(super) body_hash: Option<Cow<'a, [u8]>>,
    /// `oauth_version` is absent or `1.0`.
    pub(super) has_strict_version: bool,
}

impl<'a> ProtocolCredentials<'a> {
    /// Checks the parameters of a request.
    ///
    /// [RFC 5849 section 3.2](https://www.rfc-editor.org/rfc/rfc5849#section-3.2)
    pub(super) fn of(
        mut sent: ProtocolValues<'a>,
        limits: &ParseLimits,
    ) -> Result<Self, Rejection> {
        refuse_absent(&sent)?;
        let has_strict_version = is_strict_version(sent.value(ProtocolParameter::Version))?;
        refuse_lengths(&sent, limits)?;
        Ok(Self {
            method: signature_method(&sent)?,
            timestamp: timestamp(&sent)?,
            consumer_key: sent.require(ProtocolParameter::ConsumerKey)?,
            token: sent
                .take(ProtocolParameter::Token)
                .filter(|token| !token.is_empty()),
            signature: sent.require(ProtocolParameter::Signature)?,
            nonce: sent.take(ProtocolParameter::Nonce),
            body_hash: sent.take(ProtocolParameter::BodyHash),
            has_strict_version,
        })
    }
}

/// Refuses a request without a required parameter; PLAINTEXT requires neither timestamp nor nonce.
///
/// [RFC 5849 section 3.1](https://www.rfc-editor.org/rfc/rfc5849#section-3.1)
fn refuse_absent(sent: &ProtocolValues<'_>) -> Result<(), Rejection> {
    let method = sent.value(ProtocolParameter::SignatureMethod);
    let required = if method == Some(SignatureMethod::Plaintext.name().as_bytes()) {
        REQUIRED_FOR_PLAINTEXT
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

/// Returns whether the version is absent or `1.0`, the only one of section 3.1.
///
/// Clients are known to send others. They are refused after the proof, unless the consumer's
/// profiles allow them.
fn is_strict_version(version: Option<&[u8]>) -> Result<bool, Rejection> {
    match version {
        None | Some(b"1.0") => Ok(true),
        Some(b"1.0a" | b"1.0A" | b"1") => Ok(false),
        Some(_) => Err(Rejection::VersionUnsupported),
    }
}

fn refuse_lengths(sent: &ProtocolValues<'_>, limits: &ParseLimits) -> Result<(), Rejection> {
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

fn signature_method(sent: &ProtocolValues<'_>) -> Result<SignatureMethod, Rejection> {
    sent.value(ProtocolParameter::SignatureMethod)
        .and_then(SignatureMethod::from_name)
        .ok_or(Rejection::SignatureMethodUnsupported)
}

fn timestamp(sent: &ProtocolValues<'_>) -> Result<Option<u64>, Rejection> {
    sent.value(ProtocolParameter::Timestamp)
        .map(parse_timestamp)
        .transpose()
}

/// Parses a positive whole number of seconds in decimal digits.
///
/// [RFC 5849 section 3.3](https://www.rfc-editor.org/rfc/rfc5849#section-3.3)
fn parse_timestamp(text: &[u8]) -> Result<u64, Rejection> {
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

const REQUIRED_FOR_PLAINTEXT: ParameterSet = ParameterSet::only(ProtocolParameter::ConsumerKey)
    .with(ProtocolParameter::Signature)
    .with(ProtocolParameter::SignatureMethod);

/// The parameters that every other signature method requires.
pub(super) const REQUIRED: ParameterSet = REQUIRED_FOR_PLAINTEXT
    .with(ProtocolParameter::Nonce)
    .with(ProtocolParameter::Timestamp);

/// The parameters that must have a value. An empty `oauth_token` means no token (section 3.1).
const NEVER_EMPTY: ParameterSet = REQUIRED;

/// The digits of a time in milliseconds, from 2001 to 2286.
const MILLISECONDS_LEN: usize = 13;
