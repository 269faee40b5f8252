//! Other spellings of a path: the transformations of clients before they sign, and of proxies on
//! the way.

use std::borrow::Cow;

use super::super::encode::{decode, is_unreserved};

/// A rule of an encoder: the bytes that stay plain, and the text of a space.
#[derive(Clone, Copy)]
pub(super) struct PathEncoder {
    is_plain: fn(u8) -> bool,
    space: &'static str,
    has_lower_digits: bool,
}

/// The encoders that clients run over the segments of a path before they sign it.
pub(super) const ENCODERS: [PathEncoder; 7] = [
    PathEncoder::new(is_unreserved, "%20"),
    // `encodeURIComponent`.
    PathEncoder::new(is_component, "%20"),
    // RFC 3986, as browsers encode a path.
    PathEncoder::new(is_path_character, "%20"),
    // `rawurlencode` of old versions of PHP and `quote` of Python 2.
    PathEncoder::new(|byte| is_unreserved(byte) && byte != b'~', "%20"),
    // `java.net.URLEncoder`.
    PathEncoder::new(is_java, "+"),
    PathEncoder::new(is_unreserved, "+"),
    // `HttpUtility.UrlEncode` of .NET.
    PathEncoder {
        has_lower_digits: true,
        ..PathEncoder::new(
            |byte| byte.is_ascii_alphanumeric() || b"-_.!*()".contains(&byte),
            "+",
        )
    },
];

impl PathEncoder {
    const fn new(is_plain: fn(u8) -> bool, space: &'static str) -> Self {
        Self {
            is_plain,
            space,
            has_lower_digits: false,
        }
    }

    /// Decodes every segment and encodes it by this rule.
    pub(super) fn respelled(self, path: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(path.len());
        let mut rest = path;
        while let Some((piece, after)) = split_piece(rest) {
            match *piece {
                [b'/'] => out.push(b'/'),
                _ => self.push(decoded_piece(piece), &mut out),
            }
            rest = after;
        }
        out
    }

    fn push(self, byte: u8, out: &mut Vec<u8>) {
        if byte == b' ' {
            out.extend_from_slice(self.space.as_bytes());
        } else if (self.is_plain)(byte) {
            out.push(byte);
        } else if self.has_lower_digits {
            out.extend_from_slice(format!("%{byte:02x}").as_bytes());
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

const fn is_component(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'!' | b'*' | b'\'' | b'(' | b')')
}

const fn is_java(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*')
}

/// Returns whether a segment may hold the byte (RFC 3986 section 3.3).
const fn is_path_character(byte: u8) -> bool {
    is_component(byte) || matches!(byte, b'$' | b'&' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

/// Splits off one byte or one escape.
pub(super) fn split_piece(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_escape = matches!(path, [b'%', high, low, ..]
        if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    path.split_at_checked(if is_escape { 3 } else { 1 })
}

/// Returns the byte that a piece means.
pub(super) fn decoded_piece(piece: &[u8]) -> u8 {
    decode(&Cow::Borrowed(piece))
        .first()
        .copied()
        .unwrap_or_default()
}

/// Changes every piece that means one of the bytes for which `is` holds.
pub(super) fn with_pieces(
    path: &[u8],
    is: impl Fn(u8) -> bool,
    change: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((piece, after)) = split_piece(rest) {
        if is(decoded_piece(piece)) {
            out.extend(change(piece));
        } else {
            out.extend_from_slice(piece);
        }
        rest = after;
    }
    out
}

/// Decodes every escape of the bytes for which `is` holds.
pub(super) fn decoded_where(path: &[u8], is: impl Fn(u8) -> bool) -> Vec<u8> {
    with_pieces(path, is, |piece| vec![decoded_piece(piece)])
}

/// Encodes every byte that is `byte`.
pub(super) fn encoded_byte(path: &[u8], byte: u8) -> Vec<u8> {
    let escape = format!("%{byte:02X}");
    with_pieces(path, |other| other == byte, |_| escape.clone().into_bytes())
}

/// Decodes escapes of unreserved characters, like Envoy's `normalize_path`.
pub(super) fn without_needless_escapes(path: &[u8]) -> Vec<u8> {
    decoded_where(path, is_unreserved)
}

/// Changes the case of the digits of escapes.
pub(super) fn escapes_in(path: &[u8], case: fn(&u8) -> u8) -> Vec<u8> {
    with_pieces(
        path,
        |_| true,
        |piece| match piece {
            [_] => piece.to_vec(),
            escape => escape.iter().map(case).collect(),
        },
    )
}

/// Returns the path in lower case, with escapes as they are.
pub(super) fn lower_case(path: &[u8]) -> Vec<u8> {
    with_pieces(
        path,
        |_| true,
        |piece| match piece {
            [byte] => vec![byte.to_ascii_lowercase()],
            escape => escape.to_vec(),
        },
    )
}

/// Merges consecutive slashes, like Envoy's `merge_slashes`.
pub(super) fn merged(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|a, b| *a == b'/' && *b == b'/');
    out
}

/// Resolves the dot segments of a path that begins with `/`.
///
/// [RFC 3986 section 5.2.4](https://www.rfc-editor.org/rfc/rfc3986#section-5.2.4)
pub(super) fn without_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut resolved: Vec<&[u8]> = Vec::new();
    let mut ends_with_dots = false;
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        ends_with_dots = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => drop(resolved.pop()),
            segment => resolved.push(segment),
        }
    }
    if ends_with_dots || resolved.is_empty() {
        resolved.push(b"");
    }
    [b"/", &*resolved.join(&b'/')].concat()
}

/// Removes the parameters of every segment: `;` and the text after it.
pub(super) fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments: Vec<_> = path
        .split(|&byte| byte == b'/')
        .map(|segment| {
            segment
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default()
        })
        .collect();
    segments.join(&b'/')
}

/// Returns the path with other texts for its decoded segments; `None` leaves a segment as it is.
pub(super) fn respelled_segments(
    path: &[u8],
    respell: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let segments = path.split(|&byte| byte == b'/').map(|segment| {
        let decoded = decode(&Cow::Borrowed(segment));
        respell(&decoded).unwrap_or_else(|| segment.to_vec())
    });
    segments.collect::<Vec<_>>().join(&b'/')
}

/// Returns whether a byte is one of the digits of an escape.
pub(super) fn is_in_escape(path: &[u8], at: usize) -> bool {
    path[at.saturating_sub(2)..at].contains(&b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_are_resolved_by_rfc_3986() {
        for (path, resolved) in [
            ("/a/b/c/./../../g", "/a/g"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/./", "/"),
            ("/../a", "/a"),
            ("/a//../b", "/a/b"),
            ("/a/b/", "/a/b/"),
        ] {
            assert_eq!(
                without_dot_segments(path.as_bytes()),
                resolved.as_bytes(),
                "{path}"
            );
        }
    }

    #[test]
    fn only_unreserved_characters_are_decoded() {
        assert_eq!(without_needless_escapes(b"/%7Ea%41%2F%20%"), b"/~aA%2F%20%");
        assert_eq!(
            escapes_in(b"/%e2%9a/ab", u8::to_ascii_uppercase),
            b"/%E2%9A/ab"
        );
        assert_eq!(lower_case(b"/Photos/%2F%C3"), b"/photos/%2F%C3");
    }

    #[test]
    fn an_encoder_keeps_slashes_and_escaped_slashes_apart() {
        let path = b"/a*b(c)/%2F%20~:";
        let all: Vec<_> = ENCODERS
            .iter()
            .map(|encoder| String::from_utf8(encoder.respelled(path)).unwrap())
            .collect();
        assert_eq!(
            all,
            [
                "/a%2Ab%28c%29/%2F%20~%3A",
                "/a*b(c)/%2F%20~%3A",
                "/a*b(c)/%2F%20~:",
                "/a%2Ab%28c%29/%2F%20%7E%3A",
                "/a*b%28c%29/%2F+%7E%3A",
                "/a%2Ab%28c%29/%2F+~%3A",
                "/a*b(c)/%2f+%7e%3a",
            ]
        );
    }

    #[test]
    fn parameters_of_segments_are_removed() {
        assert_eq!(without_parameters(b"/a;v=1/b;jsessionid=2"), b"/a/b");
    }
}
