//! A listener on a free port with its accept loop, and a client, for the tests of this module.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};
use tower::{Service as _, ServiceExt as _};

use super::accept::{ListenerParts, accept};
use super::drain::DrainSignal;
use super::listener::{BoundListener, Listeners};
use super::workers::ServiceSlots;
use crate::clock::Entropy;
use crate::config::{Config, ConnectionAge, ListenAddress};
use crate::telemetry::Metrics;

/// A listener, by its protocol.
#[derive(Clone, Copy)]
pub(super) enum Which {
    Check,
    Ops,
}

/// A running accept loop.
pub(super) struct TestListener {
    pub(super) address: SocketAddr,
    pub(super) metrics: Arc<Metrics>,
    pub(super) drain: DrainSignal,
    /// The number of connections that were cut off.
    pub(super) ended: JoinHandle<usize>,
}

impl TestListener {
    /// Serves a listener.
    pub(super) async fn start(which: Which, service: Router) -> Self {
        Self::serve(listener(which).await, service)
    }

    /// Serves the check listener, whose connections end at exactly this age.
    pub(super) async fn with_age(age: ConnectionAge, service: Router) -> Self {
        let mut listener = listener(Which::Check).await;
        listener.age = Some(age);
        Self::serve(listener, service)
    }

    fn serve(listener: BoundListener, service: Router) -> Self {
        let ListenAddress::Tcp(address) = listener.address else {
            panic!("not TCP")
        };
        let (metrics, drain) = (Arc::new(Metrics::default()), DrainSignal::new());
        let ended = tokio::spawn(accept(
            listener,
            ServiceSlots::current(service),
            ListenerParts {
                metrics: Arc::clone(&metrics),
                entropy: Arc::new(Middle),
            },
            drain.watch(),
        ));
        Self {
            address,
            metrics,
            drain,
            ended,
        }
    }

    /// Returns how long a connection stays open after these bytes.
    pub(super) async fn lifetime_after(&self, bytes: &[u8]) -> Duration {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        let began = Instant::now();
        client.write_all(bytes).await.unwrap();
        // The connection may end with a reset.
        let _: io::Result<usize> = client.read_to_end(&mut Vec::new()).await;
        // The client may notice the end before the task ends.
        while self.is_open() {
            tokio::task::yield_now().await;
        }
        began.elapsed()
    }

    /// Waits until every accepted connection has ended.
    pub(super) async fn is_closed(&self) {
        while self.is_open() {
            sleep(PAUSE).await;
        }
    }

    /// Returns how many connections were closed for a reason.
    pub(super) fn closed(&self, reason: &str) -> u64 {
        let series = format!(
            r#"countersign_connections_closed_total{{listener="check",reason="{reason}"}} "#
        );
        let metrics = self.metrics.render();
        let count = metrics.lines().find_map(|line| line.strip_prefix(&series));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// Returns whether an accepted connection has not ended yet.
    pub(super) fn is_open(&self) -> bool {
        let metrics = self.metrics.render();
        let gauge = metrics
            .lines()
            .find(|line| line.starts_with("countersign_connections{"))
            .unwrap();
        !gauge.ends_with(" 0")
    }
}

/// Returns a listener on a free port, without an age.
pub(super) async fn listener(which: Which) -> BoundListener {
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
        listener.age = None;
    }
    let listeners = Listeners::bind(&config).await.unwrap();
    match which {
        Which::Check => listeners.check,
        Which::Ops => listeners.ops,
    }
}

/// A handler that hands over a sender, and answers once that is used.
pub(super) async fn wait_for_release(requests: mpsc::Sender<mpsc::Sender<()>>) -> &'static str {
    let (release, mut released) = mpsc::channel(1);
    requests.send(release).await.unwrap();
    released.recv().await;
    "done"
}

/// Connects a client.
pub(super) async fn connect(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

/// Returns the status of the response, if there is one.
pub(super) async fn ask(mut channel: Channel) -> Option<u16> {
    let request = http::Request::get("/")
        .body(tonic::body::Body::empty())
        .unwrap();
    let response = channel.ready().await.ok()?.call(request).await.ok()?;
    Some(response.status().as_u16())
}

/// The entropy that leaves an age as it is.
#[derive(Debug)]
struct Middle;

impl Entropy for Middle {
    fn fill(&self, buffer: &mut [u8]) {
        let half = (u32::MAX / 2).to_ne_bytes();
        buffer.copy_from_slice(&half);
    }
}

/// The interval in which the time of a test passes.
const PAUSE: Duration = Duration::from_millis(10);
