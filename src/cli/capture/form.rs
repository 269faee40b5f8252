//! Forms that are built from names and values (`application/x-www-form-urlencoded`).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

/// The media type.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Builds a form.
pub(super) fn form<'v>(pairs: impl Iterator<Item = (&'v str, &'v str)>) -> Vec<u8> {
    let encoded = |text| utf8_percent_encode(text, ENCODED).to_string();
    let pairs = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&").into_bytes()
}

/// Encodes a value.
pub(super) fn encoded(value: &[u8]) -> String {
    percent_encode(value, ENCODED).to_string()
}

/// All characters except the unreserved ones (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
