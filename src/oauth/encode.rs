//! Percent-encoding and decoding of bytes (RFC 5849 section 3.6).
//!
//! Section 3.6 gives every sequence of bytes exactly one encoded form. The core sorts, compares and
//! hashes only this *normal* form, so two names are equal exactly if their bytes on the wire mean
//! the same.

use std::borrow::Cow;

use memchr::memchr;

use super::ParameterPlace;
use super::scan::{all, split_once};

/// The escapes of a name or value on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EscapeSyntax {
    /// `application/x-www-form-urlencoded`: `+` is a space (query and form body).
    Form,
    /// Section 3.6: `+` is a plus (Authorization header).
    Percent,
}

impl EscapeSyntax {
    /// Returns the syntax of that place.
    pub(super) const fn of(place: ParameterPlace) -> Self {
        match place {
            ParameterPlace::Header => Self::Percent,
            ParameterPlace::Query | ParameterPlace::Body => Self::Form,
        }
    }
}

/// A `%` without two hexadecimal digits after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadEscape;

/// Returns the normal form of a name or value from the wire; borrowed if the wire has it already.
///
/// [RFC 5849 section 3.6](https://www.rfc-editor.org/rfc/rfc5849#section-3.6)
pub(super) fn normalize(raw: &[u8], syntax: EscapeSyntax) -> Result<Cow<'_, [u8]>, BadEscape> {
    let normal = normal_len(raw);
    if normal == raw.len() {
        return Ok(Cow::Borrowed(raw));
    }
    let (done, rest) = raw.split_at(normal);
    let mut out = Vec::with_capacity(raw.len() + ROOM);
    out.extend_from_slice(done);
    push_normal(rest, syntax, &mut out)?;
    Ok(Cow::Owned(out))
}

fn push_normal(raw: &[u8], syntax: EscapeSyntax, out: &mut Vec<u8>) -> Result<(), BadEscape> {
    let mut rest = raw;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match first {
            b'%' => unescape(after)?,
            b'+' if syntax == EscapeSyntax::Form => (b' ', after),
            byte => (byte, after),
        };
        PERCENT.push(byte, out);
        rest = push_unescaped(after, syntax, out);
    }
    Ok(())
}

/// Appends the bytes in front of the next `%` in normal form, and returns the rest. A short run of
/// unreserved bytes is one copy.
fn push_unescaped<'r>(raw: &'r [u8], syntax: EscapeSyntax, out: &mut Vec<u8>) -> &'r [u8] {
    if raw.first() == Some(&b'%') {
        return raw;
    }
    let (plain, rest) = raw.split_at(unreserved_len(raw));
    out.extend_from_slice(plain);
    let (unescaped, rest) = rest.split_at(memchr(b'%', rest).unwrap_or(rest.len()));
    let escapes = match syntax {
        EscapeSyntax::Form => &FORM,
        EscapeSyntax::Percent => &PERCENT,
    };
    escapes.write(unescaped, &mut |piece| out.extend_from_slice(piece));
    rest
}

/// Decodes a normal form; borrowed if it has no escape.
pub(super) fn decode<'a>(normal: &Cow<'a, [u8]>) -> Cow<'a, [u8]> {
    if memchr(b'%', normal).is_none() {
        return normal.clone();
    }
    let mut out = Vec::with_capacity(normal.len());
    let mut rest = &**normal;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = if first == b'%' {
            unescape(after).unwrap_or((first, after))
        } else {
            (first, after)
        };
        out.push(byte);
        rest = after;
    }
    Cow::Owned(out)
}

/// Writes `bytes` percent-encoded, in as few pieces as possible.
pub(super) fn encode(bytes: &[u8], write: &mut impl FnMut(&[u8])) {
    let (plain, rest) = bytes.split_at(unreserved_len(bytes));
    if !plain.is_empty() {
        write(plain);
    }
    PERCENT.write(rest, write);
}

/// Encodes a normal form once more: only its `%` need an escape.
pub(super) fn encode_normal(normal: &[u8], write: &mut impl FnMut(&[u8])) {
    let mut rest = normal;
    while let Some((done, after)) = split_once(rest, b'%') {
        write(done);
        if after.len() > FEW {
            return AGAIN.write(&rest[done.len()..], write);
        }
        write(b"%25");
        rest = after;
    }
    write(rest);
}

/// A table of the encoded forms of bytes: each in four bytes, of which the first `len` count.
struct Escapes([Escaped; 256]);

#[derive(Clone, Copy)]
struct Escaped {
    text: [u8; 4],
    len: u8,
}

impl Escapes {
    const fn new(rule: &EscapeRule) -> Self {
        let mut table = [Escaped {
            text: [0; 4],
            len: 1,
        }; 256];
        let mut at = 0;
        while at < 256 {
            let byte = at as u8;
            table[at].text[0] = byte;
            if let Some(meant) = rule.meant(byte) {
                table[at] = Escaped {
                    text: [
                        b'%',
                        DIGITS[meant as usize >> 4],
                        DIGITS[meant as usize & 15],
                        0,
                    ],
                    len: 3,
                };
            }
            at += 1;
        }
        Self(table)
    }

    /// Appends one byte.
    fn push(&self, byte: u8, out: &mut Vec<u8>) {
        let Escaped { text, len } = self.0[usize::from(byte)];
        out.extend_from_slice(&text[..usize::from(len)]);
    }

    /// Writes bytes without a branch for each: an attacker can mix those that need an escape with
    /// others in any order.
    fn write(&self, bytes: &[u8], write: &mut impl FnMut(&[u8])) {
        let mut piece = [0; 3 * RUN + 1];
        for run in bytes.chunks(RUN) {
            let mut len = 0;
            for &byte in run {
                let escaped = self.0[usize::from(byte)];
                if let Some(room) = piece[len..].first_chunk_mut() {
                    *room = escaped.text;
                }
                len += usize::from(escaped.len);
            }
            write(&piece[..len]);
        }
    }
}

/// The bytes that a table escapes.
enum EscapeRule {
    /// Every byte that is not unreserved; in a form, a `+` means a space.
    Reserved(EscapeSyntax),
    /// The `%` of a normal form.
    Percent,
}

impl EscapeRule {
    /// Returns the byte that the escape of a byte means; `None` leaves the byte as it is.
    const fn meant(&self, byte: u8) -> Option<u8> {
        match self {
            Self::Reserved(EscapeSyntax::Form) if byte == b'+' => Some(b' '),
            Self::Reserved(_) if !is_unreserved(byte) => Some(byte),
            Self::Percent if byte == b'%' => Some(byte),
            Self::Reserved(_) | Self::Percent => None,
        }
    }
}

/// Returns `bytes` percent-encoded.
pub(super) fn encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + ROOM);
    encode(bytes, &mut |piece| {
        out.extend(piece.iter().map(|&byte| char::from(byte)))
    });
    out
}

/// Returns the length of the prefix of `raw` that is in normal form.
fn normal_len(raw: &[u8]) -> usize {
    let mut at = unreserved_len(raw);
    while raw.get(at) == Some(&b'%') && is_normal_escape(&raw[at + 1..]) {
        at += 3;
        if raw.get(at) != Some(&b'%') {
            at += unreserved_len(&raw[at..]);
        }
    }
    at
}

/// Returns the length of the prefix that needs no escape: mostly all of it.
pub(super) fn unreserved_len(bytes: &[u8]) -> usize {
    if all(bytes, is_unreserved) {
        return bytes.len();
    }
    bytes
        .iter()
        .position(|&byte| !UNRESERVED[usize::from(byte)])
        .unwrap_or(bytes.len())
}

/// Returns whether the text after a `%` is a normal escape: two upper-case digits of a byte that
/// needs one.
fn is_normal_escape(after: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    match unescape(after) {
        Ok((byte, _)) => !is_unreserved(byte) && after[..2].iter().all(is_digit),
        Err(BadEscape) => false,
    }
}

/// Splits off two hexadecimal digits, and returns their byte and the rest.
fn unescape(after: &[u8]) -> Result<(u8, &[u8]), BadEscape> {
    match after {
        [high, low, rest @ ..] => Ok((digit(*high)? << 4 | digit(*low)?, rest)),
        _ => Err(BadEscape),
    }
}

const fn digit(byte: u8) -> Result<u8, BadEscape> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(BadEscape),
    }
}

/// Returns whether a byte needs no escape: ALPHA, DIGIT, `-`, `.`, `_`, `~`. Has no branches, so
/// that [`all`] compares many bytes at once.
pub(super) const fn is_unreserved(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    letter | digit | (byte == b'-') | (byte == b'.') | (byte == b'_') | (byte == b'~')
}

/// [`is_unreserved`] of every byte, for single bytes.
static UNRESERVED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_unreserved(byte as u8);
        byte += 1;
    }
    table
};

/// The encoded forms of section 3.6.
static PERCENT: Escapes = Escapes::new(&EscapeRule::Reserved(EscapeSyntax::Percent));

/// The encoded forms of the bytes of a form, except `%`.
static FORM: Escapes = Escapes::new(&EscapeRule::Reserved(EscapeSyntax::Form));

/// The encoded forms of the bytes of a normal form.
static AGAIN: Escapes = Escapes::new(&EscapeRule::Percent);

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// The bytes that are encoded into one piece.
const RUN: usize = 85;

/// The length up to which a search for each `%` is faster than a table: that of most values.
const FEW: usize = 64;

/// Room for the few escapes of most values.
const ROOM: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(raw: &[u8], syntax: EscapeSyntax) -> Result<Vec<u8>, BadEscape> {
        normalize(raw, syntax).map(Cow::into_owned)
    }

    #[test]
    fn every_byte_except_the_unreserved_is_escaped_in_upper_case() {
        for byte in 0..=255_u8 {
            let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            let expected = if plain {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            };
            assert_eq!(encoded(&[byte]), expected);
        }
    }

    #[test]
    fn a_plus_is_a_space_in_a_form_and_a_plus_in_a_header() {
        assert_eq!(normal(b"a+b%2B", EscapeSyntax::Form).unwrap(), b"a%20b%2B");
        assert_eq!(
            normal(b"a+b%2B", EscapeSyntax::Percent).unwrap(),
            b"a%2Bb%2B"
        );
    }

    #[test]
    fn a_normal_form_is_borrowed() {
        for raw in [&b""[..], b"vacation.jpg", b"wIjqoS%2B%3D", b"%C2%A0~"] {
            assert!(
                matches!(normalize(raw, EscapeSyntax::Form), Ok(Cow::Borrowed(same)) if same == raw)
            );
        }
        for (raw, expected) in [
            (&b"%2b"[..], &b"%2B"[..]),
            (b"%41", b"A"),
            (b"a/b", b"a%2Fb"),
            (b"%7e", b"~"),
        ] {
            assert!(
                matches!(normalize(raw, EscapeSyntax::Percent), Ok(Cow::Owned(other)) if other == expected)
            );
        }
    }

    #[test]
    fn a_truncated_or_foreign_escape_is_bad() {
        for raw in [
            &b"%"[..],
            b"%4",
            b"a%G1",
            b"%1G",
            b"%%41",
            b"%+1",
            b"x=%u0041",
        ] {
            assert_eq!(
                normal(raw, EscapeSyntax::Form),
                Err(BadEscape),
                "{}",
                raw.escape_ascii()
            );
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_survive() {
        assert_eq!(
            normal(b"%ff%FE\x80", EscapeSyntax::Form).unwrap(),
            b"%FF%FE%80"
        );
        assert_eq!(
            &*decode(&normalize(b"%ff%FE\x80", EscapeSyntax::Form).unwrap()),
            b"\xff\xfe\x80"
        );
    }

    #[test]
    fn long_texts_are_encoded_like_single_bytes() {
        let all: Vec<u8> = (0..=255).filter(|byte| *byte != b'%').collect();
        for syntax in [EscapeSyntax::Form, EscapeSyntax::Percent] {
            for raw in [
                all.repeat(3),
                [&b"abcdefghij"[..], &all, b"%2b%41+"].concat(),
            ] {
                let single: Vec<u8> = pieces(&raw)
                    .flat_map(|piece| normal(piece, syntax).unwrap())
                    .collect();
                assert_eq!(normal(&raw, syntax).unwrap(), single);
                let mut again = Vec::new();
                encode_normal(&single, &mut |piece| again.extend_from_slice(piece));
                assert_eq!(again, encoded(&single).into_bytes());
            }
        }
        assert_eq!(
            encoded(&all).into_bytes(),
            normal(&all, EscapeSyntax::Percent).unwrap()
        );
    }

    /// Splits into single bytes and single escapes.
    fn pieces(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = raw;
        std::iter::from_fn(move || {
            let len = if rest.first()? == &b'%' { 3 } else { 1 };
            let (piece, after) = rest.split_at(len);
            rest = after;
            Some(piece)
        })
    }

    #[test]
    fn values_are_decoded_exactly_once() {
        assert_eq!(
            &*decode(&normalize(b"%2541", EscapeSyntax::Form).unwrap()),
            b"%41"
        );
    }
}
