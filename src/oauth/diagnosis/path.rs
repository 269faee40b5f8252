//! Changes of the path: changes by proxies, which strip, add, decode, merge and resolve, and by
//! clients before they sign.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use super::super::encode::{decode, is_unreserved};
use super::super::uri::{root_or, split_target};
use super::super::variant::{BaseStringVariant, replaced_part};
use super::change::{BaseStringChange, BaseStringPart};
use super::forwarded::{ForwardedHeader, listed};
use super::named_url::{NamedUrl, decoded_realm};
use super::path_guesses::{GuessKind, guesses};
use super::path_spelling::{
    ENCODERS, decoded_piece, decoded_where, encoded_byte, escapes_in, is_in_escape, lower_case,
    merged, split_piece, without_dot_segments, without_needless_escapes, without_parameters,
};
use super::{MismatchCause, MismatchEvidence, remedy};

/// Returns every change of the path that may explain the request.
pub(super) fn changes<'e>(
    evidence: &MismatchEvidence<'e>,
    realm: Option<&[u8]>,
) -> Vec<BaseStringChange<'e>> {
    let whole = BaseStringVariant::rfc(evidence.request).path.into_owned();
    let mut changes = named(evidence, realm, &whole);
    changes.extend(shorter(evidence, &whole));
    changes.extend(last_slash(&whole));
    changes.extend(normalized_by_client(&whole));
    changes.extend(respelled(&whole));
    changes.extend(normalized_by_proxy(&whole));
    changes.extend(encoded_by_client(&whole));
    if whole.len() <= MAX_PATH_LEN {
        changes.extend(one_character(&whole));
        changes.extend(one_byte(&whole));
    }
    changes.extend(common_prefixes(&whole));
    changes.extend(guessed(&whole));
    changes.sort_by_key(|change| {
        let is_late = (change.is_guess, change.is_one_of_many);
        (is_late, change.cause, !change.is_likely)
    });
    let mut known = HashSet::from([whole]);
    changes.retain(|change| known.insert(change.path.clone()));
    changes.into_iter().map(PathChange::change).collect()
}

/// The path that the client may have signed, and the cause if it did.
struct PathChange {
    cause: MismatchCause,
    path: Vec<u8>,
    remedy: Option<&'static str>,
    is_likely: bool,
    is_one_of_many: bool,
    is_guess: bool,
    /// No header of a proxy names it.
    is_assumed: bool,
}

impl PathChange {
    const fn new(cause: MismatchCause, path: Vec<u8>) -> Self {
        Self {
            cause,
            path,
            remedy: None,
            is_likely: false,
            is_one_of_many: false,
            is_guess: false,
            is_assumed: false,
        }
    }

    const fn with_remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = Some(remedy);
        self
    }

    const fn likely(mut self) -> Self {
        self.is_likely = true;
        self
    }

    const fn among_many(mut self) -> Self {
        self.is_one_of_many = true;
        self
    }

    const fn assumed(mut self) -> Self {
        self.is_assumed = true;
        self
    }

    fn change<'e>(self) -> BaseStringChange<'e> {
        let path = self.path;
        let change = BaseStringChange::new(self.cause, BaseStringPart::Path, move |variant| {
            variant.path = Cow::Owned(path.clone());
        });
        let change = change.with_remedy(self.remedy).assumed(self.is_assumed);
        if self.is_guess {
            return change.guess();
        }
        match (self.is_likely, self.is_one_of_many) {
            (true, _) => change.likely(),
            (false, true) => change.among_many(),
            (false, false) => change,
        }
    }
}

/// Returns the changes to every path that a header or the realm names, as the whole path and as a
/// prefix of it.
fn named(evidence: &MismatchEvidence<'_>, realm: Option<&[u8]>, whole: &[u8]) -> Vec<PathChange> {
    let forwarded = evidence.forwarded;
    let realm = realm.map(decoded_realm);
    let headers = forwarded
        .values(PATH_HEADERS)
        .chain(forwarded.values(PREFIX_HEADERS).flat_map(listed));
    let mut changes = Vec::new();
    let by_client = realm.as_deref().map(|realm| (realm, true));
    let named = headers.map(|text| (text, false)).chain(by_client);
    for (text, is_assumed) in named.take(MAX_NAMED) {
        let path = root_or(NamedUrl::of(text).path);
        let prefix = path.strip_suffix(b"/").unwrap_or(path);
        let prefixed = [evidence.request.path_prefix, path].concat();
        for path in [path.to_vec(), [prefix, whole].concat(), prefixed] {
            let change = PathChange::new(cause_of(&path, whole), path).likely();
            changes.push(PathChange {
                is_assumed,
                ..change
            });
        }
    }
    changes
}

/// Returns the cause of a named path.
fn cause_of(named: &[u8], whole: &[u8]) -> MismatchCause {
    if merged(named) == merged(whole) {
        MismatchCause::PathSlashes
    } else if named.ends_with(whole) {
        MismatchCause::PathPrefixStripped
    } else if whole.ends_with(named) {
        MismatchCause::PathPrefixAdded
    } else {
        MismatchCause::PathRewritten
    }
}

/// Returns the changes that remove the configured prefix or some segments.
fn shorter(evidence: &MismatchEvidence<'_>, whole: &[u8]) -> Vec<PathChange> {
    let arrived = root_or(split_target(evidence.request.target).0);
    let first = whole.iter().position(|&byte| byte != b'/');
    let slashes = (first.unwrap_or(whole.len())..whole.len()).filter(|&at| whole[at] == b'/');
    let removed = slashes.take(MAX_PREFIX_SEGMENTS).map(|at| &whole[at..]);
    let mut changes: Vec<_> = std::iter::once(arrived)
        .chain(removed)
        .map(|path| PathChange::new(MismatchCause::PathPrefixAdded, path.to_vec()))
        .collect();
    changes.extend(script(whole));
    changes
}

/// Returns the changes that remove a script at the end, and the parameters of segments.
fn script(whole: &[u8]) -> Vec<PathChange> {
    let mut paths = vec![without_parameters(whole)];
    if let Some(at) = whole.windows(7).rposition(|part| part == b"/index.") {
        paths.extend([whole[..at].to_vec(), whole[..=at].to_vec()]);
    }
    paths
        .into_iter()
        .map(|path| PathChange::new(MismatchCause::PathRewritten, path).assumed())
        .collect()
}

fn common_prefixes(whole: &[u8]) -> impl Iterator<Item = PathChange> {
    COMMON_PREFIXES
        .map(|prefix| [prefix, whole].concat())
        .into_iter()
        .map(|path| {
            PathChange::new(MismatchCause::PathPrefixStripped, path)
                .assumed()
                .among_many()
        })
}

/// Returns the guesses of which the request has no trace.
fn guessed(whole: &[u8]) -> impl Iterator<Item = PathChange> {
    let found = if whole.len() <= MAX_PATH_LEN {
        guesses(whole)
    } else {
        Vec::new()
    };
    found.into_iter().map(|(kind, path)| {
        let (cause, remedy) = match kind {
            GuessKind::Shorter => (MismatchCause::PathRewritten, Some(remedy::PATH_PART)),
            GuessKind::Template => (MismatchCause::PathRewritten, Some(remedy::PATH_TEMPLATE)),
            GuessKind::Rewritten => (MismatchCause::PathRewritten, None),
            GuessKind::Prefix => (MismatchCause::PathPrefixStripped, None),
            GuessKind::Case => (MismatchCause::PathCase, None),
            GuessKind::Escapes => (MismatchCause::PathEscapes, Some(remedy::PATH_BY_CLIENT)),
            GuessKind::Encoded => (MismatchCause::PathEncodedTwice, None),
        };
        PathChange {
            remedy,
            is_guess: true,
            is_assumed: matches!(
                cause,
                MismatchCause::PathRewritten | MismatchCause::PathPrefixStripped
            ),
            ..PathChange::new(cause, path)
        }
    })
}

/// Returns the normalizations that a client signs, while it sends the path as it was.
fn normalized_by_client(whole: &[u8]) -> Vec<PathChange> {
    let plain = without_needless_escapes(whole);
    let resolved = without_dot_segments(whole);
    let all = without_dot_segments(&merged(&plain));
    let reserved = |byte: u8| b"!$&'()*+,;=:@".contains(&byte);
    let ways = [
        (MismatchCause::PathEscapes, plain),
        (MismatchCause::PathEscapes, decoded_where(whole, reserved)),
        (MismatchCause::PathSlashes, merged(whole)),
        (MismatchCause::PathDotSegments, merged(&resolved)),
        (MismatchCause::PathDotSegments, resolved),
        (MismatchCause::PathDotSegments, all),
    ];
    ways.into_iter()
        .map(|(cause, path)| PathChange {
            is_likely: cause == MismatchCause::PathSlashes,
            ..PathChange::new(cause, path).with_remedy(remedy::PATH_BY_CLIENT)
        })
        .collect()
}

/// Returns the paths that a client signs in another spelling, unless a proxy changed it on the way.
fn respelled(whole: &[u8]) -> Vec<PathChange> {
    let encoded = ENCODERS.map(|encoder| encoder.respelled(whole));
    let escapes = [
        escapes_in(whole, u8::to_ascii_uppercase),
        escapes_in(whole, u8::to_ascii_lowercase),
        replaced_part(whole, b"+", b"%20"),
        replaced_part(whole, b"%20", b"+"),
    ];
    let lower = PathChange::new(MismatchCause::PathCase, lower_case(whole)).likely();
    let others = [whole.to_ascii_lowercase(), whole.to_ascii_uppercase()];
    let others = others.map(|path| PathChange::new(MismatchCause::PathCase, path));
    let escapes = encoded.into_iter().chain(escapes);
    escapes
        .map(|path| PathChange::new(MismatchCause::PathEscapes, path))
        .chain(std::iter::once(lower))
        .chain(others)
        .collect()
}

/// Returns the paths that a proxy may have normalized, if they can be guessed.
fn normalized_by_proxy(whole: &[u8]) -> Vec<PathChange> {
    let escapes: [(&[u8], &[u8]); 5] = [
        (b"~", b"%7E"),
        (b"~", b"%7e"),
        (b"-", b"%2D"),
        (b".", b"%2E"),
        (b"_", b"%5F"),
    ];
    let decoded = escapes.map(|(plain, escape)| PathChange {
        is_likely: plain == b"~",
        ..PathChange::new(
            MismatchCause::PathEscapes,
            replaced_part(whole, plain, escape),
        )
    });
    let slashes = [
        replaced_part(whole, b"/", b"//"),
        [b"/", whole].concat(),
        [whole, b"/"].concat(),
    ];
    let [doubled, leading, trailing] = slashes;
    let mut changes: Vec<_> = decoded.into();
    changes.push(PathChange::new(MismatchCause::PathSlashes, doubled));
    changes.push(PathChange::new(MismatchCause::PathSlashes, leading));
    if whole.ends_with(b"/") {
        changes.push(PathChange::new(MismatchCause::PathSlashes, trailing));
    }
    changes
}

/// Returns the change that adds the slash at the end, or removes it.
fn last_slash(whole: &[u8]) -> [PathChange; 1] {
    let (cause, path) = match whole.strip_suffix(b"/") {
        Some([]) => (MismatchCause::RootSlash, Vec::new()),
        Some(shorter) => (MismatchCause::TrailingSlash, shorter.to_vec()),
        None => (MismatchCause::TrailingSlash, [whole, b"/"].concat()),
    };
    [PathChange::new(cause, path).likely()]
}

fn encoded_by_client(whole: &[u8]) -> Vec<PathChange> {
    let twice = replaced_part(whole, b"%", b"%25");
    let [unreserved, ..] = ENCODERS;
    let respelled = unreserved.respelled(whole);
    let decoded = decode(&Cow::Borrowed(whole)).into_owned();
    let spaces = replaced_part(whole, b"+", b" ");
    let mut changes = vec![
        PathChange::new(MismatchCause::PathDecoded, decoded),
        PathChange::new(
            MismatchCause::PathDecoded,
            decode(&Cow::Borrowed(&*spaces)).into_owned(),
        ),
        PathChange::new(
            MismatchCause::PathDecoded,
            replaced_part(whole, b"%25", b"%"),
        ),
    ];
    if whole.contains(&b'%') {
        let again = replaced_part(&respelled, b"%", b"%25");
        changes.extend(
            [twice, again].map(|path| PathChange::new(MismatchCause::PathEncodedTwice, path)),
        );
    }
    changes
}

/// Returns the changes of one character wherever it occurs: its escape instead of itself, or the
/// reverse.
fn one_character(whole: &[u8]) -> Vec<PathChange> {
    let mut changes = Vec::new();
    for (byte, is_escaped) in characters(whole) {
        let path = if is_escaped {
            decoded_where(whole, |other| other == byte)
        } else {
            encoded_byte(whole, byte)
        };
        let change = PathChange::new(MismatchCause::PathEscapes, path.clone()).among_many();
        changes.push(if is_escaped {
            change.with_remedy(remedy::PATH_BY_CLIENT)
        } else {
            change
        });
        if !is_escaped {
            let lower = replaced_part(
                &path,
                format!("%{byte:02X}").as_bytes(),
                format!("%{byte:02x}").as_bytes(),
            );
            changes.push(PathChange::new(MismatchCause::PathEscapes, lower).among_many());
        }
    }
    changes
}

/// Returns the characters of a path except slashes, and whether each is escaped.
fn characters(whole: &[u8]) -> BTreeSet<(u8, bool)> {
    let mut found = BTreeSet::new();
    let mut rest = whole;
    while let Some((piece, after)) = split_piece(rest) {
        if piece != b"/" && found.len() < MAX_CHARACTERS {
            found.insert((decoded_piece(piece), piece.len() > 1));
        }
        rest = after;
    }
    found
}

/// Returns the changes of one byte of the path: as many as it has bytes, and more.
fn one_byte(whole: &[u8]) -> impl Iterator<Item = PathChange> {
    let tried = whole.len().min(MAX_BYTES_TRIED);
    let changes: Vec<PathChange> = (0..tried).flat_map(|at| byte_changes(whole, at)).collect();
    changes.into_iter().map(PathChange::among_many)
}

fn byte_changes(whole: &[u8], at: usize) -> Vec<PathChange> {
    let with = |instead: &[u8]| [&whole[..at], instead, &whole[at + 1..]].concat();
    let escapes = |byte: u8| {
        let mut escapes = vec![format!("%{byte:02X}"), format!("%{byte:02x}")];
        escapes.dedup();
        escapes
    };
    match whole[at] {
        b'/' => SLASHES
            .map(|(cause, text)| PathChange::new(cause, with(text)))
            .into(),
        b'%' if split_piece(&whole[at..]).is_some_and(|(piece, _)| piece.len() == 3) => {
            let byte = decoded_piece(&whole[at..at + 3]);
            let path = [&whole[..at], &[byte], &whole[at + 3..]].concat();
            vec![
                PathChange::new(MismatchCause::PathEscapes, path)
                    .with_remedy(remedy::PATH_BY_CLIENT),
            ]
        }
        byte if !is_in_escape(whole, at)
            && (is_unreserved(byte) || byte.is_ascii_punctuation()) =>
        {
            escapes(byte)
                .into_iter()
                .map(|escape| PathChange::new(MismatchCause::PathEscapes, with(escape.as_bytes())))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The headers that name a path, in the order in which they are tried.
const PATH_HEADERS: [ForwardedHeader; 10] = [
    ForwardedHeader::XEnvoyOriginalPath,
    ForwardedHeader::XOriginalUrl,
    ForwardedHeader::XOriginalUri,
    ForwardedHeader::XOriginalPath,
    ForwardedHeader::XForwardedUri,
    ForwardedHeader::XForwardedUrl,
    ForwardedHeader::XForwardedPath,
    ForwardedHeader::XRewriteUrl,
    ForwardedHeader::XReplacedPath,
    ForwardedHeader::XWawsUnencodedUrl,
];

/// The headers that name a prefix of the path.
const PREFIX_HEADERS: [ForwardedHeader; 4] = [
    ForwardedHeader::XForwardedPrefix,
    ForwardedHeader::XScriptName,
    ForwardedHeader::XForwardedContext,
    ForwardedHeader::XRequestUri,
];

/// The prefixes that proxies often strip without a trace.
const COMMON_PREFIXES: [&[u8]; 14] = [
    b"/api",
    b"/v1",
    b"/v2",
    b"/v3",
    b"/v4",
    b"/api/v1",
    b"/api/v2",
    b"/api/v3",
    b"/rest",
    b"/1.1",
    b"/app",
    b"/service",
    b"/gateway",
    b"/index.php",
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

/// The most named paths that are tried.
const MAX_NAMED: usize = 12;

/// The longest path whose single characters are tried: each try takes a copy of the path.
const MAX_PATH_LEN: usize = 1024;

/// The bytes at the start of a path that are tried one by one.
const MAX_BYTES_TRIED: usize = 80;

/// The most different characters of a path that are tried one by one.
const MAX_CHARACTERS: usize = 40;
