//! Countersign beside the empty server: CPU per check and throughput in the closed loop, latency in
//! the open loop. The servers take turns.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::calls;
use crate::floor::Floor;
use crate::load::{self, Outcome, Pace};
use crate::process::{Countersign, PROGRAM, Process, Redis, directory};
use crate::report::{median, micros, save};

/// Options of `compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns; each printed figure is the median
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds of one loop
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Worker threads of every server
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Skip the open loop
    #[arg(long)]
    no_latency: bool,
    /// Another build to compare with, for example from before a change; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = build)]
    beside: Vec<(String, PathBuf)>,
    /// JSON file for the figures
    #[arg(long, default_value = "target/bench/compare.json")]
    out: PathBuf,
}

/// One server in one turn of the closed loop.
#[derive(Clone, Debug, Serialize)]
struct ClosedRun {
    server: String,
    turn: usize,
    rate: f64,
    cpu_us: f64,
    redis_cpu_us: f64,
    redis_commands: f64,
    redis_reads: f64,
    p50_us: f64,
    p99_us: f64,
}

/// One server in one turn of the open loop.
#[derive(Clone, Debug, Serialize)]
struct OpenRun {
    server: String,
    turn: usize,
    rate: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    workers: usize,
    seconds: f64,
    closed: Vec<ClosedRun>,
    open: Vec<OpenRun>,
    ratios: BTreeMap<String, BTreeMap<&'static str, f64>>,
}

struct Server {
    name: String,
    address: SocketAddr,
    process: Process,
}

impl Server {
    fn countersign(name: String, started: Countersign) -> Self {
        Self {
            name,
            address: started.address,
            process: started.process,
        }
    }
}

fn build(argument: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = argument.split_once('=').ok_or("expected NAME=PATH")?;
    Ok((name.to_owned(), path.into()))
}

/// Runs the measurement.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start(&directory(dir.path(), "redis-data"));
    let servers = start_servers(args, dir.path(), &redis);
    let limit = Duration::from_secs_f64(args.seconds);
    for server in &servers {
        load::run(server.address, calls::allowed(20_000), Pace::Closed, limit);
    }
    let mut report = Report {
        workers: args.workers,
        seconds: args.seconds,
        closed: in_turns(&servers, args.turns, |server, turn| {
            closed_loop(server, turn, limit, &redis)
        }),
        open: Vec::new(),
        ratios: BTreeMap::new(),
    };
    if !args.no_latency {
        let rate = report.closed_median("redis", |run| run.rate) / 2.0;
        report.open = in_turns(&servers, args.turns, |server, turn| {
            open_loop(server, turn, rate, limit)
        });
    }
    for server in &servers[1..] {
        let ratios = report.ratios_of(&server.name);
        report.ratios.insert(server.name.clone(), ratios);
    }
    report.print();
    save(&args.out, &report);
}

/// Starts the empty server and every build with every store, the empty server first.
fn start_servers(args: &Args, dir: &Path, redis: &Redis) -> Vec<Server> {
    let floor = Floor::start(args.workers);
    let mut servers = vec![Server {
        name: FLOOR.to_owned(),
        address: floor.address,
        process: floor.process,
    }];
    let this_build = PathBuf::from(PROGRAM);
    let builds = args
        .beside
        .iter()
        .map(|(name, path)| (format!("-{name}"), path))
        .chain([(String::new(), &this_build)]);
    // Each build has its own database, since it seals secrets with its own key.
    for (database, (suffix, program)) in builds.enumerate() {
        for (store, url) in [
            ("redis", format!("redis://{}/{database}", redis.address)),
            ("embedded", "embedded:bench.redb".into()),
        ] {
            let name = format!("{store}{suffix}");
            let dir = directory(dir, &name);
            let started = Countersign::start_build(program, &dir, &url, args.workers);
            servers.push(Server::countersign(name, started));
        }
    }
    servers
}

/// Measures every server in every turn. Every second turn runs in the opposite order, so that no
/// server gains from its place.
fn in_turns<T>(servers: &[Server], turns: usize, measure: impl Fn(&Server, usize) -> T) -> Vec<T> {
    let mut results = Vec::new();
    for turn in 0..turns {
        let mut order: Vec<_> = servers.iter().collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        results.extend(order.into_iter().map(|server| measure(server, turn)));
    }
    results
}

fn closed_loop(server: &Server, turn: usize, limit: Duration, redis: &Redis) -> ClosedRun {
    let (mut cpu, mut usage) = Default::default();
    let outcome = until_all_allowed(server, || {
        let calls = calls::allowed((limit.as_secs_f64() * HIGHEST_RATE) as usize);
        (cpu, usage) = (server.process.cpu(), redis.usage());
        load::run(server.address, calls, Pace::Closed, limit)
    });
    let cpu = server.process.cpu() - cpu;
    let usage = redis.usage().since(usage);
    let each = |figure: f64| figure / outcome.allowed as f64;
    ClosedRun {
        server: server.name.clone(),
        turn,
        rate: outcome.rate(),
        cpu_us: each(micros(cpu)),
        redis_cpu_us: each(micros(usage.cpu)),
        redis_commands: each(usage.commands as f64),
        redis_reads: each(usage.reads as f64),
        p50_us: micros(outcome.percentile(0.5)),
        p99_us: micros(outcome.percentile(0.99)),
    }
}

fn open_loop(server: &Server, turn: usize, rate: f64, limit: Duration) -> OpenRun {
    let outcome = until_all_allowed(server, || {
        let calls = calls::allowed((limit.as_secs_f64() * rate * 1.1) as usize);
        load::run(server.address, calls, Pace::Open(rate), limit)
    });
    OpenRun {
        server: server.name.clone(),
        turn,
        rate: outcome.rate(),
        p50_us: micros(outcome.percentile(0.5)),
        p99_us: micros(outcome.percentile(0.99)),
        p999_us: micros(outcome.percentile(0.999)),
    }
}

/// Repeats a run in which a check was not allowed, as happens on a busy machine.
///
/// # Panics
/// If it happens three times.
fn until_all_allowed(server: &Server, mut run: impl FnMut() -> Outcome) -> Outcome {
    for _ in 0..3 {
        let outcome = run();
        if (outcome.denied, outcome.failed) == (0, 0) {
            return outcome;
        }
        println!(
            "{}: {} checks denied, {} failed; repeating the run",
            server.name, outcome.denied, outcome.failed
        );
    }
    panic!("{} did not allow all checks in three runs", server.name);
}

impl Report {
    fn closed_of(&self, server: &str) -> impl Iterator<Item = &ClosedRun> {
        self.closed.iter().filter(move |run| run.server == server)
    }

    fn open_of(&self, server: &str) -> impl Iterator<Item = &OpenRun> {
        self.open.iter().filter(move |run| run.server == server)
    }

    fn closed_median(&self, server: &str, figure: fn(&ClosedRun) -> f64) -> f64 {
        median(self.closed_of(server).map(figure))
    }

    fn open_median(&self, server: &str, figure: fn(&OpenRun) -> f64) -> f64 {
        median(self.open_of(server).map(figure))
    }

    /// Returns the medians of the ratios to the empty server in the same turn.
    fn ratios_of(&self, server: &str) -> BTreeMap<&'static str, f64> {
        let closed = |figure: fn(&ClosedRun) -> f64| {
            let pairs = self.closed_of(server).zip(self.closed_of(FLOOR));
            median(pairs.map(|(ours, floor)| figure(ours) / figure(floor)))
        };
        let open = |figure: fn(&OpenRun) -> f64| {
            let pairs = self.open_of(server).zip(self.open_of(FLOOR));
            median(pairs.map(|(ours, floor)| figure(ours) / figure(floor)))
        };
        BTreeMap::from([
            ("cpu", closed(|run| run.cpu_us)),
            ("throughput", closed(|run| run.rate)),
            ("open_p50", open(|run| run.p50_us)),
            ("open_p99", open(|run| run.p99_us)),
        ])
    }

    fn ratio(&self, server: &str, figure: &str) -> f64 {
        self.ratios.get(server).map_or(1.0, |ratios| ratios[figure])
    }

    fn print(&self) {
        let first_turn = self.closed.iter().filter(|run| run.turn == 0);
        let servers: Vec<_> = first_turn.map(|run| run.server.as_str()).collect();
        let turns = self.closed.len() / servers.len();
        println!("{} worker threads, {turns} turns, medians\n", self.workers);
        self.print_closed(&servers);
        if !self.open.is_empty() {
            self.print_open(&servers);
        }
    }

    fn print_closed(&self, servers: &[&str]) {
        println!(
            "| closed loop | checks/s | CPU µs/check | Redis CPU µs/check | Redis commands/check | \
             Redis reads/check | p50 µs | p99 µs | CPU ratio | throughput ratio |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        for server in servers {
            let of = |figure| self.closed_median(server, figure);
            println!(
                "| {server} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.3} | {:.3} |",
                of(|run| run.rate),
                of(|run| run.cpu_us),
                of(|run| run.redis_cpu_us),
                of(|run| run.redis_commands),
                of(|run| run.redis_reads),
                of(|run| run.p50_us),
                of(|run| run.p99_us),
                self.ratio(server, "cpu"),
                self.ratio(server, "throughput"),
            );
        }
    }

    fn print_open(&self, servers: &[&str]) {
        println!("\n| open loop | checks/s | p50 µs | p99 µs | p99.9 µs | p50 ratio | p99 ratio |");
        println!("|---|---|---|---|---|---|---|");
        for server in servers {
            let of = |figure| self.open_median(server, figure);
            println!(
                "| {server} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} |",
                of(|run| run.rate),
                of(|run| run.p50_us),
                of(|run| run.p99_us),
                of(|run| run.p999_us),
                self.ratio(server, "open_p50"),
                self.ratio(server, "open_p99"),
            );
        }
    }
}

const FLOOR: &str = "floor";

/// A rate that no server reaches, in checks per second, so that a loop has requests until its end.
const HIGHEST_RATE: f64 = 150_000.0;
