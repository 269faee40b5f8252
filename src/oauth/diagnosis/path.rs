//! Changes of the path: changes by proxies, which strip, add, decode, merge and resolve, and by
//! clients before they sign.

use std::borrow::Cow;

use super::super::encode::{decode, is_unreserved};
use super::super::uri::{root_or, split_target};
use super::super::variant::{BaseStringVariant, replaced_part};
use super::change::{BaseStringChange, BaseStringPart};
use super::{MismatchCause, MismatchEvidence};

/// Returns every change of the path that may explain the request.
pub(super) fn changes<'e>(evidence: &MismatchEvidence<'e>) -> Vec<BaseStringChange<'e>> {
    let whole = BaseStringVariant::rfc(evidence.request).path.into_owned();
    let mut changes = vec![last_slash(&whole)];
    changes.extend(original_path(evidence, &whole));
    changes.extend(prefixes(evidence, &whole));
    changes.extend(normalized_by_client(&whole));
    changes.extend(normalized_by_proxy(&whole));
    changes.extend(encoded_by_client(&whole));
    changes.extend(one_byte(&whole));
    changes.extend(common_prefixes(&whole));
    changes
}

/// A cause, and the path that the client signs because of it.
type PathChange = (MismatchCause, Vec<u8>);

/// Returns the change to the path that Envoy had before it rewrote it.
fn original_path<'e>(
    evidence: &MismatchEvidence<'e>,
    whole: &[u8],
) -> Option<BaseStringChange<'e>> {
    let original = root_or(split_target(evidence.forwarded.original_path?).0);
    let cause = if original.ends_with(whole) {
        MismatchCause::PathPrefixStripped
    } else if whole.ends_with(original) {
        MismatchCause::PathPrefixAdded
    } else {
        MismatchCause::PathRewritten
    };
    Some(to((cause, original.to_vec())))
}

/// Returns the changes that add the forwarded prefix, and that remove the configured one or some
/// segments.
fn prefixes<'e>(evidence: &MismatchEvidence<'e>, whole: &[u8]) -> Vec<BaseStringChange<'e>> {
    let forwarded = evidence.forwarded.prefix.map(|prefix| {
        let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
        (MismatchCause::PathPrefixStripped, [prefix, whole].concat())
    });
    let arrived = root_or(split_target(evidence.request.target).0);
    let slashes = (1..whole.len()).filter(|&at| whole[at] == b'/');
    let shorter = slashes.take(MAX_PREFIX_SEGMENTS).map(|at| &whole[at..]);
    let added = std::iter::once(arrived)
        .chain(shorter)
        .map(|path| (MismatchCause::PathPrefixAdded, path.to_vec()));
    forwarded.into_iter().chain(added).map(to).collect()
}

fn common_prefixes<'e>(whole: &[u8]) -> impl Iterator<Item = BaseStringChange<'e>> + use<'e> {
    COMMON_PREFIXES
        .map(|prefix| [prefix, whole].concat())
        .into_iter()
        .map(|path| to((MismatchCause::PathPrefixStripped, path)).among_many())
}

/// Returns the normalizations that a client signs, while it sends the path as it was.
fn normalized_by_client<'e>(whole: &[u8]) -> impl Iterator<Item = BaseStringChange<'e>> + use<'e> {
    let plain = without_needless_escapes(whole);
    let resolved = without_dot_segments(whole);
    let all = without_dot_segments(&merged(&plain));
    let upper = escapes_in(whole, u8::to_ascii_uppercase);
    let lower = escapes_in(whole, u8::to_ascii_lowercase);
    let ways: [PathChange; 7] = [
        (MismatchCause::PathEscapes, plain),
        (MismatchCause::PathEscapes, upper),
        (MismatchCause::PathEscapes, lower),
        (MismatchCause::PathSlashes, merged(whole)),
        (MismatchCause::PathDotSegments, merged(&resolved)),
        (MismatchCause::PathDotSegments, resolved),
        (MismatchCause::PathDotSegments, all),
    ];
    ways.into_iter()
        .map(|way| to(way).with_remedy(Some(NORMALIZED_BY_CLIENT)))
}

/// Returns the paths that a proxy may have normalized, if they can be guessed.
fn normalized_by_proxy<'e>(whole: &[u8]) -> impl Iterator<Item = BaseStringChange<'e>> + use<'e> {
    let escapes: [(&[u8], &[u8]); 5] = [
        (b"~", b"%7E"),
        (b"~", b"%7e"),
        (b"-", b"%2D"),
        (b".", b"%2E"),
        (b"_", b"%5F"),
    ];
    let slashes = replaced_part(whole, b"/", b"//");
    escapes
        .map(|(plain, escape)| replaced_part(whole, plain, escape))
        .into_iter()
        .map(|path| (MismatchCause::PathEscapes, path))
        .chain([(MismatchCause::PathSlashes, slashes)])
        .map(to)
}

/// Returns the change that adds the slash at the end, or removes it.
fn last_slash<'e>(whole: &[u8]) -> BaseStringChange<'e> {
    to(match whole.strip_suffix(b"/") {
        Some([]) => (MismatchCause::RootSlash, Vec::new()),
        Some(shorter) => (MismatchCause::TrailingSlash, shorter.to_vec()),
        None => (MismatchCause::TrailingSlash, [whole, b"/"].concat()),
    })
}

fn encoded_by_client<'e>(whole: &[u8]) -> [BaseStringChange<'e>; 2] {
    let twice = replaced_part(whole, b"%", b"%25");
    let decoded = decode(&Cow::Borrowed(whole)).into_owned();
    [
        to((MismatchCause::PathEncodedTwice, twice)),
        to((MismatchCause::PathDecoded, decoded)),
    ]
}

/// Returns the changes of one byte of the path: as many as it has bytes, and more.
fn one_byte<'e>(whole: &[u8]) -> impl Iterator<Item = BaseStringChange<'e>> + use<'e> {
    let tried = if whole.len() > MAX_PATH_LEN {
        0
    } else {
        whole.len().min(MAX_BYTES_TRIED)
    };
    let changes: Vec<PathChange> = (0..tried).flat_map(|at| byte_changes(whole, at)).collect();
    changes.into_iter().map(|change| to(change).among_many())
}

fn byte_changes(whole: &[u8], at: usize) -> Vec<PathChange> {
    let with = |instead: &[u8]| [&whole[..at], instead, &whole[at + 1..]].concat();
    match whole[at] {
        b'/' => SLASHES.map(|(cause, text)| (cause, with(text))).into(),
        byte if is_unreserved(byte) && !is_in_escape(whole, at) => {
            let mut escapes = vec![format!("%{byte:02X}"), format!("%{byte:02x}")];
            escapes.dedup();
            escapes
                .into_iter()
                .map(|escape| (MismatchCause::PathEscapes, with(escape.as_bytes())))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn to<'e>((cause, path): PathChange) -> BaseStringChange<'e> {
    BaseStringChange::new(cause, BaseStringPart::Path, move |variant| {
        variant.path = Cow::Owned(path.clone());
    })
}

/// Returns whether a byte is one of the digits of an escape.
fn is_in_escape(path: &[u8], at: usize) -> bool {
    path[at.saturating_sub(2)..at].contains(&b'%')
}

/// Decodes escapes of unreserved characters, like Envoy's `normalize_path`.
fn without_needless_escapes(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        match unreserved_escape(rest) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[3..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

fn unreserved_escape(rest: &[u8]) -> Option<u8> {
    let (escape, _) = rest.split_at_checked(3)?;
    let decoded = decode(&Cow::Borrowed(escape));
    match *decoded {
        [byte] if is_unreserved(byte) => Some(byte),
        _ => None,
    }
}

/// Changes the case of the digits of escapes.
fn escapes_in(path: &[u8], case: fn(&u8) -> u8) -> Vec<u8> {
    let mut out = path.to_vec();
    for (at, byte) in out.iter_mut().enumerate() {
        if is_in_escape(path, at) {
            *byte = case(byte);
        }
    }
    out
}

/// Merges consecutive slashes, like Envoy's `merge_slashes`.
fn merged(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|a, b| *a == b'/' && *b == b'/');
    out
}

/// Resolves the dot segments of a path that begins with `/`.
///
/// [RFC 3986 section 5.2.4](https://www.rfc-editor.org/rfc/rfc3986#section-5.2.4)
fn without_dot_segments(path: &[u8]) -> Vec<u8> {
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

/// The prefixes that proxies often strip without a trace.
const COMMON_PREFIXES: [&[u8]; 8] = [
    b"/api", b"/v1", b"/v2", b"/v3", b"/api/v1", b"/api/v2", b"/api/v3", b"/rest",
];

/// The texts that a proxy turns into a single slash.
const SLASHES: [(MismatchCause, &[u8]); 5] = [
    (MismatchCause::PathSlashes, b"//"),
    (MismatchCause::PathDotSegments, b"/./"),
    (MismatchCause::PathEscapes, b"%2F"),
    (MismatchCause::PathEscapes, b"%2f"),
    (MismatchCause::PathEscapes, b"%5C"),
];

/// The most segments that a proxy is assumed to have added.
const MAX_PREFIX_SEGMENTS: usize = 3;

/// The longest path whose single bytes are tried: each try takes a copy of the path.
const MAX_PATH_LEN: usize = 1024;

/// The bytes at the start of a path that are tried one by one.
const MAX_BYTES_TRIED: usize = 80;

const NORMALIZED_BY_CLIENT: &str = "the client signs `{path}` but sends another spelling of the path: make it sign the path as \
     it sends it";

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
    }
}
