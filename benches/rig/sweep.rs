//! Latency against offered rate, up to saturation, for the empty server and Countersign.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::calls;
use crate::floor::Floor;
use crate::load::{self, Pace};
use crate::process::{Countersign, Redis, directory};
use crate::report::{Latency, median, save};

/// Options of `sweep`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds at each rate
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Number of rates; the highest saturates the empty server
    #[arg(long, default_value_t = 12)]
    steps: u32,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// JSON file for the figures
    #[arg(long, default_value = "target/bench/sweep.json")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    workers: usize,
    turns: usize,
    seconds: f64,
    /// The rate of the empty server in the closed loop.
    saturation: f64,
    runs: Vec<Run>,
}

/// One server at one rate in one turn.
#[derive(Debug, Serialize)]
struct Run {
    server: &'static str,
    turn: usize,
    offered: f64,
    #[serde(flatten)]
    latency: Latency,
}

/// Runs the measurement.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start(&directory(dir.path(), "redis-data"));
    let url = format!("redis://{}", redis.address);
    let floor = Floor::start(args.workers);
    let with_redis = Countersign::start(&directory(dir.path(), "redis"), &url, args.workers);
    let embedded = Countersign::start(
        &directory(dir.path(), "embedded"),
        "embedded:bench.redb",
        args.workers,
    );
    let servers = [
        ("floor", floor.address),
        ("embedded", embedded.address),
        ("redis", with_redis.address),
    ];
    let servers = servers.map(|(name, address)| Server {
        name,
        address,
        saturation: median((0..3).map(|_| closed_rate(address, args.seconds))),
    });
    let report = Report {
        workers: args.workers,
        turns: args.turns,
        seconds: args.seconds,
        saturation: servers[0].saturation,
        runs: sweep(&servers, args),
    };
    save(&args.out, &report);
}

struct Server {
    name: &'static str,
    address: SocketAddr,
    /// The rate in the closed loop.
    saturation: f64,
}

fn closed_rate(address: SocketAddr, seconds: f64) -> f64 {
    let calls = calls::allowed((HIGHEST_RATE * seconds) as usize);
    let limit = Duration::from_secs_f64(seconds);
    load::run(address, calls, Pace::Closed, limit).rate()
}

fn sweep(servers: &[Server], args: &Args) -> Vec<Run> {
    let highest = servers[0].saturation * HIGHEST_SHARE;
    let mut runs = Vec::new();
    for turn in 0..args.turns {
        for step in 1..=args.steps {
            let offered = highest * f64::from(step) / f64::from(args.steps);
            // A server that is saturated is not measured at higher rates.
            let able = |server: &&Server| offered < server.saturation * HIGHEST_SHARE;
            for server in servers.iter().filter(able) {
                runs.push(at_rate(server, offered, turn, args.seconds));
            }
        }
    }
    runs
}

fn at_rate(server: &Server, offered: f64, turn: usize, seconds: f64) -> Run {
    let calls = calls::allowed((offered * seconds) as usize);
    let limit = Duration::from_secs_f64(seconds);
    let outcome = load::run(server.address, calls, Pace::Open(offered), limit);
    Run {
        server: server.name,
        turn,
        offered,
        latency: Latency::of(&outcome),
    }
}

/// A rate that no server reaches, in checks per second.
const HIGHEST_RATE: f64 = 150_000.0;

/// The highest offered rate, as a share of the rate in the closed loop.
const HIGHEST_SHARE: f64 = 1.1;
