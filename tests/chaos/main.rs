//! Faults, and what they cost: runs two replicas of Countersign on real stores and behind real
//! Envoys, breaks something, and judges every answer. `scripts/chaos` runs it.
//!
//! # A row
//!
//! A row is an async function that returns [`run::Evidence`], and an entry in `rows()` of its file
//! in `rows/`:
//!
//! ```ignore
//! Row::new("redis-kill-aof", "the fault", "the expectation", || Box::pin(kill_aof())).short()
//!
//! async fn kill_aof() -> Evidence {
//!     let mut redis = RedisServer::start_with(&["--appendonly", "yes"]);
//!     let replicas = Replica::pair(Settings::of(&redis.url(), "")).await;
//!     let mut run = Run::start(replicas).await;  // credentials, traffic and writes begin
//!     run.fault_begins();
//!     redis.kill();
//!     pause(2.0).await;
//!     redis.restart();
//!     run.fault_ends();
//!     run.finish(3.0).await                      // more traffic, then every write is read back
//! }
//! ```
//!
//! The judgement needs nothing else: the ledger has every request, and [`row::Allowance`] says what
//! the documentation admits. `Evidence::must` adds an expectation of the row's own,
//! `Evidence::at_most` a limit for the valid requests that fail, and `Evidence::note` an observation
//! for the table. A panic fails the row, and a row that cannot be run fails too. Everything that a
//! row starts ends when it is dropped.
//!
//! | file | content |
//! |---|---|
//! | `run.rs` | replicas under traffic, and the moments of the fault |
//! | `driver.rs` | the requests: valid, tampered, repeated, with revoked credentials |
//! | `admin.rs` | administrative writes, read back at the end |
//! | `flood.rs` | more requests than a replica can answer |
//! | `ledger.rs`, `judge.rs` | every request with its answer, and what was wrong |
//! | `row.rs`, `rows/` | the rows, one file for each kind of fault |
//! | `replica.rs` | the program |
//! | `redis_group.rs`, `namespaces.rs` | Redis with Sentinels, and a network that can be cut |
//! | `proxy.rs`, `clock.rs`, `disk.rs` | the network, the clocks and the disks that a row breaks |
//! | `report.rs` | the table |
//! | `soak/` | a steady load with faults for half an hour, which `scripts/soak` runs |

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a panic is how a row fails, and the output is the result"
)]

mod admin;
mod clock;
mod disk;
mod driver;
mod flood;
mod judge;
mod ledger;
mod namespaces;
mod proxy;
mod redis_group;
mod replica;
mod report;
mod row;
mod rows;
mod run;
mod soak;
mod support;

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinError;
use tokio::time::{Instant, timeout};

use crate::row::Row;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == "soak"
    {
        return tokio::select! {
            code = soak::main(rest) => code,
            () = interrupted() => ExitCode::from(130),
        };
    }
    let all = rows::all();
    if arguments == ["--list"] {
        list(&all);
        return ExitCode::SUCCESS;
    }
    let whole = arguments.is_empty();
    let chosen = match choose(all, &arguments) {
        Ok(chosen) => chosen,
        Err(unknown) => {
            eprintln!("error: no row is named {unknown}; --list shows the names");
            return ExitCode::from(64);
        }
    };
    tokio::select! {
        results = run_all(&chosen) => finish(&results, whole),
        () = interrupted() => {
            eprintln!("interrupted");
            ExitCode::from(130)
        }
    }
}

fn list(rows: &[Row]) {
    for Row {
        name, fault, short, ..
    } in rows
    {
        let short = if *short { " (--short)" } else { "" };
        println!("{name:28} {fault}{short}");
    }
}

/// Returns the rows that the arguments name: all, the short selection, or some.
fn choose(rows: Vec<Row>, arguments: &[String]) -> Result<Vec<Row>, String> {
    let known = |name: &String| rows.iter().any(|row| row.name == name);
    match arguments {
        [] => Ok(rows),
        [short] if short == "--short" => Ok(rows.into_iter().filter(|row| row.short).collect()),
        names => match names.iter().find(|name| !known(name)) {
            Some(unknown) => Err(unknown.clone()),
            None => Ok(rows
                .into_iter()
                .filter(|row| names.iter().any(|name| row.name == name))
                .collect()),
        },
    }
}

async fn run_all(rows: &[Row]) -> Vec<report::Result> {
    let mut results = Vec::new();
    for row in rows {
        let begun = Instant::now();
        let mut result = run_one(row).await;
        if result.is_only_late {
            // A busy machine delays a row too; one that is late twice is late.
            eprintln!("late    {}: {}", row.name, result.failures.join("; "));
            result = run_one(row).await;
        }
        let took = begun.elapsed().as_secs();
        match result.failures.as_slice() {
            [] => eprintln!("ok      {} ({took} s)", row.name),
            failures => eprintln!("FAILED  {} ({took} s): {}", row.name, failures.join("; ")),
        }
        results.push(result);
    }
    results
}

async fn run_one(row: &Row) -> report::Result {
    // A task, so that a panic ends only this row.
    let mut task = Guard(tokio::spawn((row.run)()));
    match timeout(LONGEST, &mut task.0).await {
        Ok(Ok(evidence)) => report::Result::of(row, &evidence),
        Ok(Err(error)) => report::Result::broken(row, &reason(error)),
        Err(_) => report::Result::broken(row, "the row did not end in time"),
    }
}

/// Returns the message of a panic, on one line.
fn reason(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "the row was aborted".to_owned();
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("a panic").replace(['\n', '|'], " ");
    format!("the row could not be run: {text}")
}

/// Aborts a task when it is dropped.
struct Guard<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn finish(results: &[report::Result], whole: bool) -> ExitCode {
    let table = report::table(results);
    println!("{table}");
    if whole {
        report::write(&table);
    }
    let failed = results
        .iter()
        .filter(|result| !result.failures.is_empty())
        .count();
    eprintln!("{} rows, {failed} failed", results.len());
    ExitCode::from(u8::from(failed > 0))
}

/// Waits for SIGINT or SIGTERM.
async fn interrupted() {
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// The longest time for a row.
const LONGEST: Duration = Duration::from_secs(120);
