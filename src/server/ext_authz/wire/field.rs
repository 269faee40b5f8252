//! A message as a list of numbered fields.

use super::Malformed;

/// The fields of a message, in the order in which they arrived.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// What a field holds; what type that is, only its number tells.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// A number.
    Varint(u64),
    /// Four or eight bytes: nothing that is read here.
    Fixed,
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// The fields of this message.
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value.
    ///
    /// # Errors
    /// [`Malformed`] when what follows is no field.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed)?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        match key >> 3 {
            0 => Err(Malformed),
            number => Ok(Some((number, value))),
        }
    }

    /// At most ten bytes, seven bits in each.
    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for at in 0..10 {
            let (&byte, rest) = self.rest.split_first().ok_or(Malformed)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                let fits = at < 9 || byte == 1;
                return if fits { Ok(value) } else { Err(Malformed) };
            }
        }
        Err(Malformed)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Value<'a> {
    /// A number.
    ///
    /// # Errors
    /// [`Malformed`] when it is none.
    pub(super) const fn number(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Fixed | Self::Bytes(_) => Err(Malformed),
        }
    }

    /// Bytes, or a message.
    ///
    /// # Errors
    /// [`Malformed`] when it is neither.
    #[inline]
    pub(super) const fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err(Malformed),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// [`Malformed`] when it is none, or not UTF-8.
    #[inline]
    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(bytes: &[u8]) -> Result<u64, Malformed> {
        let mut fields = Fields::of(bytes);
        fields.varint().and_then(|value| {
            if fields.rest.is_empty() {
                Ok(value)
            } else {
                Err(Malformed)
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
            Err(Malformed)
        );
        assert_eq!(varint(&[0x80; 11]), Err(Malformed));
        assert_eq!(varint(&[0x80]), Err(Malformed));
        assert_eq!(varint(&[]), Err(Malformed));
    }

    #[test]
    fn what_is_no_field_is_malformed() {
        for (bytes, why) in [
            (&[0x00, 0x00][..], "field 0"),
            (&[0x0b, 0x0c], "a group"),
            (&[0x0c], "the end of a group"),
            (&[0x0e, 0x00], "wire type 6"),
            (&[0x0a, 0x02, 0x00], "cut off bytes"),
            (
                &[
                    0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
                ],
                "a length beyond memory",
            ),
            (&[0x0d, 0, 0, 0], "cut off 32 bits"),
            (&[0x09, 0, 0, 0, 0, 0, 0, 0], "cut off 64 bits"),
            (
                &[0x80, 0x80, 0x80, 0x80, 0x10, 0],
                "a number beyond 32 bits",
            ),
            (&[0x08], "no value"),
        ] {
            assert!(Fields::of(bytes).next().is_err(), "{why}");
        }
    }
}
