//! The list of the deviations.

use std::str::FromStr as _;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A known deviation from RFC 5849 in a client library, tolerated for one consumer.
///
/// Profiles are stored with a consumer. The rules of its administration limit them.
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
pub enum CompatProfile {
    /// `oauth_version` may also be `1.0a`, `1.0A` or `1`; the client signs the text that it sends.
    VersionLenient,
    /// The base string URI has no `/` if the path is the root.
    NoRootSlash,
    /// A `+` in the query is a plus, not a space.
    PlusLiteral,
    /// Names and values of header and query are signed as sent, without decoding and encoding.
    RawValues,
    /// A form body is not in the base string; `oauth_body_hash` must cover it.
    BodyUnsignedForm,
    /// The query of a POST is not in the base string.
    ///
    /// # Security
    /// Nothing protects that query: any intermediary can change it.
    IgnoreQueryOnPost,
    /// Brackets in names are encoded once.
    BracketsOnce,
    /// The signature may be for `http` or `https`, whichever scheme the request came by.
    SchemeAny,
    /// The ports 80 and 443 are left out, even if they are not the default of the scheme.
    DefaultPortAny,
    /// A pair of name and value that the query repeats is signed once.
    RepeatedOnce,
    /// A `/` in names and values is not encoded.
    SlashPlain,
    /// `!`, `*`, `'`, `(` and `)` are not encoded, as by `encodeURIComponent`.
    CharactersPlain,
    /// Names and values are encoded as a form, as by `java.net.URLEncoder`: `*` plain, `~` encoded,
    /// and a space as `+` or `%20`.
    FormEncoding,
    /// An empty `oauth_callback`, `oauth_verifier` or `oauth_token` is signed, but not sent.
    EmptyUnsent,
}

impl CompatProfile {
    /// Every profile, in the order of lists for people.
    pub const ALL: [Self; Self::VARIANTS.len()] =
        *Self::VARIANTS.first_chunk().expect("the same length");

    /// Returns the name in configuration, records and the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_str(name).ok()
    }

    pub(super) const fn bit(self) -> u16 {
        1 << self as u16
    }
}
