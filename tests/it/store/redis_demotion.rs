//! A primary that is demoted and goes on answering: a planned failover and a partition, with two
//! replicas of the service that revoke tokens and claim nonces all the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::clock::{Entropy as _, ManualClock, SystemEntropy, UnixTime};
use countersign::model::{AccessToken, TokenStatus};
use countersign::store::{ClaimOutcome, Store, StoreErrorKind};
use redis::Value;
use tokio::time::{Instant, sleep};

use super::bench::{Bench, KEPT, NOW, causes, claim, claim_anything, consumer, key, name, token};
use super::frozen_proxy::Frozen;
use crate::support::process::eventually;
use crate::support::redis::Sentinels;

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_failover_lets_no_replay_and_no_revoked_token_pass_a_second_later() {
    let redis = Sentinels::start();
    let mut bench = Bench::redis(redis.url());
    bench.config.fence_on_restart = true;
    let stores = [bench.open().await, bench.open().await];
    let ledger = Ledger::start(&bench, stores.clone()).await;
    sleep(Duration::from_secs(1)).await;
    redis.fail_over();
    let switched = until_another_primary(&redis).await;
    let followed = until_followed(&stores).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(
        redis.primary.run::<Vec<Value>>(&["ROLE"])[0],
        Value::BulkString(b"master".to_vec()),
        "the demoted primary must still take writes, or this shows nothing"
    );
    ledger.finish(followed.max(switched + A_SECOND)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_on_the_wrong_side_of_a_partition_stops_and_recovers() {
    let redis = Sentinels::start();
    let mut cables = Vec::new();
    for port in redis.ports() {
        cables.push(Frozen::before(port).await);
    }
    let mut bench = Bench::redis(redis.url());
    bench.config.fence_on_restart = true;
    let inside = bench.open().await;
    let ports: Vec<_> = cables.iter().map(Frozen::port).collect();
    bench.config.url = countersign::config::StoreUrl::Redis(Sentinels::url_through(&ports));
    let cut_off = bench.open().await;
    let ledger = Ledger::start(&bench, [Arc::clone(&inside), Arc::clone(&cut_off)]).await;
    sleep(Duration::from_secs(1)).await;
    cables.iter().for_each(Frozen::cut);
    let cut = Instant::now();
    sleep(Duration::from_secs(1)).await;
    redis.fail_over();
    let switched = until_another_primary(&redis).await;
    let followed = until_followed(&[inside]).await;
    sleep(Duration::from_secs(1)).await;
    let error = claim_anything(&*cut_off).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(
        causes(&error).contains("cannot reach a majority of the Sentinels"),
        "{}",
        causes(&error)
    );
    assert!(cut_off.ping().await.is_err(), "it must not be ready");
    let healed = Instant::now();
    let last = ledger.last_answer_of_the_second(healed);
    assert!(
        last < cut + Duration::from_secs(3),
        "it answered {:?} after the partition",
        last - cut
    );
    cables.iter().for_each(Frozen::restore);
    eventually(
        "the replica answers again",
        Duration::from_secs(20),
        async || claim_anything(&*cut_off).await.ok().map(drop),
    )
    .await;
    ledger.finish(followed.max(switched + A_SECOND)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_and_two_dead_sentinels_change_nothing() {
    let mut redis = Sentinels::start();
    let mut bench = Bench::redis(redis.url());
    bench.config.timeout = Duration::from_secs(2);
    let store = bench.open().await;
    for killed in 1..=2 {
        redis.kill_some(killed);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(3) {
            let claimed = claim_anything(&*store).await;
            assert_eq!(claimed.unwrap(), ClaimOutcome::Fresh, "{killed} dead");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_without_its_replicas_is_left_as_soon_as_the_sentinels_name_another() {
    let redis = Sentinels::start_with(&["--min-replicas-to-write", "1"]);
    let store = Bench::redis(redis.url()).open().await;
    redis.fail_over();
    let switched = until_another_primary(&redis).await;
    eventually(
        "the new primary takes claims",
        Duration::from_secs(15),
        async || claim_anything(&*store).await.ok().map(drop),
    )
    .await;
    let took = switched.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
}

async fn until_another_primary(redis: &Sentinels) -> Instant {
    eventually(
        "the Sentinels name the other server",
        Duration::from_secs(20),
        async || (redis.named_primary() == redis.replica.port()).then_some(()),
    )
    .await;
    Instant::now()
}

/// Returns the time at which the stores have followed a failover. A machine that is busy with other
/// tests may need more than a second.
async fn until_followed(stores: &[Arc<dyn Store>]) -> Instant {
    for store in stores {
        eventually(
            "the store follows the Sentinels",
            Duration::from_secs(15),
            async || {
                let has_noticed = store.status().restarts_seen > 0;
                (has_noticed && store.ping().await.is_ok()).then_some(())
            },
        )
        .await;
    }
    Instant::now()
}

/// Revokes tokens and claims nonces through two stores, and notes every answer that lets something
/// pass which it must not.
struct Ledger {
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct Shared {
    stores: [Arc<dyn Store>; 2],
    clock: Arc<ManualClock>,
    started: Instant,
    is_over: AtomicBool,
    claimed: Mutex<Vec<(u64, [u8; 8])>>,
    revoked: Mutex<Vec<AccessToken>>,
    replays: Mutex<Vec<Instant>>,
    revoked_passes: Mutex<Vec<Instant>>,
    answers_of_the_second: Mutex<Vec<Instant>>,
}

impl Ledger {
    async fn start(bench: &Bench, stores: [Arc<dyn Store>; 2]) -> Self {
        stores[0].create_consumer(&consumer("ck")).await.unwrap();
        for at in 0..TOKENS {
            let token = token("ck", &format!("t{at}"));
            stores[0].create_token(&token).await.unwrap();
        }
        let shared = Arc::new(Shared {
            stores,
            clock: Arc::clone(&bench.clock),
            started: Instant::now(),
            is_over: AtomicBool::new(false),
            claimed: Mutex::default(),
            revoked: Mutex::default(),
            replays: Mutex::default(),
            revoked_passes: Mutex::default(),
            answers_of_the_second: Mutex::default(),
        });
        let mut tasks = Vec::new();
        for at in 0..2 {
            tasks.push(tokio::spawn(claim_again_and_again(Arc::clone(&shared), at)));
            tasks.push(tokio::spawn(look_at_revoked(Arc::clone(&shared), at)));
        }
        tasks.push(tokio::spawn(revoke_all(Arc::clone(&shared))));
        Self { shared, tasks }
    }

    /// Returns the time of the last claim that the second store answered before `end`.
    fn last_answer_of_the_second(&self, end: Instant) -> Instant {
        let answers = self.shared.answers_of_the_second.lock().unwrap();
        *answers.iter().rfind(|at| **at < end).unwrap()
    }

    /// Ends the work, and checks that nothing has passed since `limit`.
    async fn finish(self, limit: Instant) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        let late = |times: &Mutex<Vec<Instant>>| {
            let times = times.lock().unwrap();
            times.iter().filter(|at| **at > limit).count()
        };
        let (claims, revoked) = (
            self.shared.claimed.lock().unwrap().len(),
            self.shared.revoked.lock().unwrap().clone(),
        );
        assert!(
            claims > 100 && revoked.len() > 20,
            "{claims}, {}",
            revoked.len()
        );
        let (replays, passes) = (
            late(&self.shared.replays),
            late(&self.shared.revoked_passes),
        );
        let mut undone = 0;
        for token in &revoked {
            let stored = self.shared.stores[0].token(&token.token).await.unwrap();
            undone += usize::from(stored.unwrap().status != TokenStatus::Revoked);
        }
        assert_eq!(
            (replays, passes, undone),
            (0, 0, 0),
            "replays, passes of revoked tokens, and undone revocations, of {claims} claims and {} revocations",
            revoked.len()
        );
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Returns the time of the test's clock, which runs as fast as the real one.
    fn now(&self) -> u64 {
        let now = NOW + self.started.elapsed().as_secs();
        self.clock.set(UnixTime::from_secs(now));
        now
    }
}

/// Claims new nonces at one store, and tries to claim old ones again.
async fn claim_again_and_again(shared: Arc<Shared>, at: usize) {
    let (ck, store) = (key("ck"), &shared.stores[at]);
    while !shared.is_over() {
        let now = shared.now();
        let mut nonce = [0; 8];
        SystemEntropy.fill(&mut nonce);
        let mut fresh = claim(&ck, now, &nonce);
        fresh.now = UnixTime::from_secs(now);
        fresh.expires_at = fresh.now.plus(KEPT);
        let outcome = store.claim_nonce(&fresh).await;
        if outcome.is_ok() && at == 1 {
            shared
                .answers_of_the_second
                .lock()
                .unwrap()
                .push(Instant::now());
        }
        if matches!(outcome, Ok(ClaimOutcome::Fresh)) {
            shared.claimed.lock().unwrap().push((now, nonce));
        }
        let earlier = any_of(&shared.claimed);
        if let Some((timestamp, nonce)) = earlier {
            let mut replay = claim(&ck, timestamp, &nonce);
            replay.now = fresh.now;
            if matches!(store.claim_nonce(&replay).await, Ok(ClaimOutcome::Fresh)) {
                shared.replays.lock().unwrap().push(Instant::now());
            }
        }
        sleep(Duration::from_millis(4)).await;
    }
}

/// Looks up tokens at one store whose revocation was acknowledged.
async fn look_at_revoked(shared: Arc<Shared>, at: usize) {
    while !shared.is_over() {
        if let Some(token) = any_of(&shared.revoked) {
            let found = shared.stores[at]
                .caller_records(&token.consumer_key, Some(&token.token))
                .await;
            if found.is_ok_and(|found| {
                found
                    .token
                    .is_some_and(|token| token.status == TokenStatus::Active)
            }) {
                shared.revoked_passes.lock().unwrap().push(Instant::now());
            }
        }
        sleep(Duration::from_millis(4)).await;
    }
}

/// Revokes the tokens one after the other, through both stores in turn, each until it is
/// acknowledged.
async fn revoke_all(shared: Arc<Shared>) {
    for at in 0..TOKENS {
        let mut turn = at;
        while !shared.is_over() {
            let store = &shared.stores[turn % 2];
            turn += 1;
            let stored = store.token(&name(&format!("t{at}"))).await;
            let Ok(Some(mut token)) = stored else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            if token.status == TokenStatus::Active {
                token.status = TokenStatus::Revoked;
                token.revision += 1;
                if store.update_token(&token).await.is_err() {
                    sleep(Duration::from_millis(10)).await;
                    continue;
                }
            }
            shared.revoked.lock().unwrap().push(token);
            break;
        }
        sleep(Duration::from_millis(15)).await;
    }
}

fn any_of<T: Clone>(list: &Mutex<Vec<T>>) -> Option<T> {
    let mut random = [0; 4];
    SystemEntropy.fill(&mut random);
    let list = list.lock().unwrap();
    let at = u32::from_be_bytes(random) as usize % list.len().max(1);
    list.get(at).cloned()
}

const A_SECOND: Duration = Duration::from_secs(1);

/// The number of tokens, more than are revoked in the time of a test.
const TOKENS: usize = 600;
