//! Forms of names and values on their way from the wire to the base string.

use std::borrow::Cow;

use super::super::ParameterPlace;
use super::super::encode::{EscapeSyntax, decode, encoded, normalize};
use super::charset::TextChange;
use super::encoding::Encoding;

/// A way from a name or value on the wire to the base string.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::oauth) struct TextForm {
    /// The way to read it.
    pub(in crate::oauth) reading: Reading,
    /// A change of the text that is read.
    pub(in crate::oauth) change: TextChange,
    /// The encoding of the text.
    pub(in crate::oauth) encoding: Encoding,
    /// The encoded text is encoded once more.
    pub(in crate::oauth) is_encoded_twice: bool,
}

/// A way to read a name or value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::oauth) enum Reading {
    /// Decoded; a `+` in query or form is a space.
    Rfc,
    /// Decoded; a `+` is a plus everywhere.
    PlusLiteral,
    /// As sent, and not encoded again.
    AsSent,
    /// As sent, and encoded as if that were the decoded text.
    Undecoded,
    /// Decoded, and decoded once more in that syntax.
    Twice(EscapeSyntax),
}

impl TextForm {
    /// RFC 5849: decoded, then encoded as section 3.6 says.
    pub(in crate::oauth) const RFC: Self = Self {
        reading: Reading::Rfc,
        change: TextChange::Unchanged,
        encoding: Encoding::RFC,
        is_encoded_twice: false,
    };

    /// Returns the form with a change of the text.
    pub(in crate::oauth) const fn changed_by(change: TextChange) -> Self {
        Self {
            change,
            ..Self::RFC
        }
    }

    /// Reads a name or value; `None` if it cannot be read in this way.
    pub(super) fn read<'t>(&self, raw: &'t [u8], place: ParameterPlace) -> Option<Cow<'t, [u8]>> {
        let syntax = match self.reading {
            Reading::AsSent => return Some(Cow::Borrowed(raw)),
            Reading::Undecoded => return Some(self.of_text(&Cow::Borrowed(raw))),
            Reading::PlusLiteral => EscapeSyntax::Percent,
            Reading::Rfc | Reading::Twice(_) => EscapeSyntax::of(place),
        };
        let normal = normalize(raw, syntax).ok()?;
        let text = match self.reading {
            Reading::Twice(again) => self.of_text(&decoded_again(normal, again)),
            Reading::Rfc | Reading::PlusLiteral | Reading::AsSent | Reading::Undecoded => {
                self.of_normal(normal)
            }
        };
        Some(if self.is_encoded_twice {
            Cow::Owned(encoded(&text).into_bytes())
        } else {
            text
        })
    }

    /// Returns this form of a text in normal form.
    fn of_normal<'t>(&self, normal: Cow<'t, [u8]>) -> Cow<'t, [u8]> {
        if self.change == TextChange::Unchanged && self.encoding == Encoding::RFC {
            normal
        } else {
            self.of_text(&decode(&normal))
        }
    }

    fn of_text<'t>(&self, text: &Cow<'t, [u8]>) -> Cow<'t, [u8]> {
        self.change.encoded(text, &self.encoding)
    }
}

/// Decodes a normal form, and once more what it holds.
fn decoded_again(normal: Cow<'_, [u8]>, again: EscapeSyntax) -> Cow<'static, [u8]> {
    let mut text = decode(&normal).into_owned();
    if again == EscapeSyntax::Form {
        text.iter_mut()
            .filter(|byte| **byte == b'+')
            .for_each(|byte| *byte = b' ');
    }
    Cow::Owned(decode(&Cow::Owned(text)).into_owned())
}
