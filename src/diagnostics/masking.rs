//! Masking of request texts for storage: truncated, escaped, and without query values.

use std::ascii;
use std::fmt::{self, Write};

use crate::oauth::shows_name;

/// Replaces `text` with the beginning of `bytes`. Bytes other than printable ASCII are escaped, so
/// that they cannot forge output.
pub(super) fn set(text: &mut String, bytes: &[u8]) {
    text.clear();
    push(text, bytes);
}

/// Replaces `text` with the beginning of a request target, with every query value masked.
pub(super) fn set_target(text: &mut String, target: &[u8]) {
    let (path, query) = match target.iter().position(|&byte| byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    };
    set(text, path);
    if let Some(query) = query {
        push_query(text, query);
    }
    text.truncate(MAX_TEXT_LEN);
}

fn push_query(text: &mut String, query: &[u8]) {
    for (nth, pair) in query.split(|&byte| byte == b'&').enumerate() {
        text.push(if nth == 0 { '?' } else { '&' });
        push_pair(text, pair);
        if text.len() > MAX_TEXT_LEN {
            break;
        }
    }
}

fn push_pair(text: &mut String, pair: &[u8]) {
    if pair.is_empty() {
        return;
    }
    let mut parts = pair.splitn(2, |&byte| byte == b'=');
    let (name, value) = (parts.next().unwrap_or_default(), parts.next());
    let is_shown = shows_name(name, value.unwrap_or_default());
    push(text, if is_shown { name } else { MASK });
    if value.is_some() {
        text.push_str("=***");
    }
}

fn push(text: &mut String, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MAX_PIECE_LEN)];
    match std::str::from_utf8(bytes) {
        // The usual case, without formatting.
        Ok(plain) if bytes.iter().all(|&byte| is_plain(byte)) => text.push_str(plain),
        // Writing to a String cannot fail.
        Ok(_) | Err(_) => drop(write!(text, "{}", bytes.escape_ascii())),
    }
}

/// Appends the beginning of a text of ours, which may quote the request: at most `limit` bytes.
/// Bytes other than printable ASCII are escaped. Quotes stay as they are.
pub(super) fn append(text: &mut String, value: impl fmt::Display, limit: usize) {
    let mut bounded = BoundedText {
        limit: text.len() + limit,
        text,
    };
    // The end of the room ends the writing.
    let _: fmt::Result = write!(bounded, "{value}");
}

/// Appends the beginning of a text of the caller, like [`append`].
pub(super) fn append_bytes(text: &mut String, bytes: &[u8], limit: usize) {
    let mut bounded = BoundedText {
        limit: text.len() + limit,
        text,
    };
    // The end of the room ends the writing.
    let _: fmt::Result = bounded.push(bytes);
}

/// A text up to a length.
struct BoundedText<'t> {
    text: &'t mut String,
    limit: usize,
}

impl Write for BoundedText<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.push(piece.as_bytes())
    }
}

impl BoundedText<'_> {
    fn push(&mut self, bytes: &[u8]) -> fmt::Result {
        for &byte in bytes {
            let is_quote = matches!(byte, b'"' | b'\'');
            let escaped = (!is_quote).then(|| ascii::escape_default(byte));
            let len = escaped.as_ref().map_or(1, ExactSizeIterator::len);
            if self.text.len() + len > self.limit {
                return Err(fmt::Error);
            }
            match escaped {
                Some(escaped) => self.text.extend(escaped.map(char::from)),
                None => self.text.push(char::from(byte)),
            }
        }
        Ok(())
    }
}

/// Returns whether a byte is stored without escaping.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'"' | b'\'')
}

/// The replacement of a hidden text.
const MASK: &[u8] = b"***";

/// The longest part of one piece that is stored, in bytes.
const MAX_PIECE_LEN: usize = 255;

/// The longest stored text, in bytes: an escaped piece, followed by a query.
pub(super) const MAX_TEXT_LEN: usize = 4 * MAX_PIECE_LEN + 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(target: &[u8]) -> String {
        let mut text = "an older text".to_owned();
        set_target(&mut text, target);
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
    fn a_byte_is_plain_if_it_is_not_escaped() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_plain(byte), [byte].escape_ascii().count() == 1, "{byte}");
        }
    }

    #[test]
    fn a_text_of_ours_keeps_its_quotes_and_cannot_forge_a_line() {
        let mut text = "a ".to_owned();
        append(&mut text, "\"b\" 'c'\r\n\u{2028}", 100);
        assert_eq!(text, r#"a "b" 'c'\r\n\xe2\x80\xa8"#);
        let mut text = String::new();
        append(&mut text, "abc\u{1}d", 6);
        assert_eq!(text, "abc", "no escape is cut");
    }

    #[test]
    fn control_characters_are_escaped_and_long_texts_truncated() {
        assert_eq!(
            masked(b"/\r\n\x1b[31m\xe2\x80\xae?\"<>=1"),
            r"/\r\n\x1b[31m\xe2\x80\xae?***=***"
        );
        assert_eq!(masked(&[b'/'; 8192]).len(), MAX_PIECE_LEN);
        assert_eq!(
            masked(&[&b"/?"[..], &[b'&'; 8192]].concat()).len(),
            MAX_TEXT_LEN
        );
        assert!(masked(&[&b"/?"[..], &[0xff; 8192]].concat()).len() <= MAX_TEXT_LEN);
    }
}
