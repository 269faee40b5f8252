//! Signed messages, handed over piece by piece, so that a check needs no copy of the request.

/// A message that a signature covers.
pub(super) trait Message {
    /// Calls `write` with each piece, in order.
    fn write(&self, write: &mut impl FnMut(&[u8]));
}

impl Message for [u8] {
    fn write(&self, write: &mut impl FnMut(&[u8])) {
        write(self);
    }
}

/// A buffer that joins short pieces, since a hash is faster on few long ones.
pub(super) struct PieceBuffer<W> {
    bytes: [u8; BUFFER_SIZE],
    len: usize,
    write: W,
}

impl<W: FnMut(&[u8])> PieceBuffer<W> {
    /// Creates an empty buffer in front of `write`.
    #[inline]
    pub(super) const fn new(write: W) -> Self {
        Self {
            bytes: [0; BUFFER_SIZE],
            len: 0,
            write,
        }
    }

    /// Appends a piece; one that is longer than the buffer goes straight to `write`.
    pub(super) fn put(&mut self, piece: &[u8]) {
        if piece.len() > BUFFER_SIZE - self.len {
            self.flush();
        }
        match self.bytes.get_mut(self.len..self.len + piece.len()) {
            Some(room) => {
                room.copy_from_slice(piece);
                self.len += piece.len();
            }
            None => (self.write)(piece),
        }
    }

    /// Writes the buffered bytes.
    pub(super) fn flush(&mut self) {
        (self.write)(&self.bytes[..self.len]);
        self.len = 0;
    }
}

/// Room for most base strings, and a multiple of the block size of every hash.
pub(super) const BUFFER_SIZE: usize = 1024;
