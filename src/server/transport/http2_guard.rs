//! The byte stream of an HTTP/2 connection, with limits that h2 does not have: for control frames
//! and resets ([`super::frame_budget`]) and for unread answers ([`super::unread`]).
//!
//! It looks at the headers of the frames as they pass, which takes some nanoseconds for each.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame_budget::FrameBudget;
use super::frames::FrameScanner;
use super::preface::PREFACE;
use super::unread::OpenAnswers;
use super::violation::FirstViolation;

/// A connection whose peer is held to limits. Like [`super::preface::PrefaceReplay`], it does not
/// support vectored writes.
#[derive(Debug)]
pub(super) struct Http2Guard<IO> {
    io: IO,
    received: FrameScanner,
    sent: FrameScanner,
    budget: FrameBudget,
    answers: OpenAnswers,
    violation: FirstViolation,
}

impl<IO> Http2Guard<IO> {
    /// Returns `io`, which begins with the preface, with limits. A violation ends it with an error,
    /// and is noted in `violation`.
    pub(super) fn new(io: IO, answers: OpenAnswers, violation: FirstViolation) -> Self {
        Self {
            io,
            received: FrameScanner::after(PREFACE.len()),
            sent: FrameScanner::after(0),
            budget: FrameBudget::new(),
            answers,
            violation,
        }
    }

    fn note_received(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (budget, answers) = (&mut self.budget, &mut self.answers);
        let noted = self.received.scan(bytes, |frame| {
            answers.note_received(frame);
            budget.note_received(frame)
        });
        noted.map_err(|violation| self.violation.note(violation))
    }

    fn note_sent(&mut self, bytes: &[u8]) {
        self.budget.note_sent(bytes.len());
        let answers = &mut self.answers;
        let Ok(()) = self.sent.scan(bytes, |frame| {
            answers.note_sent(frame);
            Ok::<_, std::convert::Infallible>(())
        });
        self.answers.publish();
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Http2Guard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        Poll::Ready(self.note_received(&buffer.filled()[before..]))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Http2Guard<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.note_sent(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        let checked = self.answers.check_total();
        Poll::Ready(checked.map_err(|violation| self.violation.note(violation)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
