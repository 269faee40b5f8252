//! Goodput under overload: checks that are allowed in time while more are offered than the server
//! can answer, direct and through a real Envoy.
//!
//! The server and Redis have one core, the generator and Envoy another. First the closed loop
//! measures the capacity. Then requests come at multiples of it, whether earlier ones are answered
//! or not. Like an Envoy, the generator has at most [`Args::in_flight`] requests in flight and fails
//! others at once. It cancels a request after 250 ms.

use std::cell::{Cell, RefCell};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use serde::Serialize;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout_at;

use crate::calls;
use crate::envoy::{Envoy, SignedGet};
use crate::load::{self, Answer, CONNECTIONS, Call, Pace};
use crate::process::{Countersign, Redis, directory, on_core};
use crate::report::{millis, save};

/// Options of `overload`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Seconds at each rate
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Offered rates as multiples of the capacity, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,5")]
    factors: Vec<f64>,
    /// Requests that the generator has in flight at most; Envoy's default is 1024
    #[arg(long, default_value_t = 1024)]
    in_flight: usize,
    /// Path of Envoy
    #[arg(long, default_value = "target/envoy/1.40.0/envoy")]
    envoy: PathBuf,
    /// JSON file for the figures
    #[arg(long, default_value = "target/bench/overload.json")]
    out: PathBuf,
}

/// One rate in one turn.
#[derive(Debug, Serialize)]
struct Run {
    path: &'static str,
    turn: usize,
    /// Checks per second in the closed loop.
    capacity: f64,
    factor: f64,
    /// Allowed checks per second, as a share of the capacity.
    goodput: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Requests by their end.
    ends: Ends,
    /// The resident memory of the server before and after, in bytes.
    memory: [u64; 2],
    /// The readiness of the server, throughout.
    was_ready: bool,
}

/// Requests by their end.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Ends {
    allowed: u64,
    denied: u64,
    /// Refused by the server, or failed.
    failed: u64,
    /// Cancelled after 250 ms.
    cancelled: u64,
    /// Never sent, since too many were in flight.
    unsent: u64,
}

/// Runs the measurement.
pub(crate) fn run(args: &Args) {
    on_core(std::process::id(), GENERATOR_CORE);
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start(&directory(dir.path(), "redis-data"));
    on_core(redis.process.id(), SERVER_CORE);
    let url = format!("redis://{}", redis.address);
    let server = Countersign::start(&directory(dir.path(), "redis"), &url, 1);
    on_core(server.process.id(), SERVER_CORE);
    let program = fs::canonicalize(&args.envoy).unwrap();
    let envoy = Envoy::start_shipped(&program, dir.path(), server.address);
    println!(
        "| path | turn | capacity/s | offered | goodput | p50 ms | p99 ms | allowed | failed | \
         cancelled | unsent | memory MiB | ready |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let mut runs = Vec::new();
    for turn in 0..args.turns {
        let direct = Target {
            path: "direct",
            address: server.address,
            in_flight: args.in_flight,
        };
        let through_envoy = Target {
            path: "envoy",
            address: envoy.address,
            // Envoy itself has the limit.
            in_flight: usize::MAX,
        };
        runs.extend(direct.measure(&server, turn, args, calls::allowed));
        runs.extend(through_envoy.measure(&server, turn, args, |count| {
            SignedGet::signed(envoy.address, &calls::accounts(), count)
        }));
    }
    save(&args.out, &runs);
}

/// The address that requests go to.
struct Target {
    path: &'static str,
    address: SocketAddr,
    in_flight: usize,
}

impl Target {
    /// Measures the capacity, then each multiple of it.
    fn measure<C: Call>(
        &self,
        server: &Countersign,
        turn: usize,
        args: &Args,
        make: impl Fn(usize) -> Vec<C>,
    ) -> Vec<Run> {
        let limit = Duration::from_secs_f64(args.seconds);
        let first = load::run(self.address, make(2_000), Pace::Closed, limit);
        let most = (2.0 * first.rate() * args.seconds) as usize;
        let closed = load::run(self.address, make(most), Pace::Closed, limit);
        let capacity = closed.allowed as f64 / closed.took.as_secs_f64();
        let count = (capacity * 1.2 * args.seconds) as usize + 4 * self.in_flight.min(4096);
        let at = |&factor: &f64| {
            let before = server.process.memory();
            let watch = ReadyWatch::start(server.ops);
            let offered = capacity * factor;
            // A request that is refused has used up its signature, so there are some for those too.
            let calls = make(count + (offered * args.seconds) as usize);
            let (ends, latencies) = offer(self, calls, offered, limit);
            let run = Run {
                path: self.path,
                turn,
                capacity,
                factor,
                goodput: ends.allowed as f64 / args.seconds / capacity,
                p50_ms: millis(percentile(&latencies, 0.5)),
                p99_ms: millis(percentile(&latencies, 0.99)),
                ends,
                memory: [before, server.process.memory()],
                was_ready: watch.end(),
            };
            print(&run);
            run
        };
        args.factors.iter().map(at).collect()
    }
}

fn print(run: &Run) {
    let mib = |bytes: u64| bytes / (1024 * 1024);
    let Ends {
        allowed,
        denied,
        failed,
        cancelled,
        unsent,
    } = run.ends;
    assert_eq!(denied, 0, "valid requests were denied");
    println!(
        "| {} | {} | {:.0} | {}× | {:.2} | {:.1} | {:.1} | {allowed} | {failed} | {cancelled} | \
         {unsent} | {} → {} | {} |",
        run.path,
        run.turn,
        run.capacity,
        run.factor,
        run.goodput,
        run.p50_ms,
        run.p99_ms,
        mib(run.memory[0]),
        mib(run.memory[1]),
        run.was_ready
    );
}

/// Offers requests at a rate; returns their ends, and the sorted latencies of those that were
/// allowed.
fn offer<C: Call>(
    target: &Target,
    calls: Vec<C>,
    rate: f64,
    limit: Duration,
) -> (Ends, Vec<Duration>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async move {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(load::connect(target.address).await);
        }
        let offers = Rc::new(Offers::default());
        let terms = OfferTerms {
            rate,
            limit,
            in_flight: target.in_flight,
        };
        offers.send_all(&connections, calls, &terms).await;
        let mut latencies = offers.latencies.take();
        latencies.sort_unstable();
        (offers.ends.get(), latencies)
    })
}

/// The terms of an open loop.
struct OfferTerms {
    /// Requests per second.
    rate: f64,
    limit: Duration,
    /// The most requests in flight.
    in_flight: usize,
}

#[derive(Default)]
struct Offers {
    ends: Cell<Ends>,
    in_flight: Cell<usize>,
    latencies: RefCell<Vec<Duration>>,
}

impl Offers {
    async fn send_all<C: Call>(
        self: &Rc<Self>,
        connections: &[SendRequest<Bytes>],
        calls: Vec<C>,
        terms: &OfferTerms,
    ) {
        let rate = terms.rate;
        let mut calls = calls.into_iter();
        let mut beats = load::beats(terms.limit);
        let mut asked = JoinSet::new();
        let (begun, mut sent) = (Instant::now(), 0_u64);
        while beats.recv().await.is_some() {
            while begun.elapsed().as_secs_f64() * rate >= sent as f64 {
                let due = begun + Duration::from_secs_f64(sent as f64 / rate);
                sent += 1;
                if self.in_flight.get() >= terms.in_flight {
                    self.count(|ends| ends.unsent += 1);
                    continue;
                }
                let Some(call) = calls.next() else { break };
                self.in_flight.update(|count| count + 1);
                let connection = connections[sent as usize % connections.len()].clone();
                asked.spawn_local(Rc::clone(self).send(connection, call, due));
            }
            while asked.try_join_next().is_some() {}
        }
        while asked.join_next().await.is_some() {}
    }

    async fn send<C: Call>(
        self: Rc<Self>,
        mut connection: SendRequest<Bytes>,
        call: C,
        due: Instant,
    ) {
        let answer = timeout_at((due + TIMEOUT).into(), load::ask(&mut connection, call)).await;
        self.in_flight.update(|count| count - 1);
        self.count(|ends| match answer {
            Ok(Answer::Allowed) => ends.allowed += 1,
            Ok(Answer::Denied) => ends.denied += 1,
            Ok(Answer::Failed) => ends.failed += 1,
            Err(_) => ends.cancelled += 1,
        });
        if let Ok(Answer::Allowed) = answer {
            self.latencies.borrow_mut().push(due.elapsed());
        }
    }

    fn count(&self, end: impl FnOnce(&mut Ends)) {
        let mut ends = self.ends.get();
        end(&mut ends);
        self.ends.set(ends);
    }
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len().saturating_sub(1) as f64 * share) as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// Asks `/readyz` ten times a second.
struct ReadyWatch {
    thread: std::thread::JoinHandle<()>,
    ended: std::sync::Arc<AtomicBool>,
    unready: std::sync::Arc<AtomicU64>,
}

impl ReadyWatch {
    fn start(ops: SocketAddr) -> Self {
        let (ended, unready) = <(std::sync::Arc<AtomicBool>, std::sync::Arc<AtomicU64>)>::default();
        let (until, count) = (ended.clone(), unready.clone());
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                if !is_ready(ops) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self {
            thread,
            ended,
            unready,
        }
    }

    /// Returns whether every answer was 200.
    fn end(self) -> bool {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.unready.load(Ordering::Relaxed) == 0
    }
}

fn is_ready(ops: SocketAddr) -> bool {
    use std::io::{Read as _, Write as _};

    let mut answer = String::new();
    let asked = std::net::TcpStream::connect(ops).and_then(|mut stream| {
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
        stream.read_to_string(&mut answer)
    });
    asked.is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// The time that the generator waits for an answer: longer than `check.timeout`.
const TIMEOUT: Duration = Duration::from_millis(250);

/// The core of the server and of Redis.
const SERVER_CORE: usize = 0;

/// The core of the generator and of Envoy.
const GENERATOR_CORE: usize = 1;
