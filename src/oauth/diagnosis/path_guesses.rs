//! Paths that clients sign without a trace in the request: a part of the path that arrived, one
//! with a page, a suffix or a stage that a proxy took away, or a template.

use super::super::encode::encoded;
use super::super::variant::replaced_part;
use super::path_spelling::respelled_segments;
use super::unicode::UnicodeForm;

/// The kind of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GuessKind {
    /// The client signs a part of the path.
    Shorter,
    /// The client signs a template instead of the path.
    Template,
    /// A proxy stripped a prefix.
    Prefix,
    /// A proxy, or a framework, changed the path.
    Rewritten,
    /// The client signs other capitals.
    Case,
    /// The client signs other escapes.
    Escapes,
    /// The client encodes the path several times.
    Encoded,
}

/// Returns every guess for the path that arrived.
pub(super) fn guesses(whole: &[u8]) -> Vec<(GuessKind, Vec<u8>)> {
    let mut guesses = Vec::new();
    let mut add = |kind, paths: Vec<Vec<u8>>| {
        guesses.extend(paths.into_iter().map(|path| (kind, path)));
    };
    add(GuessKind::Shorter, shorter(whole));
    add(GuessKind::Rewritten, pages(whole));
    add(GuessKind::Rewritten, versions(whole));
    add(GuessKind::Template, templates(whole));
    let prefixes = PREFIXES.map(|prefix| [prefix, whole].concat());
    add(GuessKind::Prefix, prefixes.into());
    add(GuessKind::Case, capitals(whole));
    add(GuessKind::Escapes, escapes(whole));
    let thrice = replaced_part(whole, b"%", b"%2525");
    add(GuessKind::Encoded, vec![thrice]);
    guesses.retain(|(_, path)| path != whole);
    guesses
}

/// Returns the beginnings of the path, without their last slash and with it.
fn shorter(whole: &[u8]) -> Vec<Vec<u8>> {
    let slashes = slashes(whole).take(MAX_SEGMENTS);
    slashes
        .flat_map(|at| [whole[..at].to_vec(), whole[..=at].to_vec()])
        .collect()
}

fn slashes(path: &[u8]) -> impl DoubleEndedIterator<Item = usize> {
    (0..path.len()).filter(|&at| path[at] == b'/')
}

/// Returns the path with the page or the suffix that a server adds, and without.
fn pages(whole: &[u8]) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    let folder = whole.strip_suffix(b"/").unwrap_or(whole);
    for page in PAGES {
        paths.push([folder, b"/", page].concat());
        paths.extend(whole.strip_suffix(page).map(<[u8]>::to_vec));
    }
    for suffix in SUFFIXES {
        paths.push([folder, suffix].concat());
        paths.extend(whole.strip_suffix(suffix).map(<[u8]>::to_vec));
    }
    paths
}

/// Returns the path with another version in the segment that has one.
fn versions(whole: &[u8]) -> Vec<Vec<u8>> {
    let is_version = |segment: &[u8]| {
        let number = segment.strip_prefix(b"v").unwrap_or_default();
        matches!(number, [b'0'..=b'9'] | [b'0'..=b'9', b'.', b'0'..=b'9'])
    };
    let others = [&b"v1"[..], b"v2", b"v3", b"v4", b"v1.0", b"v1.1", b"v2.0"];
    let of = |instead: &[u8]| {
        with_segments(whole, |segment| {
            is_version(segment).then(|| instead.to_vec())
        })
    };
    others.iter().filter_map(|version| of(version)).collect()
}

/// Returns the templates of a path: a word instead of the segments with a number.
fn templates(whole: &[u8]) -> Vec<Vec<u8>> {
    let is_value = |segment: &[u8]| segment.iter().any(u8::is_ascii_digit) && !is_short(segment);
    let of = |template: &str| {
        with_segments(whole, |segment| {
            is_value(segment).then(|| template.as_bytes().to_vec())
        })
    };
    let mut names: Vec<_> = ["id", "ID"].map(str::to_owned).into();
    let mut segments = whole.split(|&byte| byte == b'/');
    let before = segments.position(is_value).and_then(|at| at.checked_sub(1));
    let before = before.and_then(|at| whole.split(|&byte| byte == b'/').nth(at));
    if let Some(Ok(word)) = before.map(str::from_utf8) {
        let one = word.strip_suffix('s').unwrap_or(word);
        names.extend([format!("{one}Id"), format!("{one}_id"), one.to_owned()]);
    }
    let templates = names
        .iter()
        .flat_map(|name| [format!("{{{name}}}"), format!(":{name}")]);
    templates.filter_map(|template| of(&template)).collect()
}

/// Returns whether a segment is a version, such as `v2` or `1.1`.
fn is_short(segment: &[u8]) -> bool {
    matches!(segment, [b'v', ..]) && segment.len() <= 3 || segment.contains(&b'.')
}

/// Changes the segments for which `change` returns another text; `None` if it returns none.
fn with_segments(whole: &[u8], change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut is_changed = false;
    let segments: Vec<_> = whole
        .split(|&byte| byte == b'/')
        .map(|segment| {
            let changed = change(segment);
            is_changed |= changed.is_some();
            changed.unwrap_or_else(|| segment.to_vec())
        })
        .collect();
    is_changed.then(|| segments.join(&b'/'))
}

/// Returns the path with a capital at the beginning of one segment, and of all.
fn capitals(whole: &[u8]) -> Vec<Vec<u8>> {
    let capital = |segment: &[u8]| {
        let mut segment = segment.to_vec();
        segment.first_mut()?.make_ascii_uppercase();
        Some(segment)
    };
    let mut paths: Vec<_> = with_segments(whole, capital).into_iter().collect();
    for at in slashes(whole).take(MAX_SEGMENTS) {
        let mut path = whole.to_vec();
        if let Some(first) = path.get_mut(at + 1) {
            first.make_ascii_uppercase();
        }
        paths.push(path);
    }
    paths
}

/// Returns the path with the escapes of other texts: of slashes, in another character set, in
/// another Unicode form, or behind a space.
fn escapes(whole: &[u8]) -> Vec<Vec<u8>> {
    let inner = whole.strip_prefix(b"/").unwrap_or(whole);
    let mut paths = vec![
        [b"/", &*replaced_part(inner, b"/", b"%2F")].concat(),
        replaced_part(whole, b"/", b"%2F"),
        [b"/", &*replaced_part(inner, b"/", b"\\")].concat(),
        [whole, b" "].concat(),
        [whole, b"%20"].concat(),
    ];
    let texts: [SegmentText; 3] = [
        |text| Some(UnicodeForm::Composed.of(text).into_bytes()),
        |text| Some(UnicodeForm::Decomposed.of(text).into_bytes()),
        |text| text.chars().map(|one| u8::try_from(one).ok()).collect(),
    ];
    if !whole.is_ascii() || whole.contains(&b'%') {
        paths.extend(texts.iter().map(|text| {
            respelled_segments(whole, |segment| {
                let text = text(str::from_utf8(segment).ok()?)?;
                Some(encoded(&text).into_bytes())
            })
        }));
    }
    paths
}

/// A function from the text of a segment to other bytes; `None` if it has none.
type SegmentText = fn(&str) -> Option<Vec<u8>>;

/// The pages that a server sends for a folder.
const PAGES: [&[u8]; 5] = [
    b"index.html",
    b"index.php",
    b"index.jsp",
    b"default.aspx",
    b"index",
];

/// The suffixes that frameworks add, or take away.
const SUFFIXES: [&[u8]; 7] = [
    b".json", b".xml", b".php", b".html", b".aspx", b".do", b".jsp",
];

/// The prefixes that gateways strip without a trace: stages and languages.
const PREFIXES: [&[u8]; 17] = [
    b"/prod",
    b"/dev",
    b"/stage",
    b"/staging",
    b"/test",
    b"/default",
    b"/wp-json",
    b"/en",
    b"/backend",
    b"/public",
    b"/services",
    b"/services/rest",
    b"/rest/api",
    b"/oauth",
    b"/api/rest",
    b"/gateway",
    b"/graphql",
];

/// The most segments of which one is changed alone.
const MAX_SEGMENTS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_path_has_its_guesses() {
        for (path, kind, guess) in [
            ("/api/v2/users/42", GuessKind::Shorter, "/api/v2"),
            ("/api/v2/users/42", GuessKind::Shorter, "/api/v2/"),
            ("/photos", GuessKind::Shorter, ""),
            ("/", GuessKind::Rewritten, "/index.html"),
            ("/a/index.php", GuessKind::Rewritten, "/a/"),
            ("/search.json", GuessKind::Rewritten, "/search"),
            ("/search", GuessKind::Rewritten, "/search.json"),
            ("/api/v2/users", GuessKind::Rewritten, "/api/v1/users"),
            ("/v2/users/42", GuessKind::Template, "/v2/users/{id}"),
            ("/v2/users/42", GuessKind::Template, "/v2/users/:userId"),
            ("/photos", GuessKind::Prefix, "/prod/photos"),
            ("/photos/a", GuessKind::Case, "/Photos/a"),
            ("/photos/a", GuessKind::Case, "/Photos/A"),
            ("/v1/photos", GuessKind::Escapes, "/v1%2Fphotos"),
            ("/caff%C3%A8", GuessKind::Escapes, "/caffe%CC%80"),
            ("/caffe%CC%80", GuessKind::Escapes, "/caff%C3%A8"),
            ("/caff%C3%A8", GuessKind::Escapes, "/caff%E8"),
            ("/a%20b", GuessKind::Encoded, "/a%252520b"),
        ] {
            let found = guesses(path.as_bytes());
            let guess = (kind, guess.as_bytes().to_vec());
            assert!(found.contains(&guess), "{path}: {guess:?}");
        }
        for path in ["", "//", "a", "/%", "/%FF", "/é", "/v", "/1"] {
            assert!(guesses(path.as_bytes()).len() < 80, "{path}");
        }
    }
}
