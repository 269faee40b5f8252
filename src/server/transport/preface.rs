//! The first bytes of an HTTP/2 connection (RFC 9113 section 3.4).
//!
//! hyper waits for them without a limit, so they are read here, under a limit, and replayed to
//! hyper.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// Reads the HTTP/2 preface.
///
/// # Errors
/// If the client sends something else or closes the connection.
pub(crate) async fn await_preface<IO: AsyncRead + Unpin>(
    mut io: IO,
) -> io::Result<PrefaceReplay<IO>> {
    let mut first = [0; PREFACE.len()];
    io.read_exact(&mut first).await?;
    if first != *PREFACE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the client does not speak HTTP/2",
        ));
    }
    Ok(PrefaceReplay { replayed: 0, io })
}

/// A connection whose preface was consumed, and is read again from here.
///
/// It does not support vectored writes, on purpose: h2 then gathers frames of up to 1 KiB in one
/// buffer, and so sends several responses with one system call. With vectored writes it would flush
/// at each frame of 256 bytes or more.
#[derive(Debug)]
pub(crate) struct PrefaceReplay<IO> {
    /// The number of replayed bytes.
    replayed: usize,
    io: IO,
}

impl<IO: AsyncRead + Unpin> AsyncRead for PrefaceReplay<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &PREFACE[self.replayed..];
        if rest.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let len = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..len]);
        self.replayed += len;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for PrefaceReplay<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The preface.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_preface_can_be_read_again() {
        let sent = [PREFACE.as_slice(), b"and more"].concat();
        let mut replay = await_preface(sent.as_slice()).await.unwrap();
        let mut read = Vec::new();
        let mut three = [0; 3];
        replay.read_exact(&mut three).await.unwrap();
        read.extend(three);
        replay.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, sent);
    }

    #[tokio::test]
    async fn another_protocol_is_refused() {
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_eq!(
            await_preface(request.as_slice()).await.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(
            await_preface(&b"PRI"[..]).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
