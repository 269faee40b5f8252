//! What of a request's own text is kept: cut, escaped, and without the values of its query.

use std::fmt::Write as _;

use crate::oauth::shows_name;

/// Replaces `text` by the beginning of `bytes`; what is not printable ASCII is escaped, so that it can forge nothing where
/// it is shown.
pub(super) fn put(text: &mut String, bytes: &[u8]) {
    text.clear();
    add(text, bytes);
}

/// Replaces `text` by the beginning of a request target, every value of its query masked.
pub(super) fn put_target(text: &mut String, target: &[u8]) {
    let (path, query) = match target.iter().position(|&byte| byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    };
    put(text, path);
    for (nth, pair) in query
        .into_iter()
        .flat_map(|query| query.split(|&byte| byte == b'&'))
        .enumerate()
    {
        text.push(if nth == 0 { '?' } else { '&' });
        let mut parts = pair.splitn(2, |&byte| byte == b'=');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next());
        let name = if shows_name(name, value.unwrap_or_default()) {
            name
        } else {
            MASK
        };
        add(text, if pair.is_empty() { b"" } else { name });
        if value.is_some() {
            text.push_str("=***");
        }
        if text.len() > LONGEST {
            break;
        }
    }
    text.truncate(LONGEST);
}

fn add(text: &mut String, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(TAKEN)];
    match std::str::from_utf8(bytes) {
        // As nearly all of them are.
        Ok(plain) if bytes.iter().all(|&byte| is_plain(byte)) => text.push_str(plain),
        // Writing to a String can not fail.
        Ok(_) | Err(_) => drop(write!(text, "{}", bytes.escape_ascii())),
    }
}

/// Whether a byte is not escaped.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'"' | b'\'')
}

/// What stands for a text that is not shown.
const MASK: &[u8] = b"***";

/// The most bytes of one piece.
const TAKEN: usize = 255;

/// The most bytes of a text: what [`TAKEN`] bytes can become, and a query behind it.
pub(super) const LONGEST: usize = 4 * TAKEN + 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(target: &[u8]) -> String {
        let mut text = "what was there before".to_owned();
        put_target(&mut text, target);
        text
    }

    #[test]
    fn a_query_keeps_its_names_and_loses_its_values() {
        assert_eq!(
            masked(b"/a?b=secret&d=e&oauth_signature=x%26y=z"),
            "/a?b=***&d=***&oauth_signature=***"
        );
        assert_eq!(
            masked(b"/a?secret&{%22a%22:1}=&&b=1"),
            "/a?***&***=***&&b=***"
        );
        assert_eq!(
            masked(b"/a?c2VjcmV0dG9rZW4=&c2VjcmV0dG9rZQ==&c2VjcmV0dG9rZQ=%3D"),
            "/a?***=***&***=***&***=***"
        );
        assert_eq!(masked(b"/a?b%5Bc%5D=d"), "/a?b%5Bc%5D=***");
        assert_eq!(masked(b"/a"), "/a");
        assert_eq!(masked(b"/a?"), "/a?");
        assert_eq!(masked(b""), "");
    }

    #[test]
    fn a_byte_is_plain_where_it_is_not_escaped() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_plain(byte), [byte].escape_ascii().count() == 1, "{byte}");
        }
    }

    #[test]
    fn what_could_forge_a_line_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(
            masked(b"/\r\n\x1b[31m\xe2\x80\xae?\"<>=1"),
            r"/\r\n\x1b[31m\xe2\x80\xae?***=***"
        );
        assert_eq!(masked(&[b'/'; 8192]).len(), TAKEN);
        assert_eq!(masked(&[&b"/?"[..], &[b'&'; 8192]].concat()).len(), LONGEST);
        assert!(masked(&[&b"/?"[..], &[0xff; 8192]].concat()).len() <= LONGEST);
    }
}
