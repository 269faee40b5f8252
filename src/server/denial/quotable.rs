//! The unproven values that facts may quote: those that look like what their parameter or header
//! holds. Any other may be a secret in the wrong place.

use crate::oauth::{is_token, shows_value};

/// The look of a value that may be quoted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quotable {
    /// `oauth_timestamp`: digits and dots.
    Number,
    /// `oauth_version`: digits and dots, and an `a` at the end.
    Version,
    /// `oauth_signature_method`: a token (RFC 9110 section 5.6.2).
    SignatureMethod,
    /// `content-type` without its parameters: two tokens.
    MediaType,
    /// `content-length`: digits.
    Length,
}

impl Quotable {
    /// Returns the value, or a mask in its place.
    pub(super) fn shown(self, value: &[u8]) -> &[u8] {
        if shows_value(value, self.limit()) && self.fits(value) {
            value
        } else {
            MASK
        }
    }

    fn fits(self, value: &[u8]) -> bool {
        match self {
            Self::Number => is_number(value),
            Self::Version => is_number(value.strip_suffix(b"a").unwrap_or(value)),
            Self::SignatureMethod => value.iter().copied().all(is_token),
            Self::MediaType => value.iter().all(|&byte| is_token(byte) || byte == b'/'),
            Self::Length => value.iter().all(u8::is_ascii_digit),
        }
    }

    const fn limit(self) -> usize {
        match self {
            Self::MediaType => 64,
            Self::Number | Self::Version | Self::SignatureMethod | Self::Length => 32,
        }
    }
}

fn is_number(value: &[u8]) -> bool {
    let mut bytes = value.iter();
    bytes.all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// The replacement of a hidden value.
const MASK: &[u8] = b"***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_if_it_looks_like_what_belongs_there() {
        for (quotable, value) in [
            (Quotable::Number, "1700000000.5"),
            (Quotable::Number, ""),
            (Quotable::Version, "2.0"),
            (Quotable::Version, "1.0a"),
            (Quotable::SignatureMethod, "HMAC-SHA3_512"),
            (Quotable::MediaType, "application/x-www-form-urlencoded"),
            (Quotable::Length, "17"),
        ] {
            assert_eq!(shown(quotable, value), value, "{quotable:?}");
        }
    }

    #[test]
    fn anything_else_may_be_a_secret() {
        for (quotable, value) in [
            (Quotable::Number, "hunter2"),
            (Quotable::Number, "1%26"),
            (Quotable::Version, "hunter2"),
            (Quotable::Version, "aa"),
            (Quotable::SignatureMethod, "c2VjcmV0/dG9rZW4="),
            (Quotable::SignatureMethod, "HMAC-SHA1&pw"),
            (
                Quotable::SignatureMethod,
                "HMAC-SHA1-HMAC-SHA1-HMAC-SHA1-SHA1",
            ),
            (Quotable::MediaType, "text/plain:hunter2"),
            (Quotable::Length, "1.5"),
        ] {
            assert_eq!(shown(quotable, value), "***", "{quotable:?} {value}");
        }
    }

    fn shown(quotable: Quotable, value: &str) -> &str {
        str::from_utf8(quotable.shown(value.as_bytes())).unwrap()
    }
}
