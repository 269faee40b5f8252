//! Percent-encodings: RFC 5849 section 3.6, and those of other encoders.

use std::borrow::Cow;

use super::super::encode::{encode, is_unreserved};

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::oauth) struct ByteSet([u128; 2]);

impl ByteSet {
    /// No byte.
    pub(in crate::oauth) const NONE: Self = Self([0; 2]);

    /// Every byte.
    pub(in crate::oauth) const ALL: Self = Self([u128::MAX; 2]);

    /// The unreserved characters of RFC 3986.
    pub(in crate::oauth) const UNRESERVED: Self = Self::unreserved();

    /// Returns the set of some bytes.
    pub(in crate::oauth) const fn of(bytes: &[u8]) -> Self {
        let mut set = Self::NONE;
        let mut at = 0;
        while at < bytes.len() {
            set = set.with(bytes[at]);
            at += 1;
        }
        set
    }

    const fn unreserved() -> Self {
        let mut set = Self::NONE;
        let mut byte = 0;
        while byte < 128 {
            if is_unreserved(byte) {
                set = set.with(byte);
            }
            byte += 1;
        }
        set
    }

    const fn with(mut self, byte: u8) -> Self {
        self.0[(byte >> 7) as usize] |= 1 << (byte & 127);
        self
    }

    /// Returns whether a byte is a member.
    pub(in crate::oauth) const fn contains(self, byte: u8) -> bool {
        self.0[(byte >> 7) as usize] >> (byte & 127) & 1 == 1
    }

    /// Returns the members of either set.
    pub(in crate::oauth) const fn or(self, other: Self) -> Self {
        Self([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    /// Returns the members of both sets.
    pub(in crate::oauth) const fn and(self, other: Self) -> Self {
        Self([self.0[0] & other.0[0], self.0[1] & other.0[1]])
    }

    /// Returns the members that the other set lacks.
    pub(in crate::oauth) const fn without(self, other: Self) -> Self {
        Self([self.0[0] & !other.0[0], self.0[1] & !other.0[1]])
    }

    /// Returns whether the set is empty.
    pub(in crate::oauth) const fn is_empty(self) -> bool {
        self.0[0] == 0 && self.0[1] == 0
    }

    /// Returns the members in order.
    pub(in crate::oauth) fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |&byte| self.contains(byte))
    }
}

impl FromIterator<u8> for ByteSet {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        bytes.into_iter().fold(Self::NONE, Self::with)
    }
}

/// An encoding of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::oauth) struct Encoding {
    /// The bytes that stay as they are.
    pub(in crate::oauth) plain: ByteSet,
    /// A space becomes `+`.
    pub(in crate::oauth) space_as_plus: bool,
    /// The digits of escapes are in lower case.
    pub(in crate::oauth) lower_case: bool,
}

impl Encoding {
    /// RFC 5849 section 3.6.
    pub(in crate::oauth) const RFC: Self = Self {
        plain: ByteSet::UNRESERVED,
        space_as_plus: false,
        lower_case: false,
    };

    /// No encoding at all.
    pub(in crate::oauth) const NONE: Self = Self {
        plain: ByteSet::ALL,
        space_as_plus: false,
        lower_case: false,
    };

    /// Leaves more bytes plain.
    pub(in crate::oauth) const fn leaving(mut self, bytes: &[u8]) -> Self {
        self.plain = self.plain.or(ByteSet::of(bytes));
        self
    }

    /// Escapes more bytes.
    pub(in crate::oauth) const fn escaping(mut self, bytes: &[u8]) -> Self {
        self.plain = self.plain.without(ByteSet::of(bytes));
        self
    }

    /// Writes a space as `+`.
    pub(in crate::oauth) const fn with_plus(mut self) -> Self {
        self.space_as_plus = true;
        self
    }

    /// Writes escapes in lower case.
    pub(in crate::oauth) const fn in_lower_case(mut self) -> Self {
        self.lower_case = true;
        self
    }

    /// Writes the encoded form of `bytes`, in as few pieces as possible.
    pub(in crate::oauth) fn write(&self, bytes: &[u8], write: &mut impl FnMut(&[u8])) {
        if *self == Self::RFC {
            return encode(bytes, write);
        }
        let is_plain = |byte: u8| self.plain.contains(byte);
        for part in bytes.chunk_by(|&a, &b| is_plain(a) == is_plain(b)) {
            if is_plain(part[0]) {
                write(part);
            } else {
                write(&self.escaped(part));
            }
        }
    }

    /// Returns the encoded form of `bytes`.
    pub(in crate::oauth) fn encoded<'a>(&self, bytes: &Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        if bytes.iter().all(|&byte| self.plain.contains(byte)) {
            return bytes.clone();
        }
        let mut out = Vec::with_capacity(bytes.len() + ROOM);
        self.write(bytes, &mut |piece| out.extend_from_slice(piece));
        Cow::Owned(out)
    }

    fn escaped(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(3 * bytes.len());
        for &byte in bytes {
            if byte == b' ' && self.space_as_plus {
                out.push(b'+');
            } else {
                self.push_escape(byte, &mut out);
            }
        }
        out
    }

    /// Appends the escape of a byte.
    fn push_escape(&self, byte: u8, out: &mut Vec<u8>) {
        let digits = if self.lower_case {
            b"0123456789abcdef"
        } else {
            b"0123456789ABCDEF"
        };
        out.extend([
            b'%',
            digits[usize::from(byte >> 4)],
            digits[usize::from(byte & 15)],
        ]);
    }
}

/// Room for the escapes of most texts.
const ROOM: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deviation_of_an_encoding_shows_in_its_bytes() {
        let text = Cow::Borrowed(&b"a b*c~/\xC3\xA9"[..]);
        for (encoding, expected) in [
            (Encoding::RFC, "a%20b%2Ac~%2F%C3%A9"),
            (Encoding::RFC.leaving(b"*/"), "a%20b*c~/%C3%A9"),
            (Encoding::RFC.escaping(b"~"), "a%20b%2Ac%7E%2F%C3%A9"),
            (Encoding::RFC.with_plus(), "a+b%2Ac~%2F%C3%A9"),
            (Encoding::RFC.in_lower_case(), "a%20b%2ac~%2f%c3%a9"),
        ] {
            assert_eq!(encoding.encoded(&text), expected.as_bytes());
        }
        assert_eq!(Encoding::NONE.encoded(&text), text);
    }

    #[test]
    fn sets_of_bytes_are_combined() {
        let (one, other) = (ByteSet::of(b"ab\xff"), ByteSet::of(b"bc"));
        let members = |set: ByteSet| set.iter().collect::<Vec<_>>();
        assert_eq!(members(one.or(other)), b"abc\xff");
        assert_eq!(members(one.and(other)), b"b");
        assert_eq!(members(one.without(other)), b"a\xff");
        assert!(ByteSet::NONE.is_empty() && !one.is_empty());
        assert_eq!(ByteSet::UNRESERVED.iter().count(), 66);
    }
}
