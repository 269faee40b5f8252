//! The accept loop.
//!
//! It is our own, and not tonic's, for what tonic 0.14 leaves open: a connection that says nothing stays for ever; a grace
//! for old connections takes away their GOAWAY; certificates can not be replaced while it runs; and connections are not
//! limited. What a single connection may do is left to [`super::connection`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use super::connection::{self, Answer, Fault, Terms};
use super::drain::{DrainWatch, join_until};
use super::listener::{Listener, Stream};
use super::tls::Tls;
use super::workers::Seats;
use crate::telemetry::Metrics;

/// Accepts connections and has the services of `seats` answer them, until it is told to leave; returns how many connections
/// had to be cut off then.
pub(crate) async fn accept<S: Answer>(
    listener: Listener,
    seats: Seats<S>,
    metrics: Arc<Metrics>,
    mut drain: DrainWatch,
) -> usize {
    let mut open = JoinSet::new();
    let mut failing = false;
    let deadline = loop {
        tokio::select! {
            deadline = drain.started() => break deadline,
            Some(ended) = open.join_next() => report_panic(listener.name, ended),
            accepted = listener.accept() => match accepted {
                Ok(_) if open.len() >= CONNECTION_LIMIT => metrics.connection_dropped(listener.name, "full"),
                Ok(stream) => {
                    failing = false;
                    let accepted = Accepted { stream, seats: &seats, metrics: &metrics, drain: &drain };
                    seat(&mut open, &listener, accepted);
                }
                Err(error) => failing = pause(&listener, &error, failing).await,
            },
        }
    };
    // Nobody new comes in while those who are here finish.
    drop(listener);
    join_until(open, deadline).await
}

/// A connection that was accepted, and what it is served with.
struct Accepted<'a, S> {
    stream: Stream,
    seats: &'a Seats<S>,
    metrics: &'a Arc<Metrics>,
    drain: &'a DrainWatch,
}

/// Gives a connection a place, and serves it there.
fn seat<S: Answer>(open: &mut JoinSet<()>, listener: &Listener, accepted: Accepted<'_, S>) {
    let Accepted {
        stream,
        seats,
        metrics,
        drain,
    } = accepted;
    let seat = seats.take();
    let stream = match stream.moved_to(&seat.runtime) {
        Ok(stream) => stream,
        Err(error) => {
            return tracing::warn!(listener = listener.name, %error, "a connection was lost");
        }
    };
    let terms = Terms {
        protocol: listener.protocol,
        tls: listener.tls.as_ref().map(Tls::acceptor),
    };
    let serving = connection::serve(stream, terms, seat.service.clone(), drain.clone());
    let (name, metrics, runtime) = (listener.name, Arc::clone(metrics), seat.runtime.clone());
    let seated = async move {
        let _taken = seat;
        watched(name, serving, metrics).await;
    };
    open.spawn_on(seated, &runtime);
}

/// Counts a connection, and says why it ended if it did not end well.
async fn watched(
    listener: &'static str,
    serving: impl Future<Output = Result<(), Fault>>,
    metrics: Arc<Metrics>,
) {
    let _open = metrics.connection(listener);
    if let Err(fault) = serving.await {
        if let Some(reason) = fault.label() {
            metrics.connection_dropped(listener, reason);
        }
        tracing::debug!(
            listener,
            error = &fault as &dyn std::error::Error,
            "connection ended"
        );
    }
}

/// Waits after an error that comes again at once, such as no file descriptors left; returns whether it is one.
async fn pause(listener: &Listener, error: &io::Error, failing: bool) -> bool {
    let of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if of_one_connection {
        return failing;
    }
    if !failing {
        tracing::warn!(listener = listener.name, %error, "no connection can be accepted; trying on");
    }
    sleep(PAUSE).await;
    true
}

fn report_panic(listener: &'static str, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(listener, %error, "a connection's task failed");
    }
}

/// The most connections of one listener. Envoy opens one for each of its worker threads; probes and scrapers one each.
const CONNECTION_LIMIT: usize = 1024;

/// Long enough for something to be closed, short enough not to be noticed.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use axum::{Extension, Router};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;
    use tokio::time::Instant;
    use tonic::transport::server::TcpConnectInfo;
    use tonic::transport::{Channel, Endpoint};
    use tower::{Service as _, ServiceExt as _};

    use super::*;
    use crate::config::{Config, ListenAddress};
    use crate::server::transport::drain::DrainSignal;
    use crate::server::transport::listener::Listeners;

    #[tokio::test]
    async fn what_is_in_flight_is_finished_and_nothing_new_is_taken() {
        let (asked, mut asking) = mpsc::channel::<mpsc::Sender<()>>(1);
        let service = Router::new().route("/", get(async move || wait_for_release(asked).await));
        let Accepting {
            address,
            drain,
            ended,
            ..
        } = Accepting::start(Which::Check, service).await;
        let channel = connect(address).await;
        let in_flight = tokio::spawn(ask(channel.clone()));
        let release = asking.recv().await.unwrap();

        drain.start(Instant::now() + Duration::from_secs(60));
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!ended.is_finished(), "it waits for what is in flight");
        release.send(()).await.unwrap();
        assert_eq!(in_flight.await.unwrap(), Some(200));
        assert_eq!(ended.await.unwrap(), 0, "nothing was cut off");
        assert_eq!(ask(channel).await, None);
    }

    #[tokio::test]
    async fn what_does_not_finish_in_time_is_cut_off() {
        let (asked, mut asking) = mpsc::channel::<mpsc::Sender<()>>(1);
        let service = Router::new().route("/", get(async move || wait_for_release(asked).await));
        let Accepting {
            address,
            drain,
            ended,
            ..
        } = Accepting::start(Which::Check, service).await;
        let in_flight = tokio::spawn(ask(connect(address).await));
        let _release = asking.recv().await.unwrap();

        drain.start(Instant::now());
        assert_eq!(ended.await.unwrap(), 1);
        assert_eq!(in_flight.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_closed() {
        for which in [Which::Check, Which::Ops] {
            let accepting = Accepting::start(which, Router::new()).await;
            assert_eq!(accepting.lifetime_after(b"").await, Duration::from_secs(10));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_stops_in_the_middle_of_its_first_words_is_closed() {
        let check = Accepting::start(Which::Check, Router::new()).await;
        assert_eq!(
            check.lifetime_after(b"PRI * HTTP/2.0\r\n").await,
            Duration::from_secs(10)
        );
        let dropped =
            r#"countersign_connections_dropped_total{listener="check",reason="silent"} 1"#;
        assert!(
            check.metrics.render().contains(dropped),
            "{}",
            check.metrics.render()
        );

        let ops = Accepting::start(Which::Ops, Router::new()).await;
        assert_eq!(
            ops.lifetime_after(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow")
                .await,
            Duration::from_secs(10)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_only_began_http2_is_closed() {
        let check = Accepting::start(Which::Check, Router::new()).await;
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
    async fn a_client_that_reads_no_answer_is_let_go() {
        let more_than_buffers_take = vec![b'a'; 64 << 20];
        let service = Router::new().route("/", get(async move || more_than_buffers_take));
        let ops = Accepting::start(Which::Ops, service).await;
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
    async fn another_protocol_is_hung_up_on() {
        let check = Accepting::start(Which::Check, Router::new()).await;
        let lifetime = check
            .lifetime_after(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        assert!(lifetime < Duration::from_secs(5), "{lifetime:?}");
    }

    #[tokio::test]
    async fn a_handler_can_learn_who_asks() {
        let (tell, mut told) = mpsc::channel(1);
        let handler = async move |Extension(peer): Extension<TcpConnectInfo>| {
            tell.send(peer.remote_addr()).await.unwrap();
        };
        let check = Accepting::start(Which::Check, Router::new().route("/", get(handler))).await;
        assert_eq!(ask(connect(check.address).await).await, Some(200));
        assert!(
            told.recv()
                .await
                .unwrap()
                .is_some_and(|peer| peer.ip().is_loopback())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_lack_of_file_descriptors_is_waited_out_and_one_lost_connection_is_not() {
        let listener = listener(Which::Check).await;
        let began = Instant::now();
        assert!(!pause(&listener, &io::ErrorKind::ConnectionAborted.into(), false).await);
        assert_eq!(began.elapsed(), Duration::ZERO);
        let too_many_open_files = io::Error::from_raw_os_error(24);
        assert!(pause(&listener, &too_many_open_files, false).await);
        assert_eq!(began.elapsed(), PAUSE);
    }

    #[derive(Clone, Copy)]
    enum Which {
        Check,
        Ops,
    }

    struct Accepting {
        address: SocketAddr,
        metrics: Arc<Metrics>,
        drain: DrainSignal,
        ended: JoinHandle<usize>,
    }

    impl Accepting {
        async fn start(which: Which, service: Router) -> Self {
            let listener = listener(which).await;
            let ListenAddress::Tcp(address) = listener.address else {
                panic!("not TCP")
            };
            let (metrics, drain) = (Arc::new(Metrics::default()), DrainSignal::new());
            let ended = tokio::spawn(accept(
                listener,
                Seats::here(service),
                Arc::clone(&metrics),
                drain.watch(),
            ));
            Self {
                address,
                metrics,
                drain,
                ended,
            }
        }

        /// How long a connection stays open after these bytes.
        async fn lifetime_after(&self, bytes: &[u8]) -> Duration {
            let mut client = TcpStream::connect(self.address).await.unwrap();
            let began = Instant::now();
            client.write_all(bytes).await.unwrap();
            // It may end by a reset as well.
            let _: io::Result<usize> = client.read_to_end(&mut Vec::new()).await;
            // Until its task has ended, which the client may hear of first.
            while self.is_open() {
                tokio::task::yield_now().await;
            }
            began.elapsed()
        }

        /// Whether a connection that was accepted has not ended yet.
        fn is_open(&self) -> bool {
            let metrics = self.metrics.render();
            let gauge = metrics
                .lines()
                .find(|line| line.starts_with("countersign_connections{"))
                .unwrap();
            !gauge.ends_with(" 0")
        }
    }

    async fn listener(which: Which) -> Listener {
        let mut config = Config::default();
        let Config {
            check,
            api,
            http,
            ops,
            ..
        } = &mut config;
        for listener in [
            &mut check.listener,
            &mut api.listener,
            &mut http.listener,
            &mut ops.listener,
        ] {
            listener.address = ListenAddress::Tcp(([127, 0, 0, 1], 0).into());
        }
        let listeners = Listeners::bind(&config).await.unwrap();
        match which {
            Which::Check => listeners.check,
            Which::Ops => listeners.ops,
        }
    }

    async fn wait_for_release(asked: mpsc::Sender<mpsc::Sender<()>>) -> &'static str {
        let (release, mut released) = mpsc::channel(1);
        asked.send(release).await.unwrap();
        released.recv().await;
        "done"
    }

    async fn connect(address: SocketAddr) -> Channel {
        Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// The status of the answer; none when there is no answer.
    async fn ask(mut channel: Channel) -> Option<u16> {
        let request = http::Request::get("/")
            .body(tonic::body::Body::empty())
            .unwrap();
        let response = channel.ready().await.ok()?.call(request).await.ok()?;
        Some(response.status().as_u16())
    }
}
