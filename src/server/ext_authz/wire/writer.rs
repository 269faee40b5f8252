//! Writing a message.

/// Writes the fields of a message one after another, after space for a prefix.
pub(in super::super) struct Writer {
    bytes: Vec<u8>,
    prefix: usize,
}

impl Writer {
    /// Returns an empty message after `prefix` bytes, which are 0 until [`Self::finish`].
    pub(in super::super) fn after(prefix: usize) -> Self {
        let mut bytes = Vec::with_capacity(USUAL);
        bytes.resize(prefix, 0);
        Self { bytes, prefix }
    }

    /// Writes a number other than 0, which is the value of a missing field.
    pub(in super::super) fn number(&mut self, field: u8, value: u32) {
        self.bytes.push(field << 3);
        self.varint(value as usize);
    }

    /// Writes a text or bytes, even if they are empty.
    pub(in super::super) fn text(&mut self, field: u8, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        self.bytes.push(field << 3 | LENGTH_DELIMITED);
        self.varint(text.len());
        self.bytes.extend_from_slice(text);
    }

    /// Writes the output of `write` as one message or text.
    pub(in super::super) fn nested(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        self.bytes.push(field << 3 | LENGTH_DELIMITED);
        let start = self.bytes.len();
        self.bytes.push(0);
        write(self);
        self.set_length(start);
    }

    /// Returns the message after `fill` has filled the prefix, given the length of the message.
    pub(in super::super) fn finish(mut self, fill: impl FnOnce(&mut [u8], usize)) -> Vec<u8> {
        let (prefix, message) = self.bytes.split_at_mut(self.prefix);
        fill(prefix, message.len());
        self.bytes
    }

    /// Writes the length of the bytes after `start` into the one byte that is reserved there, and
    /// moves them if the length takes more.
    fn set_length(&mut self, start: usize) {
        let end = self.bytes.len();
        let length = end - start - 1;
        let mut digits = [0; MOST_DIGITS];
        let count = into_digits(length, &mut digits);
        if count > 1 {
            self.bytes.resize(end + count - 1, 0);
            self.bytes.copy_within(start + 1..end, start + count);
        }
        self.bytes[start..start + count].copy_from_slice(&digits[..count]);
    }

    fn varint(&mut self, value: usize) {
        let mut digits = [0; MOST_DIGITS];
        let count = into_digits(value, &mut digits);
        self.bytes.extend_from_slice(&digits[..count]);
    }
}

/// Splits a number into seven bits a byte, the lowest first, and returns the number of bytes.
fn into_digits(mut value: usize, digits: &mut [u8; MOST_DIGITS]) -> usize {
    let mut count = 0;
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        digits[count] = if value == 0 { low } else { low | 0x80 };
        count += 1;
        if value == 0 {
            return count;
        }
    }
}

/// The bytes of a 64-bit number, with seven bits in each.
const MOST_DIGITS: usize = 10;

/// The wire type of texts, bytes and messages.
const LENGTH_DELIMITED: u8 = 2;

/// The capacity of a new buffer, larger than most answers, so that it does not grow.
const USUAL: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_message_follows_its_length() {
        for length in [0, 1, 127, 128, 129, 16_383, 16_384, 70_000] {
            let text = "x".repeat(length);
            let mut nested = Writer::after(0);
            nested.nested(2, |writer| writer.bytes.extend_from_slice(text.as_bytes()));
            let mut plain = Writer::after(0);
            plain.text(2, &text);
            assert_eq!(
                nested.finish(|_, _| {}),
                plain.finish(|_, _| {}),
                "{length}"
            );
        }
    }

    #[test]
    fn the_prefix_gets_the_length_of_the_message() {
        let mut writer = Writer::after(2);
        writer.number(1, 300);
        let written = writer.finish(|prefix, length| prefix[1] = u8::try_from(length).unwrap());
        assert_eq!(written, [0, 3, 0x08, 0xac, 0x02]);
    }
}
