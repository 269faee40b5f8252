//! Measures the whole service under load beside an empty server, which shows the cost of a check
//! beyond its gRPC call.
//!
//! `cargo bench --bench rig -- help` lists the measurements. `scripts/bench` runs all of them and
//! writes the figures into `docs/performance.md`. Everything runs on loopback and within a time
//! limit.
//!
//! - `floor`: the empty server.
//! - `calls`: checks, each signed with its own nonce and encoded before the measurement begins.
//! - `load`: the load generator, with a closed and an open loop.
//! - `process`: the programs that are measured, and their CPU time.
//! - `compare`, `cores`, `sweep`, `hop`, `overload`, `deny`, `explain`, `nonces`, `scale`: the
//!   measurements.

#![expect(clippy::unwrap_used, reason = "a panic is how a measurement fails")]
#![expect(clippy::print_stdout, reason = "the results are printed")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

mod calls;
mod compare;
mod cores;
mod deny;
mod envoy;
mod explain;
mod floor;
mod hop;
mod lists;
mod load;
mod nonces;
mod overload;
mod process;
mod report;
mod scale;
mod seed;
mod sweep;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// The allocator of Countersign, so that the empty server has it too.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The command line.
#[derive(Debug, Parser)]
#[command(about = "Measure Countersign beside an empty gRPC server", long_about = None)]
struct Rig {
    /// Ignored; `cargo bench` adds it to every call
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    measurement: Option<Measurement>,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Serve checks and allow each one: the empty server of the comparisons
    Floor(floor::Args),
    /// CPU per check, throughput and latency, as ratios to the empty server
    Compare(compare::Args),
    /// One worker thread and two, and ways to spread connections over threads
    Cores(cores::Args),
    /// CPU per denial of each kind, as ratios to an allowed check of the same size
    Deny(deny::Args),
    /// Cost of the search for the cause of a wrong signature: off, on, and for each denial
    Explain(explain::Args),
    /// Start time, memory, lookups and lists with a million consumers and two million tokens in
    /// Redis
    Scale(scale::Args),
    /// Memory and CPU per nonce; fails if a nonce is forgotten or refused wrongly
    Nonces(nonces::Args),
    /// Latency against offered rate, up to saturation
    Sweep(sweep::Args),
    /// Goodput under more requests than the server can answer, direct and through Envoy
    Overload(overload::Args),
    /// Latency through a real Envoy: without a check, and with the empty server, Countersign and
    /// Python
    Hop(hop::Args),
}

fn main() {
    match Rig::parse().measurement {
        // `cargo bench` without arguments runs every bench target, this one too.
        None => println!("no measurement given; see `cargo bench --bench rig -- help`"),
        Some(Measurement::Floor(args)) => floor::run(&args),
        Some(Measurement::Compare(args)) => compare::run(&args),
        Some(Measurement::Cores(args)) => cores::run(&args),
        Some(Measurement::Deny(args)) => deny::run(&args),
        Some(Measurement::Explain(args)) => explain::run(&args),
        Some(Measurement::Scale(args)) => scale::run(&args),
        Some(Measurement::Nonces(args)) => nonces::run(&args),
        Some(Measurement::Sweep(args)) => sweep::run(&args),
        Some(Measurement::Overload(args)) => overload::run(&args),
        Some(Measurement::Hop(args)) => hop::run(&args),
    }
}
