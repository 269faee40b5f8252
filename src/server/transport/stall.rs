//! Closes a connection whose peer stops reading.
//!
//! A client that sends requests and reads no response would fill megabytes of buffers and keep its
//! connection forever. So a write that makes no progress within a limit ends the connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection whose writes fail if they stall.
pub(crate) struct StallGuard<IO> {
    io: IO,
    limit: Duration,
    /// The deadline of the write that waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<IO: AsyncWrite + Unpin> StallGuard<IO> {
    /// Returns `io` with writes that stall for at most `limit`.
    pub(crate) const fn new(io: IO, limit: Duration) -> Self {
        Self {
            io,
            limit,
            deadline: None,
        }
    }

    /// Polls a write, and fails if it has stalled for too long.
    fn poll_with_limit<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.io), cx) {
            self.deadline = None;
            return Poll::Ready(done);
        }
        let limit = self.limit;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client does not read its response",
        )))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for StallGuard<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_with_limit(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with_limit(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with_limit(cx, AsyncWrite::poll_shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with_limit(cx, |io, cx| io.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for StallGuard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_disconnected() {
        let (io, _peer) = duplex(8);
        let (mut io, begun) = (StallGuard::new(io, LIMIT), Instant::now());
        assert_eq!(
            io.write_all(&[0; 9]).await.unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        assert_eq!(begun.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_not_disconnected() {
        let (io, mut peer) = duplex(1);
        let (mut io, begun) = (StallGuard::new(io, LIMIT), Instant::now());
        let reading = async {
            for _ in 0..10 {
                sleep(LIMIT - Duration::from_secs(1)).await;
                peer.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(io.write_all(&[0; 10]), reading);
        written.unwrap();
        assert!(begun.elapsed() > 5 * LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_reader_is_not_disconnected() {
        let (io, mut peer) = duplex(8);
        let mut io = StallGuard::new(io, LIMIT);
        io.write_all(&[0; 9][..8]).await.unwrap();
        sleep(5 * LIMIT).await;
        peer.read_exact(&mut [0; 8]).await.unwrap();
        io.write_all(&[0; 8]).await.unwrap();
    }

    const LIMIT: Duration = Duration::from_secs(30);
}
