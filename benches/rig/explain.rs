//! What it costs to look for why a signature did not match: refusals with it switched off, on, and on for every one of them.
//!
//! - `off`: nothing is looked for.
//! - `on`: as configured by default. A flood is then mostly over the rates.
//! - `each`: the rates allow all of them, so that what is asked at a pace that one thread keeps up with is all looked at:
//!   what it takes beyond `off` at the same pace is what looking takes.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::calls::{self, Account, Question};
use crate::load::{self, Outcome, Pace};
use crate::process::{Countersign, directory};
use crate::report::{Latency, median, micros, save};

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds that each server takes for each kind of request in a turn
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Refusals a second where each is looked at
    #[arg(long, default_value_t = 200.0)]
    pace: f64,
    /// Where the figures are written, as JSON
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
    /// Whether requests came as fast as they were answered.
    flood: bool,
    turn: usize,
    cpu_us: f64,
    memory: u64,
    latency: Latency,
}

/// Runs it.
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
                        ..ask(countersign, (make, &accounts), pace, args.seconds)
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

fn ask(
    server: &Countersign,
    (make, accounts): (Make, &[Account]),
    pace: Pace,
    seconds: f64,
) -> Run {
    let most = match pace {
        Pace::Closed | Pace::Gentle => MOST_A_SECOND,
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
    assert_eq!((allowed, failed), (0, 0), "beside {denied} denied");
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
    println!("| refusal | | looked for | CPU µs | p50 µs | p99 µs | resident MiB |");
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

/// Nothing known explains it: everything there is is tried.
fn wrong_secret(account: &Account) -> Bytes {
    let account = Account {
        secret: format!("{}!", account.secret),
        ..account.clone()
    };
    Question::default().signed(&account.signer())
}

/// Signed for another host, as behind a proxy that changes it.
fn other_host(account: &Account) -> Bytes {
    let question = Question::default();
    question.with(&question.authorization(&account.signer(), "api.example.org"))
}

type Make = fn(&Account) -> Bytes;

const KINDS: [(&str, Make); 2] = [
    ("wrong secret", wrong_secret),
    ("signed for another host", other_host),
];

/// Each with what its environment has beside.
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

/// More than are refused in a second.
const MOST_A_SECOND: f64 = 60_000.0;
