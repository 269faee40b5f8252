//! The cost of the search for the cause of a wrong signature.
//!
//! - `off`: without the search.
//! - `on`: with the default configuration, whose rate limits skip most of a flood.
//! - `each`: without rate limits, so that at a slow pace every denial is searched. The difference
//!   to `off` at the same pace is the cost of the search.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::calls::{self, Account, SampleRequest};
use crate::load::{self, Outcome, Pace};
use crate::process::{Countersign, directory};
use crate::report::{Latency, median, micros, save};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds per server and kind of request in a turn
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Denials per second at the slow pace
    #[arg(long, default_value_t = 200.0)]
    pace: f64,
    /// JSON file for the figures
    #[arg(long, default_value = "target/bench/explain.json")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    workers: usize,
    turns: usize,
    seconds: f64,
    pace: f64,
    runs: Vec<Run>,
}

/// One kind of request at one server in one turn.
#[derive(Debug, Serialize)]
struct Run {
    kind: &'static str,
    server: &'static str,
    /// True if requests were sent as fast as possible.
    flood: bool,
    turn: usize,
    cpu_us: f64,
    memory: u64,
    latency: Latency,
}

/// Runs the measurement.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let servers = SERVERS.map(|(name, environment)| {
        let dir = directory(dir.path(), name);
        let server =
            Countersign::start_set(&dir, "memory:", args.workers, (Stdio::null(), environment));
        server.add_accounts();
        (name, server)
    });
    let accounts = calls::accounts();
    let mut runs = Vec::new();
    for turn in 0..args.turns {
        for (kind, make) in KINDS {
            for flood in [true, false] {
                for (server, countersign) in &servers {
                    let pace = if flood {
                        Pace::Closed
                    } else {
                        Pace::Open(args.pace)
                    };
                    runs.push(Run {
                        kind,
                        server,
                        flood,
                        turn,
                        ..measure(countersign, (make, &accounts), pace, args.seconds)
                    });
                }
            }
        }
    }
    let report = Report {
        workers: args.workers,
        turns: args.turns,
        seconds: args.seconds,
        pace: args.pace,
        runs,
    };
    print(&report);
    save(&args.out, &report);
}

fn measure(
    server: &Countersign,
    (make, accounts): (Make, &[Account]),
    pace: Pace,
    seconds: f64,
) -> Run {
    let most = match pace {
        Pace::Closed | Pace::Gentle => HIGHEST_RATE,
        Pace::Open(rate) => rate,
    };
    let calls = accounts
        .iter()
        .cycle()
        .take((most * seconds) as usize)
        .map(make)
        .collect();
    let cpu = server.process.cpu();
    let outcome = load::run(
        server.address,
        calls,
        pace,
        Duration::from_secs_f64(seconds),
    );
    let Outcome {
        allowed,
        denied,
        failed,
        ..
    } = outcome;
    assert_eq!(
        (allowed, failed),
        (0, 0),
        "allowed and failed checks, beside {denied} denied ones"
    );
    let cpu_us = micros(server.process.cpu() - cpu) / denied as f64;
    let (memory, latency) = (server.process.memory(), Latency::of(&outcome));
    Run {
        kind: "",
        server: "",
        flood: false,
        turn: 0,
        cpu_us,
        memory,
        latency,
    }
}

fn print(report: &Report) {
    println!("| denial | pace | search | CPU µs | p50 µs | p99 µs | resident MiB |");
    println!("|---|---|---|---|---|---|---|");
    for (kind, _) in KINDS {
        for flood in [true, false] {
            for (server, _) in SERVERS {
                let runs = || {
                    report
                        .runs
                        .iter()
                        .filter(|run| (run.kind, run.flood, run.server) == (kind, flood, server))
                };
                let of = |figure: fn(&Run) -> f64| median(runs().map(figure));
                println!(
                    "| {kind} | {} | {server} | {:.1} | {:.0} | {:.0} | {:.0} |",
                    if flood { "flood" } else { "paced" },
                    of(|run| run.cpu_us),
                    of(|run| run.latency.p50_us),
                    of(|run| run.latency.p99_us),
                    of(|run| run.memory as f64 / f64::from(1 << 20)),
                );
            }
        }
    }
}

/// Signs with a wrong secret. No cause is found, so the search tries all of them.
fn wrong_secret(account: &Account) -> Bytes {
    let account = Account {
        secret: format!("{}!", account.secret),
        ..account.clone()
    };
    SampleRequest::default().signed(&account.signer())
}

/// Signs for another host, as if a proxy had changed the host.
fn other_host(account: &Account) -> Bytes {
    let sample = SampleRequest::default();
    sample.with(&sample.authorization(&account.signer(), "api.example.org"))
}

type Make = fn(&Account) -> Bytes;

const KINDS: [(&str, Make); 2] = [
    ("wrong secret", wrong_secret),
    ("signed for another host", other_host),
];

/// The servers, each with its additional environment variables.
const SERVERS: [(&str, &[(&str, &str)]); 3] = [
    ("off", &[("COUNTERSIGN_DIAGNOSTICS__EXPLAIN", "false")]),
    ("on", &[]),
    (
        "each",
        &[
            ("COUNTERSIGN_DIAGNOSTICS__EXPLAIN_RATE", "1000000"),
            ("COUNTERSIGN_DIAGNOSTICS__EXPLAIN_TOTAL_RATE", "1000000"),
        ],
    ),
];

/// A rate that no server reaches, in checks per second.
const HIGHEST_RATE: f64 = 60_000.0;
