//! The frames of an HTTP/2 connection (RFC 9113 section 4.1), as their headers pass by.
//!
//! Nothing is copied or held back: the scanner skips payloads by their length.

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: FrameKind,
    /// The flag END_STREAM.
    pub(super) ends_stream: bool,
    pub(super) stream: u32,
    /// The length of the payload.
    pub(super) length: usize,
}

/// The type of a frame, as far as limits depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Data,
    Headers,
    Reset,
    Continuation,
    /// PRIORITY, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, and unknown types.
    Control,
}

/// Finds the headers of frames in the bytes of one direction.
#[derive(Debug)]
pub(super) struct FrameScanner {
    /// The bytes up to the next header.
    to_skip: usize,
    head: [u8; HEAD],
    /// The number of bytes of `head` that are known.
    known: usize,
}

impl FrameScanner {
    /// Returns a scanner of frames that begin after `to_skip` bytes.
    pub(super) const fn after(to_skip: usize) -> Self {
        Self {
            to_skip,
            head: [0; HEAD],
            known: 0,
        }
    }

    /// Calls `note` with each header that is complete in `bytes`, until it fails.
    pub(super) fn scan<E>(
        &mut self,
        mut bytes: &[u8],
        mut note: impl FnMut(FrameHead) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let skipped = self.to_skip.min(bytes.len());
            self.to_skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return Ok(());
            }
            let found = bytes.len().min(HEAD - self.known);
            self.head[self.known..self.known + found].copy_from_slice(&bytes[..found]);
            self.known += found;
            bytes = &bytes[found..];
            if self.known == HEAD {
                self.known = 0;
                note(self.take_head())?;
            }
        }
    }

    /// Decodes the header, whose payload is skipped next.
    fn take_head(&mut self) -> FrameHead {
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]);
        self.to_skip = usize::try_from(length).unwrap_or(usize::MAX);
        let kind = match kind {
            0 => FrameKind::Data,
            1 => FrameKind::Headers,
            3 => FrameKind::Reset,
            9 => FrameKind::Continuation,
            _ => FrameKind::Control,
        };
        let can_end = matches!(kind, FrameKind::Data | FrameKind::Headers);
        FrameHead {
            kind,
            ends_stream: can_end && flags & END_STREAM != 0,
            // The highest bit is reserved.
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
            length: self.to_skip,
        }
    }
}

/// The length of a frame header.
const HEAD: usize = 9;

const END_STREAM: u8 = 1;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn headers_are_found_in_whatever_pieces_they_come() {
        let sent = [
            b"preface".as_slice(),
            b"\0\0\x06\x04\0\0\0\0\0settng",
            b"\0\x01\0\x01\x05\0\0\0\x03",
            &[b'h'; 256],
            b"\0\0\0\0\x01\x80\0\0\x03",
            b"\0\0\x04\x03\x01\0\0\0\x03\0\0\0\x08",
        ]
        .concat();
        let head = |kind, ends_stream, stream, length| FrameHead {
            kind,
            ends_stream,
            stream,
            length,
        };
        let expected = [
            head(FrameKind::Control, false, 0, 6),
            head(FrameKind::Headers, true, 3, 256),
            head(FrameKind::Data, true, 3, 0),
            head(FrameKind::Reset, false, 3, 4),
        ];
        for size in [1, 2, 8, 9, 10, 100, sent.len()] {
            let (mut scanner, mut found) = (FrameScanner::after(7), Vec::new());
            for piece in sent.chunks(size) {
                let Ok(()) = scanner.scan(piece, |head| {
                    found.push(head);
                    Ok::<_, Infallible>(())
                });
            }
            assert_eq!(found, expected, "{size}");
        }
    }
}
