//! The general remedy of each cause.

use super::MismatchCause;

/// Returns the change to make. Its placeholders stand for values of the request
/// ([`RemedyContext`](super::remedy::RemedyContext)).
pub(super) const fn of(cause: MismatchCause) -> &'static str {
    REMEDIES[cause as usize].1
}

/// The remedy of each cause, in the order of the causes.
const REMEDIES: [(MismatchCause, &str); MismatchCause::ALL.len()] = [
    (
        MismatchCause::Scheme,
        "the client signs `{scheme}://`, but the request arrives with the other scheme: set \
         `{setting} = \"{origin}\"`{or_profile}",
    ),
    (
        MismatchCause::Port,
        "the client signs `{signed}`: set `{setting} = \"{origin}\"`, or keep the port of the \
         Host header at every proxy{or_profile}",
    ),
    (
        MismatchCause::Host,
        "the client signs `{signed}`, but a proxy in front changed the Host header (Envoy: \
         `host_rewrite_literal`): set `{setting} = \"{origin}\"`",
    ),
    (
        MismatchCause::HostCase,
        "the client signs the host in uppercase: make it sign the host in lowercase (RFC 5849 \
         section 3.4.1.2)",
    ),
    (
        MismatchCause::UriForm,
        "the client signs `{uri}` as the URI: make it sign scheme, host and path, as in \
         `https://{arrived}{arrived_path}` (RFC 5849 section 3.4.1.2)",
    ),
    (
        MismatchCause::PathPrefixStripped,
        "the client signs `{path}`, but a proxy in front stripped a prefix (Envoy: \
         `prefix_rewrite`): set `{setting} = \"{origin}\"`",
    ),
    (
        MismatchCause::PathPrefixAdded,
        "the client signs `{path}`, but a proxy in front, or somebody else on the way, added a prefix: \
         call Countersign before the path is rewritten, or make the client sign `{arrived_path}`",
    ),
    (
        MismatchCause::PathRewritten,
        "the client signs `{path}`, but a proxy in front rewrote the path: call Countersign \
         before the path is rewritten",
    ),
    (
        MismatchCause::PathEscapes,
        "the client signs `{path}`, but `{arrived_path}` arrived: make the client sign the path as \
         it arrives, since many HTTP libraries change escapes before they send them; if its own \
         log shows that it sends `{path}`, set `normalize_path: false` and \
         `path_with_escaped_slashes_action: KEEP_UNCHANGED` in every Envoy, and turn off path \
         normalization in other proxies",
    ),
    (
        MismatchCause::PathSlashes,
        "the client signs `{path}`, but `{arrived_path}` arrived: make the client sign the path as \
         it arrives; if its own log shows that it sends `{path}`, set `merge_slashes: false` in \
         every Envoy, and turn off path normalization in other proxies",
    ),
    (
        MismatchCause::PathDotSegments,
        "the client signs `{path}`, but `{arrived_path}` arrived: make the client sign the path as \
         it arrives; if its own log shows that it sends `{path}`, set `normalize_path: false` in \
         every Envoy, and turn off path normalization in other proxies",
    ),
    (
        MismatchCause::PathCase,
        "the client signs the path as `{path}`, but `{arrived_path}` arrived: make it sign the path \
         as it sends it; only scheme and host are in lowercase (RFC 5849 section 3.4.1.2)",
    ),
    (
        MismatchCause::TrailingSlash,
        "the client signs `{path}`, but `{arrived_path}` arrived: make it sign the path that it \
         calls, also after a redirect, and stop proxies from adding or removing the last slash",
    ),
    (
        MismatchCause::RootSlash,
        "the client signs the root without its `/`: make it sign the `/` (RFC 5849 section \
         3.4.1.2){or_profile}",
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
        "the client signs `{method}`, but `{arrived_method}` arrived, or somebody changed it on the way: make it \
         sign the method that it sends; if it does, look for a proxy that changes the method",
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
         sign it (RFC 5849 section 3.4.1.3.1){or_profile}",
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
        "the client sends a name several times, but does not sign every value, or somebody added some \
         on the way: make it sign all, sorted (RFC 5849 section 3.4.1.3.2)",
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
        "the client does not sign a value as it sends it, or somebody changed it on the way: make it \
         sign the whole value (RFC 5849 \
         section 3.4.1.3.1)",
    ),
    (
        MismatchCause::EmptyValue,
        "the client does not sign a parameter without a value as `name=`: make it sign that (RFC \
         5849 section 3.4.1.3.2)",
    ),
    (
        MismatchCause::ArraySyntax,
        "the client signs an array in a different syntax than it sends: make it sign the parameters \
         that it sends (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::NamesChanged,
        "the client spells names differently when it signs them: make it sign the names that it \
         sends (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::ValuesChanged,
        "the client signs values in another spelling than it sends, or somebody changed them on the way: \
         make it sign the values that it sends (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::SemicolonSeparator,
        "the client treats a `;` as a separator of parameters: make it split them only at `&`, or send \
         `%3B`",
    ),
    (
        MismatchCause::BracketsOnce,
        "the client encodes brackets in names once: make it encode them twice (RFC 5849 section \
         3.4.1.3.2){or_profile}",
    ),
    (
        MismatchCause::PlusLiteral,
        "the client signs a `+` as a plus, but in a query or form it means a space: make it send \
         a plus as `%2B`{or_profile}",
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
         encode them twice (RFC 5849 section 3.4.1.3.2){or_profile}",
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
        "the client leaves characters unencoded: make it encode every character except letters, \
         digits and `-._~` (RFC 5849 section 3.6)",
    ),
    (
        MismatchCause::UnreservedEncoded,
        "the client escapes characters that need no escape: make it leave letters, digits and \
         `-._~` unencoded (RFC 5849 section 3.6)",
    ),
    (
        MismatchCause::LowerCaseEscapes,
        "the client writes escapes in lowercase: make it write `%2F`, not `%2f` (RFC 5849 \
         section 3.6)",
    ),
    (
        MismatchCause::Charset,
        "the client signs in a character set other than UTF-8: make it encode names and values as \
         UTF-8 before it signs (RFC 5849 section 3.6)",
    ),
    (
        MismatchCause::LineBreaks,
        "the client signs different line breaks than it sends: make it sign those that it sends; \
         browsers send CRLF in forms",
    ),
    (
        MismatchCause::Sorting,
        "the client sorts the parameters differently: make it sort by encoded name, then by \
         encoded value (RFC 5849 section 3.4.1.3.2)",
    ),
    (
        MismatchCause::BaseStringChanged,
        "the client changes the base string before it signs: make it sign method, URI and parameters, \
         each encoded, joined by `&` (RFC 5849 section 3.4.1.1)",
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
        "the client sends an `oauth_version` other than `1.0`: make it send `1.0` or none{or_profile}",
    ),
    (
        MismatchCause::RealmIncluded,
        "the client signs the realm: make it omit the realm (RFC 5849 section 3.4.1.3.1)",
    ),
    (
        MismatchCause::Timestamp,
        "the client signs a different `oauth_timestamp` than it sends, or somebody changed it on the way: \
         make it read the clock once, and put the same value into the base string and the request",
    ),
    (
        MismatchCause::SignatureEncoding,
        "the signature is right, but arrives {encoding}: make the client send `oauth_signature` \
         as padded base64, percent-encoded once",
    ),
    (
        MismatchCause::MethodConfusion,
        "the client names {label} as `oauth_signature_method` but signs with another method: set \
         both to the same method",
    ),
    (
        MismatchCause::HmacMisused,
        "the client signs with the right key, but not by HMAC: make it sign the base string with \
         HMAC and the two encoded secrets as its key (RFC 5849 section 3.4.2)",
    ),
    (
        MismatchCause::RsaPadding,
        "the client signs with RSASSA-PSS: make it sign with RSASSA-PKCS1-v1_5 (RFC 5849 section \
         3.4.3)",
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
        "the client signs without {secret}: configure both the consumer secret and the token \
         secret in the client",
    ),
    (
        MismatchCause::SecretsNotEncoded,
        "the client does not encode its secrets before it joins them: make it encode them (RFC \
         5849 section 3.4.2), or give it secrets of letters and digits only",
    ),
    (
        MismatchCause::SecretPadded,
        "the client signs with extra characters around {secret}: remove them from the client's \
         configuration",
    ),
    (
        MismatchCause::SecretsExchanged,
        "the client signs with {secret}: put each secret in its place in the client's \
         configuration",
    ),
    (
        MismatchCause::SecretIsIdentifier,
        "the client signs with {secret}: configure both secrets in the client, instead of the \
         consumer key and the token",
    ),
    (
        MismatchCause::SecretEncoded,
        "the client encodes {secret} before its library does: pass the plain secret to the library",
    ),
    (
        MismatchCause::SecretDecoded,
        "the client decodes {secret}: make it use the secret unchanged",
    ),
    (
        MismatchCause::SecretTruncated,
        "the client signs with a part of {secret}: copy the whole secret",
    ),
    (
        MismatchCause::SecretCase,
        "the client changes {secret} to uppercase or lowercase: make it use the secret unchanged",
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
            let remedy = of(cause);
            assert!(remedy.contains(": ") && !remedy.ends_with('.'), "{remedy}");
        }
    }
}
