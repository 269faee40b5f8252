//! A connection whose peer takes nothing is given up.
//!
//! HTTP/1.1 has nothing against a client that sends requests and reads no answer: the answers fill the buffers of the
//! system, megabytes of them, and the connection keeps its place for ever. So a write that gets no byte further within a
//! limit breaks the connection. HTTP/2 needs none of this: its pings are not answered then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection that waits for its peer to read, but not for ever.
pub(crate) struct Stalling<IO> {
    io: IO,
    limit: Duration,
    /// Since when a write waits, as the end of its patience.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<IO: AsyncWrite + Unpin> Stalling<IO> {
    /// `io`, whose writes wait for `limit` at most.
    pub(crate) const fn new(io: IO, limit: Duration) -> Self {
        Self {
            io,
            limit,
            waiting: None,
        }
    }

    /// Does what writes, and minds how long it waits.
    fn poll_patiently<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.io), cx) {
            self.waiting = None;
            return Poll::Ready(done);
        }
        let limit = self.limit;
        ready!(
            self.waiting
                .get_or_insert_with(|| Box::pin(sleep(limit)))
                .as_mut()
                .poll(cx)
        );
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client reads no answer",
        )))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Stalling<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_patiently(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_patiently(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_patiently(cx, AsyncWrite::poll_shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_patiently(cx, |io, cx| io.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Stalling<IO> {
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
    async fn who_reads_nothing_is_given_up() {
        let (io, _peer) = duplex(8);
        let (mut io, begun) = (Stalling::new(io, LIMIT), Instant::now());
        assert_eq!(
            io.write_all(&[0; 9]).await.unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        assert_eq!(begun.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_is_waited_for() {
        let (io, mut peer) = duplex(1);
        let (mut io, begun) = (Stalling::new(io, LIMIT), Instant::now());
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
    async fn who_has_nothing_to_read_is_waited_for() {
        let (io, mut peer) = duplex(8);
        let mut io = Stalling::new(io, LIMIT);
        io.write_all(&[0; 9][..8]).await.unwrap();
        sleep(5 * LIMIT).await;
        peer.read_exact(&mut [0; 8]).await.unwrap();
        io.write_all(&[0; 8]).await.unwrap();
    }

    const LIMIT: Duration = Duration::from_secs(30);
}
