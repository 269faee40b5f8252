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
    /// A URI whose form is not `scheme://host/path`.
    UriForm,
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
    /// A path that is signed in lower or upper case.
    PathCase,
    /// A slash at the end of the path on one side only.
    TrailingSlash,
    /// The root path, signed without its slash.
    RootSlash,
    /// A path that the client encoded again before it signed.
    PathEncodedTwice,
    /// A path that the client decoded before it signed.
    PathDecoded,
    /// A signature for another HTTP method, or for one that is not in capitals.
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
    /// Values that are signed in another spelling: of a number, a word, a date, or JSON.
    ValuesChanged,
    /// A `;`, or another character, that the client takes for the `&` between parameters.
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
    /// A base string that the client changes after it has made it.
    BaseStringChanged,
    /// An empty `oauth_token` that is sent but not signed, or the reverse.
    EmptyToken,
    /// An `oauth_version` that is sent but not signed, or the reverse.
    Version,
    /// An `oauth_version` other than `1.0`.
    VersionText,
    /// A realm that is signed.
    RealmIncluded,
    /// Another `oauth_timestamp` than the sent one in the signed base string.
    Timestamp,
    /// An `oauth_signature` that is not padded base64, percent-encoded once.
    SignatureEncoding,
    /// A signature by another method than `oauth_signature_method` names.
    MethodConfusion,
    /// A hash of base string and key that is not the HMAC of the base string under the key.
    HmacMisused,
    /// An RSA signature that is padded as RSASSA-PSS says.
    RsaPadding,
    /// An `oauth_body_hash` of other bytes, or by another hash.
    BodyHash,
    /// Secrets without the single `&` between them.
    AmpersandMissing,
    /// A signature without the token's secret, or without the consumer's.
    SecretMissing,
    /// Secrets that are not encoded.
    SecretsNotEncoded,
    /// White space, a line break, quotes or a byte order mark around a secret.
    SecretPadded,
    /// One secret in the place of the other.
    SecretsExchanged,
    /// The consumer key or the token in the place of a secret.
    SecretIsIdentifier,
    /// A secret that is percent-encoded, or in base64 or hexadecimal digits, before it is used.
    SecretEncoded,
    /// A secret that is percent-decoded, or decoded from base64 or hexadecimal digits, before it is
    /// used.
    SecretDecoded,
    /// A secret without its first or last characters.
    SecretTruncated,
    /// A secret in lower or upper case.
    SecretCase,
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
                | Self::SecretPadded
                | Self::SecretsExchanged
                | Self::SecretIsIdentifier
                | Self::SecretEncoded
                | Self::SecretDecoded
                | Self::SecretTruncated
                | Self::SecretCase
                | Self::OldSecret
        )
    }
}
