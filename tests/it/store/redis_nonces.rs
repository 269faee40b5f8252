//! Nonces in Redis: their memory, the batches of their claims, and faults.

use std::sync::Arc;
use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::store::{CheckStore, ClaimOutcome, NonceClaim, Store, StoreErrorKind};
use futures_util::future::join_all;

use super::bench::{Bench, KEPT, NOW, causes, claim, claim_anything, key, with_redis};
use super::frozen_proxy::Frozen;
use super::lossy_proxy::Lossy;
use crate::support::process::{START, eventually};
use crate::support::redis::{Cluster, RedisServer};

// === Memory ===

#[tokio::test(flavor = "multi_thread")]
async fn at_a_thousand_a_second_a_nonce_takes_at_most_64_bytes_and_none_is_lost_or_wrongly_refused()
{
    const NONCES: u64 = 200_000;
    let (bench, server) = with_redis();
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    let before = used_memory(&server);
    for second in 0..NONCES / 1000 {
        let fresh = claim_second(&store, NOW + second, 1000).await;
        assert_eq!(fresh, 1000, "second {second}");
    }
    let each = (used_memory(&server) - before) as f64 / NONCES as f64;
    assert!(each <= 64.0, "{each:.1} bytes for each nonce");
    for second in (0..NONCES / 1000).step_by(10) {
        assert_eq!(
            claim_second(&store, NOW + second, 1000).await,
            0,
            "second {second}, repeated"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_expires_with_the_last_of_its_claims() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let (short, long) = (KEPT, 2 * KEPT);
    for (consumer, orders) in [("ascending", [short, long]), ("descending", [long, short])] {
        for (round, kept) in orders.into_iter().enumerate() {
            let ck = key(consumer);
            for at in 0..300_u16 {
                let nonce = [round.to_be_bytes().as_slice(), &at.to_be_bytes()].concat();
                let expires_at = UnixTime::from_secs(NOW).plus(kept);
                let kept_long = NonceClaim {
                    expires_at,
                    ..claim(&ck, NOW, &nonce)
                };
                assert_eq!(
                    store.claim_nonce(&kept_long).await.unwrap(),
                    ClaimOutcome::Fresh
                );
            }
        }
        let buckets: Vec<String> =
            server.run(&["KEYS", &format!("countersign:{{{consumer}}}:nonces:*")]);
        assert_eq!(
            buckets.len(),
            32,
            "every bucket has nonces of both rounds: {buckets:?}"
        );
        for bucket in buckets {
            let left: u64 = server.run(&["PTTL", &bucket]);
            let whole = u64::try_from(long.as_millis()).unwrap();
            assert!(
                (whole - 10_000..=whole + 1000).contains(&left),
                "{bucket}: {left} of {whole} ms are left"
            );
        }
    }
}

// === Batches ===

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_arrive_together_share_commands_and_writes() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    let counted = |name| stat(&server, name);
    let _ok: String = server.run(&["CONFIG", "RESETSTAT"]);
    let claims = (0..10_000_u32).map(|at| {
        let store = Arc::clone(&store);
        // Each in its own task, like a check.
        tokio::spawn(async move {
            store
                .claim_nonce(&claim(&key("ck"), NOW, &at.to_be_bytes()))
                .await
        })
    });
    for outcome in join_all(claims).await {
        assert_eq!(outcome.unwrap().unwrap(), ClaimOutcome::Fresh);
    }
    let (reads, writes) = (
        counted("total_reads_processed"),
        counted("total_writes_processed"),
    );
    let scripts = server.command_counts()["evalsha"];
    assert_eq!(server.command_counts()["hsetnx"], 10_000);
    assert!(
        scripts < 2000 && reads < 3000 && writes < 3000,
        "{scripts} scripts, {reads} reads, {writes} writes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_claimed_on_one_runtime_is_used_on_every_other() {
    let (bench, _server) = with_redis();
    let store = bench.open().await;
    let ck = key("ck");
    let here = Arc::clone(&store).for_this_runtime().unwrap();
    let elsewhere = Arc::clone(&store).for_this_runtime().unwrap();
    let by = |check_id: u8, nonce| NonceClaim {
        check_id: [check_id; 16],
        ..claim(&ck, NOW, nonce)
    };
    let root: Arc<dyn CheckStore> = store;
    for (on, check, nonce, expected) in [
        (&here, 1, b"a", ClaimOutcome::Fresh),
        (&elsewhere, 2, b"a", ClaimOutcome::Replayed),
        (&root, 3, b"a", ClaimOutcome::Replayed),
        (&root, 3, b"b", ClaimOutcome::Fresh),
        (&here, 1, b"b", ClaimOutcome::Replayed),
        // The same check's own.
        (&elsewhere, 1, b"a", ClaimOutcome::Fresh),
    ] {
        let claimed = on.claim_nonce(&by(check, nonce)).await.unwrap();
        assert_eq!(claimed, expected, "check {check}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtimes_connections_are_replaced_when_redis_cuts_them_and_no_claim_fails() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let here = Arc::clone(&store).for_this_runtime().unwrap();
    let ck = key("ck");
    for round in 0..5_u8 {
        assert_eq!(
            here.claim_nonce(&claim(&ck, NOW, &[round])).await.unwrap(),
            ClaimOutcome::Fresh
        );
        let cut: u64 = server.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(cut >= 2, "{cut}");
        for at in 0..10_u8 {
            assert_eq!(
                here.claim_nonce(&claim(&ck, NOW, &[round, at]))
                    .await
                    .unwrap(),
                ClaimOutcome::Fresh
            );
        }
        assert_eq!(
            here.claim_nonce(&claim(&ck, NOW, &[round])).await.unwrap(),
            ClaimOutcome::Replayed
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_silently_while_idle_are_replaced_before_a_claim_needs_them() {
    let server = RedisServer::start();
    let proxy = Frozen::before(server.port()).await;
    let mut bench = Bench::redis(proxy.url());
    bench.config.timeout = Duration::from_secs(2);
    let store = bench.open().await;
    let threads: Vec<_> = (0..3)
        .map(|_| Arc::clone(&store).for_this_runtime().unwrap())
        .collect();
    for (at, here) in threads.iter().enumerate() {
        assert_eq!(
            here.claim_nonce(&claim(&key("ck"), NOW, &[at as u8]))
                .await
                .unwrap(),
            ClaimOutcome::Fresh
        );
    }
    let each_has_two = async || (proxy.connections() > 2 * threads.len()).then_some(());
    eventually("connections for retries", START, each_has_two).await;
    proxy.freeze();
    eventually("all of them are given up", START, async || {
        proxy.are_given_up().then_some(())
    })
    .await;
    for (at, here) in threads.iter().enumerate() {
        let claims = (0..20_u8).map(|n| async move {
            here.claim_nonce(&claim(&key("ck"), NOW + 1, &[at as u8, n]))
                .await
                .unwrap()
        });
        assert_eq!(join_all(claims).await, [ClaimOutcome::Fresh; 20]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_caller_gives_up_harms_no_other() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    let _ok: String = server.run(&["CLIENT", "PAUSE", "300", "ALL"]);
    let claims = (0..100_u8).map(|at| {
        let store = Arc::clone(&store);
        async move {
            let ck = key("ck");
            let (nonce, patience) = (
                [at],
                if at % 2 == 0 {
                    Duration::from_millis(50)
                } else {
                    Duration::from_secs(9)
                },
            );
            let asked = claim(&ck, NOW, &nonce);
            (
                at,
                tokio::time::timeout(patience, store.claim_nonce(&asked))
                    .await
                    .ok(),
            )
        }
    });
    for (at, outcome) in join_all(claims).await {
        match outcome {
            None => assert_eq!(at % 2, 0),
            Some(outcome) => assert_eq!(outcome.unwrap(), ClaimOutcome::Fresh, "claim {at}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_value_under_a_key_fails_its_own_claims_alone() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    for part in 0..32 {
        let _ok: String = server.run(&[
            "SET",
            &format!("countersign:{{foreign}}:nonces:{NOW}:{part:x}"),
            "x",
        ]);
    }
    let claims = (0..100_u8).map(|at| {
        let store = Arc::clone(&store);
        async move {
            let ck = key(if at % 10 == 0 { "foreign" } else { "ck" });
            (at, store.claim_nonce(&claim(&ck, NOW, &[at])).await)
        }
    });
    for (at, outcome) in join_all(claims).await {
        match outcome {
            Ok(outcome) => assert!(
                outcome == ClaimOutcome::Fresh && at % 10 != 0,
                "claim {at}: {outcome:?}"
            ),
            Err(error) => assert!(
                error.kind() == StoreErrorKind::Unreadable && at % 10 == 0,
                "claim {at}: {error:?}"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_claims_of_many_consumers_run_together() {
    let redis = Cluster::start();
    let store = Bench::redis(redis.url()).open().await;
    for wanted in [ClaimOutcome::Fresh, ClaimOutcome::Replayed] {
        let claims = (0..200_u8).map(|at| {
            let store = Arc::clone(&store);
            async move {
                let ck = key(&format!("ck{}", at % 20));
                store.claim_nonce(&claim(&ck, NOW, &[at])).await
            }
        });
        for outcome in join_all(claims).await {
            assert_eq!(outcome.unwrap(), wanted);
        }
    }
}

// === Faults ===

#[tokio::test(flavor = "multi_thread")]
async fn claims_whose_answers_are_lost_are_repeated_and_are_fresh() {
    let server = RedisServer::start();
    let lossy = Lossy::before(server.port()).await;
    let mut bench = Bench::redis(lossy.url());
    bench.config.timeout = Duration::from_secs(5);
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    let mut lost = 0;
    for second in 0..20 {
        lossy.lose(1);
        assert_eq!(
            claim_second(&store, NOW + second, 50).await,
            50,
            "second {second}"
        );
        lost += usize::from(lossy.has_lost());
        assert_eq!(
            claim_second(&store, NOW + second, 50).await,
            0,
            "second {second}, repeated"
        );
    }
    assert_eq!(lost, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_batch_delays_no_other() {
    let server = RedisServer::start();
    let lossy = Lossy::before(server.port()).await;
    let mut bench = Bench::redis(lossy.url());
    bench.config.timeout = Duration::from_secs(5);
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    lossy.stall(1);
    let late = tokio::spawn({
        let store = Arc::clone(&store);
        async move { claim_second(&store, NOW, 1).await }
    });
    eventually("a batch is slow", START, async || {
        lossy.is_losing().then_some(())
    })
    .await;
    assert_eq!(claim_second(&store, NOW + 1, 1).await, 1);
    assert!(!late.is_finished(), "no other batch waited for it");
    late.abort();
}

// On one thread, so that exactly one batch stalls.
#[tokio::test]
async fn a_silent_connection_of_one_runtime_fails_no_claim_of_another() {
    let server = RedisServer::start();
    let lossy = Lossy::before(server.port()).await;
    let mut bench = Bench::redis(lossy.url());
    bench.config.timeout = Duration::from_millis(500);
    let store = bench.open().await;
    let (here, elsewhere) = (
        Arc::clone(&store).for_this_runtime().unwrap(),
        Arc::clone(&store).for_this_runtime().unwrap(),
    );
    let ck = key("ck");
    assert_eq!(
        here.claim_nonce(&claim(&ck, NOW, b"here")).await.unwrap(),
        ClaimOutcome::Fresh
    );
    assert_eq!(
        elsewhere
            .claim_nonce(&claim(&ck, NOW, b"elsewhere"))
            .await
            .unwrap(),
        ClaimOutcome::Fresh
    );
    lossy.stall(1);
    let stalled = tokio::spawn(async move {
        let ck = key("ck");
        let claims = (0..10_u8).map(|at| {
            let (here, ck) = (&here, &ck);
            async move { here.claim_nonce(&claim(ck, NOW, &[1, at])).await.is_err() }
        });
        join_all(claims).await
    });
    eventually("the write stalls", START, async || {
        lossy.is_losing().then_some(())
    })
    .await;
    let mut claimed = 0_u32;
    let mut claim_another = async || {
        claimed += 1;
        let nonce = claimed.to_be_bytes();
        assert_eq!(
            elsewhere
                .claim_nonce(&claim(&ck, NOW, &nonce))
                .await
                .unwrap(),
            ClaimOutcome::Fresh
        );
    };
    while !stalled.is_finished() {
        claim_another().await;
    }
    assert_eq!(stalled.await.unwrap(), [true; 10]);
    for _ in 0..20 {
        claim_another().await;
    }
}

#[tokio::test]
async fn no_more_claims_are_pending_than_redis_answers_in_time() {
    let (bench, _server) = with_redis();
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    // On one thread, all of them are pending before the first is sent.
    let outcomes = join_all((0..5000_u32).map(|at| {
        let store = &store;
        async move {
            store
                .claim_nonce(&claim(&key("ck"), NOW, &at.to_be_bytes()))
                .await
        }
    }));
    let (claimed, refused): (Vec<_>, Vec<_>) = outcomes.await.into_iter().partition(Result::is_ok);
    assert_eq!((claimed.len(), refused.len()), (4096, 904));
    for error in refused.into_iter().map(Result::unwrap_err) {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(
            causes(&error).contains("too many calls are waiting"),
            "{}",
            causes(&error)
        );
    }
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_continue_when_redis_loses_the_script() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for second in 0..5 {
        assert_eq!(claim_second(&store, NOW + second, 50).await, 50);
        let _ok: String = server.run(&["SCRIPT", "FLUSH"]);
        assert_eq!(claim_second(&store, NOW + second, 50).await, 0);
    }
}

// === Helpers ===

/// Claims `nonces` nonces of one second at once, each by its own check; returns the number of fresh
/// ones.
async fn claim_second(store: &Arc<dyn Store>, timestamp: u64, nonces: u32) -> usize {
    let claims = (0..nonces).map(|at| async move {
        let ck = key("0123456789abcdef");
        store
            .claim_nonce(&claim(&ck, timestamp, &at.to_be_bytes()))
            .await
            .unwrap()
    });
    join_all(claims)
        .await
        .into_iter()
        .filter(|outcome| *outcome == ClaimOutcome::Fresh)
        .count()
}

fn used_memory(server: &RedisServer) -> u64 {
    info(server, "memory", "used_memory")
}

fn stat(server: &RedisServer, name: &str) -> u64 {
    info(server, "stats", name)
}

fn info(server: &RedisServer, section: &str, name: &str) -> u64 {
    let text: String = server.run(&["INFO", section]);
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap().trim().parse().unwrap()
}
