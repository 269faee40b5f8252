//! The encodings of clients that deviate from RFC 5849 section 3.6.

use super::super::variant::{BaseStringVariant, Encoding};
use super::profile::CompatProfile;

/// A deviation from the encoding of RFC 5849 section 3.6.
pub(super) struct EncodingChange {
    /// The bytes that stay plain.
    plain: &'static [u8],
    /// The unreserved bytes that are escaped.
    escaped: &'static [u8],
    /// A space becomes `+`.
    space_as_plus: bool,
    /// The parts that are encoded in this way.
    scope: EncodingScope,
}

/// The parts of a base string that are encoded in one way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum EncodingScope {
    /// Names.
    Names,
    /// Names and values.
    Texts,
    /// Names and values, and the joined parameters.
    Parameters,
    /// Names and values, the joined parameters and the URI.
    Everything,
}

impl EncodingChange {
    /// Changes the encoding of a variant.
    pub(super) fn apply(&self, variant: &mut BaseStringVariant<'_>) {
        for form in &mut variant.names {
            form.encoding = self.of(form.encoding);
        }
        if self.scope > EncodingScope::Names {
            for form in &mut variant.values {
                form.encoding = self.of(form.encoding);
            }
        }
        if self.scope > EncodingScope::Texts {
            variant.joined_encoding = self.of(variant.joined_encoding);
        }
        if self.scope > EncodingScope::Parameters {
            variant.uri_encoding = self.of(variant.uri_encoding);
        }
    }

    fn of(&self, encoding: Encoding) -> Encoding {
        let changed = encoding.leaving(self.plain).escaping(self.escaped);
        if self.space_as_plus {
            changed.with_plus()
        } else {
            changed
        }
    }
}

/// The encodings of the clients of each profile.
pub(super) const ENCODING_CHANGES: [(CompatProfile, &[EncodingChange]); 4] = [
    (
        CompatProfile::BracketsOnce,
        &[EncodingChange {
            scope: EncodingScope::Names,
            ..leaving(b"[]")
        }],
    ),
    (
        CompatProfile::SlashPlain,
        &[
            leaving(b"/"),
            EncodingChange {
                scope: EncodingScope::Parameters,
                ..leaving(b"/")
            },
        ],
    ),
    (
        CompatProfile::CharactersPlain,
        &[
            leaving(b"!*'()"),
            EncodingChange {
                scope: EncodingScope::Everything,
                ..leaving(b"!*'()")
            },
        ],
    ),
    (
        CompatProfile::FormEncoding,
        &[
            FORM,
            EncodingChange {
                space_as_plus: false,
                ..FORM
            },
            EncodingChange {
                scope: EncodingScope::Everything,
                ..FORM
            },
        ],
    ),
];

const fn leaving(plain: &'static [u8]) -> EncodingChange {
    EncodingChange {
        plain,
        escaped: b"",
        space_as_plus: false,
        scope: EncodingScope::Texts,
    }
}

/// The encoding of `java.net.URLEncoder`.
const FORM: EncodingChange = EncodingChange {
    escaped: b"~",
    space_as_plus: true,
    ..leaving(b"*")
};
