//! Other paths: what proxies take off, put in front, decode, merge and resolve, and what clients do before they sign.

use std::borrow::Cow;
use std::slice;

use super::super::encode::{decode, is_unreserved};
use super::super::uri::{root_or, split_target};
use super::super::variant::Variant;
use super::changes::{Change, Part};
use super::{MismatchCause, MismatchEvidence};

/// Every change of the path that may explain the request.
pub(super) fn changes<'e>(evidence: &MismatchEvidence<'e>) -> Vec<Change<'e>> {
    let whole = Variant::rfc(evidence.request).path.into_owned();
    let mut changes = prefixes(evidence, &whole);
    changes.extend(normalized(&whole));
    changes.extend(undone(&whole));
    let toggled = whole
        .strip_suffix(b"/")
        .map_or_else(|| [&whole, &b"/"[..]].concat(), <[u8]>::to_vec);
    if toggled.is_empty() {
        changes.push(to(MismatchCause::RootSlash, Vec::new()));
    } else {
        changes.push(to(MismatchCause::TrailingSlash, toggled));
    }
    changes.push(to(
        MismatchCause::PathEncodedTwice,
        replaced(&whole, b"%", b"%25"),
    ));
    changes.push(to(
        MismatchCause::PathDecoded,
        decode(&Cow::Borrowed(&*whole)).into_owned(),
    ));
    changes.extend(one_of_many(&whole));
    changes.extend(COMMON_PREFIXES.map(|prefix| {
        to(MismatchCause::PathPrefixStripped, [prefix, &whole].concat()).among_many()
    }));
    changes
}

/// What was signed in front of the path, or was not.
fn prefixes<'e>(evidence: &MismatchEvidence<'e>, whole: &[u8]) -> Vec<Change<'e>> {
    let mut changes = Vec::new();
    if let Some(original) = evidence.forwarded.original_path {
        let original = root_or(split_target(original).0);
        let cause = if original.ends_with(whole) {
            MismatchCause::PathPrefixStripped
        } else if whole.ends_with(original) {
            MismatchCause::PathPrefixAdded
        } else {
            MismatchCause::PathRewritten
        };
        changes.push(to(cause, original.to_vec()));
    }
    if let Some(prefix) = evidence.forwarded.prefix {
        let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
        changes.push(to(
            MismatchCause::PathPrefixStripped,
            [prefix, whole].concat(),
        ));
    }
    let own = root_or(split_target(evidence.request.target).0);
    changes.push(to(MismatchCause::PathPrefixAdded, own.to_vec()));
    let segments = whole
        .iter()
        .enumerate()
        .skip(1)
        .filter(|&(_, &byte)| byte == b'/');
    for (at, _) in segments.take(MOST_PREFIX_SEGMENTS) {
        changes.push(to(MismatchCause::PathPrefixAdded, whole[at..].to_vec()));
    }
    changes
}

/// What a client may have done to the path before it signed it, and then sent it as it was.
fn normalized<'e>(whole: &[u8]) -> impl Iterator<Item = Change<'e>> {
    let plain = without_needless_escapes(whole);
    let resolved = without_dot_segments(whole);
    let all = without_dot_segments(&merged(&plain));
    let ways = [
        (MismatchCause::PathEscapes, plain),
        (
            MismatchCause::PathEscapes,
            escapes_in(whole, u8::to_ascii_uppercase),
        ),
        (
            MismatchCause::PathEscapes,
            escapes_in(whole, u8::to_ascii_lowercase),
        ),
        (MismatchCause::PathSlashes, merged(whole)),
        (MismatchCause::PathDotSegments, merged(&resolved)),
        (MismatchCause::PathDotSegments, resolved),
        (MismatchCause::PathDotSegments, all),
    ];
    ways.into_iter()
        .map(|(cause, path)| to(cause, path).with_remedy(NORMALIZED_BY_THE_CLIENT))
}

/// What a proxy may have done to the path after it was signed, undone as far as that can be guessed.
fn undone<'e>(whole: &[u8]) -> Vec<Change<'e>> {
    let mut changes = Vec::new();
    for (plain, escaped) in [
        ("~", "%7E"),
        ("~", "%7e"),
        ("-", "%2D"),
        (".", "%2E"),
        ("_", "%5F"),
    ] {
        changes.push(to(
            MismatchCause::PathEscapes,
            replaced(whole, plain.as_bytes(), escaped.as_bytes()),
        ));
    }
    changes.push(to(MismatchCause::PathSlashes, replaced(whole, b"/", b"//")));
    changes
}

/// One byte of the path written otherwise: as many ways as it has bytes.
fn one_of_many<'e>(whole: &[u8]) -> impl Iterator<Item = Change<'e>> {
    let short = &whole[..if whole.len() > LONGEST_PATH {
        0
    } else {
        whole.len().min(LONGEST)
    }];
    let ways = short.iter().enumerate().flat_map(|(at, &byte)| {
        let with = |instead: &[u8]| [&whole[..at], instead, &whole[at + 1..]].concat();
        match byte {
            b'/' => vec![
                (MismatchCause::PathSlashes, with(b"//")),
                (MismatchCause::PathDotSegments, with(b"/./")),
                (MismatchCause::PathEscapes, with(b"%2F")),
                (MismatchCause::PathEscapes, with(b"%2f")),
                (MismatchCause::PathEscapes, with(b"%5C")),
            ],
            _ if is_unreserved(byte) && !is_in_escape(whole, at) => {
                let upper = format!("%{byte:02X}");
                let lower = format!("%{byte:02x}");
                let differ = lower != upper;
                let lower = differ.then(|| (MismatchCause::PathEscapes, with(lower.as_bytes())));
                std::iter::once((MismatchCause::PathEscapes, with(upper.as_bytes())))
                    .chain(lower)
                    .collect()
            }
            _ => Vec::new(),
        }
    });
    let ways: Vec<_> = ways.collect();
    ways.into_iter()
        .map(|(cause, path)| to(cause, path).among_many())
}

fn to<'e>(cause: MismatchCause, path: Vec<u8>) -> Change<'e> {
    Change::new(cause, Part::Path, move |variant| {
        variant.path = Cow::Owned(path.clone())
    })
}

/// Whether a byte is one of the digits of an escape.
fn is_in_escape(path: &[u8], at: usize) -> bool {
    path[at.saturating_sub(2)..at].contains(&b'%')
}

/// With what never needs an escape decoded, as Envoy's `normalize_path` does.
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

/// With the digits of its escapes in another case.
fn escapes_in(path: &[u8], case: fn(&u8) -> u8) -> Vec<u8> {
    let digits = path.iter().enumerate();
    digits
        .map(|(at, byte)| {
            if is_in_escape(path, at) {
                case(byte)
            } else {
                *byte
            }
        })
        .collect()
}

fn merged(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|a, b| *a == b'/' && *b == b'/');
    out
}

/// RFC 3986 section 5.2.4, of a path that begins with `/`.
fn without_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut open = false;
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        open = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut out: Vec<u8> = kept
        .iter()
        .flat_map(|segment| [b"/", *segment].concat())
        .collect();
    if open || out.is_empty() {
        out.push(b'/');
    }
    out
}

fn replaced(text: &[u8], part: &[u8], instead: &[u8]) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| {
            if [*byte] == *part {
                instead
            } else {
                slice::from_ref(byte)
            }
        })
        .copied()
        .collect()
}

/// What proxies often take off without a word.
const COMMON_PREFIXES: [&[u8]; 8] = [
    b"/api", b"/v1", b"/v2", b"/v3", b"/api/v1", b"/api/v2", b"/api/v3", b"/rest",
];

/// The most segments that a proxy is thought to have put in front.
const MOST_PREFIX_SEGMENTS: usize = 3;

/// A path of more bytes is not tried in each of its bytes: each try is another path.
const LONGEST_PATH: usize = 1024;

/// How many of the first bytes of a path are each tried otherwise.
const LONGEST: usize = 80;

const NORMALIZED_BY_THE_CLIENT: &str = "the client signs `{path}`, and sends the path otherwise: it has to sign it as it \
                                        sends it, or to normalize it before it does both";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_are_resolved_as_rfc_3986_says() {
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
    fn only_what_never_needs_an_escape_is_decoded() {
        assert_eq!(without_needless_escapes(b"/%7Ea%41%2F%20%"), b"/~aA%2F%20%");
        assert_eq!(
            escapes_in(b"/%e2%9a/ab", u8::to_ascii_uppercase),
            b"/%E2%9A/ab"
        );
    }
}
