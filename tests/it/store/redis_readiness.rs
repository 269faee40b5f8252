//! The readiness of the Redis store: a synthetic check with real commands, and the proof of the
//! master key.

use countersign::clock::SystemEntropy;
use countersign::store::{StoreErrorKind, new_master_key};

use super::bench::{Bench, causes, consumer, key, name, session, token, with_redis, write_private};
use crate::support::process::{START, eventually};
use crate::support::redis::{RedisServer, free_port, wait_until};

// === Commands ===

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_not_ready_without_any_command_of_a_check_and_names_it() {
    let server = RedisServer::start();
    for command in ["evalsha", "eval", "mget", "exists", "get", "set"] {
        let bench = limited(&server, command);
        let store = bench.open().await;
        let error = store.ping().await.expect_err(command);
        let said = causes(&error).to_lowercase();
        assert!(said.contains(command), "{command}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_not_ready_without_a_command_of_the_script_that_claims() {
    let server = RedisServer::start();
    for command in ["hsetnx", "pttl", "pexpire"] {
        let store = limited(&server, command).open().await;
        let error = store.ping().await.expect_err(command);
        let said = causes(&error);
        assert!(said.contains("claiming a nonce"), "{command}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_ready_once_the_command_is_allowed() {
    let server = RedisServer::start();
    let store = limited(&server, "mget").open().await;
    assert!(store.ping().await.is_err());
    let _ok: String = server.run(&["ACL", "SETUSER", "app", "+mget"]);
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synthetic_check_leaves_nothing_but_the_canary() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for _ in 0..5 {
        store.ping().await.unwrap();
    }
    let left = || -> Vec<String> { server.run(&["KEYS", "countersign:*:nonces:*"]) };
    assert!(left().len() <= 5, "{:?}", left());
    wait_until("the claims expire", || left().is_empty());
    // The probe writes its own key, and the inspection the marker of the epoch.
    let mut kept: Vec<String> = server.run(&["KEYS", "*"]);
    kept.retain(|key| !["countersign:{probe}", "countersign:{epoch}"].contains(&key.as_str()));
    assert_eq!(kept, ["countersign:{canary}"]);
}

// === The master key ===

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_with_another_master_key_does_not_start() {
    let server = RedisServer::start();
    let (one, other) = (Bench::redis(server.url()), Bench::redis(server.url()));
    let store = one.open().await;
    store.ping().await.unwrap();
    let error = other.try_open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::WrongMasterKey);
    let said = causes(&error);
    assert!(said.contains("store.master_key_file"), "{said}");
    assert!(said.contains(&key_id(&one)), "{said}");
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_with_another_key_that_started_before_redis_writes_nothing() {
    let port = free_port();
    let other = Bench::redis(format!("redis://127.0.0.1:{port}"));
    let store = other.open().await;
    let error = store.create_consumer(&consumer("ck")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let server = RedisServer::start_on(port, &[]);
    let one = Bench::redis(server.url()).open().await;
    one.create_consumer(&consumer("theirs")).await.unwrap();
    eventually("the key is refused", START, async || {
        let error = store.ping().await.unwrap_err();
        (error.kind() == StoreErrorKind::WrongMasterKey).then_some(())
    })
    .await;
    for refused in [
        store.create_consumer(&consumer("ck")).await,
        store.create_token(&token("theirs", "t")).await,
        store.create_session(&session("cookie")).await,
    ] {
        assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::WrongMasterKey);
    }
    assert_eq!(one.consumer(&key("ck")).await.unwrap(), None);
    assert_eq!(one.token(&name("t")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_started_before_redis_writes_as_soon_as_redis_answers() {
    let port = free_port();
    let bench = Bench::redis(format!("redis://127.0.0.1:{port}"));
    let store = bench.open().await;
    let _server = RedisServer::start_on(port, &[]);
    eventually("a consumer is created", START, async || {
        store.create_consumer(&consumer("ck")).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_of_another_installation_makes_a_running_store_unready() {
    let ((bench, server), (theirs, other)) = (with_redis(), with_redis());
    let store = bench.open().await;
    theirs.open().await.ping().await.unwrap();
    store.ping().await.unwrap();
    let canary = hex_of(&other);
    let script = "redis.call('SET', KEYS[1], (ARGV[1]:gsub('..', function(d) return string.char(tonumber(d, 16)) end))) return 'OK'";
    let _ok: String = server.run(&["EVAL", script, "1", CANARY, &canary]);
    assert_eq!(
        store.ping().await.unwrap_err().kind(),
        StoreErrorKind::WrongMasterKey
    );
    let refused = store.create_consumer(&consumer("ck")).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::WrongMasterKey);
    let _ok: String = server.run(&["FLUSHALL"]);
    eventually("it writes again", START, async || {
        store.create_consumer(&consumer("ck")).await.ok()
    })
    .await;
    eventually("it is ready", START, async || store.ping().await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_without_a_replica_that_is_not_ready() {
    let server = RedisServer::start();
    let bench = |lines: &[&str]| {
        let bench = Bench::redis(server.url());
        write_private(
            bench.config.master_key_file.as_ref().unwrap(),
            &lines.join("\n"),
        );
        bench
    };
    let (old, new) = (
        new_master_key(&SystemEntropy),
        new_master_key(&SystemEntropy),
    );
    let (only_old, appended, first) = (bench(&[&old]), bench(&[&old, &new]), bench(&[&new, &old]));
    let before = only_old.open().await;
    before.create_consumer(&consumer("a")).await.unwrap();
    let prepared = appended.open().await;
    before.ping().await.unwrap();
    let rotated = first.open().await;
    rotated.create_consumer(&consumer("b")).await.unwrap();
    prepared.create_consumer(&consumer("c")).await.unwrap();
    for store in [&prepared, &rotated] {
        store.ping().await.unwrap();
        assert_eq!(store.consumers(None, 9).await.unwrap().len(), 3);
    }
    // A replica that was left out could not read what the others write.
    let refused = before.ping().await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::WrongMasterKey);
}

/// Returns a bench whose Redis user may run every command except one.
fn limited(server: &RedisServer, without: &str) -> Bench {
    let deny = format!("-{without}");
    let _ok: String = server.run(&[
        "ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "&*", "+@all", &deny,
    ]);
    let mut bench = Bench::redis(format!("redis://app:pw@127.0.0.1:{}", server.port()));
    let shared = server.directory().join("master-key");
    if !shared.exists() {
        write_private(&shared, &new_master_key(&SystemEntropy));
    }
    bench.config.master_key_file = Some(shared);
    bench
}

fn key_id(bench: &Bench) -> String {
    let line = std::fs::read_to_string(bench.config.master_key_file.as_ref().unwrap()).unwrap();
    line.split_once(':').unwrap().0.to_owned()
}

fn hex_of(server: &RedisServer) -> String {
    let script = "return (redis.call('GET', KEYS[1]):gsub('.', function(c) return ('%02x'):format(c:byte()) end))";
    server.run(&["EVAL", script, "1", CANARY])
}

const CANARY: &str = "countersign:{canary}";
