//! Many stored records: a million consumers and two million tokens in Redis. How long the service takes to start, how much
//! memory it takes when all of them are asked about, what a look-up costs that is not in memory, how long a page of a list
//! takes wherever it is, and which commands Redis was given.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use crate::calls::{Account, Question};
use crate::lists::{self, Deletion, List};
use crate::load::{self, Outcome, Pace};
use crate::process::{Countersign, Redis, directory, key_file};
use crate::report::{micros, millis, save};
use crate::seed::{self, Records, Seeded};

/// How many records there are, and for how long each step is done.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Consumers; there are twice as many tokens, a fourth of them of the first consumer
    #[arg(long, default_value_t = 1_000_000)]
    consumers: usize,
    /// Seconds for each size of the working set
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Where the figures are written, as JSON
    #[arg(long, default_value = "target/bench/scale.json")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    workers: usize,
    seeded: Seeded,
    start_ms: f64,
    memory: Memory,
    working_sets: Vec<WorkingSet>,
    lists: Vec<List>,
    deletion: Deletion,
    commands: BTreeMap<String, u64>,
    /// Those among them that go through the whole key space or a whole collection.
    scans: Vec<String>,
}

/// What the server has resident, in bytes.
#[derive(Debug, Serialize)]
struct Memory {
    at_start: u64,
    /// After each tenth of all tokens.
    tenths: Vec<u64>,
    cache_entries: u64,
    cache_bytes: u64,
    /// Of a check whose consumer and token were asked for in Redis.
    cold_cpu_us: f64,
    cold_redis_cpu_us: f64,
    cold_rate: f64,
}

/// Checks that take turns over so many tokens.
#[derive(Debug, Serialize)]
struct WorkingSet {
    tokens: usize,
    hit_ratio: f64,
    rate: f64,
    cpu_us: f64,
    redis_cpu_us: f64,
}

/// Runs it.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let records = Records {
        consumers: args.consumers,
    };
    let redis = Redis::start(&directory(dir.path(), "redis-data"));
    let seeded = seed::seed(&records, &redis, &key_file(dir.path()));
    let begun = Instant::now();
    let server = start(dir.path(), &redis, args.workers);
    let first = load::run(
        server.address,
        calls(&records, 1, 0, 1),
        Pace::Closed,
        Duration::from_secs(5),
    );
    assert_eq!(first.allowed, 1, "the first check was not allowed");
    let start_ms = millis(begun.elapsed());
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
    let scans = commands
        .keys()
        .filter(|name| SCANS.contains(&name.as_str()))
        .cloned()
        .collect();
    let workers = args.workers;
    save(
        &args.out,
        &Report {
            workers,
            seeded,
            start_ms,
            memory,
            working_sets,
            lists,
            deletion,
            commands,
            scans,
        },
    );
}

fn start(dir: &Path, redis: &Redis, workers: usize) -> Countersign {
    Countersign::start_logging(
        dir,
        &format!("redis://{}", redis.address),
        workers,
        Stdio::null(),
    )
}

/// Checks of `count` tokens of the first `among`, in an order that jumps, from the place `from` in it.
fn calls(records: &Records, among: usize, from: usize, count: usize) -> Vec<Bytes> {
    let question = Question::default();
    let call = |n: usize| {
        let token = n.wrapping_mul(STRIDE) % among;
        let account = Account::numbered(records.consumer_of(token), token);
        question.signed(&account.signer())
    };
    (from..from + count).map(call).collect()
}

/// Asks about every token once.
fn touch_all(server: &Countersign, redis: &Redis, records: &Records) -> Memory {
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
                "the time was over before all tokens were asked about"
            );
            took += outcome.took;
            answered += outcome.allowed;
            from += count;
        }
        tenths.push(server.process.memory());
    }
    let each = |used| micros(used) / answered as f64;
    Memory {
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
        (MOST_A_SECOND * args.seconds) as usize,
    );
    // What fits into memory is brought there.
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

/// How often each command was given to Redis, by its own count.
fn commands(redis: &Redis) -> BTreeMap<String, u64> {
    let count = |line: &str| {
        let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), counts.split(',').next()?.parse().ok()?))
    };
    redis
        .told("commandstats")
        .lines()
        .filter_map(count)
        .collect()
}

/// Look-ups of credentials: those that memory answered, and all.
fn lookups(server: &Countersign) -> (f64, f64) {
    let of = |outcome| {
        metric(
            server,
            &format!("countersign_cache_lookups_total{{outcome=\"{outcome}\"}}"),
        )
    };
    (of("hit"), of("hit") + of("miss"))
}

/// The value of a series.
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
        .unwrap_or_else(|| panic!("no {series} in {text}"))
        .trim()
        .parse()
        .unwrap()
}

/// Commands that go through the whole key space, or through a whole collection.
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

/// Has no divisor in common with the numbers of tokens here, so that it leads through all of them.
const STRIDE: usize = 1_299_709;

/// How many requests are in memory at once.
const BATCH: usize = 50_000;

/// More than are answered.
const MOST_A_SECOND: f64 = 60_000.0;
