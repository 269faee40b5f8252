//! Countersign beside the empty server: CPU per check and throughput in the closed loop, latency in the open loop, all in
//! turns within one run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::calls;
use crate::floor::Floor;
use crate::load::{self, Outcome, Pace};
use crate::process::{Countersign, PROGRAM, Process, Redis, directory};
use crate::report::{median, micros, save};

/// How the comparison is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns; of each figure the median is printed
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds that one closed loop takes
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Worker threads of every server
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Leave the open loop out
    #[arg(long)]
    no_latency: bool,
    /// Another build of Countersign to run beside this one, such as the one before a change; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = build)]
    beside: Vec<(String, PathBuf)>,
    /// Where the figures are written, as JSON
    #[arg(long, default_value = "target/bench/compare.json")]
    out: PathBuf,
}

/// One server in one turn of the closed loop.
#[derive(Clone, Debug, Serialize)]
struct Closed {
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
struct Open {
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
    closed: Vec<Closed>,
    open: Vec<Open>,
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

/// Runs it.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let sub = |name: &str| directory(dir.path(), name);
    let redis = Redis::start(&sub("redis-data"));
    let floor = Floor::start(args.workers);
    let mut servers = vec![Server {
        name: FLOOR.to_owned(),
        address: floor.address,
        process: floor.process,
    }];
    let ours = PathBuf::from(PROGRAM);
    let builds = args
        .beside
        .iter()
        .map(|(name, path)| (format!("-{name}"), path))
        .chain([(String::new(), &ours)]);
    // Each in a database of its own: they seal with keys of their own.
    for (database, (suffix, program)) in builds.enumerate() {
        for (store, url) in [
            ("redis", format!("redis://{}/{database}", redis.address)),
            ("embedded", "embedded:bench.redb".into()),
        ] {
            let name = format!("{store}{suffix}");
            let started = Countersign::start_build(program, &sub(&name), &url, args.workers);
            servers.push(Server::countersign(name, started));
        }
    }
    let limit = Duration::from_secs_f64(args.seconds);
    for server in &servers {
        load::run(server.address, calls::allowed(20_000), Pace::Closed, limit);
    }
    let mut closed = Vec::new();
    for turn in 0..args.turns {
        closed.extend(
            servers
                .iter()
                .map(|server| closed_loop(server, turn, limit, &redis)),
        );
    }
    let saturation = median(
        closed
            .iter()
            .filter(|run| run.server == "redis")
            .map(|run| run.rate),
    );
    let mut open = Vec::new();
    for turn in 0..if args.no_latency { 0 } else { args.turns } {
        open.extend(
            servers
                .iter()
                .map(|server| open_loop(server, turn, saturation / 2.0, limit)),
        );
    }
    let mut report = Report {
        workers: args.workers,
        seconds: args.seconds,
        closed,
        open,
        ratios: BTreeMap::new(),
    };
    for server in &servers[1..] {
        let ratios = ratios(&report, &server.name);
        report.ratios.insert(server.name.clone(), ratios);
    }
    print(&report);
    save(&args.out, &report);
}

fn closed_loop(server: &Server, turn: usize, limit: Duration, redis: &Redis) -> Closed {
    let (mut cpu, mut used) = Default::default();
    let outcome = until_all_allowed(server, || {
        let calls = calls::allowed((limit.as_secs_f64() * MOST_A_SECOND) as usize);
        (cpu, used) = (server.process.cpu(), redis.used());
        load::run(server.address, calls, Pace::Closed, limit)
    });
    let cpu = server.process.cpu() - cpu;
    let used = redis.used().since(used);
    let each = |figure: f64| figure / outcome.allowed as f64;
    Closed {
        server: server.name.clone(),
        turn,
        rate: outcome.rate(),
        cpu_us: each(micros(cpu)),
        redis_cpu_us: each(micros(used.cpu)),
        redis_commands: each(used.commands as f64),
        redis_reads: each(used.reads as f64),
        p50_us: micros(outcome.percentile(0.5)),
        p99_us: micros(outcome.percentile(0.99)),
    }
}

fn open_loop(server: &Server, turn: usize, rate: f64, limit: Duration) -> Open {
    let outcome = until_all_allowed(server, || {
        let calls = calls::allowed((limit.as_secs_f64() * rate * 1.1) as usize);
        load::run(server.address, calls, Pace::Open(rate), limit)
    });
    Open {
        server: server.name.clone(),
        turn,
        rate: outcome.rate(),
        p50_us: micros(outcome.percentile(0.5)),
        p99_us: micros(outcome.percentile(0.99)),
        p999_us: micros(outcome.percentile(0.999)),
    }
}

/// Repeats a run in which something was not allowed, as when others keep the machine busy; more than twice is a fault.
fn until_all_allowed(server: &Server, mut run: impl FnMut() -> Outcome) -> Outcome {
    for _ in 0..3 {
        let outcome = run();
        if (outcome.denied, outcome.failed) == (0, 0) {
            return outcome;
        }
        println!(
            "{}: {} denied, {} failed; once more",
            server.name, outcome.denied, outcome.failed
        );
    }
    panic!("{} does not allow everything", server.name);
}

/// The median over the turns of the ratio to the empty server in the same turn.
fn ratios(report: &Report, server: &str) -> BTreeMap<&'static str, f64> {
    let closed = |value: fn(&Closed) -> f64| {
        let of = |name: &str| {
            report
                .closed
                .iter()
                .filter(|run| run.server == name)
                .map(value)
                .collect::<Vec<_>>()
        };
        median(
            of(server)
                .into_iter()
                .zip(of(FLOOR))
                .map(|(ours, floor)| ours / floor),
        )
    };
    let open = |value: fn(&Open) -> f64| {
        let of = |name: &str| {
            report
                .open
                .iter()
                .filter(|run| run.server == name)
                .map(value)
                .collect::<Vec<_>>()
        };
        median(
            of(server)
                .into_iter()
                .zip(of(FLOOR))
                .map(|(ours, floor)| ours / floor),
        )
    };
    BTreeMap::from([
        ("cpu", closed(|run| run.cpu_us)),
        ("throughput", closed(|run| run.rate)),
        ("open_p50", open(|run| run.p50_us)),
        ("open_p99", open(|run| run.p99_us)),
    ])
}

fn print(report: &Report) {
    let names: Vec<_> = report
        .closed
        .iter()
        .filter(|run| run.turn == 0)
        .map(|run| run.server.as_str())
        .collect();
    let turns = report.closed.len() / names.len();
    println!(
        "{} worker threads, {turns} turns, medians\n",
        report.workers
    );
    println!(
        "| closed loop | checks/s | CPU µs/check | Redis CPU µs/check | Redis commands/check | Redis reads/check | p50 µs | p99 µs | CPU ratio | throughput ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for &name in &names {
        let of = |value: fn(&Closed) -> f64| {
            median(
                report
                    .closed
                    .iter()
                    .filter(|run| run.server == name)
                    .map(value),
            )
        };
        let ratio = |of| report.ratios.get(name).map_or(1.0, |ratios| ratios[of]);
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.3} | {:.3} |",
            of(|run| run.rate),
            of(|run| run.cpu_us),
            of(|run| run.redis_cpu_us),
            of(|run| run.redis_commands),
            of(|run| run.redis_reads),
            of(|run| run.p50_us),
            of(|run| run.p99_us),
            ratio("cpu"),
            ratio("throughput"),
        );
    }
    if report.open.is_empty() {
        return;
    }
    println!("\n| open loop | checks/s | p50 µs | p99 µs | p99.9 µs | p50 ratio | p99 ratio |");
    println!("|---|---|---|---|---|---|---|");
    for &name in &names {
        let of = |value: fn(&Open) -> f64| {
            median(
                report
                    .open
                    .iter()
                    .filter(|run| run.server == name)
                    .map(value),
            )
        };
        let ratio = |of| report.ratios.get(name).map_or(1.0, |ratios| ratios[of]);
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} |",
            of(|run| run.rate),
            of(|run| run.p50_us),
            of(|run| run.p99_us),
            of(|run| run.p999_us),
            ratio("open_p50"),
            ratio("open_p99"),
        );
    }
}

const FLOOR: &str = "floor";

/// More than any server here answers, so that a loop does not run out of requests before its time is over.
const MOST_A_SECOND: f64 = 150_000.0;
