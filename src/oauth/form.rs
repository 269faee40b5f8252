//! Forms: `application/x-www-form-urlencoded` in a query or a body (RFC 5849 section 3.4.1.3.1).

use super::Rejection;
use super::header::is_token;
use super::scan::split_once;

/// The type of a body, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyType {
    /// `application/x-www-form-urlencoded`, with any parameters of the media type.
    Form,
    /// Another media type.
    Other,
    /// No `Content-Type`, or an empty one.
    Absent,
    /// A malformed media type, one that resembles that of a form, or multipart without a boundary.
    /// Some backends read such a body as a form.
    Unclear,
}

impl BodyType {
    /// Returns the type of a body.
    ///
    /// # Errors
    /// [`Rejection::SeveralContentTypes`], even if a proxy joined them with a comma.
    pub(super) fn of(content_types: &[&[u8]]) -> Result<Self, Rejection> {
        match content_types {
            [] => Ok(Self::Absent),
            [one] if !has_bare_comma(one) => Ok(Self::named(one)),
            _ => Err(Rejection::SeveralContentTypes),
        }
    }

    fn named(content_type: &[u8]) -> Self {
        let media_type = media_type(content_type);
        if media_type.eq_ignore_ascii_case(FORM.as_bytes()) {
            Self::Form
        } else if content_type.trim_ascii().is_empty() {
            Self::Absent
        } else if resembles_form(content_type)
            || !is_media_type(media_type)
            || (is_multipart(media_type) && !has_boundary(content_type))
        {
            Self::Unclear
        } else {
            Self::Other
        }
    }
}

/// Returns whether the body is a form.
///
/// # Errors
/// [`Rejection::SeveralContentTypes`].
pub(super) fn is_form(content_types: &[&[u8]]) -> Result<bool, Rejection> {
    Ok(BodyType::of(content_types)? == BodyType::Form)
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

/// Returns whether the name of a form's type is anywhere in the header. Lenient parsers find it at
/// the beginning, at the end, behind a comma or in front of a byte that they take for a space.
fn resembles_form(content_type: &[u8]) -> bool {
    ENCODED_NAMES
        .iter()
        .any(|name| find(content_type, name).is_some())
}

fn is_multipart(media_type: &[u8]) -> bool {
    media_type
        .first_chunk()
        .is_some_and(|name: &[u8; MULTIPART.len()]| name.eq_ignore_ascii_case(MULTIPART))
}

/// Returns whether a boundary is named. Without one, some backends read the body as a form.
fn has_boundary(content_type: &[u8]) -> bool {
    find(content_type, BOUNDARY).is_some_and(|at| {
        let value = &content_type[at + BOUNDARY.len()..];
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        !matches!(value, [] | [b'"' | b';' | b',', ..])
    })
}

/// Returns the position of `name` in any case.
fn find(text: &[u8], name: &[u8]) -> Option<usize> {
    text.windows(name.len())
        .position(|part| part.eq_ignore_ascii_case(name))
}

/// Returns whether the text is `type/subtype` (RFC 9110 section 8.3.1).
fn is_media_type(text: &[u8]) -> bool {
    let is_name = |name: &[u8]| !name.is_empty() && name.iter().all(|&byte| is_token(byte));
    split_once(text, b'/').is_some_and(|(name, subtype)| is_name(name) && is_name(subtype))
}

/// Returns whether there is a comma outside of a quoted string; a quoted boundary may hold one.
fn has_bare_comma(content_type: &[u8]) -> bool {
    let mut quoted = false;
    content_type.iter().any(|&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
}

/// The part of [`FORM`] that no other media type has, and that of an older name, which some backends
/// accept too.
const ENCODED_NAMES: [&[u8]; 2] = [b"urlencoded", b"url-encoded"];

const MULTIPART: &[u8] = b"multipart/";

const BOUNDARY: &[u8] = b"boundary=";

/// The media type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
