//! Sessions: creation, lookup, deletion and expiry.

use std::sync::Arc;
use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::store::Store;

use super::on_every_store;
use crate::store::bench::{Bench, NOW, session, with_redis};

on_every_store! {
    a_session_is_found_as_it_was_created_until_it_is_deleted
    a_session_that_has_expired_is_not_found
}

async fn a_session_is_found_as_it_was_created_until_it_is_deleted(store: Arc<dyn Store>) {
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
