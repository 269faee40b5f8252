//! Clocks that differ: that of Redis, and that of a replica.

use std::time::Duration;

use countersign::clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy, UnixTime};
use countersign::store::{ClaimOutcome, NonceClaim, Store, StoreError, StoreErrorKind};

use super::bench::{Bench, NOW, causes, claim, key, with_redis};
use super::redis::Logs;
use super::shifting_proxy::Shifting;
use crate::support::process::eventually;

#[tokio::test]
async fn a_replica_whose_clock_is_far_off_claims_nothing_until_it_is_right() {
    let (mut bench, _server) = with_redis();
    bench.config.max_clock_skew = Duration::from_secs(30);
    let logs = Logs::capture();
    for (off, named) in [(-90, "ahead of this host's"), (90, "behind this host's")] {
        set_clock(&bench, 0);
        let store = bench.open().await;
        assert_eq!(
            claim_by_clock(&bench, &*store).await.unwrap(),
            ClaimOutcome::Fresh
        );
        set_clock(&bench, off);
        // At once, before any probe.
        let error = claim_by_clock(&bench, &*store).await.unwrap_err();
        assert_eq!(
            error.kind(),
            StoreErrorKind::ClockSkew,
            "{}",
            causes(&error)
        );
        assert!(
            error.is_transient() && causes(&error).contains(named),
            "{}",
            causes(&error)
        );
        let ping = store.ping().await.unwrap_err();
        assert_eq!(ping.kind(), StoreErrorKind::ClockSkew);
        let shown = store.status().clock_skew_millis;
        assert!((shown + off * 1000).abs() < 10_000, "{shown}");
        set_clock(&bench, 0);
        let claimed = eventually("it recovers", PATIENCE, async || {
            claim_by_clock(&bench, &*store).await.ok()
        });
        assert_eq!(claimed.await, ClaimOutcome::Fresh);
        assert_eq!(store.status().restarts_seen, 0, "its own clock was moved");
    }
    assert!(
        logs.text().contains("refusing every nonce"),
        "{}",
        logs.text()
    );
}

#[tokio::test]
async fn a_small_difference_is_warned_of_once() {
    let (mut bench, _server) = with_redis();
    bench.config.max_clock_skew = Duration::from_secs(30);
    set_clock(&bench, -15);
    let logs = Logs::capture();
    let store = bench.open().await;
    for _ in 0..3 {
        assert_eq!(
            claim_by_clock(&bench, &*store).await.unwrap(),
            ClaimOutcome::Fresh
        );
    }
    assert_eq!(logs.text().matches("by more than a second").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_redis_that_jumps_ahead_is_handled_as_a_restart() {
    let (mut bench, server) = with_redis();
    bench.config.fence_on_restart = true;
    let other = bench.open().await;
    let proxy = Shifting::before(server.port()).await;
    let mut through_proxy = Bench::redis(proxy.url());
    through_proxy.config.timeout = Duration::from_secs(2);
    through_proxy.config.fence_on_restart = true;
    through_proxy.config.master_key_file = bench.config.master_key_file.clone();
    let store = through_proxy.open().await;
    let ck = key("ck");
    let claimed = claim(&ck, NOW, b"n");
    assert_eq!(
        store.claim_nonce(&claimed).await.unwrap(),
        ClaimOutcome::Fresh
    );
    proxy.shift(600);
    eventually("the probe notices", PATIENCE, async || {
        (store.status().restarts_seen > 0).then_some(())
    })
    .await;
    let fenced = ClaimOutcome::Fenced { not_before: NOW };
    for store in [&store, &other] {
        assert_eq!(store.claim_nonce(&claimed).await.unwrap(), fenced);
        assert_eq!(store.status().restarts_seen, 1);
    }
}

/// Sets the clock of a bench to that of the system, plus some seconds.
fn set_clock(bench: &Bench, off: i64) {
    let millis = SystemClock.now().as_millis();
    let millis = millis.saturating_add_signed(off * 1000);
    bench.clock.set(UnixTime::from_millis(millis));
}

/// Claims a nonce at the time that the clock of a bench shows.
async fn claim_by_clock(bench: &Bench, store: &dyn Store) -> Result<ClaimOutcome, StoreError> {
    let (ck, now) = (key("ck"), bench.clock.now());
    let mut nonce = [0; 16];
    SystemEntropy.fill(&mut nonce);
    let claimed = NonceClaim {
        now,
        ..claim(&ck, now.as_secs(), &nonce)
    };
    store.claim_nonce(&claimed).await
}

/// The longest time until the probe notices.
const PATIENCE: Duration = Duration::from_secs(15);
