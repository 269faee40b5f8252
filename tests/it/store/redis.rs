//! The promises of the Redis store beyond the contract, with a real Redis that fails.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::config::StoreUrl;
use countersign::model::{Token, Username};
use countersign::store::{
    AttemptCounter, ClaimOutcome, NonceClaim, Store, StoreError, StoreErrorKind, TokenHolder,
};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::bench::{
    Bench, CONSUMER_SECRET, KEPT, NOW, TOKEN_SECRET, causes, claim, claim_anything, consumer, key,
    name, request_token, session, token, user, user_id,
};
use crate::support::process::{START, eventually};
use crate::support::program::Countersign;
use crate::support::redis::{RedisServer, free_port};

// === One server that fails ===

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_is_unavailable_and_recovers_by_itself() {
    let (bench, mut server) = with_redis();
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    server.kill();
    for _ in 0..10 {
        let (error, took) = timed_failure(&*store).await;
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.is_transient());
        assert!(took < bench.config.timeout + SLACK, "{took:?}");
    }
    assert_eq!(
        store.ping().await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
    server.restart();
    let took = until_it_works(&*store).await;
    assert!(took < Duration::from_secs(1) + SLACK, "{took:?}");
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_delays_no_call_beyond_its_deadline() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    server.stop();
    let started = Instant::now();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { timed_failure(&*store).await })
        })
        .collect();
    for call in calls {
        let (error, took) = call.await.unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(took < bench.config.timeout + SLACK, "{took:?}");
    }
    // After several calls failed, the others fail at once.
    while started.elapsed() < Duration::from_secs(2) {
        let (_, took) = timed_failure(&*store).await;
        assert!(
            took < bench.config.timeout,
            "a call waited {took:?} although the circuit is open"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.cont();
    let took = until_it_works(&*store).await;
    assert!(took < Duration::from_secs(1) + SLACK, "{took:?}");
    assert_eq!(
        store.status().restarts_seen,
        0,
        "a pause counted as a restart"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_delays_no_change_and_no_list_beyond_its_deadline() {
    let (mut bench, server) = with_redis();
    bench.config.connections = 1;
    let mut stores = Vec::new();
    // Each call has its own store, whose circuit is still closed.
    for _ in 0..CALLS {
        stores.push(bench.open().await);
    }
    server.stop();
    let calls = stores
        .into_iter()
        .enumerate()
        .map(|(at, store)| async move {
            let started = Instant::now();
            (at, call(&*store, at).await.unwrap_err(), started.elapsed())
        });
    for (at, error, took) in join_all(calls).await {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "call {at}");
        assert!(took < bench.config.timeout + SLACK, "call {at}: {took:?}");
    }
    server.cont();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_stored_under_another_consumer_is_not_read() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("theirs")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    server.run::<()>(&[
        "RENAME",
        "countersign:{ck}:token:t",
        "countersign:{theirs}:token:t",
    ]);
    server.run::<()>(&["SET", "countersign:{t}:owner", "theirs"]);
    let checked = store
        .caller_records(&key("theirs"), Some(&name("t")))
        .await
        .unwrap_err();
    let shown = store.token(&name("t")).await.unwrap_err();
    assert_eq!(
        [checked.kind(), shown.kind()],
        [StoreErrorKind::Unreadable; 2]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_fail_no_call() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for _ in 0..5 {
        assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
        let _killed: i64 = server.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        for _ in 0..10 {
            assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
        }
    }
    assert_eq!(store.status().restarts_seen, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_primary_is_unavailable_until_it_is_promoted() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    let _ok: String = server.run(&["REPLICAOF", "127.0.0.1", "1"]);
    for _ in 0..10 {
        let (error, took) = timed_failure(&*store).await;
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(took < bench.config.timeout + SLACK, "{took:?}");
    }
    let _ok: String = server.run(&["REPLICAOF", "NO", "ONE"]);
    let took = until_it_works(&*store).await;
    assert!(took < Duration::from_secs(1) + SLACK, "{took:?}");
    assert_eq!(
        store.status().restarts_seen,
        1,
        "its data may have been replaced while it was a replica"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_writes_is_unavailable_with_a_reason() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for (option, value, back, remedy) in [
        ("maxmemory", "1", "0", "raise maxmemory"),
        ("min-replicas-to-write", "1", "0", "min-replicas-to-write"),
    ] {
        let _ok: String = server.run(&["CONFIG", "SET", option, value]);
        let error = claim_anything(&*store).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(causes(&error).contains(remedy), "{}", causes(&error));
        assert_eq!(
            store.ping().await.unwrap_err().kind(),
            StoreErrorKind::Unavailable
        );
        let _ok: String = server.run(&["CONFIG", "SET", option, back]);
        assert_eq!(
            claim_anything(&*store).await.unwrap(),
            ClaimOutcome::Fresh,
            "after {option}"
        );
    }
}

#[tokio::test]
async fn a_redis_that_loads_its_data_is_unavailable_until_it_has_loaded() {
    let (bench, mut server) = with_redis();
    let store = bench.open().await;
    let filled: String = server.run(&[
        "EVAL",
        "for i = 1, 2000 do redis.call('SET', 'k' .. i, ('x'):rep(1000)) end return 'filled'",
        "0",
    ]);
    assert_eq!(filled, "filled");
    let _ok: String = server.run(&["SAVE"]);
    server.kill();
    server.restart_with(&[
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut said = String::new();
    while !said.contains("loading") && Instant::now() < deadline {
        let (error, took) = timed_failure(&*store).await;
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(took < bench.config.timeout + SLACK, "{took:?}");
        said = open_and_fail(&bench).await;
    }
    assert!(said.contains("loading"), "{said}");
    until_it_works(&*store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_starts_later_is_used_once_it_is_up() {
    let port = free_port();
    let bench = Bench::redis(format!("redis://127.0.0.1:{port}"));
    let store = bench.open().await;
    assert_eq!(
        claim_anything(&*store).await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
    let _server = RedisServer::start_on(port, &[]);
    let took = until_it_works(&*store).await;
    assert!(took < Duration::from_secs(1) + SLACK, "{took:?}");
    assert_eq!(store.status().restarts_seen, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_redis_is_named_with_the_cause_and_retried() {
    let port = free_port();
    let bench = Bench::redis(format!("redis://user:s3cr3t@127.0.0.1:{port}/3"));
    let error = claim_anything(&*bench.open().await).await.unwrap_err();
    let expected = format!(
        "claiming a nonce failed: the store is unavailable: \
         cannot connect to Redis at 127.0.0.1:{port}: Connection refused (os error 111); retrying"
    );
    assert_eq!(causes(&error), expected);
}

#[tokio::test]
async fn a_refused_password_is_reported_and_never_shown() {
    let server = RedisServer::start_with(&["--requirepass", "right-s3cr3t"]);
    for url in [
        format!("redis://:wrong-s3cr3t@127.0.0.1:{}", server.port()),
        server.url(),
    ] {
        let bench = Bench::redis(url);
        let logs = Logs::capture();
        let store = bench.open().await;
        let error = claim_anything(&*store).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let said = format!(
            "{} {error:?} {store:?} {:?} {}",
            causes(&error),
            bench.config,
            logs.text()
        );
        assert!(!said.contains("s3cr3t"), "{said}");
        assert!(
            logs.text().contains("user name or password"),
            "{}",
            logs.text()
        );
        assert!(
            causes(&error).contains("user name or password"),
            "{}",
            causes(&error)
        );
    }
    let right = Bench::redis(format!("redis://:right-s3cr3t@127.0.0.1:{}", server.port()));
    assert_eq!(
        claim_anything(&*right.open().await).await.unwrap(),
        ClaimOutcome::Fresh
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_consumer_is_not_found_and_a_flushed_script_cache_changes_nothing() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    let _ok: String = server.run(&["SCRIPT", "FLUSH"]);
    let mut changed = consumer("ck");
    changed.revision = 2;
    store.update_consumer(&changed).await.unwrap();
    let _ok: String = server.run(&["FLUSHALL"]);
    assert_eq!(
        store
            .caller_records(&key("ck"), None)
            .await
            .unwrap()
            .consumer
            .as_deref(),
        None
    );
}

// === A server that lost its data ===

#[tokio::test]
async fn a_restart_is_counted_once_and_logged() {
    let (bench, mut server) = with_redis();
    let logs = Logs::capture();
    let store = bench.open().await;
    for restarts in 1..=2 {
        server.kill();
        server.restart();
        until_it_works(&*store).await;
        assert_eq!(store.status().restarts_seen, restarts);
    }
    assert_eq!(
        claim_at(&*store, NOW).await,
        ClaimOutcome::Fresh,
        "without the option, no claim is fenced"
    );
    assert_eq!(
        logs.text().matches("Redis lost its data").count(),
        2,
        "{}",
        logs.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_option_a_restart_fences_earlier_requests() {
    let (mut bench, mut server) = with_redis();
    bench.config.fence_on_restart = true;
    let store = bench.open().await;
    let ck = key("ck");
    assert_eq!(
        store.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap(),
        ClaimOutcome::Fresh
    );
    bench.clock.advance(Duration::from_secs(5));
    server.kill();
    server.restart();
    until_it_works(&*store).await;
    assert_eq!(
        store.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap(),
        ClaimOutcome::Fenced {
            not_before: NOW + 5
        }
    );
    assert_eq!(
        claim_at(&*store, NOW + 5).await,
        ClaimOutcome::Fenced {
            not_before: NOW + 5
        }
    );
    assert_eq!(claim_at(&*store, NOW + 6).await, ClaimOutcome::Fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_claim_slips_through_between_a_restart_and_its_fence() {
    let (mut bench, mut server) = with_redis();
    bench.config.fence_on_restart = true;
    let store = bench.open().await;
    let ck = key("ck");
    for round in 0..5_u8 {
        let timestamp = NOW + u64::from(round);
        bench.clock.set(UnixTime::from_secs(timestamp));
        assert_eq!(
            store
                .claim_nonce(&claim(&ck, timestamp, &[round]))
                .await
                .unwrap(),
            ClaimOutcome::Fresh
        );
        server.kill();
        server.restart();
        let deadline = Instant::now() + Duration::from_secs(10);
        let replayed = loop {
            match store.claim_nonce(&claim(&ck, timestamp, &[round])).await {
                Ok(outcome) => break outcome,
                Err(_) => assert!(Instant::now() < deadline),
            }
        };
        assert_eq!(
            replayed,
            ClaimOutcome::Fenced {
                not_before: timestamp
            }
        );
    }
}

#[tokio::test]
async fn an_evicting_redis_causes_one_warning() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let bench = Bench::redis(server.url());
    let logs = Logs::capture();
    let store = bench.open().await;
    let _killed: i64 = server.run(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    assert_eq!(
        logs.text()
            .matches("set maxmemory-policy to noeviction")
            .count(),
        1,
        "{}",
        logs.text()
    );
    assert!(logs.text().contains("allkeys-lru"));
}

// === Refused configurations ===

#[tokio::test]
async fn without_a_master_key_the_store_does_not_open() {
    let (mut bench, _server) = with_redis();
    bench.config.master_key_file = None;
    let error = bench.try_open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable);
    assert!(
        causes(&error).contains("countersign keygen"),
        "{}",
        causes(&error)
    );
    bench.config.master_key_file = Some(PathBuf::from("/nowhere/master-key"));
    assert!(causes(&bench.try_open().await.unwrap_err()).contains("/nowhere/master-key"));
}

#[tokio::test]
async fn an_invalid_address_is_refused() {
    let mut bench = Bench::redis("redis://u:s3cr3t@127.0.0.1/notanumber");
    let error = bench.try_open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable);
    assert!(
        causes(&error).contains("store.url") && !format!("{error:?}").contains("s3cr3t"),
        "{error:?}"
    );
    bench.config.url = StoreUrl::Redis("memcached://h".into());
    assert!(causes(&bench.try_open().await.unwrap_err()).contains("redis+cluster://"));
}

#[tokio::test]
async fn a_cluster_node_is_refused_as_a_single_server() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let error = Bench::redis(server.url()).try_open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable);
    assert!(
        causes(&error).contains("redis+cluster://"),
        "{}",
        causes(&error)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_self_signed_certificate_is_not_trusted() {
    let server = TlsServer::start();
    let store = Bench::redis(server.url()).open().await;
    let error = claim_anything(&*store).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let said = causes(&error);
    assert!(
        said.contains("UnknownIssuer; set store.tls.ca_file"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_of_an_authority_in_ssl_cert_file_is_trusted() {
    let server = TlsServer::start();
    let authority = [("SSL_CERT_FILE", server.certificate.to_str().unwrap())];
    let program = Countersign::start_in(&authority, &server.url(), "").await;
    eventually("the store reaches Redis", START, async || {
        program.is_serving().await.then_some(())
    })
    .await;
}

// === Storage ===

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_expires_at_the_time_of_its_claim() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let ck = key("ck");
    let ahead = NonceClaim {
        token: None,
        ..claim(&ck, NOW + 100, b"n")
    };
    assert_eq!(
        store.claim_nonce(&ahead).await.unwrap(),
        ClaimOutcome::Fresh
    );
    let names: Vec<String> = server.run(&["KEYS", "countersign:{ck}:nonces:*"]);
    let [name] = names.as_slice() else {
        panic!("{names:?}")
    };
    let left: u64 = server.run(&["PTTL", name]);
    let whole = u64::try_from((KEPT + Duration::from_secs(100)).as_millis()).unwrap();
    assert!(
        (whole - 10_000..=whole + 1000).contains(&left),
        "{left} of {whole} ms are left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_of_a_consumer_has_its_hash_tag() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let mut odd = consumer("a}{b");
    odd.key = key("a}{b");
    store.create_consumer(&odd).await.unwrap();
    store.create_token(&token("a}{b", "t")).await.unwrap();
    let _fresh = store
        .claim_nonce(&claim(&odd.key, NOW, b"n"))
        .await
        .unwrap();
    let names: Vec<String> = server.run(&["KEYS", "countersign:{a*"]);
    assert_eq!(names.len(), 4, "{names:?}");
    let tags: std::collections::BTreeSet<_> = names
        .iter()
        .map(|name| name.split_inclusive('}').next())
        .collect();
    assert_eq!(tags.len(), 1, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_field_of_a_record_is_in_the_dump() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    let _ok: String = server.run(&["SAVE"]);
    let dump = std::fs::read(server.directory().join("dump.rdb")).unwrap();
    let contains = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    assert!(
        contains(b"countersign:{ck}:consumer"),
        "the dump does not contain the record"
    );
    for field in [CONSUMER_SECRET, TOKEN_SECRET, b"Printer Example"] {
        assert!(!contains(field), "{}", field.escape_ascii());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_creation_can_be_repeated() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let _added: u64 = server.run(&["ZADD", "countersign:consumers", "0", "ck"]);
    let _ok: String = server.run(&["SET", "countersign:{t}:owner", "ck"]);
    assert!(
        store.consumers(None, 10).await.unwrap().is_empty(),
        "lists skip an entry without a record"
    );
    assert_eq!(store.token(&Token::new("t").unwrap()).await.unwrap(), None);
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    assert_eq!(store.consumers(None, 10).await.unwrap(), [consumer("ck")]);
    assert_eq!(
        store.token(&Token::new("t").unwrap()).await.unwrap(),
        Some(token("ck", "t"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_full_although_entries_without_a_record_are_skipped() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for ghost in ["a", "b", "d"] {
        let _added: u64 = server.run(&["ZADD", "countersign:consumers", "0", ghost]);
    }
    store.create_consumer(&consumer("c")).await.unwrap();
    store.create_consumer(&consumer("e")).await.unwrap();
    assert_eq!(
        store.consumers(None, 2).await.unwrap(),
        [consumer("c"), consumer("e")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_value_under_a_key_is_an_error_and_no_answer() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let _ok: String = server.run(&["SET", "countersign:{ck}:consumer", "\u{1f}"]);
    let error = store.caller_records(&key("ck"), None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    assert!(causes(&error).contains("version 31"), "{}", causes(&error));
    let ck = key("nonces");
    let _fresh = store.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap();
    let names: Vec<String> = server.run(&["KEYS", "countersign:{nonces}:nonces:*"]);
    let _deleted: i64 = server.run(&["DEL", &names[0]]);
    let _pushed: i64 = server.run(&["LPUSH", &names[0], "x"]);
    assert_eq!(
        store
            .claim_nonce(&claim(&ck, NOW, b"n"))
            .await
            .unwrap_err()
            .kind(),
        StoreErrorKind::Unreadable
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_their_nonces_and_records() {
    let (bench, _server) = with_redis();
    let (one, other) = (bench.open().await, bench.open().await);
    let ck = key("ck");
    assert_eq!(
        one.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap(),
        ClaimOutcome::Fresh
    );
    assert_eq!(
        other.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap(),
        ClaimOutcome::Replayed
    );
    one.create_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(
        other
            .caller_records(&ck, None)
            .await
            .unwrap()
            .consumer
            .as_deref(),
        Some(&consumer("ck"))
    );
}

// === Helpers ===

/// Makes one of the calls of a store, by number.
async fn call(store: &dyn Store, at: usize) -> Result<(), StoreError> {
    let (ck, u1) = (key("ck"), user_id("u1"));
    match at {
        0 => store.create_consumer(&consumer("ck")).await,
        1 => store.update_consumer(&consumer("ck")).await,
        2 => store.delete_consumer(&consumer("ck")).await,
        3 => store.consumer(&ck).await.map(drop),
        4 => store.consumers(None, 10).await.map(drop),
        5 => store.create_token(&token("ck", "t")).await,
        6 => store.update_token(&token("ck", "t")).await,
        7 => store.delete_token(&token("ck", "t")).await,
        8 => store.token(&name("t")).await.map(drop),
        9 => store
            .tokens(TokenHolder::Consumer(&ck), None, 10)
            .await
            .map(drop),
        10 => store
            .tokens(TokenHolder::User(&u1), None, 10)
            .await
            .map(drop),
        11 => store.create_user(&user("u1", "Jane")).await,
        12 => store.update_user(&user("u1", "Jane")).await,
        13 => store.user(&u1).await.map(drop),
        14 => store
            .user_named(&Username::new("Jane").unwrap())
            .await
            .map(drop),
        15 => store.users(None, 10).await.map(drop),
        16 => store.create_request_token(&request_token("ck", "t")).await,
        17 => store.update_request_token(&request_token("ck", "t")).await,
        18 => {
            store
                .exchange_request_token(&request_token("ck", "t"), &token("ck", "t"))
                .await
        }
        19 => store.request_token(&name("t")).await.map(drop),
        20 => store.create_session(&session("cookie")).await,
        21 => store.session(&session("cookie").id).await.map(drop),
        22 => store.delete_session(&session("cookie").id).await,
        23 => store
            .count_attempt(&AttemptCounter::new("kind", b"name"), KEPT)
            .await
            .map(drop),
        24 => {
            store
                .uncount_attempts(&AttemptCounter::new("kind", b"name"), 1)
                .await
        }
        _ => store.caller_records(&ck, Some(&name("t"))).await.map(drop),
    }
}

const CALLS: usize = 26;

/// Returns a bench whose store gives up soon.
fn with_redis() -> (Bench, RedisServer) {
    let (mut bench, server) = super::bench::with_redis();
    bench.config.timeout = Duration::from_millis(250);
    (bench, server)
}

const SLACK: Duration = Duration::from_secs(2);

/// A Redis with TLS and a self-signed certificate.
struct TlsServer {
    port: u16,
    certificate: PathBuf,
    _redis: RedisServer,
    _directory: tempfile::TempDir,
}

impl TlsServer {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (
            directory.path().join("cert.pem"),
            directory.path().join("key.pem"),
        );
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let port = free_port();
        let cert = certificate.to_str().unwrap();
        let redis = RedisServer::start_with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            cert,
            "--tls-key-file",
            key.to_str().unwrap(),
            "--tls-ca-cert-file",
            cert,
            "--tls-auth-clients",
            "no",
        ]);
        Self {
            port,
            certificate,
            _redis: redis,
            _directory: directory,
        }
    }

    fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }
}

async fn claim_at(store: &dyn Store, timestamp: u64) -> ClaimOutcome {
    store
        .claim_nonce(&claim(&key("ck"), timestamp, b"claimed at"))
        .await
        .unwrap()
}

async fn timed_failure(store: &dyn Store) -> (StoreError, Duration) {
    let started = Instant::now();
    (claim_anything(store).await.unwrap_err(), started.elapsed())
}

/// Waits until a claim is answered, and returns the time that it took.
pub(super) async fn until_it_works(store: &dyn Store) -> Duration {
    let started = Instant::now();
    while claim_anything(store).await.is_err() {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "the store did not recover"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    started.elapsed()
}

/// Opens a store on an unusable Redis, and returns the log.
async fn open_and_fail(bench: &Bench) -> String {
    let logs = Logs::capture();
    drop(bench.open().await);
    logs.text()
}

/// Captures the log of this thread while it is held; a test that reads it runs on one thread.
pub(super) struct Logs {
    buffer: Buffer,
    _other: tracing::Dispatch,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub(super) fn capture() -> Self {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        // With a single dispatcher, another thread that reaches an event first would disable it for
        // all threads.
        let _other = tracing::Dispatch::new(tracing_subscriber::registry());
        Self {
            buffer,
            _other,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.buffer.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
