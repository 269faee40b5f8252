//! Whether a body is a form (RFC 5849 section 3.4.1.3.1).

use super::Rejection;

/// Whether the body is `application/x-www-form-urlencoded`, whatever parameters the media type has.
///
/// # Errors
/// [`Rejection::SeveralContentTypes`], also when a proxy joined them with a comma.
pub(super) fn is_form(content_types: &[&[u8]]) -> Result<bool, Rejection> {
    match content_types {
        [] => Ok(false),
        [one] if !has_bare_comma(one) => Ok(media_type(one).eq_ignore_ascii_case(FORM)),
        _ => Err(Rejection::SeveralContentTypes),
    }
}

/// What stands before the parameters, or before a space, where lenient servers end it too: what one of them may take
/// for a form has to be signed as one.
fn media_type(content_type: &[u8]) -> &[u8] {
    let text = content_type.trim_ascii_start();
    let end = text
        .iter()
        .position(|&byte| byte == b';' || byte <= b' ')
        .unwrap_or(text.len());
    &text[..end]
}

/// Whether there is a comma outside of a quoted-string, where a boundary may hold one.
fn has_bare_comma(content_type: &[u8]) -> bool {
    let mut quoted = false;
    content_type.iter().any(|&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";
