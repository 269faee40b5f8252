//! Sessions, and attempt counters.

use std::sync::Arc;
use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::store::{AttemptCounter, Store};

use super::{on_every_store, race};
use crate::store::bench::{Bench, NOW, session, with_redis};

on_every_store! {
    a_session_is_found_as_created_until_it_ends
    a_session_that_has_expired_is_not_found
    attempts_are_counted_each
    racing_attempts_are_all_counted
    a_released_attempt_never_counts_below_zero
    attempts_of_different_subjects_are_counted_apart
}

async fn a_session_is_found_as_created_until_it_ends(store: Arc<dyn Store>) {
    store.create_session(&session("cookie")).await.unwrap();
    store.create_session(&session("another")).await.unwrap();
    assert_eq!(
        store.session(&session("cookie").id).await.unwrap(),
        Some(session("cookie"))
    );
    for _ in 0..2 {
        store.delete_session(&session("cookie").id).await.unwrap();
        assert_eq!(store.session(&session("cookie").id).await.unwrap(), None);
    }
    assert_eq!(
        store.session(&session("another").id).await.unwrap(),
        Some(session("another"))
    );
}

async fn a_session_that_has_expired_is_not_found(store: Arc<dyn Store>) {
    for expired in [NOW, NOW - 10] {
        let mut over = session("cookie");
        over.expires_at = UnixTime::from_secs(expired);
        store.create_session(&over).await.unwrap();
        assert_eq!(store.session(&over.id).await.unwrap(), None);
    }
}

async fn attempts_are_counted_each(store: Arc<dyn Store>) {
    for attempt in 1..=5 {
        assert_eq!(
            store.count_attempt(&counter("a"), MINUTE).await.unwrap(),
            attempt
        );
    }
}

async fn racing_attempts_are_all_counted(store: Arc<dyn Store>) {
    let mut counts = race(30, &store, |store, _| async move {
        store.count_attempt(&counter("a"), MINUTE).await.unwrap()
    })
    .await;
    counts.sort_unstable();
    assert_eq!(counts, (1..=30).collect::<Vec<u64>>());
}

async fn a_released_attempt_never_counts_below_zero(store: Arc<dyn Store>) {
    let a = counter("a");
    store.take_attempts_back(&a, 3).await.unwrap();
    for attempt in 1..=5 {
        assert_eq!(store.count_attempt(&a, MINUTE).await.unwrap(), attempt);
    }
    store.take_attempts_back(&a, 2).await.unwrap();
    assert_eq!(store.count_attempt(&a, MINUTE).await.unwrap(), 4);
    store.take_attempts_back(&a, u64::MAX).await.unwrap();
    assert_eq!(store.count_attempt(&a, MINUTE).await.unwrap(), 1);
    store.take_attempts_back(&a, 1).await.unwrap();
    store.take_attempts_back(&a, 1).await.unwrap();
    assert_eq!(store.count_attempt(&a, MINUTE).await.unwrap(), 1);
}

async fn attempts_of_different_subjects_are_counted_apart(store: Arc<dyn Store>) {
    store.count_attempt(&counter("a"), MINUTE).await.unwrap();
    assert_eq!(store.count_attempt(&counter("b"), MINUTE).await.unwrap(), 1);
    assert_eq!(
        store
            .count_attempt(&AttemptCounter::new("other", b"a"), MINUTE)
            .await
            .unwrap(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_at_its_expiry() {
    let (redis, _server) = with_redis();
    for bench in [Bench::embedded(), Bench::memory(), redis] {
        let store = bench.open().await;
        store.create_session(&session("cookie")).await.unwrap();
        bench.clock.set(UnixTime::from_millis(
            session("cookie").expires_at.as_millis() - 1,
        ));
        assert!(
            store
                .session(&session("cookie").id)
                .await
                .unwrap()
                .is_some()
        );
        bench.clock.advance(Duration::from_millis(1));
        assert_eq!(store.session(&session("cookie").id).await.unwrap(), None);
    }
}

fn counter(subject: &str) -> AttemptCounter {
    AttemptCounter::new("test", subject.as_bytes())
}

const MINUTE: Duration = Duration::from_secs(60);
