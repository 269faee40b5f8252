//! One connection, from its first byte to its last.
//!
//! It has limits for the time to its first request, for concurrent requests and for headers. At a
//! drain it announces its end (GOAWAY in HTTP/2), finishes the requests in flight, and closes.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use http::Extensions;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

use super::drain::DrainWatch;
use super::listener::AcceptedStream;
use super::preface::await_preface;
use super::protocol::Protocol;
use super::service::ConnectionService;
use super::stall::StallGuard;

/// The protocol of a connection.
pub(crate) struct ConnectionTerms {
    /// The HTTP version.
    pub(crate) protocol: Protocol,
    /// TLS, if the listener is encrypted.
    pub(crate) tls: Option<TlsAcceptor>,
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
}

impl ConnectionFault {
    /// Returns the metric label of a connection that was dropped before its first request. A client
    /// that only connected and closed, as TCP probes do, has none.
    pub(crate) fn label(&self) -> Option<&'static str> {
        match self {
            Self::Silent => Some("silent"),
            Self::Opening(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Self::Opening(_) => Some("opening"),
            Self::Broken(_) => None,
        }
    }
}

/// Serves a connection until the client closes it or a drain has finished it.
pub(crate) async fn serve<S: ConnectionService>(
    stream: AcceptedStream,
    terms: ConnectionTerms,
    service: S,
    mut drain: DrainWatch,
) -> Result<(), ConnectionFault> {
    let opening = timeout(OPENING_LIMIT, OpenConnection::open(stream, terms));
    let opened = tokio::select! {
        opened = opening => opened.map_err(|_| ConnectionFault::Silent)?,
        _ = drain.started() => return Ok(()),
    };
    let connection = opened.map_err(ConnectionFault::Opening)?;
    let served = connection.serve(service, drain).await;
    served.map_err(ConnectionFault::Broken)
}

/// A connection after the handshake and the preface.
struct OpenConnection {
    io: Box<dyn ConnectionIo>,
    protocol: Protocol,
    /// The connection information for handlers, in tonic's types.
    peer: Extensions,
}

impl OpenConnection {
    /// Completes the TLS handshake, and in HTTP/2 reads the preface.
    async fn open(stream: AcceptedStream, terms: ConnectionTerms) -> io::Result<Self> {
        let (io, peer) = match stream {
            AcceptedStream::Tcp(stream) => secure(stream, terms.tls).await?,
            AcceptedStream::Unix(stream) => secure(stream, terms.tls).await?,
        };
        let protocol = terms.protocol;
        let io: Box<dyn ConnectionIo> = match protocol {
            // hyper limits the time for the head of a request, but not for a response.
            Protocol::Http1 => Box::new(StallGuard::new(io, WRITE_LIMIT)),
            Protocol::Http2 => Box::new(await_preface(io).await?),
        };
        Ok(Self { io, protocol, peer })
    }

    /// Serves the requests of the connection. Boxed, since the compiler cannot prove through the
    /// `await` of its caller that the future is `Send`.
    fn serve<S: ConnectionService>(
        self,
        service: S,
        drain: DrainWatch,
    ) -> Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> {
        let Self { io, protocol, peer } = self;
        let io = TokioIo::new(io);
        let service = service_fn(move |request| {
            let answering = service.answer(request, &peer);
            async move { Ok::<_, Infallible>(answering.await) }
        });
        match protocol {
            Protocol::Http1 => Box::pin(run_until_drained(
                http1().serve_connection(io, service),
                drain,
            )),
            Protocol::Http2 => Box::pin(run_until_drained(
                http2().serve_connection(io, service),
                drain,
            )),
        }
    }
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

/// Drives a connection. Once the drain starts, the connection takes no new requests and finishes
/// those in flight.
async fn run_until_drained<C: GracefulConnection>(
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

/// Returns the settings of HTTP/2. hyper's own limits against floods of resets are unchanged.
fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAM_LIMIT)
        .max_header_list_size(HEADER_LIMIT)
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

/// The longest time for which an HTTP/1.1 client may leave a response unread.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// The concurrent checks that Envoy's circuit breaker allows a cluster by default. Envoy opens
/// another connection for more.
const STREAM_LIMIT: u32 = 1024;

/// The largest headers of a request, in bytes. The request that a check is about is in the body.
const HEADER_LIMIT: u32 = 16 * 1024;

/// The interval of the pings that find dead peers, and peers that send nothing after the preface.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// The longest time for the response to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
