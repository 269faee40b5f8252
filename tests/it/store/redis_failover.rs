//! The Redis store with Sentinels and on a Cluster, including the loss of a primary.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign::model::{RequestToken, RequestTokenState, Token};
use countersign::store::{
    AttemptCounter, ClaimOutcome, ResealOutcome, Store, StoreErrorKind, TokenHolder,
};
use tokio::time::Instant;

use super::bench::{
    Bench, NOW, causes, claim, claim_anything, consumer, key, name, request_token, session, token,
    user, user_id,
};
use super::conformance::scan::{check_content, everything, fill, label, scan};
use super::redis::until_it_works;
use crate::support::process::eventually;
use crate::support::redis::{Cluster, Sentinels, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_the_sentinels_is_followed() {
    let mut redis = Sentinels::start();
    let mut bench = Bench::redis(redis.url());
    bench.config.fence_on_restart = true;
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    let ck = key("ck");
    assert_eq!(
        store.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap(),
        ClaimOutcome::Fresh
    );
    redis.primary.wait_until_replicated();
    redis.primary.kill();
    let error = claim_anything(&*store).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let took = until_it_works(&*store).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(
        redis
            .replica
            .run::<String>(&["INFO", "replication"])
            .contains("role:master")
    );
    assert_eq!(
        store
            .caller_records(&ck, None)
            .await
            .unwrap()
            .consumer
            .as_deref(),
        Some(&consumer("ck"))
    );
    assert_eq!(store.status().restarts_seen, 1);
    assert_eq!(
        store.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap(),
        ClaimOutcome::Replayed,
        "the replica had it"
    );
    assert_eq!(
        store.claim_nonce(&claim(&ck, NOW, b"m")).await.unwrap(),
        ClaimOutcome::Fenced { not_before: NOW }
    );
    assert_eq!(
        store.claim_nonce(&claim(&ck, NOW + 1, b"n")).await.unwrap(),
        ClaimOutcome::Fresh
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_sentinel_is_not_in_the_way() {
    let mut redis = Sentinels::start();
    redis.kill_some(1);
    let store = Bench::redis(redis.url()).open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
}

#[tokio::test]
async fn without_a_sentinel_the_store_is_unavailable() {
    let bench = Bench::redis(format!("redis+sentinel://127.0.0.1:{}/main", free_port()));
    let store = bench.open().await;
    assert_eq!(
        claim_anything(&*store).await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_stores_records_and_nonces_in_every_slot() {
    let redis = Cluster::start();
    let store = Bench::redis(redis.url()).open().await;
    store.ping().await.unwrap();
    for at in 0..30 {
        let (ck, t) = (format!("ck{at:02}"), format!("t{at:02}"));
        store.create_consumer(&consumer(&ck)).await.unwrap();
        store.create_token(&token(&ck, &t)).await.unwrap();
        let mut changed = consumer(&ck);
        changed.revision = 2;
        store.update_consumer(&changed).await.unwrap();
        let t = Token::new(t).unwrap();
        let found = store.caller_records(&key(&ck), Some(&t)).await.unwrap();
        assert_eq!(
            (found.consumer.as_deref(), found.token.as_deref()),
            (Some(&changed), Some(&token(&ck, t.as_str())))
        );
        assert_eq!(store.token(&t).await.unwrap(), Some(token(&ck, t.as_str())));
        assert_eq!(
            store
                .claim_nonce(&claim(&key(&ck), NOW, b"n"))
                .await
                .unwrap(),
            ClaimOutcome::Fresh
        );
        assert_eq!(
            store
                .claim_nonce(&claim(&key(&ck), NOW, b"n"))
                .await
                .unwrap(),
            ClaimOutcome::Replayed
        );
    }
    assert_eq!(store.consumers(None, 100).await.unwrap().len(), 30);
    assert_eq!(store.status().restarts_seen, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_stores_tokens_and_removes_orphans_in_every_slot() {
    let redis = Cluster::start();
    let store = Bench::redis(redis.url()).open().await;
    for at in 0..20 {
        exchange_in_slot(&*store, at).await;
    }
    let of_jane = async || {
        let jane = user_id("jane doe");
        let tokens = store.tokens(TokenHolder::User(&jane), None, 100).await;
        tokens.unwrap().len()
    };
    assert_eq!(of_jane().await, 20);
    store.delete_token(&token("ck00", "t00")).await.unwrap();
    for at in 1..20 {
        store
            .delete_consumer(&consumer(&format!("ck{at:02}")))
            .await
            .unwrap();
    }
    assert_eq!(
        store.consumers(None, 100).await.unwrap(),
        [consumer("ck00")]
    );
    eventually(
        "the tokens of deleted consumers are removed",
        Duration::from_secs(20),
        async || (of_jane().await == 0).then_some(()),
    )
    .await;
}

/// Creates a consumer, and a token of Jane in exchange for temporary credentials.
async fn exchange_in_slot(store: &dyn Store, at: u8) {
    let (ck, r, t) = (
        format!("ck{at:02}"),
        format!("r{at:02}"),
        format!("t{at:02}"),
    );
    store.create_consumer(&consumer(&ck)).await.unwrap();
    store
        .create_request_token(&request_token(&ck, &r))
        .await
        .unwrap();
    let used = RequestToken {
        state: RequestTokenState::Used,
        revision: 2,
        ..request_token(&ck, &r)
    };
    store
        .exchange_request_token(&used, &token(&ck, &t))
        .await
        .unwrap();
    assert_eq!(store.request_token(&name(&r)).await.unwrap(), Some(used));
    let listed = store
        .tokens(TokenHolder::Consumer(&key(&ck)), None, 9)
        .await;
    assert_eq!(listed.unwrap(), [token(&ck, &t)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_stores_users_sessions_and_attempts_in_every_slot() {
    let redis = Cluster::start();
    let store = Bench::redis(redis.url()).open().await;
    for at in 0..20 {
        let (one, other) = (
            user(&format!("u{at:02}"), &format!("name{at}")),
            user("another", &format!("name{at}")),
        );
        store.create_user(&one).await.unwrap();
        assert_eq!(
            store.create_user(&other).await.unwrap_err().kind(),
            StoreErrorKind::AlreadyExists
        );
        let found = store.user_named(one.username.as_ref().unwrap()).await;
        assert_eq!(found.unwrap(), Some(one));
        let counter = AttemptCounter::new("test", &[at]);
        let counted = store.count_attempt(&counter, Duration::from_secs(60)).await;
        assert_eq!(counted.unwrap(), 1);
        store.uncount_attempts(&counter, 1).await.unwrap();
        let session = session(&format!("s{at}"));
        store.create_session(&session).await.unwrap();
        assert_eq!(store.session(&session.id).await.unwrap(), Some(session));
    }
    assert_eq!(store.users(None, 100).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_of_a_cluster_lists_the_records_of_every_primary() {
    let redis = Cluster::start();
    let mut bench = Bench::redis(redis.url());
    bench.config.timeout = Duration::from_secs(2);
    let store = bench.open().await;
    fill(&*store).await;
    let listed = scan(&*store, 7).await;
    let names: BTreeSet<_> = listed.iter().map(label).collect();
    assert_eq!(names, everything());
    let outcomes = store.reseal(&listed).await.unwrap();
    assert!(outcomes.iter().all(|one| *one == ResealOutcome::Resealed));
    check_content(&*store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_loses_a_primary_fails_over_and_other_slots_keep_working() {
    let mut redis = Cluster::start();
    let bench = Bench::redis(redis.url());
    let store = bench.open().await;
    let lost = redis.owner_of("countersign:{lost}:consumer");
    let other = (0..100)
        .map(|at| format!("other{at}"))
        .find(|ck| redis.owner_of(&format!("countersign:{{{ck}}}:consumer")) != lost)
        .unwrap();
    for ck in ["lost", &other] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    redis.nodes[lost].wait_until_replicated();
    redis.nodes[lost].kill();
    let (mut failed, mut of_others) = (0, 0);
    let started = Instant::now();
    while store.caller_records(&key("lost"), None).await.is_err() {
        failed += 1;
        of_others += usize::from(store.caller_records(&key(&other), None).await.is_err());
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "the slot is still not served"
        );
    }
    assert!(failed > 0);
    assert!(
        of_others <= failed / 2,
        "{of_others} calls for other slots failed beside {failed} for the lost one"
    );
    assert_eq!(
        store
            .caller_records(&key("lost"), None)
            .await
            .unwrap()
            .consumer
            .as_deref(),
        Some(&consumer("lost"))
    );
    let noticed = Instant::now();
    while store.status().restarts_seen == 0 {
        assert!(
            noticed.elapsed() < Duration::from_secs(10),
            "the new primary was not found"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_primary_is_frozen_is_followed_to_the_promoted_replica() {
    let redis = Cluster::start();
    let mut bench = Bench::redis(redis.url());
    bench
        .open()
        .await
        .create_consumer(&consumer("lost"))
        .await
        .unwrap();
    bench.config.timeout = Duration::from_millis(80);
    let store = bench.open().await;
    eventually(
        "the slots of the primary are served",
        Duration::from_secs(20),
        async || store.caller_records(&key("lost"), None).await.ok(),
    )
    .await;
    let lost = redis.owner_of("countersign:{lost}:consumer");
    redis.nodes[lost].wait_until_replicated();
    redis.nodes[lost].stop();
    let promoted = || {
        let nodes = redis.nodes.iter().enumerate();
        let others = nodes.filter(|(at, _)| *at != lost).map(|(_, node)| node);
        let primaries = others.filter(|node| {
            node.run::<String>(&["INFO", "replication"])
                .contains("role:master")
        });
        (primaries.count() == 3).then_some(())
    };
    eventually(
        "a replica is promoted",
        Duration::from_secs(30),
        async || promoted(),
    )
    .await;
    eventually(
        "the slots of the frozen primary are served",
        Duration::from_secs(20),
        async || store.caller_records(&key("lost"), None).await.ok(),
    )
    .await;
}

#[tokio::test]
async fn a_single_server_is_refused_as_a_cluster() {
    let server = crate::support::redis::RedisServer::start();
    let bench = Bench::redis(format!("redis+cluster://127.0.0.1:{}", server.port()));
    let store = bench.open().await;
    let error = claim_anything(&*store).await.unwrap_err();
    assert_eq!(
        error.kind(),
        StoreErrorKind::Unavailable,
        "{}",
        causes(&error)
    );
}
