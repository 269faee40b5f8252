//! The accept loop.
//!
//! It replaces tonic's, because tonic 0.14 cannot close a silent connection, does not limit the
//! number of connections, and cannot choose the thread that serves one. [`super::connection`]
//! limits each connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};

use super::age;
use super::connection::{self, ConnectionTerms, Served};
use super::drain::{DrainWatch, join_until};
use super::ending::Lifetime;
use super::listener::{AcceptedStream, BoundListener};
use super::service::ConnectionService;
use super::tls::ListenerTls;
use super::unread::ListenerAnswers;
use super::workers::ServiceSlots;
use crate::clock::Entropy;
use crate::telemetry::Metrics;

/// Accepts connections and serves each in a slot until `drain` starts; returns how many connections
/// were cut off.
pub(crate) async fn accept<S: ConnectionService>(
    listener: BoundListener,
    slots: ServiceSlots<S>,
    shared: ListenerParts,
    drain: DrainWatch,
) -> usize {
    let mut accept_loop = AcceptLoop {
        slots,
        shared,
        drain,
        answers: ListenerAnswers::default(),
        open: JoinSet::new(),
    };
    let deadline = accept_loop.run(&listener).await;
    // Closed first, so that clients connect elsewhere.
    drop(listener);
    join_until(accept_loop.open, deadline).await
}

/// The components of the service that every listener uses.
#[derive(Clone, Debug)]
pub(crate) struct ListenerParts {
    /// The instruments.
    pub(crate) metrics: Arc<Metrics>,
    /// The randomness in the ages of connections.
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// The open connections of a listener, and the means to serve another.
struct AcceptLoop<S> {
    slots: ServiceSlots<S>,
    shared: ListenerParts,
    drain: DrainWatch,
    answers: ListenerAnswers,
    open: JoinSet<()>,
}

impl<S: ConnectionService> AcceptLoop<S> {
    /// Accepts until the drain starts; returns its deadline.
    async fn run(&mut self, listener: &BoundListener) -> Instant {
        let mut failing = false;
        loop {
            tokio::select! {
                deadline = self.drain.started() => return deadline,
                Some(ended) = self.open.join_next() => log_panic(listener.name, ended),
                accepted = listener.accept() => match accepted {
                    Ok(stream) => {
                        failing = false;
                        self.admit(listener, stream);
                    }
                    Err(error) => pause_after(listener, &error, &mut failing).await,
                },
            }
        }
    }

    /// Serves a connection, unless there are too many.
    fn admit(&mut self, listener: &BoundListener, stream: AcceptedStream) {
        if self.open.len() >= CONNECTION_LIMIT {
            self.shared.metrics.connection_closed(listener.name, "full");
        } else {
            self.serve(listener, stream);
        }
    }

    /// Serves a connection in the slot with the fewest connections.
    fn serve(&mut self, listener: &BoundListener, stream: AcceptedStream) {
        let slot = self.slots.least_used();
        let stream = match stream.moved_to(&slot.runtime) {
            Ok(stream) => stream,
            Err(error) => {
                return tracing::warn!(
                    listener = listener.name,
                    %error,
                    "cannot hand a connection to its thread; the connection is closed"
                );
            }
        };
        let (name, runtime) = (listener.name, slot.runtime.clone());
        let service = slot.service.clone();
        let (terms, lifetime) = (self.terms(listener), self.lifetime(listener));
        let serving = connection::serve(stream, terms, service, lifetime);
        let observed = observed(name, serving, Arc::clone(&self.shared.metrics));
        let task = async move {
            let _occupied = slot;
            observed.await;
        };
        self.open.spawn_on(task, &runtime);
    }

    fn terms(&self, listener: &BoundListener) -> ConnectionTerms {
        ConnectionTerms {
            protocol: listener.protocol,
            tls: listener.tls.as_ref().map(ListenerTls::acceptor),
            answers: self.answers.clone(),
        }
    }

    fn lifetime(&self, listener: &BoundListener) -> Lifetime {
        let age = listener
            .age
            .map(|age| age::draw(age, &*self.shared.entropy));
        Lifetime {
            age,
            drain: self.drain.clone(),
        }
    }
}

/// Counts a connection while it is served, and its end if this side closed it.
async fn observed(
    listener: &'static str,
    serving: impl Future<Output = Served>,
    metrics: Arc<Metrics>,
) {
    let _open = metrics.connection(listener);
    let served = serving.await;
    if let Some(reason) = connection::label(&served) {
        metrics.connection_closed(listener, reason);
    }
    if let Err(fault) = served {
        let error: &dyn std::error::Error = &fault;
        tracing::debug!(listener, error, "connection failed");
    }
}

/// Pauses after an error that would recur at once, such as a lack of file descriptors. `failing`
/// tells whether the previous attempt failed too, so that only the first failure is logged.
async fn pause_after(listener: &BoundListener, error: &io::Error, failing: &mut bool) {
    if concerns_one_connection(error) {
        return;
    }
    if !*failing {
        tracing::warn!(listener = listener.name, %error, "cannot accept connections; retrying");
    }
    *failing = true;
    sleep(PAUSE).await;
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

fn log_panic(listener: &'static str, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(listener, %error, "the task of a connection panicked");
    }
}

/// The most connections of one listener. Envoy opens one for each of its worker threads; probes and
/// scrapers open one each.
const CONNECTION_LIMIT: usize = 1024;

/// The pause between attempts while connections cannot be accepted.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use axum::{Extension, Router};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;
    use tonic::transport::server::TcpConnectInfo;

    use super::*;
    use crate::server::transport::test_listener::{
        TestListener, Which, ask, connect, listener, wait_for_release,
    };

    #[tokio::test]
    async fn a_drain_finishes_requests_in_flight_and_accepts_no_connections() {
        let (requests, mut received) = mpsc::channel::<mpsc::Sender<()>>(1);
        let service = Router::new().route("/", get(async move || wait_for_release(requests).await));
        let TestListener {
            address,
            drain,
            ended,
            ..
        } = TestListener::start(Which::Check, service).await;
        let channel = connect(address).await;
        let in_flight = tokio::spawn(ask(channel.clone()));
        let release = received.recv().await.unwrap();

        drain.start(Instant::now() + Duration::from_secs(60));
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!ended.is_finished(), "it waits for the request in flight");
        release.send(()).await.unwrap();
        assert_eq!(in_flight.await.unwrap(), Some(200));
        assert_eq!(ended.await.unwrap(), 0, "no connection was cut off");
        assert_eq!(ask(channel).await, None);
    }

    #[tokio::test]
    async fn a_drain_closes_connections_at_its_deadline() {
        let (requests, mut received) = mpsc::channel::<mpsc::Sender<()>>(1);
        let service = Router::new().route("/", get(async move || wait_for_release(requests).await));
        let TestListener {
            address,
            drain,
            ended,
            ..
        } = TestListener::start(Which::Check, service).await;
        let in_flight = tokio::spawn(ask(connect(address).await));
        let _release = received.recv().await.unwrap();

        drain.start(Instant::now());
        assert_eq!(ended.await.unwrap(), 1);
        assert_eq!(in_flight.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed() {
        for which in [Which::Check, Which::Ops] {
            let acceptor = TestListener::start(which, Router::new()).await;
            assert_eq!(acceptor.lifetime_after(b"").await, Duration::from_secs(10));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_stalls_in_its_first_bytes_is_closed() {
        let check = TestListener::start(Which::Check, Router::new()).await;
        assert_eq!(
            check.lifetime_after(b"PRI * HTTP/2.0\r\n").await,
            Duration::from_secs(10)
        );
        let dropped = r#"countersign_connections_closed_total{listener="check",reason="silent"} 1"#;
        assert!(
            check.metrics.render().contains(dropped),
            "{}",
            check.metrics.render()
        );

        let ops = TestListener::start(Which::Ops, Router::new()).await;
        assert_eq!(
            ops.lifetime_after(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow")
                .await,
            Duration::from_secs(10)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_after_the_preface_is_closed() {
        let check = TestListener::start(Which::Check, Router::new()).await;
        let lifetime = check
            .lifetime_after(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await;
        assert_eq!(
            lifetime,
            Duration::from_secs(40),
            "30 s to the ping, 10 s to its answer"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_no_response_is_disconnected() {
        let larger_than_the_buffers = vec![b'a'; 64 << 20];
        let service = Router::new().route("/", get(async move || larger_than_the_buffers));
        let ops = TestListener::start(Which::Ops, service).await;
        let mut client = TcpStream::connect(ops.address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let began = Instant::now();
        client.readable().await.unwrap();
        while ops.is_open() && began.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_secs(1)).await;
        }
        let lifetime = began.elapsed();
        assert!((30..60).contains(&lifetime.as_secs()), "{lifetime:?}");
    }

    #[tokio::test]
    async fn another_protocol_is_disconnected() {
        let check = TestListener::start(Which::Check, Router::new()).await;
        let lifetime = check
            .lifetime_after(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        assert!(lifetime < Duration::from_secs(5), "{lifetime:?}");
    }

    #[tokio::test]
    async fn a_handler_gets_the_address_of_the_peer() {
        let (peers, mut received) = mpsc::channel(1);
        let handler = async move |Extension(peer): Extension<TcpConnectInfo>| {
            peers.send(peer.remote_addr()).await.unwrap();
        };
        let check = TestListener::start(Which::Check, Router::new().route("/", get(handler))).await;
        assert_eq!(ask(connect(check.address).await).await, Some(200));
        assert!(
            received
                .recv()
                .await
                .unwrap()
                .is_some_and(|peer| peer.ip().is_loopback())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn accept_pauses_after_a_lack_of_file_descriptors_but_not_after_a_lost_connection() {
        let listener = listener(Which::Check).await;
        let began = Instant::now();
        let mut failing = false;
        pause_after(
            &listener,
            &io::ErrorKind::ConnectionAborted.into(),
            &mut failing,
        )
        .await;
        assert_eq!((began.elapsed(), failing), (Duration::ZERO, false));
        let too_many_open_files = io::Error::from_raw_os_error(24);
        pause_after(&listener, &too_many_open_files, &mut failing).await;
        assert_eq!((began.elapsed(), failing), (PAUSE, true));
    }
}
