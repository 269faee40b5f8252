//! Forms: `application/x-www-form-urlencoded` in a query or a body (RFC 5849 section 3.4.1.3.1).

use super::Rejection;
use super::scan::split_once;

/// Returns whether the body is `application/x-www-form-urlencoded`, with any parameters of the
/// media type.
///
/// # Errors
/// [`Rejection::SeveralContentTypes`], even if a proxy joined them with a comma.
pub(super) fn is_form(content_types: &[&[u8]]) -> Result<bool, Rejection> {
    match content_types {
        [] => Ok(false),
        [one] if !has_bare_comma(one) => Ok(media_type(one).eq_ignore_ascii_case(FORM.as_bytes())),
        _ => Err(Rejection::SeveralContentTypes),
    }
}

/// Returns the names and values of a form as the wire has them. Only `&` separates, and an empty
/// segment is no parameter.
pub(super) fn form_pairs(form: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    form.split(|&byte| byte == b'&')
        .filter(|segment| !segment.is_empty())
        .map(|segment| split_once(segment, b'=').unwrap_or((segment, b"")))
}

/// Returns the media type without its parameters.
///
/// A space ends it too, as in lenient servers: a body that one of them may read as a form must be
/// signed as one.
fn media_type(content_type: &[u8]) -> &[u8] {
    let text = content_type.trim_ascii_start();
    let end = text
        .iter()
        .position(|&byte| byte == b';' || byte <= b' ')
        .unwrap_or(text.len());
    &text[..end]
}

/// Returns whether there is a comma outside of a quoted string; a quoted boundary may hold one.
fn has_bare_comma(content_type: &[u8]) -> bool {
    let mut quoted = false;
    content_type.iter().any(|&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
}

/// The media type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
