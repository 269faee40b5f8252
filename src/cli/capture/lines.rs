//! Numbered lines of a capture, and the errors that name them.

use crate::cli::exit::Usage;

/// An iterator over lines without their ends, LF or CRLF.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            number: 0,
        }
    }

    /// Returns the lines of a part of the capture that begins at line `first`.
    pub(super) const fn starting_at(text: &'a [u8], first: usize) -> Self {
        Self {
            rest: text,
            number: first.saturating_sub(1),
        }
    }

    /// Returns the number of the line that was returned last.
    pub(super) const fn number(&self) -> usize {
        self.number
    }

    /// Returns the text after the line that was returned last.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self
            .rest
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(strip_line_end(line))
    }
}

/// Removes one line end.
pub(super) fn strip_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// Returns the error of a line.
pub(super) fn wrong(line: usize, problem: impl AsRef<str>) -> Usage {
    Usage(format!("line {line}: {}", problem.as_ref()))
}

/// Returns the number of the line in which the byte `offset` is.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

/// Removes what `curl --trace-time` and `--trace-ids` put in front of a line.
pub(super) fn without_trace_marks(line: &[u8]) -> &[u8] {
    let mut line = line;
    for is_mark in [is_time, is_id] {
        let word = line.iter().position(|&byte| byte == b' ').unwrap_or(0);
        if is_mark(&line[..word]) {
            line = &line[word + 1..];
        }
    }
    line
}

/// Returns true for `12:34:56.789012`.
fn is_time(word: &[u8]) -> bool {
    word.len() > 8
        && word.iter().filter(|&&byte| byte == b':').count() == 2
        && word
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'))
}

/// Returns true for `[0-1]` and `[0-x]`.
fn is_id(word: &[u8]) -> bool {
    let inner = word
        .strip_prefix(b"[")
        .and_then(|word| word.strip_suffix(b"]"));
    inner.is_some_and(|inner| {
        inner.contains(&b'-')
            && inner
                .iter()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'x'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_whatever_their_ends() {
        let mut lines = Lines::new(b"a\r\nb\n\nc");
        let seen: Vec<_> = lines.by_ref().collect();
        assert_eq!(seen, [&b"a"[..], b"b", b"", b"c"]);
        assert_eq!(lines.number(), 4);
    }

    #[test]
    fn the_marks_of_curl_are_removed() {
        for (line, bare) in [
            ("12:34:56.789012 > GET / HTTP/1.1", "> GET / HTTP/1.1"),
            ("12:34:56.789012 [0-0] * note", "* note"),
            ("[12-x] == Info: note", "== Info: note"),
            ("> GET / HTTP/1.1", "> GET / HTTP/1.1"),
            ("[HTTP/2] [1]", "[HTTP/2] [1]"),
        ] {
            assert_eq!(without_trace_marks(line.as_bytes()), bare.as_bytes());
        }
    }
}
