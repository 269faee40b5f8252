//! The fence of a restore outlives the process that raised it, and holds on every replica.

use std::time::Duration;

use countersign::store::{ClaimOutcome, Store};

use super::bench::{Bench, NOW, claim, key, with_redis};
use crate::support::redis::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_keeps_it_across_restarts() {
    for closes in [true, false] {
        let bench = Bench::embedded();
        let store = bench.open().await;
        store.raise_fence().await.unwrap();
        if closes {
            store.close().await.unwrap();
        }
        drop(store);
        let claimed = claim_at(&*bench.open().await, NOW).await;
        // An unclean stop raises it further.
        let is_fenced =
            |outcome| matches!(outcome, ClaimOutcome::Fenced { not_before } if not_before >= NOW);
        assert!(is_fenced(claimed), "{claimed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_of_one_redis_has_it_also_one_that_starts_later() {
    let (bench, _server) = with_redis();
    let (one, other) = (bench.open().await, bench.open().await);
    for store in [&one, &other] {
        assert_eq!(claim_at(&**store, NOW).await, ClaimOutcome::Fresh);
    }
    one.raise_fence().await.unwrap();
    let later = bench.open().await;
    for store in [&one, &other, &later] {
        assert_eq!(claim_at(&**store, NOW).await, fenced());
        assert_eq!(claim_at(&**store, NOW + 1).await, ClaimOutcome::Fresh);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_after_a_restart_of_redis_has_it_without_a_fence_of_restarts() {
    let (bench, server) = with_redis();
    bench.open().await.raise_fence().await.unwrap();
    // As Redis looks to a replica after a restart that kept the data.
    server.run::<u64>(&["HSET", "countersign:{epoch}", "run_id", "another"]);
    let later = bench.open().await;
    let why: String = server.run(&["HGET", "countersign:{epoch}", "why"]);
    assert_eq!(why, "restart");
    assert_eq!(claim_at(&*later, NOW).await, fenced());
    assert_eq!(claim_at(&*later, NOW + 1).await, ClaimOutcome::Fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_of_a_cluster_has_it_when_the_call_returns() {
    let cluster = Cluster::start();
    let mut bench = Bench::redis(cluster.url());
    bench.config.timeout = Duration::from_secs(5);
    let (one, other) = (bench.open().await, bench.open().await);
    for store in [&one, &other] {
        assert_eq!(claim_at(&**store, NOW).await, ClaimOutcome::Fresh);
    }
    one.raise_fence().await.unwrap();
    for store in [&one, &other] {
        assert_eq!(claim_at(&**store, NOW).await, fenced());
    }
}

/// Claims a nonce that was never used.
async fn claim_at(store: &dyn Store, timestamp: u64) -> ClaimOutcome {
    let ck = key("ck");
    let mut claim = claim(&ck, timestamp, b"");
    let nonce = claim.check_id;
    claim.nonce = &nonce;
    store.claim_nonce(&claim).await.unwrap()
}

const fn fenced() -> ClaimOutcome {
    ClaimOutcome::Fenced { not_before: NOW }
}
