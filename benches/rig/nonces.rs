//! What nonces cost: memory and CPU for each, and whether any is forgotten or refused wrongly among millions.
//!
//! All are claimed once, and must be fresh; then again by other checks, and must be replays.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::clock::{Entropy as _, ManualClock, SystemEntropy, UnixTime};
use countersign::config::{StoreConfig, StoreUrl};
use countersign::model::ConsumerKey;
use countersign::store::{ClaimOutcome, NonceClaim, Store, new_master_key, open};
use tokio::task::JoinSet;

use crate::process::Redis;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Nonces in all
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Nonces that one consumer has with one timestamp
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// Consumers, in turns
    #[arg(long, default_value_t = 20)]
    consumers: u64,
    /// Claims at a time
    #[arg(long, default_value_t = 32)]
    tasks: u64,
    /// The store in memory in place of Redis
    #[arg(long)]
    memory: bool,
}

/// Claims, counts and prints.
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
        "{} nonces, {} a second and consumer, {} claims at a time",
        args.count, args.rate, args.tasks
    );
    for wanted in [ClaimOutcome::Fresh, ClaimOutcome::Replayed] {
        let before = Usage::now(redis.as_ref());
        let started = Instant::now();
        let other = runtime.block_on(claim_all(&store, args, wanted));
        let took = started.elapsed();
        println!(
            "{other} other than {wanted:?}; {:.0} claims/s",
            args.count as f64 / took.as_secs_f64()
        );
        Usage::now(redis.as_ref()).print_since(&before, args.count);
        assert_eq!(other, 0, "a nonce was forgotten or refused wrongly");
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
        timeout: Duration::from_secs(5),
        connections: 4,
        fence_on_restart: false,
    };
    let clock = Arc::new(ManualClock::at(UnixTime::from_secs(NOW)));
    open(&config, dir, clock, Arc::new(SystemEntropy))
        .await
        .unwrap()
}

/// How many claims had another outcome than wanted.
async fn claim_all(store: &Arc<dyn Store>, args: &Args, wanted: ClaimOutcome) -> u64 {
    let mut tasks = JoinSet::new();
    for first in 0..args.tasks {
        let numbers = (first..args.count).step_by(usize::try_from(args.tasks).unwrap());
        tasks.spawn(claim_each(
            Arc::clone(store),
            numbers,
            (args.rate, args.consumers),
            wanted,
        ));
    }
    tasks.join_all().await.into_iter().sum()
}

async fn claim_each(
    store: Arc<dyn Store>,
    numbers: impl Iterator<Item = u64>,
    (rate, consumers): (u64, u64),
    wanted: ClaimOutcome,
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
        let outcome = store.claim_nonce(&claim).await.unwrap();
        other += u64::from(outcome != wanted);
    }
    other
}

/// What was used until some moment, by this process and by Redis.
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
            let scripts = redis.told("commandstats");
            let scripts = scripts.lines().find_map(|line| {
                line.strip_prefix("cmdstat_evalsha:calls=")?
                    .split(',')
                    .next()
            });
            [
                redis.process.cpu().as_secs_f64(),
                redis.info("used_memory") as f64,
                scripts.map_or(0.0, |calls| calls.parse().unwrap()),
                redis.info("total_commands_processed") as f64,
                redis.info("total_reads_processed") as f64,
                redis.info("total_writes_processed") as f64,
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
        println!("  this process, its load included: {cpu:.2} µs of CPU, {memory:.1} B each");
        let (Some(now), Some(before)) = (self.redis, before.redis) else {
            return;
        };
        let [cpu, memory, scripts, commands, reads, writes] =
            std::array::from_fn(|at| now[at] - before[at]);
        println!(
            "  Redis: {:.2} µs of CPU, {:.1} B each",
            cpu / count * 1e6,
            memory / count
        );
        println!(
            "  for each script {:.1}, for each read {:.1}, for each write {:.1}; {:.1} commands in all for each claim",
            count / scripts,
            count / reads,
            count / writes,
            commands / count
        );
    }
}

/// The time of every check, in seconds.
const NOW: u64 = 1_700_000_000;

/// How long they are kept: longer than this takes.
const KEPT: Duration = Duration::from_hours(1);
