//! Counters of attempts.

use std::sync::Arc;
use std::time::Duration;

use countersign::store::{AttemptCounter, Store};

use super::{on_every_store, race};

on_every_store! {
    every_attempt_is_counted
    racing_attempts_are_all_counted
    attempts_are_subtracted_and_never_below_zero
    attempts_of_different_subjects_are_counted_separately
}

async fn every_attempt_is_counted(store: Arc<dyn Store>) {
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

async fn attempts_are_subtracted_and_never_below_zero(store: Arc<dyn Store>) {
    let a = counter("a");
    store.uncount_attempts(&a, 3).await.unwrap();
    for attempt in 1..=5 {
        assert_eq!(store.count_attempt(&a, MINUTE).await.unwrap(), attempt);
    }
    store.uncount_attempts(&a, 2).await.unwrap();
    assert_eq!(store.count_attempt(&a, MINUTE).await.unwrap(), 4);
    store.uncount_attempts(&a, u64::MAX).await.unwrap();
    assert_eq!(store.count_attempt(&a, MINUTE).await.unwrap(), 1);
    store.uncount_attempts(&a, 1).await.unwrap();
    store.uncount_attempts(&a, 1).await.unwrap();
    assert_eq!(store.count_attempt(&a, MINUTE).await.unwrap(), 1);
}

async fn attempts_of_different_subjects_are_counted_separately(store: Arc<dyn Store>) {
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

fn counter(subject: &str) -> AttemptCounter {
    AttemptCounter::new("test", subject.as_bytes())
}

const MINUTE: Duration = Duration::from_secs(60);
