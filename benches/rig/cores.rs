//! One worker thread and two, and ways to spread connections over threads: the empty server in
//! tonic's default runtime, with a runtime per thread behind `SO_REUSEPORT`, and with connections
//! given to threads in turn, as Countersign does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::calls;
use crate::floor::{Floor, Layout};
use crate::load::{self, Pace};
use crate::process::{Countersign, Process, Redis, directory};
use crate::report::{Latency, median, micros, save};

/// Options of `cores`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds of one closed loop
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// JSON file for the figures
    #[arg(long, default_value = "target/bench/cores.json")]
    out: PathBuf,
}

/// One server in one turn.
#[derive(Debug, Serialize)]
struct Run {
    server: String,
    workers: usize,
    turn: usize,
    cpu_us: f64,
    #[serde(flatten)]
    latency: Latency,
}

/// Runs the measurement.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let limit = Duration::from_secs_f64(args.seconds);
    let mut runs = Vec::new();
    for turn in 0..args.turns {
        for workers in [1, 2] {
            let mut measure = |server: String, process: &Process, address| {
                runs.push(closed_loop(process, address, limit).into_run(server, workers, turn));
            };
            // Started again in each turn, since the thread of a connection is chosen when it opens.
            for layout in [Layout::Shared, Layout::Reuseport, Layout::Spread] {
                let floor = Floor::start_with(workers, layout);
                measure(
                    format!("floor-{}", layout.name()),
                    &floor.process,
                    floor.address,
                );
            }
            let sub = |name: &str| directory(dir.path(), &format!("{name}-{workers}-{turn}"));
            let redis = Redis::start(&sub("redis-data"));
            for (store, url) in [
                ("redis", format!("redis://{}", redis.address)),
                ("embedded", "embedded:b.redb".into()),
            ] {
                let server = Countersign::start(&sub(store), &url, workers);
                measure(store.to_owned(), &server.process, server.address);
            }
        }
    }
    print(&runs);
    save(&args.out, &runs);
}

fn closed_loop(process: &Process, address: SocketAddr, limit: Duration) -> Figures {
    load::run(address, calls::allowed(5_000), Pace::Closed, limit);
    let calls = calls::allowed((limit.as_secs_f64() * HIGHEST_RATE) as usize);
    let before = process.cpu();
    let outcome = load::run(address, calls, Pace::Closed, limit);
    let cpu_us = micros(process.cpu() - before) / outcome.allowed as f64;
    Figures {
        cpu_us,
        latency: Latency::of(&outcome),
    }
}

struct Figures {
    cpu_us: f64,
    latency: Latency,
}

impl Figures {
    fn into_run(self, server: String, workers: usize, turn: usize) -> Run {
        Run {
            server,
            workers,
            turn,
            cpu_us: self.cpu_us,
            latency: self.latency,
        }
    }
}

fn print(runs: &[Run]) {
    println!(
        "| server | workers | checks/s | slowest turn | CPU µs/check | p99 µs |\n|---|---|---|---|---|---|"
    );
    for first in runs.iter().filter(|run| run.turn == 0) {
        let same = || {
            runs.iter()
                .filter(|run| run.server == first.server && run.workers == first.workers)
        };
        let slowest = same()
            .map(|run| run.latency.rate)
            .fold(f64::INFINITY, f64::min);
        println!(
            "| {} | {} | {:.0} | {slowest:.0} | {:.2} | {:.0} |",
            first.server,
            first.workers,
            median(same().map(|run| run.latency.rate)),
            median(same().map(|run| run.cpu_us)),
            median(same().map(|run| run.latency.p99_us)),
        );
    }
}

/// A rate that no server reaches, in checks per second.
const HIGHEST_RATE: f64 = 150_000.0;
