//! Responses that a peer does not let us send.
//!
//! A peer can close its windows (RFC 9113 section 5.2), send requests, and keep their responses in
//! our memory forever. An answer is *unread* from its headers, which no window holds back, to the
//! end of its stream, except while its handler has nothing to send, as in a watch.
//!
//! - A connection that has had unread answers all the time for [`PATIENCE`] is closed. An answer of
//!   which the peer took [`PROGRESS`] bytes in that time does not count, so that a slow reader can
//!   read an export.
//! - While the connections of a listener have more than [`LISTENER_LIMIT`] unread answers in total, a
//!   connection that has more than [`CONNECTION_LIMIT`], and has sent all that it can, is closed at
//!   once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::time::sleep;

use super::frames::{FrameHead, FrameKind};
use super::violation::Violation;

/// The number of unread answers of all connections of a listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListenerAnswers(Arc<AtomicUsize>);

/// The state of a connection's answers, for its writer, its bodies and its supervisor.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionAnswers(Arc<AnswerCounts>);

#[derive(Debug, Default)]
struct AnswerCounts {
    /// Answers that have begun and not ended.
    open: AtomicUsize,
    /// Bodies whose handler has nothing to send.
    idle: AtomicUsize,
    /// The number of looks so far.
    looks: AtomicUsize,
    /// Set once no answer was unread, at some time since the last look.
    caught_up: AtomicBool,
}

/// The answers of a connection that have begun and not ended, as its frames show.
#[derive(Debug)]
pub(super) struct OpenAnswers {
    /// The answers; honest peers have few, and the newest end first.
    answers: Vec<OpenAnswer>,
    /// The number of answers that progress.
    progressing: usize,
    /// The look since which progress counts.
    look: usize,
    counts: ConnectionAnswers,
    /// The number that `listener` includes.
    reported: usize,
    listener: ListenerAnswers,
}

/// An answer that has begun and not ended.
#[derive(Debug)]
struct OpenAnswer {
    stream: u32,
    /// The bytes that were sent since the last look.
    sent: usize,
}

/// A body that tells whether its handler has nothing to send.
#[derive(Debug)]
pub(super) struct ObservedBody<B> {
    body: B,
    is_idle: bool,
    counts: ConnectionAnswers,
}

// === impl ConnectionAnswers ===

impl ConnectionAnswers {
    /// Returns `body`, observed.
    pub(super) fn observe<B>(self, body: B) -> ObservedBody<B> {
        ObservedBody {
            body,
            is_idle: false,
            counts: self,
        }
    }

    /// Waits until answers have been unread for too long.
    pub(super) async fn stalled(&self) {
        loop {
            sleep(PATIENCE).await;
            let caught_up = self.0.caught_up.swap(false, Ordering::Relaxed);
            self.0.looks.fetch_add(1, Ordering::Relaxed);
            if self.unread() == 0 {
                self.0.caught_up.store(true, Ordering::Relaxed);
            } else if !caught_up {
                return;
            }
        }
    }

    fn unread(&self) -> usize {
        let open = self.0.open.load(Ordering::Relaxed);
        open.saturating_sub(self.0.idle.load(Ordering::Relaxed))
    }
}

// === impl OpenAnswers ===

impl OpenAnswers {
    /// Returns the answers of a new connection.
    pub(super) fn new(counts: ConnectionAnswers, listener: ListenerAnswers) -> Self {
        Self {
            answers: Vec::new(),
            progressing: 0,
            look: 0,
            counts,
            reported: 0,
            listener,
        }
    }

    /// Notes a frame that was sent.
    pub(super) fn note_sent(&mut self, frame: FrameHead) {
        match frame.kind {
            FrameKind::Reset => self.end(frame.stream),
            _ if frame.ends_stream => self.end(frame.stream),
            FrameKind::Headers => self.answers.push(OpenAnswer {
                stream: frame.stream,
                sent: 0,
            }),
            FrameKind::Data => self.progress(frame),
            FrameKind::Continuation | FrameKind::Control => {}
        }
    }

    /// Notes a frame that was received.
    pub(super) fn note_received(&mut self, frame: FrameHead) {
        if frame.kind == FrameKind::Reset {
            self.end(frame.stream);
        }
    }

    /// Notes that some bytes were sent.
    pub(super) fn publish(&mut self) {
        self.begin_look();
        let counts = &self.counts.0;
        counts.open.store(self.answers.len(), Ordering::Relaxed);
        if self.counts.unread() <= self.progressing {
            counts.caught_up.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that all was sent that can be.
    ///
    /// # Errors
    /// If the listener has too many unread answers, and this connection has a part in that.
    pub(super) fn check_total(&mut self) -> Result<(), Violation> {
        let unread = self.counts.unread();
        if unread == self.reported {
            return Ok(());
        }
        let total = &self.listener.0;
        total.fetch_add(unread, Ordering::Relaxed);
        total.fetch_sub(self.reported, Ordering::Relaxed);
        self.reported = unread;
        if unread > CONNECTION_LIMIT && total.load(Ordering::Relaxed) > LISTENER_LIMIT {
            return Err(Violation::UnreadAnswers);
        }
        Ok(())
    }

    fn end(&mut self, stream: u32) {
        let at = |answer: &OpenAnswer| answer.stream == stream;
        if let Some(at) = self.answers.iter().rposition(at) {
            let answer = self.answers.swap_remove(at);
            self.progressing -= usize::from(answer.progresses());
        }
    }

    /// Notes a part of an answer. The peer's windows had room for it.
    fn progress(&mut self, part: FrameHead) {
        self.begin_look();
        let mut answers = self.answers.iter_mut();
        if let Some(answer) = answers.rfind(|answer| answer.stream == part.stream) {
            let progressed = answer.progresses();
            answer.sent = answer.sent.saturating_add(part.length);
            self.progressing += usize::from(answer.progresses() && !progressed);
        }
    }

    /// Counts progress from zero if there was a look.
    fn begin_look(&mut self) {
        let look = self.counts.0.looks.load(Ordering::Relaxed);
        if look != self.look {
            self.look = look;
            self.progressing = 0;
            self.answers.iter_mut().for_each(|answer| answer.sent = 0);
        }
    }
}

impl Drop for OpenAnswers {
    fn drop(&mut self) {
        self.listener.0.fetch_sub(self.reported, Ordering::Relaxed);
    }
}

// === impl OpenAnswer ===

impl OpenAnswer {
    const fn progresses(&self) -> bool {
        self.sent >= PROGRESS
    }
}

// === impl ObservedBody ===

impl<B> ObservedBody<B> {
    fn set_idle(&mut self, is_idle: bool) {
        if self.is_idle == is_idle {
            return;
        }
        self.is_idle = is_idle;
        let idle = &self.counts.0.idle;
        if is_idle {
            idle.fetch_add(1, Ordering::Relaxed);
        } else {
            idle.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<B: Body + Unpin> Body for ObservedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.set_idle(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for ObservedBody<B> {
    fn drop(&mut self) {
        self.set_idle(false);
    }
}

/// The longest time for which answers may be unread. The caller of a check has given up long
/// before.
const PATIENCE: Duration = Duration::from_secs(5);

/// The bytes of an answer that a peer must take within [`PATIENCE`]. No answer to a check has as many,
/// so that only streams can progress.
const PROGRESS: usize = 16 * 1024;

/// The unread answers of a listener above which connections are closed at once; about 8 MiB.
const LISTENER_LIMIT: usize = 4096;

/// The unread answers of a connection that are tolerated then.
const CONNECTION_LIMIT: usize = 16;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body_util::{Empty, Full};
    use hyper::body::Bytes;
    use tokio::time::{Instant, advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_that_stay_unread_end_the_connection() {
        let (counts, mut open) = connection(&ListenerAnswers::default());
        open.note_sent(headers(1));
        open.publish();
        let began = Instant::now();
        counts.stalled().await;
        assert!(began.elapsed() <= 2 * PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_catches_up_now_and_then_stays_open() {
        let (counts, mut open) = connection(&ListenerAnswers::default());
        let busy = async {
            for stream in 0..100 {
                open.note_sent(headers(stream));
                open.publish();
                sleep(PATIENCE * 3 / 4).await;
                open.note_sent(end(stream));
                open.publish();
            }
        };
        tokio::select! { () = busy => {}, () = counts.stalled() => panic!("closed") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_of_a_stream_stays_connected_until_it_stops() {
        let (counts, mut open) = connection(&ListenerAnswers::default());
        open.note_sent(headers(1));
        open.publish();
        let reading = async {
            for _ in 0..100 {
                open.note_sent(part(1, PROGRESS));
                open.publish();
                sleep(PATIENCE * 3 / 4).await;
            }
        };
        tokio::select! { () = reading => {}, () = counts.stalled() => panic!("closed") }
        let began = Instant::now();
        counts.stalled().await;
        assert!(began.elapsed() <= 2 * PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn neither_a_dribble_nor_another_stream_is_progress() {
        for also_open in [None, Some(3)] {
            let (counts, mut open) = connection(&ListenerAnswers::default());
            open.note_sent(headers(1));
            if let Some(stream) = also_open {
                open.note_sent(headers(stream));
            }
            let bytes = also_open.map_or(PROGRESS / 10, |_| PROGRESS);
            let reading = async {
                loop {
                    open.note_sent(part(1, bytes));
                    open.publish();
                    sleep(PATIENCE / 4).await;
                }
            };
            let began = Instant::now();
            tokio::select! { () = reading => {}, () = counts.stalled() => {} }
            assert!(began.elapsed() <= 2 * PATIENCE);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_ends_an_answer() {
        let (counts, mut open) = connection(&ListenerAnswers::default());
        for reset in [OpenAnswers::note_sent, OpenAnswers::note_received] {
            open.note_sent(headers(7));
            reset(&mut open, frame(FrameKind::Reset, 7));
            open.publish();
            assert_eq!(counts.unread(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_without_a_body_is_never_unread() {
        let (counts, mut open) = connection(&ListenerAnswers::default());
        open.note_sent(FrameHead {
            ends_stream: true,
            ..headers(1)
        });
        open.publish();
        assert_eq!(counts.unread(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_without_news_is_not_unread() {
        let (counts, mut open) = connection(&ListenerAnswers::default());
        open.note_sent(headers(1));
        let mut watch = counts.clone().observe(Silent);
        assert!(
            std::future::poll_fn(|cx| Pin::new(&mut watch).poll_frame(cx))
                .now_or_never()
                .is_none()
        );
        open.publish();
        assert_eq!(counts.unread(), 0);
        let stalled = tokio::time::timeout(10 * PATIENCE, counts.stalled());
        stalled.await.expect_err("the watch goes on");
        drop(watch);
        assert_eq!(
            counts.unread(),
            1,
            "it has ended, but the peer does not read that"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_the_same_when_observed() {
        let counts = ConnectionAnswers::default();
        assert!(
            counts
                .clone()
                .observe(Empty::<Bytes>::new())
                .is_end_stream()
        );
        let full = counts.clone().observe(Full::new(Bytes::from("answer")));
        assert_eq!(full.size_hint().exact(), Some(6));
        let collected = http_body_util::BodyExt::collect(full).await.unwrap();
        assert_eq!(collected.to_bytes(), "answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_with_too_many_unread_answers_closes_the_connections_that_cause_it() {
        let listener = ListenerAnswers::default();
        let (_, mut attacker) = connection(&listener);
        let (_, mut honest) = connection(&listener);
        for stream in 0..LISTENER_LIMIT {
            attacker.note_sent(headers(u32::try_from(stream).unwrap()));
        }
        attacker.publish();
        attacker.check_total().expect("not above the limit yet");
        honest.note_sent(headers(1));
        honest.publish();
        honest.check_total().expect("it has one unread answer");
        attacker.note_sent(headers(u32::MAX));
        attacker.publish();
        assert_eq!(attacker.check_total(), Err(Violation::UnreadAnswers));
        drop(attacker);
        assert_eq!(listener.0.load(Ordering::Relaxed), 1);
        advance(PATIENCE).await;
    }

    /// A body that never has a frame.
    struct Silent;

    impl Body for Silent {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }

    fn connection(listener: &ListenerAnswers) -> (ConnectionAnswers, OpenAnswers) {
        let counts = ConnectionAnswers::default();
        let open = OpenAnswers::new(counts.clone(), listener.clone());
        (counts, open)
    }

    fn headers(stream: u32) -> FrameHead {
        frame(FrameKind::Headers, stream)
    }

    fn part(stream: u32, length: usize) -> FrameHead {
        FrameHead {
            length,
            ..frame(FrameKind::Data, stream)
        }
    }

    fn end(stream: u32) -> FrameHead {
        FrameHead {
            ends_stream: true,
            ..frame(FrameKind::Data, stream)
        }
    }

    const fn frame(kind: FrameKind, stream: u32) -> FrameHead {
        FrameHead {
            kind,
            ends_stream: false,
            stream,
            length: 0,
        }
    }
}
