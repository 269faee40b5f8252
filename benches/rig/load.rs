//! The load generator: HTTP/2 in one thread, so that it takes little of the cores that it shares
//! with the servers.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{JoinSet, LocalSet, spawn_local};

/// The number of connections: Envoy opens one per worker thread.
pub(crate) const CONNECTIONS: usize = 4;

/// Requests in flight on each connection, in the closed loop.
pub(crate) const IN_FLIGHT: usize = 8;

/// The result of a run.
pub(crate) struct Outcome {
    /// The time from the first request to the last response.
    pub(crate) took: Duration,
    /// Checks that were allowed.
    pub(crate) allowed: u64,
    /// Checks that were denied.
    pub(crate) denied: u64,
    /// Calls with another gRPC status than OK.
    pub(crate) failed: u64,
    /// The latency of each request, in the order of the responses. In the open loop it counts from
    /// the time when the request was due.
    pub(crate) latencies: Vec<Duration>,
}

impl Outcome {
    /// Returns the responses per second.
    pub(crate) fn rate(&self) -> f64 {
        (self.allowed + self.denied + self.failed) as f64 / self.took.as_secs_f64()
    }

    /// Returns whether at least 99 % were allowed and the rest timed out, as happens on a busy
    /// machine.
    ///
    /// # Panics
    /// If a check was denied, which load does not explain.
    pub(crate) fn is_allowed(&self, server: &str) -> bool {
        assert_eq!(
            self.denied, 0,
            "{server} denied checks that it should allow"
        );
        self.failed * 100 <= self.allowed
    }

    /// Returns the latency that this share of the requests stays below.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted
            .get(((last as f64) * share) as usize)
            .copied()
            .unwrap_or_default()
    }
}

/// The rate at which requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// The next request follows a response, with [`IN_FLIGHT`] requests on each connection.
    Closed,
    /// The same with one request on each connection, for slow requests.
    Gentle,
    /// So many requests per second, whether earlier ones have a response or not.
    Open(f64),
}

/// Sends `calls` to `address` until all are sent or `limit` has passed.
pub(crate) fn run<C: Call>(
    address: SocketAddr,
    calls: Vec<C>,
    pace: Pace,
    limit: Duration,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async move {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(connect(address).await);
        }
        let state = Rc::new(RunState::new(calls));
        match pace {
            Pace::Closed => closed(&connections, &state, IN_FLIGHT, limit).await,
            Pace::Gentle => closed(&connections, &state, 1, limit).await,
            Pace::Open(rate) => open(&connections, &state, rate, limit).await,
        }
        Rc::try_unwrap(state).ok().unwrap().outcome()
    })
}

/// The state that the requests of a run share.
struct RunState<C> {
    calls: RefCell<std::vec::IntoIter<C>>,
    allowed: Cell<u64>,
    denied: Cell<u64>,
    failed: Cell<u64>,
    latencies: RefCell<Vec<Duration>>,
    begun: Instant,
}

impl<C> RunState<C> {
    fn new(calls: Vec<C>) -> Self {
        Self {
            latencies: RefCell::new(Vec::with_capacity(calls.len())),
            calls: RefCell::new(calls.into_iter()),
            allowed: Cell::new(0),
            denied: Cell::new(0),
            failed: Cell::new(0),
            begun: Instant::now(),
        }
    }

    fn next(&self) -> Option<C> {
        self.calls.borrow_mut().next()
    }

    fn note(&self, answer: Answer, latency: Duration) {
        let count = match answer {
            Answer::Allowed => &self.allowed,
            Answer::Denied => &self.denied,
            Answer::Failed => &self.failed,
        };
        count.set(count.get() + 1);
        self.latencies.borrow_mut().push(latency);
    }

    fn outcome(self) -> Outcome {
        Outcome {
            took: self.begun.elapsed(),
            allowed: self.allowed.get(),
            denied: self.denied.get(),
            failed: self.failed.get(),
            latencies: self.latencies.into_inner(),
        }
    }
}

pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 24)
        .handshake(stream)
        .await
        .unwrap();
    spawn_local(connection);
    sender
}

async fn closed<C: Call>(
    connections: &[SendRequest<Bytes>],
    state: &Rc<RunState<C>>,
    in_flight: usize,
    limit: Duration,
) {
    let mut workers = JoinSet::new();
    for connection in connections {
        for _ in 0..in_flight {
            let (mut connection, state) = (connection.clone(), Rc::clone(state));
            workers.spawn_local(async move {
                while state.begun.elapsed() < limit {
                    let Some(call) = state.next() else { return };
                    let sent = Instant::now();
                    let answer = ask(&mut connection, call).await;
                    state.note(answer, sent.elapsed());
                }
            });
        }
    }
    while workers.join_next().await.is_some() {}
}

/// Runs the open loop.
async fn open<C: Call>(
    connections: &[SendRequest<Bytes>],
    state: &Rc<RunState<C>>,
    rate: f64,
    limit: Duration,
) {
    let begun = state.begun;
    let mut beats = beats(limit);
    let mut asked = JoinSet::new();
    let mut sent: u64 = 0;
    while beats.recv().await.is_some() {
        while begun.elapsed().as_secs_f64() * rate >= sent as f64 {
            let Some(call) = state.next() else { break };
            let due = begun + Duration::from_secs_f64(sent as f64 / rate);
            let (mut connection, state) = (
                connections[sent as usize % connections.len()].clone(),
                Rc::clone(state),
            );
            asked.spawn_local(async move {
                let answer = ask(&mut connection, call).await;
                state.note(answer, due.elapsed());
            });
            sent += 1;
        }
        while asked.try_join_next().is_some() {}
    }
    while asked.join_next().await.is_some() {}
}

/// Returns beats until `limit` has passed. A thread keeps the time, because the timers of the runtime
/// are a thousand times too coarse for the rates of the open loop.
pub(crate) fn beats(limit: Duration) -> Receiver<()> {
    let begun = Instant::now();
    let (beat, beats) = channel(1);
    std::thread::spawn(move || {
        while begun.elapsed() < limit && !beat.is_closed() {
            std::thread::sleep(BEAT);
            // One pending beat is enough.
            let _ = beat.try_send(());
        }
    });
    beats
}

pub(crate) async fn ask<C: Call>(connection: &mut SendRequest<Bytes>, call: C) -> Answer {
    // A server may reset the stream or close the connection at any point of the request.
    exchange(connection, call).await.unwrap_or(Answer::Failed)
}

async fn exchange<C: Call>(
    connection: &mut SendRequest<Bytes>,
    call: C,
) -> Result<Answer, h2::Error> {
    let (request, sent) = call.into_request();
    std::future::poll_fn(|cx| connection.poll_ready(cx)).await?;
    let (response, mut stream) = connection.send_request(request, sent.is_empty())?;
    if !sent.is_empty() {
        stream.send_data(sent, true)?;
    }
    let (head, mut body) = response.await?.into_parts();
    let mut received = Bytes::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        // The first piece is enough to judge the response.
        received = if received.is_empty() { data } else { received };
    }
    let trailers = body.trailers().await?;
    Ok(C::judge(
        head.status,
        trailers.as_ref().unwrap_or(&head.headers),
        &received,
    ))
}

/// A request, and the meaning of its response.
pub(crate) trait Call: 'static {
    /// Returns the head and the body.
    fn into_request(self) -> (Request<()>, Bytes);

    /// Judges a response by its status, its trailers (its headers if it has none) and the beginning
    /// of its body.
    fn judge(status: StatusCode, trailers: &HeaderMap, body: &[u8]) -> Answer;
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allowed,
    Denied,
    Failed,
}

/// A framed `CheckRequest`, as Envoy sends it.
impl Call for Bytes {
    fn into_request(self) -> (Request<()>, Bytes) {
        let request = Request::post("http://check/envoy.service.auth.v3.Authorization/Check")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "250m")
            .body(())
            .unwrap();
        (request, self)
    }

    fn judge(_status: StatusCode, trailers: &HeaderMap, body: &[u8]) -> Answer {
        match trailers.get("grpc-status") {
            Some(status) if status == "0" && is_allowance(body) => Answer::Allowed,
            Some(status) if status == "0" => Answer::Denied,
            _ => Answer::Failed,
        }
    }
}

/// Returns whether a message begins with a `google.rpc.Status` (field 1) without a code (field 1),
/// which means OK.
fn is_allowance(frame: &[u8]) -> bool {
    matches!(frame, [_, _, _, _, _, 0x0a, len, rest @ ..] if *len == 0 || rest.first() != Some(&0x08))
}

/// The time between two looks of the open loop for due requests.
const BEAT: Duration = Duration::from_micros(50);
