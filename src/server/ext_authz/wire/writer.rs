//! Writing a message.

/// Writes fields one after the other, behind room for what comes before the message.
pub(in super::super) struct Writer {
    bytes: Vec<u8>,
    prefix: usize,
}

impl Writer {
    /// An empty message after `prefix` bytes, which are 0 until [`Self::finish`].
    pub(in super::super) fn after(prefix: usize) -> Self {
        let mut bytes = Vec::with_capacity(USUAL);
        bytes.resize(prefix, 0);
        Self { bytes, prefix }
    }

    /// A number, which is not 0: 0 is what a field that is not there has.
    pub(in super::super) fn number(&mut self, field: u8, value: u32) {
        self.bytes.push(field << 3);
        self.varint(value as usize);
    }

    /// A text, or bytes; also an empty one is written.
    pub(in super::super) fn text(&mut self, field: u8, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        self.bytes.push(field << 3 | LENGTH_DELIMITED);
        self.varint(text.len());
        self.bytes.extend_from_slice(text);
    }

    /// Whatever `write` writes, as one message or text.
    pub(in super::super) fn nested(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        self.bytes.push(field << 3 | LENGTH_DELIMITED);
        let start = self.bytes.len();
        self.bytes.push(0);
        write(self);
        self.set_length(start);
    }

    /// Everything, after `fill` has filled the prefix, knowing how long the message is.
    pub(in super::super) fn finish(mut self, fill: impl FnOnce(&mut [u8], usize)) -> Vec<u8> {
        let (prefix, message) = self.bytes.split_at_mut(self.prefix);
        fill(prefix, message.len());
        self.bytes
    }

    /// Sets the length, for which there is one byte at `start`, of what comes after it; moves that if one is not enough.
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

/// Seven bits in each byte, the lowest first; returns how many there are.
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

/// What 64 bits need, seven in each.
const MOST_DIGITS: usize = 10;

/// The wire type of texts, bytes and messages.
const LENGTH_DELIMITED: u8 = 2;

/// More than most answers have, so that they are written without growing.
const USUAL: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_message_of_any_length_has_its_length_before_it() {
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
    fn what_comes_before_the_message_is_told_its_length() {
        let mut writer = Writer::after(2);
        writer.number(1, 300);
        let written = writer.finish(|prefix, length| prefix[1] = u8::try_from(length).unwrap());
        assert_eq!(written, [0, 3, 0x08, 0xac, 0x02]);
    }
}
