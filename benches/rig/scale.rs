//! Many stored records: a million consumers and two million tokens in Redis.
//!
//! Measures the time to start, the memory after a check with each token, the cost of a lookup that
//! is not in memory, the time of each page of a list, and the commands that Redis ran.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use crate::calls::{Account, SampleRequest};
use crate::lists::{self, DeletionTimes, ListTimes};
use crate::load::{self, Outcome, Pace};
use crate::process::{Countersign, Redis, directory, key_file};
use crate::report::{micros, millis, save};
use crate::seed::{self, Records, SeedReport};

/// Options of `scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Consumers; there are twice as many tokens, a quarter of them of the first consumer
    #[arg(long, default_value_t = 1_000_000)]
    consumers: usize,
    /// Seconds for each size of the working set
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// JSON file for the figures
    #[arg(long, default_value = "target/bench/scale.json")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    workers: usize,
    seeded: SeedReport,
    start_ms: f64,
    memory: MemoryReport,
    working_sets: Vec<WorkingSet>,
    lists: Vec<ListTimes>,
    deletion: DeletionTimes,
    commands: BTreeMap<String, u64>,
    /// The commands among them that read the whole key space or a whole collection.
    scans: Vec<String>,
}

/// The resident memory of the server in bytes, and the cost of checks that are not cached.
#[derive(Debug, Serialize)]
struct MemoryReport {
    at_start: u64,
    /// The memory after checks with each tenth of all tokens.
    tenths: Vec<u64>,
    cache_entries: u64,
    cache_bytes: u64,
    /// CPU time of a check whose consumer and token come from Redis.
    cold_cpu_us: f64,
    cold_redis_cpu_us: f64,
    cold_rate: f64,
}

/// Checks that take turns over a number of tokens.
#[derive(Debug, Serialize)]
struct WorkingSet {
    tokens: usize,
    hit_ratio: f64,
    rate: f64,
    cpu_us: f64,
    redis_cpu_us: f64,
}

/// Runs the measurement.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let records = Records {
        consumers: args.consumers,
    };
    let redis = Redis::start(&directory(dir.path(), "redis-data"));
    let seeded = seed::seed(&records, &redis, &key_file(dir.path()));
    let start = Instant::now();
    let server = start_server(dir.path(), &redis, args.workers);
    let first = load::run(
        server.address,
        calls(&records, 1, 0, 1),
        Pace::Closed,
        Duration::from_secs(5),
    );
    assert_eq!(first.allowed, 1, "the first check was not allowed");
    let start_ms = millis(start.elapsed());
    let memory = touch_all(&server, &redis, &records);
    let working_sets = sizes(&records)
        .map(|tokens| working_set(&server, &redis, &records, tokens, args))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (lists, deletion) = runtime.block_on(lists::administer(&server, &redis, &records));
    let commands = commands(&redis);
    let is_scan = |name: &&String| SCANS.contains(&name.as_str());
    let report = Report {
        workers: args.workers,
        seeded,
        start_ms,
        memory,
        working_sets,
        lists,
        deletion,
        scans: commands.keys().filter(is_scan).cloned().collect(),
        commands,
    };
    save(&args.out, &report);
}

fn start_server(dir: &Path, redis: &Redis, workers: usize) -> Countersign {
    Countersign::start_logging(
        dir,
        &format!("redis://{}", redis.address),
        workers,
        Stdio::null(),
    )
}

/// Makes checks with `count` of the first `among` tokens, in a scattered order, beginning at its
/// position `from`.
fn calls(records: &Records, among: usize, from: usize, count: usize) -> Vec<Bytes> {
    let sample = SampleRequest::default();
    let call = |n: usize| {
        let token = n.wrapping_mul(STRIDE) % among;
        let account = Account::numbered(records.consumer_of(token), token);
        sample.signed(&account.signer())
    };
    (from..from + count).map(call).collect()
}

/// Sends one check with each token.
fn touch_all(server: &Countersign, redis: &Redis, records: &Records) -> MemoryReport {
    let (at_start, all) = (server.process.memory(), records.tokens());
    let (mut tenths, mut answered, mut took) = (Vec::new(), 0, Duration::ZERO);
    let (mut cpu, mut redis_cpu) = (Duration::ZERO, Duration::ZERO);
    for tenth in 0..10 {
        let (mut from, end) = (all * tenth / 10, all * (tenth + 1) / 10);
        while from < end {
            let count = (end - from).min(BATCH);
            let calls = calls(records, all, from, count);
            let before = (server.process.cpu(), redis.process.cpu());
            let outcome = all_allowed(server.address, calls, Duration::from_secs(120));
            cpu += server.process.cpu() - before.0;
            redis_cpu += redis.process.cpu() - before.1;
            assert_eq!(
                outcome.latencies.len(),
                count,
                "the time limit passed before all tokens were checked"
            );
            took += outcome.took;
            answered += outcome.allowed;
            from += count;
        }
        tenths.push(server.process.memory());
    }
    let each = |used| micros(used) / answered as f64;
    MemoryReport {
        at_start,
        tenths,
        cache_entries: metric(server, "countersign_cache_entries") as u64,
        cache_bytes: metric(server, "countersign_cache_bytes") as u64,
        cold_cpu_us: each(cpu),
        cold_redis_cpu_us: each(redis_cpu),
        cold_rate: answered as f64 / took.as_secs_f64(),
    }
}

fn sizes(records: &Records) -> impl Iterator<Item = usize> {
    let all = records.tokens();
    [16, 1_000, 10_000, 100_000, all]
        .into_iter()
        .filter(move |&size| size <= all)
}

fn working_set(
    server: &Countersign,
    redis: &Redis,
    records: &Records,
    tokens: usize,
    args: &Args,
) -> WorkingSet {
    let limit = Duration::from_secs_f64(args.seconds);
    let first = tokens.min(BATCH);
    let warming = calls(records, tokens, 0, first);
    let calls = calls(
        records,
        tokens,
        first,
        (HIGHEST_RATE * args.seconds) as usize,
    );
    // Fills the cache.
    all_allowed(server.address, warming, limit);
    let before = (server.process.cpu(), redis.process.cpu(), lookups(server));
    let outcome = all_allowed(server.address, calls, limit);
    let (hits, all) = lookups(server);
    let each = |used| micros(used) / outcome.allowed as f64;
    WorkingSet {
        tokens,
        hit_ratio: (hits - before.2.0) / (all - before.2.1),
        rate: outcome.rate(),
        cpu_us: each(server.process.cpu() - before.0),
        redis_cpu_us: each(redis.process.cpu() - before.1),
    }
}

fn all_allowed(address: SocketAddr, calls: Vec<Bytes>, limit: Duration) -> Outcome {
    let outcome = load::run(address, calls, Pace::Closed, limit);
    assert!(
        outcome.is_allowed("Countersign"),
        "{} checks failed",
        outcome.failed
    );
    outcome
}

/// Reads from Redis the number of calls of each command.
fn commands(redis: &Redis) -> BTreeMap<String, u64> {
    let count = |line: &str| {
        let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), counts.split(',').next()?.parse().ok()?))
    };
    redis
        .info("commandstats")
        .lines()
        .filter_map(count)
        .collect()
}

/// Reads the number of lookups of credentials: cache hits, and all.
fn lookups(server: &Countersign) -> (f64, f64) {
    let of = |outcome| {
        metric(
            server,
            &format!("countersign_cache_lookups_total{{outcome=\"{outcome}\"}}"),
        )
    };
    (of("hit"), of("hit") + of("miss"))
}

/// Reads the value of a metric.
fn metric(server: &Countersign, series: &str) -> f64 {
    let mut stream = TcpStream::connect(server.ops).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("/metrics has no {series}: {text}"))
        .trim()
        .parse()
        .unwrap()
}

/// Commands that read the whole key space or a whole collection.
const SCANS: [&str; 9] = [
    "keys",
    "scan",
    "sscan",
    "hscan",
    "zscan",
    "randomkey",
    "smembers",
    "hgetall",
    "sort",
];

/// A step that has no divisor in common with the numbers of tokens, so that it reaches all of them.
const STRIDE: usize = 1_299_709;

/// The number of requests that are in memory at once.
const BATCH: usize = 50_000;

/// A rate that no server reaches, in checks per second.
const HIGHEST_RATE: f64 = 60_000.0;
