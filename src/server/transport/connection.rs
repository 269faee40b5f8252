//! One connection, from its first byte to its last.
//!
//! Its limits are here: how long it may take to say what it speaks, how much it may ask at once, and how it leaves: it is
//! told to go away (GOAWAY in HTTP/2), finishes what is in flight, and is closed. A largest age is one more reason to be
//! told so.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use http::{Extensions, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;
use tower::{Service, ServiceExt as _};

use super::drain::DrainWatch;
use super::listener::Stream;
use super::preface::await_preface;
use super::protocol::Protocol;
use super::stall::Stalling;

/// What answers the requests of a connection, and never fails.
pub(crate) trait Answer: Clone + Send + 'static {
    /// The body of its responses.
    type Body: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static;

    /// Answers a request that came from `peer`, of which it says what handlers may learn, in tonic's own types.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Extensions,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<Self> + 'static;
}

/// A tower service, such as [`tonic::service::Routes`], finds the peer among the extensions of a request.
impl<S, B> Answer for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    type Body = B;

    fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: &Extensions,
    ) -> impl Future<Output = Response<B>> + Send + use<S, B> + 'static {
        request.extensions_mut().extend(peer.clone());
        let answering = self.clone().oneshot(request);
        async move {
            match answering.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }
}

/// How a connection is to be treated.
pub(crate) struct Terms {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// TLS, if it is encrypted.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It did not say in time what it speaks.
    #[error("nothing was asked in time")]
    Silent,
    /// It spoke something else, or left, before it asked anything.
    #[error("the connection could not be opened")]
    Opening(#[source] io::Error),
    /// It broke later.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

impl Fault {
    /// The label of a connection that was dropped before it asked anything; one that only looked in has none.
    pub(crate) fn label(&self) -> Option<&'static str> {
        match self {
            Self::Silent => Some("silent"),
            Self::Opening(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Self::Opening(_) => Some("opening"),
            Self::Broken(_) => None,
        }
    }
}

/// Serves a connection until the client closes it, or until it has left.
pub(crate) async fn serve<S: Answer>(
    stream: Stream,
    terms: Terms,
    service: S,
    mut drain: DrainWatch,
) -> Result<(), Fault> {
    let protocol = terms.protocol;
    let opening = timeout(OPENING_LIMIT, open(stream, terms));
    let (io, peer) = tokio::select! {
        opened = opening => opened.map_err(|_| Fault::Silent)?.map_err(Fault::Opening)?,
        _ = drain.started() => return Ok(()),
    };
    let talking = Talk { io, protocol, peer };
    talking.with(service, drain).await.map_err(Fault::Broken)
}

/// A connection that was opened.
struct Talk {
    io: Box<dyn Io>,
    protocol: Protocol,
    peer: Extensions,
}

impl Talk {
    /// Boxed, since the compiler can not see through the `await` above that the connection's future is `Send`.
    fn with<S: Answer>(
        self,
        service: S,
        drain: DrainWatch,
    ) -> Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> {
        let Self { io, protocol, peer } = self;
        let service = service_fn(move |request| {
            let answering = service.answer(request, &peer);
            async move { Ok::<_, Infallible>(answering.await) }
        });
        match protocol {
            Protocol::Http1 => Box::pin(until_left(
                http1().serve_connection(TokioIo::new(io), service),
                drain,
            )),
            Protocol::Http2 => Box::pin(until_left(
                http2().serve_connection(TokioIo::new(io), service),
                drain,
            )),
        }
    }
}

/// The handshake, and the first bytes. With them comes what handlers may learn of the peer, in tonic's own types.
async fn open(stream: Stream, terms: Terms) -> io::Result<(Box<dyn Io>, Extensions)> {
    let (io, info) = match stream {
        Stream::Tcp(stream) => secure(stream, terms.tls).await?,
        Stream::Unix(stream) => secure(stream, terms.tls).await?,
    };
    match terms.protocol {
        // hyper has a limit of its own for the head of a request, and none for an answer.
        Protocol::Http1 => Ok((Box::new(Stalling::new(io, WRITE_LIMIT)), info)),
        Protocol::Http2 => Ok((Box::new(await_preface(io).await?), info)),
    }
}

async fn secure<IO: Io + Connected>(
    io: IO,
    tls: Option<TlsAcceptor>,
) -> io::Result<(Box<dyn Io>, Extensions)> {
    let mut info = Extensions::new();
    match tls {
        Some(acceptor) => {
            let io = acceptor.accept(io).await?;
            info.insert(io.connect_info());
            Ok((Box::new(io), info))
        }
        None => {
            info.insert(io.connect_info());
            Ok((Box::new(io), info))
        }
    }
}

/// Drives a connection; once it is told to drain, it takes no new requests and finishes those that it has.
async fn until_left<C: GracefulConnection>(
    connection: C,
    mut drain: DrainWatch,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = drain.started() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(OPENING_LIMIT)
        .max_buf_size(HEADER_LIMIT as usize);
    builder
}

/// hyper's own limits against floods of resets stay as they are.
fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAM_LIMIT)
        .max_header_list_size(HEADER_LIMIT)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_LIMIT);
    builder
}

/// What a connection is read from and written to.
trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for IO {}

/// For the TLS handshake and the first bytes together; in HTTP/1.1, for the head of a request.
const OPENING_LIMIT: Duration = Duration::from_secs(10);

/// How long an HTTP/1.1 client may leave an answer unread.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// As many checks at once as Envoy's circuit breaker allows a cluster by default; it opens another connection for more.
const STREAM_LIMIT: u32 = 1024;

/// For all headers of a request together. The request that a check is about is in the body.
const HEADER_LIMIT: u32 = 16 * 1024;

/// A peer that is gone without a word, or never says more than the preface, is found out by a ping.
const PING_AFTER: Duration = Duration::from_secs(30);

/// How long it may take to answer.
const PING_LIMIT: Duration = Duration::from_secs(10);
