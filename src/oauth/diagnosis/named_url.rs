//! URLs as headers and realms name them: whole, without a scheme, or only a path.

use std::borrow::Cow;

use super::super::encode::decode;
use super::super::uri::split_target;

/// The parts of a URL that a header names.
pub(super) struct NamedUrl<'a> {
    /// Host and port, without a user name; empty for a path.
    pub(super) authority: &'a [u8],
    /// The path, without query and fragment; empty for a host alone.
    pub(super) path: &'a [u8],
}

impl<'a> NamedUrl<'a> {
    /// Splits `https://host/path`, `host/path` or `/path`.
    pub(super) fn of(text: &'a [u8]) -> Self {
        let text = text.split(|&byte| byte == b'#').next().unwrap_or_default();
        let (text, _) = split_target(text);
        let after_scheme = text.windows(3).position(|part| part == b"://");
        let rest = after_scheme.map_or(text, |at| &text[at + 3..]);
        let slash = rest.iter().position(|&byte| byte == b'/');
        let (authority, path) = rest.split_at(slash.unwrap_or(rest.len()));
        let user = authority.iter().rposition(|&byte| byte == b'@');
        Self {
            authority: &authority[user.map_or(0, |at| at + 1)..],
            path,
        }
    }
}

/// Decodes a realm that is an encoded URL.
pub(super) fn decoded_realm(realm: &[u8]) -> Cow<'_, [u8]> {
    let lower = realm.to_ascii_lowercase();
    let is_encoded = [&b"%3a"[..], b"%2f"]
        .iter()
        .any(|escape| lower.windows(3).any(|part| part == *escape));
    if is_encoded {
        Cow::Owned(decode(&Cow::Borrowed(realm)).into_owned())
    } else {
        Cow::Borrowed(realm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_url_has_a_host_a_path_or_both() {
        for (text, authority, path) in [
            (
                "https://api.example.com:8443/a/b?c#d",
                "api.example.com:8443",
                "/a/b",
            ),
            ("https://u:p@api.example.com", "api.example.com", ""),
            ("api.example.com/a", "api.example.com", "/a"),
            ("/a?b=https://x/y", "", "/a"),
            ("", "", ""),
        ] {
            let url = NamedUrl::of(text.as_bytes());
            let found = (url.authority, url.path);
            assert_eq!(found, (authority.as_bytes(), path.as_bytes()), "{text}");
        }
        assert_eq!(*decoded_realm(b"https%3A%2F%2Fa"), *b"https://a");
        assert_eq!(*decoded_realm(b"100%41"), *b"100%41");
    }
}
