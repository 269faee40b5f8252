//! A message as a list of numbered fields.

use super::InvalidMessage;

/// The fields of a message, in the order in which they arrived.
#[derive(Clone, Copy)]
pub(super) struct FieldReader<'a> {
    rest: &'a [u8],
}

/// The value of a field, whose type only the number of the field shows.
#[derive(Clone, Copy)]
pub(super) enum FieldValue<'a> {
    /// A number.
    Varint(u64),
    /// Four or eight bytes, which no field of a check uses.
    Fixed,
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

impl<'a> FieldReader<'a> {
    /// Returns a reader of this message.
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Reads the number and the value of the next field.
    ///
    /// # Errors
    /// [`InvalidMessage`], if no valid field follows.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, FieldValue<'a>)>, InvalidMessage> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| InvalidMessage)?;
        let value = match key & 7 {
            0 => FieldValue::Varint(self.varint()?),
            1 => self.take(8).map(|_| FieldValue::Fixed)?,
            2 => {
                let length = self.varint()?;
                FieldValue::Bytes(self.take(usize::try_from(length).map_err(|_| InvalidMessage)?)?)
            }
            5 => self.take(4).map(|_| FieldValue::Fixed)?,
            _ => return Err(InvalidMessage),
        };
        match key >> 3 {
            0 => Err(InvalidMessage),
            number => Ok(Some((number, value))),
        }
    }

    /// Reads a number of at most ten bytes, with seven bits in each.
    #[inline]
    fn varint(&mut self) -> Result<u64, InvalidMessage> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, InvalidMessage> {
        let mut value = 0;
        for at in 0..10 {
            let (&byte, rest) = self.rest.split_first().ok_or(InvalidMessage)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                let fits = at < 9 || byte == 1;
                return if fits { Ok(value) } else { Err(InvalidMessage) };
            }
        }
        Err(InvalidMessage)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], InvalidMessage> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(InvalidMessage)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> FieldValue<'a> {
    /// Returns a number.
    ///
    /// # Errors
    /// [`InvalidMessage`], if the value has another type.
    pub(super) const fn number(self) -> Result<u64, InvalidMessage> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Fixed | Self::Bytes(_) => Err(InvalidMessage),
        }
    }

    /// Returns bytes, or a message.
    ///
    /// # Errors
    /// [`InvalidMessage`], if the value has another type.
    #[inline]
    pub(super) const fn bytes(self) -> Result<&'a [u8], InvalidMessage> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err(InvalidMessage),
        }
    }

    /// Returns a text.
    ///
    /// # Errors
    /// [`InvalidMessage`], if the value has another type or is not UTF-8.
    #[inline]
    pub(super) fn text(self) -> Result<&'a str, InvalidMessage> {
        std::str::from_utf8(self.bytes()?).map_err(|_| InvalidMessage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(bytes: &[u8]) -> Result<u64, InvalidMessage> {
        let mut fields = FieldReader::of(bytes);
        fields.varint().and_then(|value| {
            if fields.rest.is_empty() {
                Ok(value)
            } else {
                Err(InvalidMessage)
            }
        })
    }

    #[test]
    fn a_number_has_at_most_64_bits() {
        assert_eq!(varint(&[0]), Ok(0));
        assert_eq!(varint(&[0x96, 1]), Ok(150));
        assert_eq!(
            varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Ok(u64::MAX)
        );
        assert_eq!(
            varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]),
            Err(InvalidMessage)
        );
        assert_eq!(varint(&[0x80; 11]), Err(InvalidMessage));
        assert_eq!(varint(&[0x80]), Err(InvalidMessage));
        assert_eq!(varint(&[]), Err(InvalidMessage));
    }

    #[test]
    fn an_invalid_field_is_refused() {
        for (bytes, why) in [
            (&[0x00, 0x00][..], "field 0"),
            (&[0x0b, 0x0c], "a group"),
            (&[0x0c], "the end of a group"),
            (&[0x0e, 0x00], "wire type 6"),
            (&[0x0a, 0x02, 0x00], "truncated bytes"),
            (
                &[
                    0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
                ],
                "a length beyond memory",
            ),
            (&[0x0d, 0, 0, 0], "truncated 32 bits"),
            (&[0x09, 0, 0, 0, 0, 0, 0, 0], "truncated 64 bits"),
            (
                &[0x80, 0x80, 0x80, 0x80, 0x10, 0],
                "a number beyond 32 bits",
            ),
            (&[0x08], "no value"),
        ] {
            assert!(FieldReader::of(bytes).next().is_err(), "{why}");
        }
    }
}
