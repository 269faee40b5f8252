//! The first bytes of an HTTP/2 connection (RFC 9113 section 3.4).
//!
//! hyper waits for them without a limit, so they are awaited here, where a limit can be set, and handed on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// Waits until the client has said that it speaks HTTP/2.
///
/// # Errors
/// When it says something else, or leaves.
pub(crate) async fn await_preface<IO: AsyncRead + Unpin>(mut io: IO) -> io::Result<Rewound<IO>> {
    let mut first = [0; PREFACE.len()];
    io.read_exact(&mut first).await?;
    if first != *PREFACE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the client does not speak HTTP/2",
        ));
    }
    Ok(Rewound { handed_on: 0, io })
}

/// A connection whose preface was read already, and will be read once more.
///
/// It takes no vectored writes on purpose: h2 then gathers frames of up to 1 KiB into one buffer, and so the answers to
/// several requests into one call of the system. With them, it would end the buffer at each frame of 256 bytes or more.
#[derive(Debug)]
pub(crate) struct Rewound<IO> {
    /// How much of the preface its reader has got.
    handed_on: usize,
    io: IO,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Rewound<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &PREFACE[self.handed_on..];
        if rest.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let len = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..len]);
        self.handed_on += len;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Rewound<IO> {
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

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_read_is_read_once_more() {
        let sent = [PREFACE.as_slice(), b"and more"].concat();
        let mut rewound = await_preface(sent.as_slice()).await.unwrap();
        let mut read = Vec::new();
        let mut three = [0; 3];
        rewound.read_exact(&mut three).await.unwrap();
        read.extend(three);
        rewound.read_to_end(&mut read).await.unwrap();
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
