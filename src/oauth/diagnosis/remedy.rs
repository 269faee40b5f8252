//! Remedies, with the values of one request. A remedy names a setting only if the request verifies
//! with it.

use std::borrow::Cow;

use serde_json::Value;

use super::super::uri::{root_or, split_target};
use super::super::variant::BaseStringVariant;
use super::super::{CompatProfile, RequestBody, SignatureMethod, SignedRequest};
use super::client_origin::ClientOrigin;
use super::{MismatchCause, MismatchEvidence, OriginSetting, remedies};

/// A cause that was found, and its remedies for this request.
pub(super) struct FoundCause {
    pub(super) cause: MismatchCause,
    /// A remedy that is more precise than the general one.
    pub(super) remedy: Option<Cow<'static, str>>,
    /// A compat profile that undoes the cause.
    pub(super) profile: Option<CompatProfile>,
    /// The client signs an address that may be that of another server.
    pub(super) is_assumed: bool,
}

impl FoundCause {
    /// Returns a cause with its general remedy.
    pub(super) const fn of(cause: MismatchCause) -> Self {
        Self {
            cause,
            remedy: None,
            profile: None,
            is_assumed: false,
        }
    }

    /// Takes over the remedy of another one of the same cause, and returns whether it is the same.
    pub(super) fn absorbs(&mut self, other: &Self) -> bool {
        if self.cause != other.cause {
            return false;
        }
        self.is_assumed |= other.is_assumed;
        if let (Some(own), Some(others)) = (&self.remedy, &other.remedy)
            && own != others
        {
            self.remedy = Some(format!("{own}; and {others}").into());
        }
        true
    }
}

/// The values that remedies name.
pub(super) struct RemedyContext<'r> {
    /// The evidence about the request.
    pub(super) evidence: &'r MismatchEvidence<'r>,
    /// The request as it was parsed.
    pub(super) signed: &'r SignedRequest<'r>,
    /// The variant that the client signed.
    pub(super) client: &'r BaseStringVariant<'r>,
    /// A description of the `oauth_body_hash` that the client sent.
    pub(super) hashed: Option<&'r str>,
    /// The secret at fault.
    pub(super) secret: &'static str,
    /// The wrong encoding of the signature.
    pub(super) encoding: &'static str,
}

impl RemedyContext<'_> {
    /// Returns the remedy for these causes.
    pub(super) fn remedy(&self, causes: &[FoundCause]) -> String {
        let origin = ClientOrigin::of(self.evidence, self.client);
        let is_origin = |found: &&FoundCause| {
            origin
                .as_ref()
                .is_some_and(|origin| origin.corrects(found.cause))
        };
        // No setting corrects a host or port that no request can have, so nothing is assumed of it.
        let may_be_another = |found: &FoundCause| {
            let is_path = !matches!(found.cause, MismatchCause::Port | MismatchCause::Host);
            found.is_assumed && (is_path || is_origin(&found))
        };
        let is_assumed = causes.iter().any(may_be_another);
        let (by_origin, others): (Vec<_>, Vec<_>) = causes.iter().partition(is_origin);
        let mut texts = Vec::new();
        match &by_origin[..] {
            [] => {}
            [one] if one.is_assumed == is_assumed => texts.push(self.text(one, origin.as_ref())),
            [first, ..] => {
                // One setting covers all of them.
                let is_misconfigured = first.remedy.as_deref() == Some(MISCONFIGURED);
                let remedy = match (is_assumed, is_misconfigured) {
                    (true, _) => ASSUMED_ORIGIN,
                    (false, true) => MISCONFIGURED,
                    (false, false) => ORIGIN,
                };
                let all = FoundCause {
                    remedy: Some(Cow::Borrowed(remedy)),
                    ..FoundCause::of(first.cause)
                };
                texts.push(self.text(&all, origin.as_ref()));
            }
        }
        texts.extend(others.iter().map(|found| self.text(found, None)));
        texts.join("; and ")
    }

    /// Returns the remedy for one cause; `origin` is the setting that corrects it.
    fn text(&self, found: &FoundCause, origin: Option<&ClientOrigin>) -> String {
        let special = found.remedy.as_deref();
        let special = special.filter(|text| origin.is_some() || !text.contains("{origin}"));
        let template = special.unwrap_or_else(|| self.general(found, origin.is_some()));
        let profile = found.profile.map(|profile| {
            format!(
                ", or give the consumer the compat profile `{}`",
                profile.name()
            )
        });
        let profile = profile.unwrap_or_default();
        let names_profile = template.contains("compat profile") || template.contains(OR_PROFILE);
        let text = self.filled(template, origin, &profile);
        if names_profile { text } else { text + &profile }
    }

    /// Returns the general remedy of a cause, as it fits this request.
    fn general(&self, found: &FoundCause, has_origin: bool) -> &'static str {
        let FoundCause {
            cause, is_assumed, ..
        } = *found;
        let is_untyped = self.evidence.request.content_type.is_empty();
        let is_plaintext = self.signed.signature_method() == SignatureMethod::Plaintext;
        let special = [
            (MismatchCause::Port, !has_origin, PORT_BY_CLIENT),
            (MismatchCause::Port, is_assumed, PORT_ASSUMED),
            (MismatchCause::Host, !has_origin, HOST_BY_CLIENT),
            (
                MismatchCause::PathPrefixStripped,
                is_assumed && has_origin,
                PREFIX_ASSUMED,
            ),
            (
                MismatchCause::PathRewritten,
                is_assumed && has_origin,
                PREFIX_CONFIGURED_ASSUMED,
            ),
            (MismatchCause::PathPrefixStripped, is_assumed, PATH_ASSUMED),
            (MismatchCause::PathRewritten, is_assumed, PATH_ASSUMED),
            (
                MismatchCause::PathPrefixStripped,
                !has_origin,
                PATH_ON_THE_WAY,
            ),
            (
                MismatchCause::PathPrefixAdded,
                has_origin,
                PREFIX_CONFIGURED,
            ),
            (MismatchCause::PathRewritten, has_origin, PREFIX_CONFIGURED),
            (
                MismatchCause::FormLeftOut,
                self.has_json_body(),
                FORM_IS_JSON,
            ),
            (MismatchCause::BodyIncluded, is_untyped, BODY_UNTYPED),
            (
                MismatchCause::SignatureEncoding,
                is_plaintext,
                PLAINTEXT_ENCODING,
            ),
            (
                MismatchCause::BodyHash,
                self.hashed.is_none(),
                BODY_HASH_OF_OTHER_BYTES,
            ),
        ];
        special
            .into_iter()
            .find(|(of, applies, _)| *of == cause && *applies)
            .map_or_else(|| remedies::of(cause), |(.., text)| text)
    }

    fn has_json_body(&self) -> bool {
        let RequestBody::Whole(body) = self.evidence.request.body else {
            return false;
        };
        matches!(
            serde_json::from_slice(body),
            Ok(Value::Object(_) | Value::Array(_))
        )
    }

    /// Replaces the placeholders of a template.
    fn filled(&self, template: &str, origin: Option<&ClientOrigin>, profile: &str) -> String {
        let setting = self.evidence.setting;
        let request = self.evidence.request;
        let origin = origin.map(ClientOrigin::text).unwrap_or_default();
        let template = if self.client.path.is_empty() {
            &template.replace("`{path}`", "no path")
        } else {
            template
        };
        let or_origin = if origin.is_empty() {
            String::new()
        } else {
            format!(
                "; only if you know that your own proxy changes the host, set `{} = \"{origin}\"`",
                setting.name()
            )
        };
        let method = self.signed.signature_method();
        fill(
            template,
            &[
                (OR_PROFILE, profile.to_owned()),
                ("{or_origin}", or_origin),
                ("{setting}", setting.name().to_owned()),
                ("{or_trust}", setting.or_trust().to_owned()),
                ("{scheme}", self.client.scheme.name().to_owned()),
                ("{origin}", origin),
                ("{signed}", self.signed_origin()),
                ("{arrived}", escaped(request.authority)),
                ("{uri}", self.uri()),
                ("{path}", escaped(&self.client.path)),
                (
                    "{arrived_path}",
                    escaped(root_or(split_target(request.target).0)),
                ),
                ("{method}", escaped(&self.client.method)),
                ("{arrived_method}", escaped(request.method)),
                ("{label}", method.name().to_owned()),
                ("{hash}", method.hash().name().to_owned()),
                ("{hashed}", self.hashed.unwrap_or_default().to_owned()),
                ("{secret}", self.secret.to_owned()),
                ("{encoding}", self.encoding.to_owned()),
            ],
        )
    }

    /// Returns the scheme and authority that the client signed.
    fn signed_origin(&self) -> String {
        let authority = self.client.signed_authority();
        let authority = authority.as_deref().unwrap_or_default();
        format!("{}://{}", self.client.scheme.name(), escaped(authority))
    }

    /// Returns the URI that the client signed.
    fn uri(&self) -> String {
        match &self.client.uri {
            Some(uri) => escaped(uri),
            None => format!("{}{}", self.signed_origin(), escaped(&self.client.path)),
        }
    }
}

/// Shows text as it is, and other bytes as escapes.
fn escaped(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' => out.push(character),
                _ => out.extend(character.escape_debug()),
            }
        }
        out.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    out
}

/// Replaces the placeholders of a template by their values. A placeholder within a value stays: the
/// sender of the request could repeat it, and so make a text of any length.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = values.iter().find(|(name, _)| rest.starts_with(name));
        let (name, value) = found.map_or(("{", "{"), |(name, value)| (name, value));
        text.push_str(value);
        rest = &rest[name.len()..];
    }
    text + rest
}

impl OriginSetting {
    const fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::PublicUrl => "http.public_url",
        }
    }

    /// Returns the alternative if X-Forwarded-Proto is right: only a check has its scheme from
    /// Envoy.
    const fn or_trust(self) -> &'static str {
        match self {
            Self::Origin => ", or let Envoy trust that header (`xff_num_trusted_hops`)",
            Self::PublicUrl => "",
        }
    }
}

/// The placeholder for the compat profile that undoes the cause.
const OR_PROFILE: &str = "{or_profile}";

const ORIGIN: &str = "the client signs `{origin}`, but a proxy in front changed it: set `{setting} = \
     \"{origin}\"`";

/// The setting contradicts the request that arrived.
pub(super) const MISCONFIGURED: &str = "the client signs `{signed}`, as the request arrived, but `{setting}` says otherwise: set \
     `{setting} = \"{origin}\"`, or remove the setting";

pub(super) const FORWARDED_PROTO: &str = "the client signs `{scheme}://`, and X-Forwarded-Proto confirms it: set `{setting} = \
     \"{origin}\"`{or_trust}{or_profile}";

pub(super) const FORWARDED_SCHEME: &str = "the client signs `{scheme}://`, and a header of a proxy in front confirms it: set `{setting} = \
     \"{origin}\"`{or_profile}";

/// The client signs a host that no header of a proxy names.
pub(super) const OTHER_HOST: &str = "the client signs `{signed}`, but the request arrives at `{arrived}`: make it sign the host that \
     it calls, also after a redirect{or_origin}";

/// No setting and no header names the address that the client signs.
const ASSUMED_ORIGIN: &str = "the client signs `{uri}`, but the request arrives at `{arrived}{arrived_path}`: make it sign the URL \
     that it calls; only if you know that your own proxy changes that URL, set `{setting} = \"{origin}\"`";

const PORT_ASSUMED: &str = "the client signs `{signed}`, but the request arrives at `{arrived}`: make it sign the port that it \
     calls; only if you know that your own proxy changes the port, keep the port of the Host header \
     there, or set `{setting} = \"{origin}\"`{or_profile}";

const PREFIX_ASSUMED: &str = "the client signs `{path}` instead of `{arrived_path}`, or somebody changed it on the way: make it sign \
     the path that it calls; only if you know that your own proxy strips that prefix (Envoy: \
     `prefix_rewrite`), set `{setting} = \"{origin}\"`";

const PREFIX_CONFIGURED_ASSUMED: &str = "the client signs `{path}`, but `{setting}` adds another prefix, or somebody changed the path on the way: \
     make it sign the path that it calls; only if you know that your own proxy strips that prefix, set \
     `{setting} = \"{origin}\"`";

const PATH_ASSUMED: &str = "the client signs `{path}` instead of `{arrived_path}`, or somebody changed it on the way: make it sign \
     the path that it calls; only if you know that your own proxy rewrites the path, call \
     Countersign before it does";

const PORT_BY_CLIENT: &str = "the client signs `{signed}`, with the default port of the scheme: make it omit that port \
     (RFC 5849 section 3.4.1.2)";

pub(super) const HOST_WITHOUT_PORT: &str = "the client signs `{signed}`, which has no port number after the colon: make it omit a port that it \
     does not have (RFC 5849 section 3.4.1.2)";

pub(super) const HOST_WITH_USER: &str = "the client signs a user name before the host, as in `{signed}`: make it sign the Host header \
     that it sends (RFC 5849 section 3.4.1.2)";

pub(super) const HOST_WITH_SPACE: &str = "the client signs white space after the host, as in `{signed}`: make it sign the Host header that it \
     sends (RFC 5849 section 3.4.1.2)";

pub(super) const HOST_IN_UNICODE: &str = "the client signs `{signed}`, a host in Unicode, but the request arrives at `{arrived}`: make it sign the \
     Host header that it sends (RFC 5849 section 3.4.1.2)";

pub(super) const HOST_IN_OTHER_DIGITS: &str = "the client signs `{signed}`, another spelling of the IPv6 address, but the request arrives at `{arrived}`: \
     make it sign the Host header that it sends (RFC 5849 section 3.4.1.2)";

const HOST_BY_CLIENT: &str = "the client signs `{signed}`, which is not a host in lowercase, but the request arrives at \
     `{arrived}`: make it sign the Host header that it sends (RFC 5849 section 3.4.1.2)";

const PREFIX_CONFIGURED: &str =
    "the client signs `{path}`, but `{setting}` adds a prefix: set `{setting} = \"{origin}\"`";

const PATH_ON_THE_WAY: &str = "the client signs `{path}`, but a proxy in front rewrote the path: call Countersign before the \
     path is rewritten";

/// The client changes the path before it signs it, or its HTTP library does before it sends it.
pub(super) const PATH_BY_CLIENT: &str =
    "the client signs `{path}`, but `{arrived_path}` arrived: make it sign the path as it sends it";

/// The client signs the URL of its configuration instead of that of the request.
pub(super) const PATH_PART: &str = "the client signs `{path}`, a part of `{arrived_path}`, or somebody changed it on the way: make it sign \
     the whole path as it sends it";

/// The client signs the path before it fills in the values.
pub(super) const PATH_TEMPLATE: &str = "the client signs the template `{path}` of `{arrived_path}`, or somebody changed it on the way: make it \
     fill in the values before it signs";

/// The client signs the method of a header or parameter.
pub(super) const METHOD_OVERRIDDEN: &str = "the client signs `{method}`, the method that `{source}` names, but `{arrived_method}` arrived: make it \
     sign the method of the request line; if a proxy in front changed that, call Countersign before \
     the proxy does";

pub(super) const METHOD_CASE: &str = "the client signs the method as `{method}`: make it sign the method in uppercase (RFC 5849 section \
     3.4.1.1)";

pub(super) const HEAD_TO_GET: &str = "the client signs `HEAD`, but `GET` arrived: a cache in front changes it (nginx: set \
     `proxy_cache_convert_head off`); if no proxy does, make the client sign the method that it sends";

pub(super) const GET_FOR_HEAD: &str =
    "the client signs `GET`, but sends `HEAD`: make it sign `HEAD` (RFC 5849 section 3.4.1.1)";

pub(super) const METHOD_REDIRECTED: &str = "the client signs `{method}`, but `GET` arrived, as after a redirect, or somebody changed it on \
     the way: make the client call the URL that the redirect names, or sign the new request";

/// The client signs with `{other}`.
pub(super) const OTHER_METHOD: &str = "the client names {label} as `oauth_signature_method` but signs with {other}: set both to the same \
     method";

/// The client sends another name of its method than it signs, `{other}`.
pub(super) const LABEL: &str = "the client sends {label} as `oauth_signature_method` but signs the name {other}: set the method \
     also where the client builds the base string and the signature, not only in the header";

pub(super) const VERSION: &str = "the client signs another `oauth_version` than it sends: make it put the same value into the base string and \
     the request, `1.0` or none";

pub(super) const TIMESTAMP_ZONE: &str = "the client signs an `oauth_timestamp` in local time, but sends another, or somebody changed it on the \
     way: make it sign the Unix time that it sends, which has no time zone";

pub(super) const TIMESTAMP_FRACTION: &str = "the client signs an `oauth_timestamp` with a fraction, but sends it without: make it sign the whole \
     seconds that it sends";

pub(super) const TIMESTAMP_MILLISECONDS: &str = "the client signs an `oauth_timestamp` in milliseconds, but sends seconds: make it sign the seconds that \
     it sends";

pub(super) const TIMESTAMP_EMPTY: &str = "the client signs an empty `oauth_timestamp`, but sends a time: make it read the clock before it makes \
     the base string";

const FORM_IS_JSON: &str = "the body is JSON, but its Content-Type is that of a form, whose fields must be signed: make the \
     client send `Content-Type: application/json`";

const BODY_UNTYPED: &str = "the client signs the body as a form, but no Content-Type arrived: make it send \
     `application/x-www-form-urlencoded`; if it does, let the proxy pass that header on (Envoy: \
     `allowed_headers` of ext_authz; Envoy Gateway: `headersToExtAuth`)";

const PLAINTEXT_ENCODING: &str = "the signature is right, but arrives {encoding}: make the client send the two encoded secrets, \
     joined by `&`, and percent-encode that text once (RFC 5849 section 3.4.4)";

const BODY_HASH_OF_OTHER_BYTES: &str = "the `oauth_body_hash` does not match the body that arrived: make the client hash exactly the bytes \
     that it sends, with {hash}; if it does, a proxy in front, or somebody else on the way, changed the body";

pub(super) const HMAC_EXCHANGED: &str = "the client swaps the key and the base string of HMAC: make it pass the base string as the \
     text and the two encoded secrets, joined by `&`, as the key (RFC 5849 section 3.4.2)";

pub(super) const HASH_FOR_HMAC: &str = "the client signs with a plain hash of base string and key: make it use HMAC, with the two encoded \
     secrets, joined by `&`, as its key (RFC 5849 section 3.4.2)";

pub(super) const SECRETS_PUBLIC: &str = "the client signs with {secret}, or somebody else does, since anybody can who knows these public \
     values: configure both secrets in the client, instead of the consumer key and the token";

pub(super) const SECRET_TRIMMED: &str =
    "the client leaves out the white space around {secret}: give it a secret without white space";

pub(super) const SECRET_PERCENT_ENCODED: &str =
    "the client encodes {secret} before its library does: pass the plain secret to the library";

pub(super) const SECRET_IN_BASE64: &str =
    "the client signs with {secret} in base64: make it use the secret unchanged";

pub(super) const SECRET_IN_HEX: &str =
    "the client signs with {secret} in hexadecimal digits: make it use the secret unchanged";

pub(super) const SECRET_PERCENT_DECODED: &str =
    "the client percent-decodes {secret}: make it use the secret unchanged";

pub(super) const SECRET_FROM_FORM: &str = "the client decodes {secret} like a form, where `+` is a space: make it use the secret unchanged";

pub(super) const SECRET_FROM_BASE64: &str =
    "the client decodes {secret} from base64: make it use the secret unchanged";

pub(super) const SECRET_FROM_HEX: &str =
    "the client decodes {secret} from hexadecimal digits: make it use the secret unchanged";

pub(super) const SECRET_WITHOUT_PADDING: &str =
    "the client signs without the `=` at the end of {secret}: copy the whole secret";

pub(super) const SECRET_WITHOUT_LAST: &str =
    "the client signs without the last character of {secret}: copy the whole secret";

pub(super) const SECRET_WITHOUT_FIRST: &str =
    "the client signs without the first character of {secret}: copy the whole secret";

pub(super) const SECRET_CASE: &str =
    "the client changes {secret} to uppercase or lowercase: make it use the secret unchanged";
