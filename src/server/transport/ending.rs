//! The end of a connection: at its age, or at the drain of a shutdown.
//!
//! | state | for the peer | next |
//! |---|---|---|
//! | serving | requests are answered | ending, at its age or at the drain |
//! | ending | GOAWAY (in HTTP/2); requests in flight are answered, watches end | closed, after the last answer; cut off, after the grace or at the deadline of the drain |
//!
//! A GOAWAY of HTTP/2 loses no request: the first one permits every stream, and the final one names
//! the last stream that arrived before the peer acknowledged the first (RFC 9113 section 6.8).

use std::future::pending;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::drain::DrainWatch;

/// The conditions that end a connection.
#[derive(Clone, Debug)]
pub(crate) struct Lifetime {
    /// The age of this connection, if it is limited.
    pub(crate) age: Option<AgeLimit>,
    /// The drain of its listener.
    pub(crate) drain: DrainWatch,
}

/// The age at which a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AgeLimit {
    /// The time from the end of its handshake.
    pub(crate) after: Duration,
    /// The time that its requests in flight then have to finish.
    pub(crate) grace: Duration,
}

/// The cause of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The connection reached its age.
    Age(AgeLimit),
    /// Its listener drains, and cuts it off at the deadline.
    Drain,
}

/// A receiver of the end of one connection. Dropping it ends the watches of the connection.
#[derive(Debug)]
pub(super) struct EndingWatch {
    cause: oneshot::Receiver<Ending>,
    watches: watch::Sender<()>,
}

/// The end of a connection, for the watches on it. Handlers find it among the extensions of a
/// request.
#[derive(Clone, Debug)]
pub(crate) struct WatchEnding(watch::Receiver<()>);

// === impl Lifetime ===

impl Lifetime {
    /// Begins the life of the connection.
    ///
    /// Another task waits for its end. A timer in the task of the connection would be polled with
    /// every request.
    pub(super) fn begin(self) -> EndingWatch {
        let (sender, cause) = oneshot::channel();
        tokio::spawn(self.report(sender));
        EndingWatch {
            cause,
            watches: watch::Sender::new(()),
        }
    }

    /// Sends the cause of the end, unless the connection ends first.
    async fn report(self, mut to: oneshot::Sender<Ending>) {
        let ending = tokio::select! {
            () = to.closed() => return,
            ending = self.ended() => ending,
        };
        // The connection may end at this moment.
        let _ = to.send(ending);
    }

    async fn ended(mut self) -> Ending {
        tokio::select! {
            biased;
            _ = self.drain.started() => Ending::Drain,
            limit = reached(self.age) => Ending::Age(limit),
        }
    }
}

/// Waits for an age.
async fn reached(age: Option<AgeLimit>) -> AgeLimit {
    let Some(limit) = age else {
        return pending().await;
    };
    sleep(limit.after).await;
    limit
}

// === impl EndingWatch ===

impl EndingWatch {
    /// Waits for the end, and returns its cause.
    pub(super) async fn begun(&mut self) -> Ending {
        // The other task ends early only with its runtime.
        (&mut self.cause).await.unwrap_or(Ending::Drain)
    }

    /// Returns the end for the watches of this connection.
    pub(super) fn for_watches(&self) -> WatchEnding {
        WatchEnding(self.watches.subscribe())
    }
}

// === impl WatchEnding ===

impl WatchEnding {
    /// Waits for the end of the connection.
    pub(crate) async fn begun(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use axum::{Extension, Router};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;
    use crate::config::ConnectionAge;
    use crate::server::transport::test_listener::{TestListener, ask, connect, wait_for_release};

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_at_its_age_and_the_next_request_opens_another() {
        let check = TestListener::with_age(AGE, Router::new().route("/", get("done"))).await;
        let began = Instant::now();
        let channel = connect(check.address).await;
        assert_eq!(ask(channel.clone()).await, Some(200));
        check.is_closed().await;
        assert_eq!(began.elapsed().as_secs(), AGE.limit.as_secs());
        assert_eq!(check.closed("age"), 1);
        assert_eq!(ask(channel).await, Some(200));
        assert!(check.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_flight_finish_within_the_grace() {
        let InFlight {
            check,
            answered,
            release,
        } = InFlight::at_the_age().await;
        sleep(AGE.grace / 2).await;
        assert!(check.is_open(), "it waits for the request in flight");
        release.send(()).await.unwrap();
        assert_eq!(answered.await.unwrap(), Some(200));
        check.is_closed().await;
        assert_eq!((check.closed("age"), check.closed("age_grace")), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_outlast_the_grace_are_cut_off() {
        let InFlight {
            check,
            answered,
            release: _unused,
        } = InFlight::at_the_age().await;
        let began = Instant::now();
        assert_eq!(answered.await.unwrap(), None);
        check.is_closed().await;
        assert_eq!(began.elapsed().as_secs(), AGE.grace.as_secs());
        assert_eq!((check.closed("age"), check.closed("age_grace")), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_cuts_off_a_connection_within_its_grace() {
        let InFlight {
            check,
            answered,
            release: _unused,
        } = InFlight::at_the_age().await;
        check.drain.start(Instant::now() + Duration::from_secs(1));
        assert_eq!(check.ended.await.unwrap(), 1);
        assert_eq!(answered.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_a_connection_before_its_age() {
        let check = TestListener::with_age(AGE, Router::new().route("/", get("done"))).await;
        let channel = connect(check.address).await;
        assert_eq!(ask(channel).await, Some(200));
        check.drain.start(Instant::now() + Duration::from_secs(60));
        assert_eq!(check.ended.await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_ignores_the_end_is_cut_off() {
        let check = TestListener::with_age(AGE, Router::new()).await;
        let mut raw = raw(&check).await;
        let (began, mut is_ending) = (Instant::now(), false);
        while let Some((kind, _)) = raw.frame().await {
            match kind {
                // The ping after the GOAWAY; the keepalive needs answers to its own.
                PING if is_ending => is_ending = false,
                PING => raw.acknowledge().await,
                GOAWAY => is_ending = true,
                _ => {}
            }
        }
        let lifetime = began.elapsed();
        check.is_closed().await;
        assert_eq!(lifetime.as_secs(), (AGE.limit + AGE.grace).as_secs());
        assert_eq!(check.closed("age_grace"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_stream_is_named_once_the_peer_knows_of_the_end() {
        let check = TestListener::with_age(AGE, Router::new()).await;
        let mut raw = raw(&check).await;
        let mut ends = Vec::new();
        while let Some((kind, last_stream)) = raw.frame().await {
            match kind {
                PING => raw.acknowledge().await,
                GOAWAY => ends.push(last_stream),
                _ => {}
            }
        }
        assert_eq!(ends, [(1 << 31) - 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn watches_end_with_their_connection_and_do_not_hold_it() {
        let watch = async move |Extension(ending): Extension<WatchEnding>| {
            ending.begun().await;
            "ended"
        };
        let check = TestListener::with_age(AGE, Router::new().route("/", get(watch))).await;
        let began = Instant::now();
        assert_eq!(ask(connect(check.address).await).await, Some(200));
        check.is_closed().await;
        assert_eq!(began.elapsed().as_secs(), AGE.limit.as_secs());
    }

    /// A connection at its age, with a request in flight.
    struct InFlight {
        check: TestListener,
        answered: tokio::task::JoinHandle<Option<u16>>,
        release: mpsc::Sender<()>,
    }

    impl InFlight {
        async fn at_the_age() -> Self {
            let (requests, mut received) = mpsc::channel::<mpsc::Sender<()>>(1);
            let handler = get(async move || wait_for_release(requests).await);
            let check = TestListener::with_age(AGE, Router::new().route("/", handler)).await;
            let answered = tokio::spawn(ask(connect(check.address).await));
            let release = received.recv().await.unwrap();
            sleep(AGE.limit).await;
            Self {
                check,
                answered,
                release,
            }
        }
    }

    /// A connection that speaks HTTP/2 by hand.
    struct RawPeer {
        stream: TcpStream,
        ping: [u8; 8],
    }

    async fn raw(check: &TestListener) -> RawPeer {
        let mut stream = TcpStream::connect(check.address).await.unwrap();
        // The time of the test does not wait for a delayed segment.
        stream.set_nodelay(true).unwrap();
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let opening = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat();
        stream.write_all(&opening).await.unwrap();
        RawPeer {
            stream,
            ping: [0; 8],
        }
    }

    impl RawPeer {
        /// Returns the type of the next frame, and the last stream of a GOAWAY; `None` at the end.
        async fn frame(&mut self) -> Option<(u8, u32)> {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            let kind = head[3];
            if kind == PING {
                self.ping.copy_from_slice(&payload);
            }
            let last_stream = match kind {
                GOAWAY => u32::from_be_bytes(payload[..4].try_into().unwrap()),
                _ => 0,
            };
            Some((kind, last_stream))
        }

        async fn acknowledge(&mut self) {
            let head = [0, 0, 8, PING, 1, 0, 0, 0, 0];
            let frame = [&head[..], &self.ping].concat();
            self.stream.write_all(&frame).await.unwrap();
        }
    }

    const PING: u8 = 6;
    const GOAWAY: u8 = 7;

    const AGE: ConnectionAge = ConnectionAge {
        limit: Duration::from_mins(10),
        grace: Duration::from_secs(20),
    };
}
