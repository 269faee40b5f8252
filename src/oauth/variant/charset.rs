//! Changes of a text before it is encoded: other character sets and other line breaks than those
//! that were sent.

use std::borrow::Cow;

use super::encoding::Encoding;

/// A change of a decoded name or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum TextChange {
    /// As sent.
    Unchanged,
    /// UTF-8, signed in a character set of one byte; a `?` for a character that it lacks.
    Narrowed(Charset),
    /// UTF-8 that was taken for a character set of one byte, and encoded as UTF-8 again.
    Widened(Charset),
    /// A `?` for every UTF-16 unit outside of ASCII.
    Ascii,
    /// Bytes that are not UTF-8, replaced by U+FFFD.
    Lossy,
    /// Both halves of a surrogate pair, each encoded on its own.
    Surrogates(SurrogateForm),
    /// UTF-16 units as escapes.
    Units(UnitForm),
    /// The line breaks CRLF, CR and LF, each as this one.
    LineBreaks(&'static [u8]),
    /// Without the white space around it.
    Trimmed,
}

/// A character set of one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum Charset {
    /// ISO 8859-1.
    Latin1,
    /// windows-1252.
    Windows1252,
}

/// The encoded form of half a surrogate pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum SurrogateForm {
    /// Three bytes, as in CESU-8.
    Cesu,
    /// A `?`.
    QuestionMark,
    /// U+FFFD.
    Replacement,
}

/// The form of a UTF-16 unit outside of ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum UnitForm {
    /// `%E9`, and `%u20AC` if it takes more than two digits, like JavaScript's `escape`.
    Escape,
    /// `%u00E9`.
    Percent,
    /// `%E9` and `%20AC`.
    Hexadecimal,
}

impl TextChange {
    /// Returns the encoded form of the changed text.
    pub(super) fn encoded<'t>(self, text: &Cow<'t, [u8]>, encoding: &Encoding) -> Cow<'t, [u8]> {
        match (self, str::from_utf8(text)) {
            (Self::Units(form), Ok(text)) => Cow::Owned(units(text, form, encoding)),
            (change, _) => match change.changed(text) {
                Some(changed) => encoding.encoded(&Cow::Owned(changed)),
                None => encoding.encoded(text),
            },
        }
    }

    /// Returns the changed text; `None` leaves it as it is.
    pub(in crate::oauth) fn changed(self, text: &[u8]) -> Option<Vec<u8>> {
        if let Self::LineBreaks(instead) = self {
            return Some(with_line_breaks(text, instead));
        }
        if self == Self::Trimmed {
            return Some(text.trim_ascii().to_vec());
        }
        if text.is_ascii() {
            return None;
        }
        match (self, str::from_utf8(text)) {
            (Self::Narrowed(charset), Ok(text)) => Some(narrowed(text, charset)),
            (Self::Widened(charset), _) => Some(widened(text, charset).into_bytes()),
            (Self::Ascii, Ok(text)) => Some(ascii(text)),
            (Self::Lossy, Err(_)) => Some(String::from_utf8_lossy(text).into_owned().into_bytes()),
            (Self::Surrogates(form), Ok(text)) => Some(surrogates(text, form)),
            (
                Self::Unchanged
                | Self::Narrowed(_)
                | Self::Ascii
                | Self::Lossy
                | Self::Surrogates(_)
                | Self::Units(_)
                | Self::LineBreaks(_)
                | Self::Trimmed,
                _,
            ) => None,
        }
    }
}

fn with_line_breaks(text: &[u8], instead: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut last = 0;
    for &byte in text {
        match byte {
            b'\n' if last == b'\r' => {}
            b'\r' | b'\n' => out.extend_from_slice(instead),
            byte => out.push(byte),
        }
        last = byte;
    }
    out
}

fn narrowed(text: &str, charset: Charset) -> Vec<u8> {
    text.chars()
        .map(|character| charset.byte(character).unwrap_or(b'?'))
        .collect()
}

fn widened(text: &[u8], charset: Charset) -> String {
    text.iter().map(|&byte| charset.character(byte)).collect()
}

fn ascii(text: &str) -> Vec<u8> {
    let units = text.encode_utf16();
    units
        .map(|unit| u8::try_from(unit).ok().filter(u8::is_ascii).unwrap_or(b'?'))
        .collect()
}

fn surrogates(text: &str, form: SurrogateForm) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * text.len());
    for character in text.chars() {
        let mut units = [0; 2];
        match character.encode_utf16(&mut units) {
            [_] => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            pair => pair.iter().for_each(|&unit| form.push(unit, &mut out)),
        }
    }
    out
}

fn units(text: &str, form: UnitForm, encoding: &Encoding) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 * text.len());
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => {
                encoding.write(&[byte], &mut |piece| out.extend_from_slice(piece));
            }
            _ => out.extend_from_slice(form.of(unit).as_bytes()),
        }
    }
    out
}

impl SurrogateForm {
    fn push(self, unit: u16, out: &mut Vec<u8>) {
        match self {
            Self::Cesu => {
                let [high, low] = unit.to_be_bytes();
                let six = |bits: u8| 0x80 | (bits & 0x3F);
                out.extend([0xE0 | (high >> 4), six(high << 2 | low >> 6), six(low)]);
            }
            Self::QuestionMark => out.push(b'?'),
            Self::Replacement => out.extend_from_slice("\u{FFFD}".as_bytes()),
        }
    }
}

impl UnitForm {
    fn of(self, unit: u16) -> String {
        match self {
            Self::Escape if unit > 0xFF => format!("%u{unit:04X}"),
            Self::Percent => format!("%u{unit:04X}"),
            Self::Escape | Self::Hexadecimal => format!("%{unit:02X}"),
        }
    }
}

impl Charset {
    /// Returns the byte of a character; `None` if the set lacks it.
    fn byte(self, character: char) -> Option<u8> {
        let special = HIGH_CONTROLS.iter().position(|&other| other == character);
        match (self, special) {
            (Self::Windows1252, Some(at)) => u8::try_from(0x80 + at).ok(),
            _ => u8::try_from(u32::from(character)).ok(),
        }
    }

    fn character(self, byte: u8) -> char {
        match (self, byte) {
            (Self::Windows1252, 0x80..=0x9F) => HIGH_CONTROLS[usize::from(byte - 0x80)],
            _ => char::from(byte),
        }
    }
}

/// The characters of windows-1252 that ISO 8859-1 has no printable ones for: 0x80 to 0x9F. Bytes
/// without one stand for the control character.
const HIGH_CONTROLS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_gives_the_bytes_of_its_clients() {
        let encoded = |change: TextChange, text: &str| {
            let text = Cow::Owned(text.as_bytes().to_vec());
            String::from_utf8(change.encoded(&text, &Encoding::RFC).into_owned()).unwrap()
        };
        for (change, text, expected) in [
            (
                TextChange::Narrowed(Charset::Latin1),
                "£ é€",
                "%A3%20%E9%3F",
            ),
            (TextChange::Narrowed(Charset::Windows1252), "é€", "%E9%80"),
            (TextChange::Widened(Charset::Latin1), "é", "%C3%83%C2%A9"),
            (
                TextChange::Widened(Charset::Windows1252),
                "À",
                "%C3%83%E2%82%AC",
            ),
            (TextChange::Ascii, "aé😀", "a%3F%3F%3F"),
            (
                TextChange::Surrogates(SurrogateForm::Cesu),
                "é😀",
                "%C3%A9%ED%A0%BD%ED%B8%80",
            ),
            (
                TextChange::Surrogates(SurrogateForm::QuestionMark),
                "😀",
                "%3F%3F",
            ),
            (TextChange::Units(UnitForm::Escape), "a é€", "a%20%E9%u20AC"),
            (TextChange::Units(UnitForm::Percent), "é", "%u00E9"),
            (TextChange::Units(UnitForm::Hexadecimal), "é€", "%E9%20AC"),
            (
                TextChange::LineBreaks(b"\n"),
                "a\r\nb\nc\rd",
                "a%0Ab%0Ac%0Ad",
            ),
            (
                TextChange::LineBreaks(b"\r\n"),
                "a\nb\r\n",
                "a%0D%0Ab%0D%0A",
            ),
            (TextChange::Trimmed, " a b ", "a%20b"),
        ] {
            assert_eq!(encoded(change, text), expected, "{change:?}");
        }
        let lossy = TextChange::Lossy.changed(b"a\xff").unwrap();
        assert_eq!(lossy, "a\u{FFFD}".as_bytes());
    }

    #[test]
    fn a_text_in_ascii_is_the_same_in_every_character_set() {
        for change in [
            TextChange::Narrowed(Charset::Latin1),
            TextChange::Widened(Charset::Windows1252),
            TextChange::Ascii,
            TextChange::Lossy,
            TextChange::Surrogates(SurrogateForm::Cesu),
        ] {
            assert_eq!(change.changed(b"plain"), None);
        }
    }
}
