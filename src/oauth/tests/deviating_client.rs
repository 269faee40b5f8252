//! A small client that signs in its own way, and shares no code with the verifier: parameters,
//! encodings and order are what a test says.

use std::fmt::Write as _;

use super::super::hmac_key::HmacKey;
use super::super::shared_key::SharedSecrets;
use super::*;
use crate::oauth::SignatureMethod;
use crate::oauth::diagnosis::{
    BUDGET, Diagnosis, ForwardedHeaders, MismatchEvidence, OriginSetting, diagnose,
};

/// The parameters that a client signs, decoded.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A client's way to make its base string.
pub(super) struct DeviatingClient {
    pub(super) scheme: &'static str,
    pub(super) host: &'static str,
    /// Names of the parameters, encoded before they are joined.
    pub(super) name: fn(&[u8]) -> String,
    /// Values of the parameters, encoded before they are joined.
    pub(super) value: fn(&[u8]) -> String,
    /// The order of the parameters before they are joined.
    pub(super) sort: fn(&mut Vec<(String, String)>),
    /// The encoding of the URI.
    pub(super) uri: fn(&[u8]) -> String,
    /// The encoding of the joined parameters.
    pub(super) joined: fn(&[u8]) -> String,
}

impl DeviatingClient {
    /// Signs as RFC 5849 says.
    pub(super) const RFC: Self = Self {
        scheme: "https",
        host: "api.example.com",
        name: rfc,
        value: rfc,
        sort: |pairs| pairs.sort(),
        uri: rfc,
        joined: rfc,
    };

    /// Returns the base string of a request, with these parameters of the application.
    pub(super) fn base_string(&self, method: &str, path: &str, application: &Pairs) -> String {
        let mut pairs: Vec<_> = application
            .iter()
            .map(|(name, value)| ((self.name)(name), (self.value)(value)))
            .collect();
        pairs.splice(
            0..0,
            protocol().map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        (self.sort)(&mut pairs);
        let joined: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let uri = format!("{}://{}{path}", self.scheme, self.host);
        format!(
            "{method}&{}&{}",
            (self.uri)(uri.as_bytes()),
            (self.joined)(joined.join("&").as_bytes())
        )
    }

    /// Sends a request with the signature of other parameters.
    pub(super) fn send(&self, wire: &WireRequest, signed: &Pairs) -> WireRequest {
        let target = str::from_utf8(&wire.target).unwrap();
        let path = target.split('?').next().unwrap();
        let method = str::from_utf8(&wire.method).unwrap();
        with_signature_of(wire.clone(), &self.base_string(method, path, signed))
    }
}

/// Encodes as RFC 5849 section 3.6 says.
pub(super) fn rfc(text: &[u8]) -> String {
    leaving("", text)
}

/// Encodes, and leaves more characters plain.
pub(super) fn leaving(plain: &str, text: &[u8]) -> String {
    escaped(text, |byte| {
        byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || plain.as_bytes().contains(&byte)
    })
}

/// Encodes every byte that is not plain.
pub(super) fn escaped(text: &[u8], is_plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::new();
    for &byte in text {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
    }
    out
}

/// Leaves the text as it is.
pub(super) fn plain(text: &[u8]) -> String {
    String::from_utf8(text.to_vec()).unwrap()
}

/// Writes the digits of escapes in lower case.
pub(super) fn lower(encoded: &str) -> String {
    let mut out = String::new();
    let mut digits = 0;
    for character in encoded.chars() {
        out.push(if digits > 0 {
            character.to_ascii_lowercase()
        } else {
            character
        });
        digits = if character == '%' {
            2
        } else {
            digits.max(1) - 1
        };
    }
    out
}

/// Turns `a=1&b=2` into parameters, without decoding.
pub(super) fn pairs(text: &str) -> Pairs {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.into(), value.into())
        })
        .collect()
}

/// Returns the protocol parameters of [`PARAMETERS`] except the signature.
fn protocol() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = PARAMETERS
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    all.filter(|(name, _)| *name != "oauth_signature")
}

/// Puts the signature of a base string into a request with [`PARAMETERS`].
pub(super) fn with_signature_of(mut wire: WireRequest, base_string: &str) -> WireRequest {
    let secrets = SharedSecrets {
        consumer: CONSUMER_SECRET,
        token: b"",
    };
    let mac = HmacKey::new(SignatureMethod::HmacSha1.hash(), &secrets.signing_key())
        .sign(base_string.as_bytes(), |mac| STANDARD.encode(mac));
    let signature = format!("oauth_signature=\"{}\"", rfc(mac.as_bytes()));
    let header = String::from_utf8(wire.authorization.remove(0)).unwrap();
    wire.authorization(header.replace("oauth_signature=\"AAAA\"", &signature))
}

/// Diagnoses a request with the whole budget; `reveal` shows what others may not see.
pub(super) fn diagnosis(wire: &WireRequest, reveal: bool) -> Option<Diagnosis> {
    diagnosis_behind(wire, reveal, ForwardedHeaders::default())
}

/// Diagnoses a request behind a proxy.
pub(super) fn diagnosis_behind(
    wire: &WireRequest,
    reveal: bool,
    forwarded: ForwardedHeaders<'_>,
) -> Option<Diagnosis> {
    wire.with_request(|request| {
        let evidence = MismatchEvidence {
            request: &request,
            limits: &ParseLimits::default(),
            compat: CompatSet::NONE,
            keys: secrets(&[CONSUMER_SECRET], None),
            expired_secrets: &[],
            forwarded,
            received: None,
            setting: OriginSetting::Origin,
            reveal,
        };
        diagnose(&evidence, BUDGET)
    })
}
