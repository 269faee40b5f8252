//! The closed list of causes, and what to do about each.

use std::fmt;

/// Why a signature does not match: what the client did otherwise, or what was done to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MismatchCause {
    /// It was signed for the other one of `http` and `https`.
    Scheme,
    /// It was signed for another port, or with one or without.
    Port,
    /// It was signed for another host.
    Host,
    /// The host was signed in capitals.
    HostCase,
    /// A prefix of the path was signed, and taken off on the way.
    PathPrefixStripped,
    /// A prefix of the path was not signed, and put in front on the way.
    PathPrefixAdded,
    /// Another path was signed, and rewritten on the way.
    PathRewritten,
    /// Escapes of the path are written otherwise than they were signed: `%7E` and `~`, `%2F` and `/`.
    PathEscapes,
    /// The path has another number of slashes in a row.
    PathSlashes,
    /// Dot segments of the path were resolved on one side only.
    PathDotSegments,
    /// A slash at the end of the path.
    TrailingSlash,
    /// The slash of the root.
    RootSlash,
    /// The path was encoded once more before it was signed.
    PathEncodedTwice,
    /// The path was decoded before it was signed.
    PathDecoded,
    /// Another HTTP method was signed.
    Method,
    /// The parameters of the query are not in the base string.
    QueryLeftOut,
    /// The query was signed as a part of the URI.
    QueryInUri,
    /// The parameters of a form body are not in the base string.
    FormLeftOut,
    /// A body that is not a form was signed as parameters.
    BodyIncluded,
    /// Brackets in names were encoded once.
    BracketsOnce,
    /// A `+` was signed as a plus, and means a space.
    PlusLiteral,
    /// A space was signed as `+`.
    SpaceAsPlus,
    /// Names and values were encoded once, not twice.
    EncodedOnce,
    /// Names and values, or the names alone, were encoded once more.
    EncodedTwice,
    /// `!*'()` were not encoded.
    CharactersNotEncoded,
    /// The parameters were sorted before they were encoded, or otherwise.
    Sorting,
    /// An empty `oauth_token` that is sent was not signed, or one that is not sent was.
    EmptyToken,
    /// An `oauth_version` that is not sent was signed, or one that is sent was not.
    Version,
    /// `oauth_version` is not written `1.0`.
    VersionText,
    /// The realm was signed.
    RealmIncluded,
    /// `oauth_signature` is not written as base64, percent-encoded once.
    SignatureEncoding,
    /// It was signed by another method than `oauth_signature_method` names.
    MethodConfusion,
    /// `oauth_body_hash` is that of other bytes, or by another hash.
    BodyHash,
    /// The `&` between the secrets is missing.
    AmpersandMissing,
    /// The token's secret was not used, or not the consumer's.
    SecretMissing,
    /// The secrets were not encoded.
    SecretsNotEncoded,
    /// It was signed with a secret that is not valid any more.
    OldSecret,
}

impl MismatchCause {
    /// Every cause. The first of them that a request fits is the one that is named.
    pub const ALL: [Self; 37] = {
        let mut all = [Self::Scheme; 37];
        let mut at = 0;
        while at < all.len() {
            all[at] = ROWS[at].0;
            at += 1;
        }
        all
    };

    /// Its word in logs, metrics and the API.
    pub const fn name(self) -> &'static str {
        ROWS[self as usize].1
    }

    /// The cause of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// Whether it tells something of a secret: then it is for operators alone, and never for whoever sent the request.
    pub const fn depends_on_secret(self) -> bool {
        matches!(
            self,
            Self::AmpersandMissing
                | Self::SecretMissing
                | Self::SecretsNotEncoded
                | Self::OldSecret
        )
    }

    /// What to do about it. In braces stands what the client signed, `{scheme}`, `{origin}`, `{path}`, `{method}`, and what is
    /// to be set, `{setting}`.
    pub(super) const fn remedy(self) -> &'static str {
        ROWS[self as usize].2
    }
}

impl fmt::Display for MismatchCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Cause, name and remedy, in the order of the causes.
const ROWS: [(MismatchCause, &str, &str); 37] = [
    (
        MismatchCause::Scheme,
        "scheme",
        "the client signs `{scheme}://`: set `{setting} = \"{origin}\"` where clients reach this route by \
     it, or give the consumer the compat profile `scheme-any`",
    ),
    (
        MismatchCause::Port,
        "port",
        "the client signs `{origin}`: set `{setting}` to it, and let proxies in front keep the port of the \
     Host header; for clients that never sign 80 and 443 there is the compat profile `default-port-any`",
    ),
    (
        MismatchCause::Host,
        "host",
        "the client signs `{origin}`, and a proxy in front sent another Host (Envoy: `host_rewrite_literal`): \
     set `{setting} = \"{origin}\"`",
    ),
    (
        MismatchCause::HostCase,
        "host-case",
        "the client signs the host in capitals: it has to sign it in lower case (RFC 5849 section \
     3.4.1.2)",
    ),
    (
        MismatchCause::PathPrefixStripped,
        "path-prefix-stripped",
        "the client signs `{path}`, and a proxy in front took off a prefix \
     (Envoy: `prefix_rewrite`): put the prefix at the end of what clients call, `{setting} = \"{origin}{prefix}\"`",
    ),
    (
        MismatchCause::PathPrefixAdded,
        "path-prefix-added",
        "the client signs `{path}`, without a prefix that `{setting}` or a proxy in \
     front puts before it: take it out of `{setting}`, or ask Countersign before the path is rewritten",
    ),
    (
        MismatchCause::PathRewritten,
        "path-rewritten",
        "the client signs `{path}`, and a proxy in front rewrote it: ask Countersign \
     before the path is rewritten",
    ),
    (
        MismatchCause::PathEscapes,
        "path-escapes",
        "the client signs `{path}`, and its escapes were changed on the way: set `normalize_path: \
     false` and `path_with_escaped_slashes_action: KEEP_UNCHANGED` in every Envoy in front, and the like in other proxies",
    ),
    (
        MismatchCause::PathSlashes,
        "path-slashes",
        "the client signs `{path}`, and slashes were merged on the way: set Envoy's \
     `merge_slashes: false`",
    ),
    (
        MismatchCause::PathDotSegments,
        "path-dot-segments",
        "the client signs `{path}`, and dot segments were resolved on the way: set \
     Envoy's `normalize_path: false`",
    ),
    (
        MismatchCause::TrailingSlash,
        "trailing-slash",
        "the client signs `{path}`: it has to call the path that it signs, and no proxy \
     may add or take off the slash at the end",
    ),
    (
        MismatchCause::RootSlash,
        "root-slash",
        "the client signs the root without its `/`: give the consumer the compat profile \
     `no-root-slash`",
    ),
    (
        MismatchCause::PathEncodedTwice,
        "path-encoded-twice",
        "the client encodes the path once more before it signs it: it has to sign \
     the path as it sends it",
    ),
    (
        MismatchCause::PathDecoded,
        "path-decoded",
        "the client signs the path decoded: it has to sign the path as it sends it",
    ),
    (
        MismatchCause::Method,
        "method",
        "the client signs `{method}`, and another method arrived: look for a proxy that changes it, or \
     for an X-HTTP-Method-Override",
    ),
    (
        MismatchCause::QueryLeftOut,
        "query-left-out",
        "the client does not sign the query, or somebody added one on the way: ask the client what it \
     sends; it has to sign the query (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::QueryInUri,
        "query-in-uri",
        "the client signs the query as a part of the URI: it has to sign the URI up to the \
     `?`, and the query among the parameters",
    ),
    (
        MismatchCause::FormLeftOut,
        "form-left-out",
        "the client does not sign the form, or somebody added one on the way: it has to sign it \
     (RFC 5849 section 3.4.1.3.1); where it sends oauth_body_hash instead, give the consumer the compat profile \
     `body-unsigned-form`",
    ),
    (
        MismatchCause::BodyIncluded,
        "body-included",
        "the client signs the body as parameters, and its Content-Type says that it is no \
     form: it has to send application/x-www-form-urlencoded, or to leave the body out",
    ),
    (
        MismatchCause::BracketsOnce,
        "brackets-once",
        "the client encodes brackets in names once: give the consumer the compat profile \
     `brackets-once`",
    ),
    (
        MismatchCause::PlusLiteral,
        "plus-literal",
        "the client signs a `+` as a plus, and it means a space: it has to send a plus as \
     `%2B`, or give the consumer the compat profile `plus-literal`",
    ),
    (
        MismatchCause::SpaceAsPlus,
        "space-as-plus",
        "the client encodes a space as `+` before it signs: it has to sign it as `%20` (RFC \
     5849 section 3.6)",
    ),
    (
        MismatchCause::EncodedOnce,
        "encoded-once",
        "the client does not encode names and values before it joins and encodes them: it has \
     to (RFC 5849 section 3.4.1.3.2), or give the consumer the compat profile `raw-values`",
    ),
    (
        MismatchCause::EncodedTwice,
        "encoded-twice",
        "the client encodes names and values that are encoded already: it has to sign them \
     as they are before any encoding",
    ),
    (
        MismatchCause::CharactersNotEncoded,
        "characters-not-encoded",
        "the client leaves `!*'()` as they are, as encodeURIComponent \
     does: it has to encode them (RFC 5849 section 3.6)",
    ),
    (
        MismatchCause::Sorting,
        "sorting",
        "the client sorts the parameters otherwise: it has to sort them by their encoded names, then \
     by their encoded values (RFC 5849 section 3.4.1.3.2)",
    ),
    (
        MismatchCause::EmptyToken,
        "empty-token",
        "an empty oauth_token is sent or signed, not both: the client has to sign it when it \
     sends it, and only then",
    ),
    (
        MismatchCause::Version,
        "version",
        "oauth_version is sent or signed, not both: the client has to sign it when it sends it, and \
     only then",
    ),
    (
        MismatchCause::VersionText,
        "version-text",
        "the client sends an oauth_version that is not `1.0`: it has to send `1.0` or none, or \
     give the consumer the compat profile `version-lenient`",
    ),
    (
        MismatchCause::RealmIncluded,
        "realm-included",
        "the client signs the realm: it has to leave it out (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::SignatureEncoding,
        "signature-encoding",
        "the signature is right and not written right: oauth_signature has to be \
     base64 with its padding, percent-encoded once",
    ),
    (
        MismatchCause::MethodConfusion,
        "method-confusion",
        "the client signs by another method than the {label} that it names: both have \
     to be the same",
    ),
    (
        MismatchCause::BodyHash,
        "body-hash",
        "the client sends as oauth_body_hash {hashed}: it has to be that of the bytes that it sends, \
     by the hash of its signature method",
    ),
    (
        MismatchCause::AmpersandMissing,
        "ampersand-missing",
        "the client signs with its secrets without the `&` that joins them: it \
     stands there even when there is no token (RFC 5849 section 3.4.2)",
    ),
    (
        MismatchCause::SecretMissing,
        "secret-missing",
        "the client signs with one of the two secrets alone: look at how it is \
     configured",
    ),
    (
        MismatchCause::SecretsNotEncoded,
        "secrets-not-encoded",
        "the client does not encode its secrets before it joins them (RFC 5849 \
     section 3.4.2): it has to, or give it secrets of letters and digits alone",
    ),
    (
        MismatchCause::OldSecret,
        "old-secret",
        "the client signs with a secret that was replaced: give it the new one",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_row_and_a_name_of_its_own() {
        for (at, cause) in MismatchCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, at, "{cause}");
            assert_eq!(MismatchCause::from_name(cause.name()), Some(cause));
            assert!(
                cause
                    .name()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{cause}"
            );
            assert!(
                !cause.remedy().is_empty() && !cause.remedy().ends_with('.'),
                "{cause}"
            );
        }
    }
}
