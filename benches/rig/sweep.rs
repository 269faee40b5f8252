//! Latency against offered rate, up to where a server can not follow: the empty server and Countersign.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::calls;
use crate::floor::Floor;
use crate::load::{self, Pace};
use crate::process::{Countersign, Redis, directory};
use crate::report::{Latency, median, save};

/// How the sweep is made.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds at each rate
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How many rates, the highest of which the empty server can not follow
    #[arg(long, default_value_t = 12)]
    steps: u32,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Where the figures are written, as JSON
    #[arg(long, default_value = "target/bench/sweep.json")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    workers: usize,
    turns: usize,
    seconds: f64,
    /// What the empty server answers in the closed loop.
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

/// Runs it.
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
    let limit = Duration::from_secs_f64(args.seconds);
    let closed = |address| {
        let calls = calls::allowed((MOST_A_SECOND * args.seconds) as usize);
        load::run(address, calls, Pace::Closed, limit).rate()
    };
    let saturations: Vec<_> = servers
        .iter()
        .map(|&(_, address)| median((0..3).map(|_| closed(address))))
        .collect();
    let saturation = saturations[0];
    let mut runs = Vec::new();
    for turn in 0..args.turns {
        for step in 1..=args.steps {
            let offered = saturation * HIGHEST * f64::from(step) / f64::from(args.steps);
            for (&(server, address), &most) in servers.iter().zip(&saturations) {
                // The first rate beyond what it can follow is the last that says anything.
                if offered < most * HIGHEST {
                    let calls = calls::allowed((offered * args.seconds) as usize);
                    let outcome = load::run(address, calls, Pace::Open(offered), limit);
                    runs.push(Run {
                        server,
                        turn,
                        offered,
                        latency: Latency::of(&outcome),
                    });
                }
            }
        }
    }
    let (workers, turns, seconds) = (args.workers, args.turns, args.seconds);
    save(
        &args.out,
        &Report {
            workers,
            turns,
            seconds,
            saturation,
            runs,
        },
    );
}

/// More than any server here answers.
const MOST_A_SECOND: f64 = 150_000.0;

/// The highest rate, as a share of what a server answers in the closed loop.
const HIGHEST: f64 = 1.1;
