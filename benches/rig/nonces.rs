//! Memory and CPU per nonce, and the correctness of millions of claims.
//!
//! Claims every nonce once, which must be fresh, and then again by other checks, which must be
//! replays.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::clock::{Entropy as _, ManualClock, SystemEntropy, UnixTime};
use countersign::config::{ConnectionFiles, StoreConfig, StoreUrl};
use countersign::model::ConsumerKey;
use countersign::store::{ClaimOutcome, NonceClaim, Store, new_master_key, open};
use tokio::task::JoinSet;

use crate::process::Redis;

/// Options of `nonces`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of nonces
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Nonces per consumer and timestamp
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// Consumers, which take turns
    #[arg(long, default_value_t = 20)]
    consumers: u64,
    /// Concurrent claims
    #[arg(long, default_value_t = 32)]
    tasks: u64,
    /// Use the store in memory instead of Redis
    #[arg(long)]
    memory: bool,
}

/// Runs the measurement.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let redis = (!args.memory).then(|| Redis::start(dir.path()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let store = runtime.block_on(open_store(redis.as_ref(), dir.path()));
    println!(
        "{} nonces, {} per second and consumer, {} concurrent claims",
        args.count, args.rate, args.tasks
    );
    for expected in [ClaimOutcome::Fresh, ClaimOutcome::Replayed] {
        let before = Usage::now(redis.as_ref());
        let started = Instant::now();
        let other = runtime.block_on(claim_all(&store, args, expected));
        let took = started.elapsed();
        println!(
            "{other} claims were not {expected:?}; {:.0} claims/s",
            args.count as f64 / took.as_secs_f64()
        );
        Usage::now(redis.as_ref()).print_since(&before, args.count);
        assert_eq!(other, 0, "a nonce was forgotten, or a fresh one refused");
    }
    runtime.block_on(store.close()).unwrap();
}

async fn open_store(redis: Option<&Redis>, dir: &Path) -> Arc<dyn Store> {
    let master_key = dir.join("master-key");
    fs::write(&master_key, new_master_key(&SystemEntropy).as_bytes()).unwrap();
    fs::set_permissions(&master_key, fs::Permissions::from_mode(0o600)).unwrap();
    let config = StoreConfig {
        url: redis.map_or(StoreUrl::Memory, |redis| {
            StoreUrl::Redis(format!("redis://{}", redis.address))
        }),
        master_key_file: Some(master_key),
        files: ConnectionFiles::default(),
        timeout: Duration::from_secs(5),
        connections: 4,
        min_replicas: 0,
        fence_on_restart: false,
        max_clock_skew: Duration::ZERO,
    };
    let clock = Arc::new(ManualClock::at(UnixTime::from_secs(NOW)));
    open(&config, dir, clock, Arc::new(SystemEntropy))
        .await
        .unwrap()
}

/// Claims all nonces and counts the claims with another outcome than expected.
async fn claim_all(store: &Arc<dyn Store>, args: &Args, expected: ClaimOutcome) -> u64 {
    let mut tasks = JoinSet::new();
    for first in 0..args.tasks {
        let numbers = (first..args.count).step_by(usize::try_from(args.tasks).unwrap());
        tasks.spawn(claim_each(
            Arc::clone(store),
            numbers,
            (args.rate, args.consumers),
            expected,
        ));
    }
    tasks.join_all().await.into_iter().sum()
}

async fn claim_each(
    store: Arc<dyn Store>,
    numbers: impl Iterator<Item = u64>,
    (rate, consumers): (u64, u64),
    expected: ClaimOutcome,
) -> u64 {
    let keys: Vec<_> = (0..consumers)
        .map(|at| ConsumerKey::new(format!("consumer-{at:07}")).unwrap())
        .collect();
    let (mut other, mut check_id) = (0, [0; 16]);
    SystemEntropy.fill(&mut check_id[..8]);
    for at in numbers {
        check_id[8..].copy_from_slice(&at.to_be_bytes());
        let nonce = format!("{at:032x}");
        let timestamp = NOW - 250 + at / (rate * consumers);
        let claim = NonceClaim {
            consumer: &keys[usize::try_from(at % consumers).unwrap()],
            token: None,
            timestamp,
            nonce: nonce.as_bytes(),
            check_id,
            now: UnixTime::from_secs(NOW),
            expires_at: UnixTime::from_secs(NOW).plus(KEPT),
            not_before: 0,
        };
        let claimed = store.claim_nonce(&claim).await.unwrap();
        other += u64::from(claimed != expected);
    }
    other
}

/// The CPU time and memory used so far by this process and by Redis.
struct Usage {
    cpu: f64,
    memory: f64,
    redis: Option<[f64; 6]>,
}

impl Usage {
    fn now(redis: Option<&Redis>) -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<f64> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        let counted = |redis: &Redis| {
            let scripts = redis.info("commandstats");
            let scripts = scripts.lines().find_map(|line| {
                line.strip_prefix("cmdstat_evalsha:calls=")?
                    .split(',')
                    .next()
            });
            [
                redis.process.cpu().as_secs_f64(),
                redis.number("used_memory") as f64,
                scripts.map_or(0.0, |calls| calls.parse().unwrap()),
                redis.number("total_commands_processed") as f64,
                redis.number("total_reads_processed") as f64,
                redis.number("total_writes_processed") as f64,
            ]
        };
        Self {
            cpu: (fields[11] + fields[12]) / 100.0,
            memory: fields[21] * 4096.0,
            redis: redis.map(counted),
        }
    }

    fn print_since(&self, before: &Self, count: u64) {
        let count = count as f64;
        let (cpu, memory) = (
            (self.cpu - before.cpu) / count * 1e6,
            (self.memory - before.memory) / count,
        );
        println!(
            "  this process, load generator included: {cpu:.2} µs of CPU and {memory:.1} B per claim"
        );
        let (Some(now), Some(before)) = (self.redis, before.redis) else {
            return;
        };
        let [cpu, memory, scripts, commands, reads, writes] =
            std::array::from_fn(|at| now[at] - before[at]);
        println!(
            "  Redis: {:.2} µs of CPU and {:.1} B per claim",
            cpu / count * 1e6,
            memory / count
        );
        println!(
            "  {:.1} claims per script, {:.1} per read, {:.1} per write; {:.1} commands per claim",
            count / scripts,
            count / reads,
            count / writes,
            commands / count
        );
    }
}

/// The time of every claim, in seconds.
const NOW: u64 = 1_700_000_000;

/// The lifetime of a claim: longer than the measurement.
const KEPT: Duration = Duration::from_hours(1);
