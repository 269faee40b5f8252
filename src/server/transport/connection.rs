//! One connection, from its first byte to its last.
//!
//! It has limits for the time to its first request, for concurrent requests and for headers. At its
//! [end](super::ending) it announces that (GOAWAY in HTTP/2), finishes the requests in flight, and
//! closes.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use http::Extensions;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

use super::ending::{Ending, EndingWatch, Lifetime};
use super::http2_guard::Http2Guard;
use super::listener::AcceptedStream;
use super::preface::await_preface;
use super::protocol::Protocol;
use super::service::ConnectionService;
use super::stall::StallGuard;
use super::unread::{ConnectionAnswers, ListenerAnswers, OpenAnswers};
use super::violation::{FirstViolation, Violation};

/// The protocol of a connection.
pub(crate) struct ConnectionTerms {
    /// The HTTP version.
    pub(crate) protocol: Protocol,
    /// TLS, if the listener is encrypted.
    pub(crate) tls: Option<TlsAcceptor>,
    /// The unread answers of all connections of the listener.
    pub(crate) answers: ListenerAnswers,
}

/// An error that ended a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionFault {
    /// The client did not complete the handshake and the preface in time.
    #[error("timed out waiting for a request")]
    Silent,
    /// The client spoke another protocol, or closed the connection before its first request.
    #[error("the connection could not be opened")]
    Opening(#[source] io::Error),
    /// The connection failed after it was opened.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// The client exceeded a limit.
    #[error("the connection was closed")]
    Exceeded(#[source] Violation),
    /// Requests were still in flight after the grace at the end of the connection's age.
    #[error("the connection was cut off: requests did not finish within max_connection_age_grace")]
    Unfinished,
}

/// The end of a connection: the fault of the client, or the cause if its lifetime ended.
pub(crate) type Served = Result<Option<Ending>, ConnectionFault>;

/// Returns the metric label of a connection that this side closed. A client that only connected and
/// closed, as TCP probes do, has none.
pub(crate) fn label(served: &Served) -> Option<&'static str> {
    match served {
        Ok(Some(Ending::Age(_))) => Some("age"),
        Ok(Some(Ending::Drain) | None) => None,
        Err(ConnectionFault::Silent) => Some("silent"),
        Err(ConnectionFault::Opening(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            None
        }
        Err(ConnectionFault::Opening(_)) => Some("opening"),
        Err(ConnectionFault::Broken(_)) => None,
        Err(ConnectionFault::Exceeded(violation)) => Some(violation.label()),
        Err(ConnectionFault::Unfinished) => Some("age_grace"),
    }
}

/// Serves a connection until the client closes it or its lifetime ends. Returns the cause if its
/// lifetime ended.
pub(crate) async fn serve<S: ConnectionService>(
    stream: AcceptedStream,
    terms: ConnectionTerms,
    service: S,
    mut lifetime: Lifetime,
) -> Served {
    let opening = timeout(OPENING_LIMIT, OpenConnection::open(stream, terms));
    let opened = tokio::select! {
        opened = opening => opened.map_err(|_| ConnectionFault::Silent)?,
        _ = lifetime.drain.started() => return Ok(Some(Ending::Drain)),
    };
    let connection = opened.map_err(ConnectionFault::Opening)?;
    connection.serve(service, lifetime.begin()).await
}

/// A connection after the handshake and the preface.
struct OpenConnection {
    io: Box<dyn ConnectionIo>,
    protocol: Protocol,
    /// The connection information for handlers, in tonic's types.
    peer: Extensions,
    answers: ListenerAnswers,
}

impl OpenConnection {
    /// Completes the TLS handshake, and in HTTP/2 reads the preface.
    async fn open(stream: AcceptedStream, terms: ConnectionTerms) -> io::Result<Self> {
        let (io, peer) = match stream {
            AcceptedStream::Tcp(stream) => secure(stream, terms.tls).await?,
            AcceptedStream::Unix(stream) => secure(stream, terms.tls).await?,
        };
        let protocol = terms.protocol;
        let io = StallGuard::new(io, WRITE_LIMIT);
        let io: Box<dyn ConnectionIo> = match protocol {
            Protocol::Http1 => Box::new(io),
            Protocol::Http2 => Box::new(await_preface(io).await?),
        };
        Ok(Self {
            io,
            protocol,
            peer,
            answers: terms.answers,
        })
    }

    /// Serves the requests of the connection.
    fn serve<S: ConnectionService>(mut self, service: S, ending: EndingWatch) -> Serving {
        self.peer.insert(ending.for_watches());
        match self.protocol {
            Protocol::Http1 => self.serve_http1(service, ending),
            Protocol::Http2 => self.serve_http2(service, ending),
        }
    }

    fn serve_http1<S: ConnectionService>(self, service: S, ending: EndingWatch) -> Serving {
        let Self { io, peer, .. } = self;
        let service = service_fn(move |request| {
            let answering = service.answer(request, &peer);
            async move { Ok::<_, Infallible>(answering.await) }
        });
        let connection = http1().serve_connection(TokioIo::new(io), service);
        Box::pin(run_until_ended(connection, ending))
    }

    fn serve_http2<S: ConnectionService>(self, service: S, ending: EndingWatch) -> Serving {
        let (io, peer) = (self.io, self.peer);
        let limits = ConnectionLimits::default();
        let open = OpenAnswers::new(limits.answers.clone(), self.answers);
        let io = Http2Guard::new(io, open, limits.violation.clone());
        let answers = limits.answers.clone();
        let service = service_fn(move |request| {
            let (answering, answers) = (service.answer(request, &peer), answers.clone());
            async move { Ok::<_, Infallible>(answering.await.map(|body| answers.observe(body))) }
        });
        let connection = http2().serve_connection(TokioIo::new(io), service);
        Box::pin(run_within(limits, connection, ending))
    }
}

/// A connection that is served. Boxed, since the compiler cannot prove through the `await` of its
/// caller that the future is `Send`.
type Serving = Pin<Box<dyn Future<Output = Served> + Send>>;

/// The state of the limits of an HTTP/2 connection.
#[derive(Clone, Debug, Default)]
struct ConnectionLimits {
    answers: ConnectionAnswers,
    violation: FirstViolation,
}

async fn secure<IO: ConnectionIo + Connected>(
    io: IO,
    tls: Option<TlsAcceptor>,
) -> io::Result<(Box<dyn ConnectionIo>, Extensions)> {
    let mut peer = Extensions::new();
    let Some(acceptor) = tls else {
        peer.insert(io.connect_info());
        return Ok((Box::new(io), peer));
    };
    let io = acceptor.accept(io).await?;
    peer.insert(io.connect_info());
    Ok((Box::new(io), peer))
}

/// Drives a connection until it ends or exceeds a limit.
async fn run_within<C: GracefulConnection<Error = hyper::Error>>(
    limits: ConnectionLimits,
    connection: C,
    ending: EndingWatch,
) -> Served {
    let ended = tokio::select! {
        biased;
        ended = run_until_ended(connection, ending) => ended,
        () = limits.answers.stalled() => {
            return Err(ConnectionFault::Exceeded(Violation::UnreadAnswers));
        }
    };
    match limits.violation.get() {
        Some(violation) => Err(ConnectionFault::Exceeded(violation)),
        None => ended,
    }
}

/// Drives a connection. Once its end begins, the connection takes no new requests and finishes those
/// in flight.
async fn run_until_ended<C: GracefulConnection<Error = hyper::Error>>(
    connection: C,
    mut ending: EndingWatch,
) -> Served {
    let mut connection = pin!(connection);
    let cause = tokio::select! {
        biased;
        ended = connection.as_mut() => {
            return ended.map(|()| None).map_err(ConnectionFault::Broken);
        }
        cause = ending.begun() => cause,
    };
    connection.as_mut().graceful_shutdown();
    // Its watches end now.
    drop(ending);
    finish(connection, cause).await
}

/// Drives a connection that ends. The accept loop cuts it off at the deadline of a drain.
async fn finish<C: GracefulConnection<Error = hyper::Error>>(
    connection: Pin<&mut C>,
    cause: Ending,
) -> Served {
    let grace = async {
        match cause {
            Ending::Age(limit) => sleep(limit.grace).await,
            Ending::Drain => pending().await,
        }
    };
    tokio::select! {
        biased;
        // A peer that was told to leave may close the connection in any way.
        _ = connection => Ok(Some(cause)),
        () = grace => Err(ConnectionFault::Unfinished),
    }
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(OPENING_LIMIT)
        .max_buf_size(HEADER_LIMIT as usize);
    builder
}

/// Returns the settings of HTTP/2. [`Http2Guard`] has limits for floods of frames.
fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAM_LIMIT)
        .max_header_list_size(HEADER_LIMIT)
        .max_pending_accept_reset_streams(PENDING_RESET_LIMIT)
        .max_send_buf_size(SEND_BUFFER_LIMIT)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// The byte stream of a connection.
trait ConnectionIo: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> ConnectionIo for IO {}

/// The limit for the TLS handshake and the preface together, and in HTTP/1.1 for the head of a
/// request.
const OPENING_LIMIT: Duration = Duration::from_secs(10);

/// The longest time for which a client may read nothing that was written.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// The concurrent requests of a connection. A proxy with more opens another connection. A client
/// that does not keeps the others in a queue, where they may wait until it is too late for them, so
/// the limit is not much lower than the 1024 that Envoy's circuit breaker allows.
const STREAM_LIMIT: u32 = 512;

/// The requests that may be reset before they are read. A thread that was held up for a second
/// finds the requests of five timeouts in its socket, all of them reset.
const PENDING_RESET_LIMIT: usize = 5 * STREAM_LIMIT as usize;

/// The largest part of a response that waits for the client's window, in bytes.
const SEND_BUFFER_LIMIT: usize = 64 * 1024;

/// The largest headers of a request, in bytes. The request that a check is about is in the body.
const HEADER_LIMIT: u32 = 16 * 1024;

/// The interval of the pings that find dead peers, and peers that send nothing after the preface.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// The longest time for the response to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
