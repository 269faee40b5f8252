//! Lookups of callers in Redis: their commands, batches and connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::Clock;
use countersign::config::CacheConfig;
use countersign::model::AccessToken;
use countersign::store::{CachedStore, CallerRecords, CheckStore, Store, StoreErrorKind};
use countersign::telemetry::Metrics;
use futures_util::future::join_all;
use tokio::runtime::Runtime;

use super::bench::{Bench, consumer, key, name, ready, token, user, with_redis};
use crate::support::redis::{Cluster, RedisServer};

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_takes_one_round_trip_and_the_user_of_a_token_another_whether_they_exist_or_not() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    store
        .create_token(&AccessToken {
            user_id: None,
            ..token("ck", "nobody's")
        })
        .await
        .unwrap();
    store.create_user(&user("jane doe", "Jane")).await.unwrap();
    // `EXISTS` reads the keys of `MGET` once more, in the same round trip.
    let with_token = (vec![("mget", 1), ("exists", 1), ("get", 1)], 5);
    let without = (vec![("mget", 1), ("exists", 1)], 2);
    for (consumer, asked, wanted) in [
        ("ck", Some("t"), &with_token),
        ("ck", Some("nobody's"), &with_token),
        ("ck", Some("unknown"), &with_token),
        ("unknown", Some("t"), &with_token),
        ("ck", None, &without),
        ("unknown", None, &without),
    ] {
        let _ok: String = server.run(&["CONFIG", "RESETSTAT"]);
        store
            .caller_records(&key(consumer), asked.map(name).as_ref())
            .await
            .unwrap();
        let (called, keys) = wanted;
        let called = called
            .iter()
            .map(|&(command, calls)| (command.to_owned(), calls))
            .collect();
        assert_eq!(commands(&server), called, "{consumer} {asked:?}");
        assert_eq!(reads(&server), *keys, "{consumer} {asked:?}");
    }
}

// On one thread, all of them are pending before the first is sent.
#[tokio::test]
async fn look_ups_that_arrive_together_share_commands_and_each_gets_its_own_answer() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for at in 0..10 {
        create(&*store, at).await;
    }
    let _ok: String = server.run(&["CONFIG", "RESETSTAT"]);
    let found = look_up_all(&*store, 100).await;
    assert_eq!(
        commands(&server),
        BTreeMap::from([
            ("mget".to_owned(), 1),
            ("exists".to_owned(), 1),
            ("get".to_owned(), 100)
        ])
    );
    check_all(&found);
}

/// If it counted as absent, the user would count as active.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_no_user_record_is_an_error_for_that_users_tokens_alone() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    create(&*store, 1).await;
    store
        .create_token(&AccessToken {
            user_id: None,
            ..token("ck1", "nobody's")
        })
        .await
        .unwrap();
    let names: Vec<String> = server.run(&["KEYS", "countersign:*jane*:user"]);
    let _deleted: u64 = server.run(&["DEL", &names[0]]);
    let _pushed: u64 = server.run(&["LPUSH", &names[0], "x"]);
    let ck = key("ck1");
    let (of_user, of_nobody) = (name("t1"), name("nobody's"));
    let (refused, found) = tokio::join!(
        store.caller_records(&ck, Some(&of_user)),
        store.caller_records(&ck, Some(&of_nobody))
    );
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Unreadable);
    assert!(found.unwrap().token.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_look_ups_of_every_slot_run_together() {
    let redis = Cluster::start();
    let store = Bench::redis(redis.url()).open().await;
    for at in 0..10 {
        create(&*store, at).await;
    }
    check_all(&look_up_all(&*store, 60).await);
}

#[test]
fn a_look_up_on_one_runtime_waits_for_no_other_and_is_cached_for_all() {
    let (bench, server) = with_redis();
    let (home, elsewhere) = (runtime(), runtime());
    let cached = home.block_on(async {
        let store = bench.open().await;
        create(&*store, 1).await;
        let cache = CacheConfig {
            max_age: Duration::from_secs(10),
            max_stale_age: Duration::ZERO,
            max_bytes: 1 << 20,
        };
        CachedStore::new(
            store,
            Arc::clone(&bench.clock) as Arc<dyn Clock>,
            &cache,
            Arc::new(Metrics::default()),
        )
    });
    // From here on, the runtime that serves the shared store's own connections does not run.
    let here = elsewhere.block_on(async {
        let here = Arc::clone(&cached).for_this_runtime().unwrap();
        check(
            1,
            &here
                .caller_records(&key("ck1"), Some(&name("t1")))
                .await
                .unwrap(),
        );
        check(
            12,
            &here
                .caller_records(&key("ck12"), Some(&name("t12")))
                .await
                .unwrap(),
        );
        here
    });
    let _ok: String = server.run(&["CONFIG", "RESETSTAT"]);
    let everywhere: [Arc<dyn CheckStore>; 2] = [here, cached];
    for store in &everywhere {
        check(
            1,
            &ready(store.caller_records(&key("ck1"), Some(&name("t1")))).unwrap(),
        );
        check(
            12,
            &ready(store.caller_records(&key("ck12"), Some(&name("t12")))).unwrap(),
        );
    }
}

// === Helpers ===

/// Creates a consumer, a token that acts for Jane, and Jane.
async fn create(store: &dyn Store, at: usize) {
    let (ck, t) = (format!("ck{at}"), format!("t{at}"));
    store.create_consumer(&consumer(&ck)).await.unwrap();
    store.create_token(&token(&ck, &t)).await.unwrap();
    if store
        .user(&user("jane doe", "Jane").id)
        .await
        .unwrap()
        .is_none()
    {
        store.create_user(&user("jane doe", "Jane")).await.unwrap();
    }
}

/// Looks up `count` consumers and tokens at once; the first ten exist.
async fn look_up_all(store: &dyn Store, count: usize) -> Vec<CallerRecords> {
    let lookups = (0..count).map(|at| async move {
        store
            .caller_records(&key(&format!("ck{at}")), Some(&name(&format!("t{at}"))))
            .await
            .unwrap()
    });
    join_all(lookups).await
}

fn check_all(found: &[CallerRecords]) {
    found
        .iter()
        .enumerate()
        .for_each(|(at, found)| check(at, found));
}

/// Checks that the records are the consumer and token of that number, if it is below ten, and
/// Jane's standing.
fn check(at: usize, found: &CallerRecords) {
    if at >= 10 {
        return assert!(
            found.consumer.is_none() && found.token.is_none(),
            "{at}: {found:?}"
        );
    }
    assert_eq!(
        found.consumer.as_deref(),
        Some(&consumer(&format!("ck{at}")))
    );
    assert_eq!(
        found.token.as_deref(),
        Some(&token(&format!("ck{at}"), &format!("t{at}")))
    );
    assert_eq!(found.user.generation, user("jane doe", "Jane").generation);
}

/// Returns the number of calls of each command, without those that the client sends for itself.
fn commands(server: &RedisServer) -> BTreeMap<String, u64> {
    let mut commands = server.command_counts();
    let beside = [
        "config|resetstat",
        "info",
        "set",
        "ping",
        "hello",
        "client|setinfo",
        "client|setname",
        "publish",
    ];
    commands.retain(|command, _| !beside.contains(&command.as_str()));
    commands
}

/// Returns the number of keys that were read, absent ones included.
fn reads(server: &RedisServer) -> u64 {
    let stats: String = server.run(&["INFO", "stats"]);
    let number = |line: &str| {
        line.split_once(':')
            .map_or(0, |(_, number)| number.trim().parse().unwrap())
    };
    stats
        .lines()
        .filter(|line| line.starts_with("keyspace_hits:") || line.starts_with("keyspace_misses:"))
        .map(number)
        .sum()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
