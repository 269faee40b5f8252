//! The closed list of causes, and the remedy of each.

use std::str::FromStr as _;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// The cause of a signature that does not match: a mistake of the client, or a change to its
/// request.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum MismatchCause {
    /// A signature for `http` on a request with `https`, or the reverse.
    Scheme,
    /// A signature for another port, or for a port that only one side has.
    Port,
    /// A signature for another host.
    Host,
    /// A signature for a host in capitals.
    HostCase,
    /// A signed path prefix that was stripped on the way.
    PathPrefixStripped,
    /// A path prefix that was added after the client signed.
    PathPrefixAdded,
    /// A signed path that was rewritten on the way.
    PathRewritten,
    /// Escapes of the path that differ from the signed ones: `%7E` and `~`, `%2F` and `/`.
    PathEscapes,
    /// A different number of consecutive slashes in the path.
    PathSlashes,
    /// Dot segments of the path that only one side resolved.
    PathDotSegments,
    /// A slash at the end of the path on one side only.
    TrailingSlash,
    /// The root path, signed without its slash.
    RootSlash,
    /// A path that the client encoded again before it signed.
    PathEncodedTwice,
    /// A path that the client decoded before it signed.
    PathDecoded,
    /// A signature for another HTTP method.
    Method,
    /// A query that is not in the signed base string.
    QueryLeftOut,
    /// A query that is signed as part of the URI.
    QueryInUri,
    /// A form body that is not in the signed base string.
    FormLeftOut,
    /// A form that is sent compressed but signed as it was before.
    FormCompressed,
    /// A body that is not a form but is signed as parameters.
    BodyIncluded,
    /// A query in which every parameter is sent twice and signed once.
    SentTwice,
    /// A name that is sent several times and not signed every time.
    RepeatedName,
    /// A parameter that is sent but not signed.
    ParameterLeftOut,
    /// A parameter, mostly an empty one, that is signed but not sent.
    ParameterNotSent,
    /// Parameters that are sent once and signed twice.
    SignedTwice,
    /// A value of which nothing, or only a part, is signed.
    ValueLeftOut,
    /// A parameter without a value that is signed with one, or without its `=`.
    EmptyValue,
    /// An array whose names or values are signed in another syntax.
    ArraySyntax,
    /// Names that are signed in another spelling.
    NamesChanged,
    /// A `;` in query or form that the client takes for an `&`.
    SemicolonSeparator,
    /// Brackets in names that are encoded once instead of twice.
    BracketsOnce,
    /// A `+` that means a space but is signed as a plus.
    PlusLiteral,
    /// A space that is signed as `+`.
    SpaceAsPlus,
    /// Names that are encoded once instead of twice.
    NamesNotEncoded,
    /// Names and values, or all that is joined, encoded once instead of twice.
    EncodedOnce,
    /// Names and values, or only names, that are encoded once too often.
    EncodedTwice,
    /// Names and values that are decoded once too often.
    DecodedTwice,
    /// Reserved characters, such as `!*'()` or `/`, without encoding.
    CharactersNotEncoded,
    /// Unreserved characters that are encoded, such as `~`.
    UnreservedEncoded,
    /// Escapes in lower case.
    LowerCaseEscapes,
    /// Another character set than UTF-8, or UTF-8 twice.
    Charset,
    /// Other line breaks than those that are sent.
    LineBreaks,
    /// Parameters in another order than by encoded name and encoded value.
    Sorting,
    /// An empty `oauth_token` that is sent but not signed, or the reverse.
    EmptyToken,
    /// An `oauth_version` that is sent but not signed, or the reverse.
    Version,
    /// An `oauth_version` other than `1.0`.
    VersionText,
    /// A realm that is signed.
    RealmIncluded,
    /// An `oauth_signature` that is not padded base64, percent-encoded once.
    SignatureEncoding,
    /// A signature by another method than `oauth_signature_method` names.
    MethodConfusion,
    /// An `oauth_body_hash` of other bytes, or by another hash.
    BodyHash,
    /// Secrets without the `&` between them.
    AmpersandMissing,
    /// A signature without the token's secret, or without the consumer's.
    SecretMissing,
    /// Secrets that are not encoded.
    SecretsNotEncoded,
    /// A signature with a secret that is no longer valid.
    OldSecret,
}

impl MismatchCause {
    /// Every cause. If several explain a request, the first is named.
    pub const ALL: [Self; Self::VARIANTS.len()] =
        *Self::VARIANTS.first_chunk().expect("the same length");

    /// Returns the word in logs, metrics and the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the cause of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_str(name).ok()
    }

    /// Returns whether the cause reveals something about a secret. Only operators see such a cause,
    /// never the sender.
    pub const fn depends_on_secret(self) -> bool {
        matches!(
            self,
            Self::AmpersandMissing
                | Self::SecretMissing
                | Self::SecretsNotEncoded
                | Self::OldSecret
        )
    }

    /// Returns the change to make. Placeholders stand for the values of the request: `{scheme}`,
    /// `{origin}`, `{path}`, `{method}` as the client signed them, and `{setting}` for the
    /// operator's setting.
    pub(super) const fn remedy(self) -> &'static str {
        REMEDIES[self as usize].1
    }
}

/// The remedy of each cause, in the order of the causes.
const REMEDIES: [(MismatchCause, &str); MismatchCause::ALL.len()] = [
    (
        MismatchCause::Scheme,
        "the client signs `{scheme}://`, but the request arrives with the other scheme: set \
         `{setting} = \"{origin}\"`, or give the consumer the compat profile `scheme-any`",
    ),
    (
        MismatchCause::Port,
        "the client signs `{origin}`: set `{setting} = \"{origin}\"`, or keep the port of the \
         Host header at every proxy; if the client never signs the ports 80 and 443, give the \
         consumer the compat profile `default-port-any`",
    ),
    (
        MismatchCause::Host,
        "the client signs `{origin}`, but a proxy in front changed the Host header (Envoy: \
         `host_rewrite_literal`): set `{setting} = \"{origin}\"`",
    ),
    (
        MismatchCause::HostCase,
        "the client signs the host in capitals: make it sign the host in lower case (RFC 5849 \
         section 3.4.1.2)",
    ),
    (
        MismatchCause::PathPrefixStripped,
        "the client signs `{path}`, but a proxy in front stripped a prefix (Envoy: \
         `prefix_rewrite`): set `{setting} = \"{origin}{prefix}\"`",
    ),
    (
        MismatchCause::PathPrefixAdded,
        "the client signs `{path}`, but `{setting}` or a proxy in front adds a prefix: remove \
         the prefix from `{setting}`, or call Countersign before the path is rewritten",
    ),
    (
        MismatchCause::PathRewritten,
        "the client signs `{path}`, but a proxy in front rewrote the path: call Countersign \
         before the path is rewritten",
    ),
    (
        MismatchCause::PathEscapes,
        "the client signs `{path}`, but a proxy in front changed the escapes: set \
         `normalize_path: false` and `path_with_escaped_slashes_action: KEEP_UNCHANGED` in every \
         Envoy, and turn off path normalization in other proxies",
    ),
    (
        MismatchCause::PathSlashes,
        "the client signs `{path}`, but a proxy in front merged slashes: set `merge_slashes: \
         false` in every Envoy, and turn off path normalization in other proxies",
    ),
    (
        MismatchCause::PathDotSegments,
        "the client signs `{path}`, but a proxy in front resolved dot segments: set \
         `normalize_path: false` in every Envoy, and turn off path normalization in other \
         proxies",
    ),
    (
        MismatchCause::TrailingSlash,
        "the client signs `{path}`: make it call exactly that path, and stop proxies and \
         redirects from adding or removing the last slash",
    ),
    (
        MismatchCause::RootSlash,
        "the client signs the root without its `/`: give the consumer the compat profile \
         `no-root-slash`",
    ),
    (
        MismatchCause::PathEncodedTwice,
        "the client encodes the path again before it signs: make it sign the path as it sends it",
    ),
    (
        MismatchCause::PathDecoded,
        "the client decodes the path before it signs: make it sign the path as it sends it",
    ),
    (
        MismatchCause::Method,
        "the client signs `{method}`, but another method arrived: look for a proxy, or an \
         X-HTTP-Method-Override header, that changes it",
    ),
    (
        MismatchCause::QueryLeftOut,
        "the client does not sign the query, or somebody added one on the way: compare the query \
         with the client's own log, then make the client sign it (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::QueryInUri,
        "the client signs the query as part of the URI: make it sign the URI up to the `?`, and \
         the query as parameters",
    ),
    (
        MismatchCause::FormLeftOut,
        "the client does not sign the form, or somebody added one on the way: make the client \
         sign it (RFC 5849 section 3.4.1.3.1); if it sends `oauth_body_hash` instead, give the \
         consumer the compat profile `body-unsigned-form`",
    ),
    (
        MismatchCause::FormCompressed,
        "the client signs a form, but sends it compressed: make it send the form without \
         Content-Encoding",
    ),
    (
        MismatchCause::BodyIncluded,
        "the client signs the body as parameters, but its Content-Type is not that of a form: \
         make it send `application/x-www-form-urlencoded`, or sign without the body",
    ),
    (
        MismatchCause::SentTwice,
        "the client sends every parameter twice, but signs it once: make it send each once",
    ),
    (
        MismatchCause::RepeatedName,
        "the client sends a name several times, but does not sign every value: make it sign all, \
         sorted (RFC 5849 section 3.4.1.3.2)",
    ),
    (
        MismatchCause::ParameterLeftOut,
        "the client does not sign a parameter, or somebody added it on the way: make it sign \
         every parameter that it sends (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::ParameterNotSent,
        "the client signs a parameter that it does not send: make it sign only what it sends (RFC \
         5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::SignedTwice,
        "the client signs parameters twice, but sends them once: make it sign every parameter as \
         often as it sends it (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::ValueLeftOut,
        "the client does not sign a value as it sends it: make it sign the whole value (RFC 5849 \
         section 3.4.1.3.1)",
    ),
    (
        MismatchCause::EmptyValue,
        "the client does not sign a parameter without a value as `name=`: make it do so (RFC 5849 \
         section 3.4.1.3.2)",
    ),
    (
        MismatchCause::ArraySyntax,
        "the client signs an array in another syntax than it sends: make it sign the parameters \
         that it sends (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::NamesChanged,
        "the client signs names in another spelling than it sends: make it sign the names that it \
         sends (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::SemicolonSeparator,
        "the client takes a `;` for a separator of parameters: make it separate them at `&` \
         alone, or send `%3B`",
    ),
    (
        MismatchCause::BracketsOnce,
        "the client encodes brackets in names once: give the consumer the compat profile \
         `brackets-once`",
    ),
    (
        MismatchCause::PlusLiteral,
        "the client signs a `+` as a plus, but in a query or form it means a space: make it send \
         a plus as `%2B`, or give the consumer the compat profile `plus-literal`",
    ),
    (
        MismatchCause::SpaceAsPlus,
        "the client encodes a space as `+` before it signs: make it sign `%20` (RFC 5849 section \
         3.6)",
    ),
    (
        MismatchCause::NamesNotEncoded,
        "the client encodes values, but not names, before it joins them: make it encode both (RFC \
         5849 section 3.4.1.3.2)",
    ),
    (
        MismatchCause::EncodedOnce,
        "the client does not encode names and values before it joins and encodes them: make it \
         do so (RFC 5849 section 3.4.1.3.2), or give the consumer the compat profile \
         `raw-values`",
    ),
    (
        MismatchCause::EncodedTwice,
        "the client encodes names and values that are encoded already: make it pass plain names \
         and values to its OAuth library",
    ),
    (
        MismatchCause::DecodedTwice,
        "the client decodes names and values twice before it signs: make it decode them once (RFC \
         5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::CharactersNotEncoded,
        "the client leaves characters plain: make it encode every character except letters, \
         digits and `-._~` (RFC 5849 section 3.6)",
    ),
    (
        MismatchCause::UnreservedEncoded,
        "the client escapes characters that need no escape: make it leave letters, digits and \
         `-._~` plain (RFC 5849 section 3.6)",
    ),
    (
        MismatchCause::LowerCaseEscapes,
        "the client writes escapes in lower case: make it write `%2F`, not `%2f` (RFC 5849 \
         section 3.6)",
    ),
    (
        MismatchCause::Charset,
        "the client signs another character set than UTF-8: make it encode names and values as \
         UTF-8 before it signs (RFC 5849 section 3.6)",
    ),
    (
        MismatchCause::LineBreaks,
        "the client signs other line breaks than it sends: make it sign CRLF, as browsers send \
         it in forms, or whatever it sends",
    ),
    (
        MismatchCause::Sorting,
        "the client sorts the parameters differently: make it sort by encoded name, then by \
         encoded value (RFC 5849 section 3.4.1.3.2)",
    ),
    (
        MismatchCause::EmptyToken,
        "the client sends an empty `oauth_token` without signing it, or signs one without \
         sending it: make it do both or neither",
    ),
    (
        MismatchCause::Version,
        "the client sends `oauth_version` without signing it, or signs it without sending it: \
         make it do both or neither",
    ),
    (
        MismatchCause::VersionText,
        "the client sends an `oauth_version` other than `1.0`: make it send `1.0` or none, or \
         give the consumer the compat profile `version-lenient`",
    ),
    (
        MismatchCause::RealmIncluded,
        "the client signs the realm: make it leave the realm out (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::SignatureEncoding,
        "the signature is right, but its encoding is wrong: make the client send \
         `oauth_signature` as padded base64, percent-encoded once",
    ),
    (
        MismatchCause::MethodConfusion,
        "the client names {label} as `oauth_signature_method` but signs with another method: set \
         both to the same method",
    ),
    (
        MismatchCause::BodyHash,
        "the client sends {hashed} as `oauth_body_hash`: make it hash the bytes that it sends, \
         with the hash of its signature method",
    ),
    (
        MismatchCause::AmpersandMissing,
        "the client joins its secrets without `&`: make it add the `&`, even without a token \
         (RFC 5849 section 3.4.2)",
    ),
    (
        MismatchCause::SecretMissing,
        "the client signs with one of its two secrets only: configure both the consumer secret \
         and the token secret in the client",
    ),
    (
        MismatchCause::SecretsNotEncoded,
        "the client does not encode its secrets before it joins them: make it encode them (RFC \
         5849 section 3.4.2), or give it secrets of letters and digits only",
    ),
    (
        MismatchCause::OldSecret,
        "the client signs with a replaced secret: give it the current one",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_name_and_its_remedy() {
        for (at, cause) in MismatchCause::ALL.into_iter().enumerate() {
            assert_eq!(REMEDIES[at].0, cause);
            assert_eq!(MismatchCause::from_name(cause.name()), Some(cause));
            let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(cause.name().bytes().all(is_word), "{cause}");
            let remedy = cause.remedy();
            assert!(remedy.contains(": ") && !remedy.ends_with('.'), "{remedy}");
        }
    }
}
