//! A Redis that lost its data: every replica notices, also one that starts later, and no replay
//! passes.

use std::time::Duration;

use countersign::clock::{Entropy as _, SystemEntropy};
use countersign::store::{ClaimOutcome, Store};

use super::bench::{Bench, NOW, claim, key, with_redis};
use super::redis::{Logs, until_it_works};
use crate::support::process::eventually;
use crate::support::redis::{Cluster, RedisServer};

#[tokio::test]
async fn no_replay_passes_after_a_flush() {
    for flush in [["FLUSHALL"].as_slice(), &["DEL", "countersign:{epoch}"]] {
        let (bench, server) = fencing();
        let logs = Logs::capture();
        let (one, other) = (bench.open().await, bench.open().await);
        assert_eq!(claim_at(&*one, NOW, b"n").await, ClaimOutcome::Fresh);
        bench.clock.advance(Duration::from_secs(5));
        server.run::<()>(flush);
        for store in [&one, &other, &one] {
            assert_ne!(claim_at(&**store, NOW, b"n").await, ClaimOutcome::Fresh);
            assert_eq!(claim_anew(&**store, NOW).await, fenced(NOW + 5));
            assert_eq!(store.status().restarts_seen, 1);
        }
        assert_eq!(claim_at(&*one, NOW + 6, b"n").await, ClaimOutcome::Fresh);
        assert_eq!(
            claim_at(&*other, NOW + 6, b"n").await,
            ClaimOutcome::Replayed
        );
        let said = logs.text();
        assert_eq!(said.matches("Redis lost its data").count(), 2, "{said}");
        assert!(said.contains("countersign consumer list"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_noticed_by_a_replica_without_traffic() {
    let (bench, server) = fencing();
    let store = bench.open().await;
    server.run::<()>(&["FLUSHALL"]);
    eventually("the probe notices", PATIENCE, async || {
        (store.status().restarts_seen == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_after_the_loss_fences_too() {
    let (bench, server) = fencing();
    let store = bench.open().await;
    assert_eq!(claim_at(&*store, NOW, b"n").await, ClaimOutcome::Fresh);
    bench.clock.advance(Duration::from_secs(5));
    server.run::<()>(&["FLUSHALL"]);
    assert_eq!(claim_at(&*store, NOW, b"n").await, fenced(NOW + 5));
    bench.clock.advance(Duration::from_secs(1));
    let later = bench.open().await;
    assert_eq!(later.status().restarts_seen, 0);
    assert_eq!(claim_anew(&*later, NOW).await, fenced(NOW + 5));
    assert_eq!(claim_at(&*later, NOW + 6, b"n").await, ClaimOutcome::Fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_while_no_replica_ran_fences_the_next_one() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut bench = Bench::redis(server.url());
    bench.config.timeout = Duration::from_secs(2);
    bench.config.fence_on_restart = true;
    let store = bench.open().await;
    assert_eq!(claim_at(&*store, NOW, b"n").await, ClaimOutcome::Fresh);
    store.close().await.unwrap();
    drop(store);
    server.kill();
    server.restart();
    bench.clock.advance(Duration::from_secs(5));
    let next = bench.open().await;
    until_it_works(&*next).await;
    assert_eq!(claim_anew(&*next, NOW).await, fenced(NOW + 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_fences_nothing_of_its_first_second() {
    let (bench, _server) = fencing();
    let (one, other) = (bench.open().await, bench.open().await);
    assert_eq!(claim_at(&*one, NOW, b"n").await, ClaimOutcome::Fresh);
    assert_eq!(claim_at(&*other, NOW, b"m").await, ClaimOutcome::Fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_a_flush_is_counted() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    assert_eq!(claim_at(&*store, NOW, b"n").await, ClaimOutcome::Fresh);
    server.run::<()>(&["FLUSHALL"]);
    assert_eq!(claim_at(&*store, NOW, b"n").await, ClaimOutcome::Fresh);
    assert_eq!(store.status().restarts_seen, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_of_any_primary_of_a_cluster_is_noticed() {
    let cluster = Cluster::start();
    let mut bench = Bench::redis(cluster.url());
    bench.config.timeout = Duration::from_secs(2);
    bench.config.fence_on_restart = true;
    let store = bench.open().await;
    assert_eq!(claim_at(&*store, NOW, b"n").await, ClaimOutcome::Fresh);
    let primaries = cluster.nodes.iter().filter(|node| {
        node.run::<String>(&["INFO", "replication"])
            .contains("role:master")
    });
    for (count, primary) in (1..).zip(primaries) {
        primary.run::<()>(&["FLUSHALL"]);
        eventually("the probe notices", PATIENCE, async || {
            (store.status().restarts_seen == count).then_some(())
        })
        .await;
    }
    assert_eq!(claim_at(&*store, NOW, b"n").await, fenced(NOW));
    assert_eq!(claim_at(&*store, NOW + 1, b"n").await, ClaimOutcome::Fresh);
}

fn fencing() -> (Bench, RedisServer) {
    let (mut bench, server) = with_redis();
    bench.config.fence_on_restart = true;
    (bench, server)
}

/// Claims a nonce that nobody claimed before.
async fn claim_anew(store: &dyn Store, timestamp: u64) -> ClaimOutcome {
    let mut nonce = [0; 16];
    SystemEntropy.fill(&mut nonce);
    claim_at(store, timestamp, &nonce).await
}

/// Claims a nonce, once the replicas have settled after a loss.
async fn claim_at(store: &dyn Store, timestamp: u64, nonce: &[u8]) -> ClaimOutcome {
    let ck = key("ck");
    eventually("the store settles", PATIENCE, async || {
        store.claim_nonce(&claim(&ck, timestamp, nonce)).await.ok()
    })
    .await
}

const fn fenced(not_before: u64) -> ClaimOutcome {
    ClaimOutcome::Fenced { not_before }
}

/// The longest time until the probe notices.
const PATIENCE: Duration = Duration::from_secs(15);
