//! The whole service under load, next to an empty server: what a check costs beyond the gRPC call that carries it.
//!
//! `cargo bench --bench rig -- help` lists what it measures; `scripts/bench` runs all of it and writes the figures into
//! `docs/performance.md`. Everything stays on loopback, is bounded in time and ends by itself.
//!
//! - `floor`: the empty server.
//! - `calls`: requests to ask about, each signed anew, encoded before anything is measured.
//! - `load`: the closed and the open loop.
//! - `process`: programs that are started, and the CPU time that they use.
//! - `compare`: the ratios of one run; `cores`: threads, and how they share the work.
//! - `nonces`: what each nonce costs a store.

#![expect(clippy::unwrap_used, reason = "a panic is how a measurement fails")]
#![expect(clippy::print_stdout, reason = "what was measured is printed")]
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
mod process;
mod report;
mod scale;
mod seed;
mod sweep;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// As in the servers that it is compared with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What is measured.
#[derive(Debug, Parser)]
#[command(about = "Measures checks next to an empty gRPC server", long_about = None)]
struct Rig {
    /// What `cargo bench` adds to every call
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    measurement: Option<Measurement>,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Serves `Authorization` without looking: the floor of every comparison
    Floor(floor::Args),
    /// CPU per check, throughput and latency as ratios to the empty server's, in turns
    Compare(compare::Args),
    /// One worker thread and two, and how threads share connections
    Cores(cores::Args),
    /// CPU per refusal, of every kind, as ratios to allowances of the same size
    Deny(deny::Args),
    /// What it costs to look for why a signature did not match: off, on, and under a flood
    Explain(explain::Args),
    /// Start, memory, look-ups and lists with a million consumers and two million tokens in Redis
    Scale(scale::Args),
    /// Memory and CPU for each nonce, and whether any is forgotten or refused wrongly
    Nonces(nonces::Args),
    /// Latency against offered rate, up to saturation
    Sweep(sweep::Args),
    /// Latency through a real Envoy, next to nobody asked, the empty server, and a peer in Python
    Hop(hop::Args),
}

fn main() {
    match Rig::parse().measurement {
        // `cargo bench` runs every bench target: without an order, there is nothing to measure here.
        None => println!("nothing asked for: see `cargo bench --bench rig -- help`"),
        Some(Measurement::Floor(args)) => floor::run(&args),
        Some(Measurement::Compare(args)) => compare::run(&args),
        Some(Measurement::Cores(args)) => cores::run(&args),
        Some(Measurement::Deny(args)) => deny::run(&args),
        Some(Measurement::Explain(args)) => explain::run(&args),
        Some(Measurement::Scale(args)) => scale::run(&args),
        Some(Measurement::Nonces(args)) => nonces::run(&args),
        Some(Measurement::Sweep(args)) => sweep::run(&args),
        Some(Measurement::Hop(args)) => hop::run(&args),
    }
}
