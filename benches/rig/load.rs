//! The generator: HTTP/2 by hand, in one thread, so that it takes as little as it can of the cores that it shares with
//! what it measures.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet, spawn_local};

/// The connections of Envoy's worker threads.
pub(crate) const CONNECTIONS: usize = 4;

/// Requests in flight on each, in the closed loop.
pub(crate) const IN_FLIGHT: usize = 8;

/// What came of a run.
pub(crate) struct Outcome {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Answers that allow.
    pub(crate) allowed: u64,
    /// Answers that deny.
    pub(crate) denied: u64,
    /// gRPC statuses other than OK.
    pub(crate) failed: u64,
    /// Of each request, in the order of the answers; in the open loop from when it was due.
    pub(crate) latencies: Vec<Duration>,
}

impl Outcome {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        (self.allowed + self.denied + self.failed) as f64 / self.took.as_secs_f64()
    }

    /// Whether all were allowed but some, one in a hundred at most, that had no answer in time, as on a busy machine.
    ///
    /// # Panics
    /// When something was denied: that is no matter of time.
    pub(crate) fn is_allowed(&self, server: &str) -> bool {
        assert_eq!(self.denied, 0, "{server} denied what it is to allow");
        self.failed * 100 <= self.allowed
    }

    /// The latency that a share of the requests stay below.
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

/// How requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// The next as soon as one is answered.
    Closed,
    /// The same with one in flight on each connection: for requests that take long.
    Gentle,
    /// So many a second, whether the earlier ones are answered or not.
    Open(f64),
}

/// Sends `calls` to `address` until they are used up or `limit` is over.
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
        let tally = Rc::new(Tally::new(calls));
        match pace {
            Pace::Closed => closed(&connections, &tally, IN_FLIGHT, limit).await,
            Pace::Gentle => closed(&connections, &tally, 1, limit).await,
            Pace::Open(rate) => open(&connections, &tally, rate, limit).await,
        }
        Rc::try_unwrap(tally).ok().unwrap().outcome()
    })
}

/// What the requests of a run share.
struct Tally<C> {
    calls: RefCell<std::vec::IntoIter<C>>,
    allowed: Cell<u64>,
    denied: Cell<u64>,
    failed: Cell<u64>,
    latencies: RefCell<Vec<Duration>>,
    begun: Instant,
}

impl<C> Tally<C> {
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

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
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
    tally: &Rc<Tally<C>>,
    in_flight: usize,
    limit: Duration,
) {
    let mut workers = JoinSet::new();
    for connection in connections {
        for _ in 0..in_flight {
            let (mut connection, tally) = (connection.clone(), Rc::clone(tally));
            workers.spawn_local(async move {
                while tally.begun.elapsed() < limit {
                    let Some(call) = tally.next() else { return };
                    let sent = Instant::now();
                    let answer = ask(&mut connection, call).await;
                    tally.note(answer, sent.elapsed());
                }
            });
        }
    }
    while workers.join_next().await.is_some() {}
}

/// A thread of its own beats the time: the runtime's timers are a thousand times too coarse for these rates.
async fn open<C: Call>(
    connections: &[SendRequest<Bytes>],
    tally: &Rc<Tally<C>>,
    rate: f64,
    limit: Duration,
) {
    let begun = tally.begun;
    let (beat, mut beats) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        while begun.elapsed() < limit && !beat.is_closed() {
            std::thread::sleep(BEAT);
            // One that was not heard yet is enough.
            let _ = beat.try_send(());
        }
    });
    let mut asked = JoinSet::new();
    let mut sent: u64 = 0;
    while beats.recv().await.is_some() {
        while begun.elapsed().as_secs_f64() * rate >= sent as f64 {
            let Some(call) = tally.next() else { break };
            let due = begun + Duration::from_secs_f64(sent as f64 / rate);
            let (mut connection, tally) = (
                connections[sent as usize % connections.len()].clone(),
                Rc::clone(tally),
            );
            asked.spawn_local(async move {
                let answer = ask(&mut connection, call).await;
                tally.note(answer, due.elapsed());
            });
            sent += 1;
        }
        while asked.try_join_next().is_some() {}
    }
    while asked.join_next().await.is_some() {}
}

async fn ask<C: Call>(connection: &mut SendRequest<Bytes>, call: C) -> Answer {
    // A server may refuse a stream, or the whole connection, at any point of the request.
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
        // The first piece is enough to tell one answer from another.
        received = if received.is_empty() { data } else { received };
    }
    let trailers = body.trailers().await?;
    Ok(C::judge(
        head.status,
        trailers.as_ref().unwrap_or(&head.headers),
        &received,
    ))
}

/// One request, and what its answer means.
pub(crate) trait Call: 'static {
    /// What is sent.
    fn into_request(self) -> (Request<()>, Bytes);

    /// What an answer with this status, these trailers (or headers, where there are none) and this beginning is.
    fn judge(status: StatusCode, trailers: &HeaderMap, body: &[u8]) -> Answer;
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allowed,
    Denied,
    Failed,
}

/// A `CheckRequest`, framed: what Envoy asks.
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

/// Whether a message begins with a `google.rpc.Status` (field 1) whose code (field 1) is absent, and so 0.
fn is_allowance(frame: &[u8]) -> bool {
    matches!(frame, [_, _, _, _, _, 0x0a, len, rest @ ..] if *len == 0 || rest.first() != Some(&0x08))
}

/// How often the open loop looks whether a request is due.
const BEAT: Duration = Duration::from_micros(50);
