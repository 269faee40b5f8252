//! Promises of the Redis store about issued records: crashes between two writes, lost responses,
//! and a Redis that lost data.

use std::time::Duration;

use countersign::model::{
    Consumer, Generation, RequestToken, RequestTokenState, User, UserStatus, Username,
};
use countersign::store::{AttemptCounter, Change, Store, StoreErrorKind, TokenHolder};

use super::bench::{
    Bench, PASSWORD_HASH, VERIFIER, authorized, consumer, key, name, request_token, session, token,
    user, user_id, with_redis,
};
use super::conformance::changes::Told;
use super::lossy::Lossy;
use crate::support::redis::RedisServer;

// === Lost responses ===

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_made_again_and_done_once() {
    for nth in 1..=6 {
        let server = RedisServer::start();
        let lossy = Lossy::before(server.port()).await;
        let mut bench = Bench::redis(lossy.url());
        bench.config.timeout = Duration::from_secs(5);
        let store = bench.open().await;
        let mut lost = 0;
        for step in 0..STEPS {
            lossy.lose(nth);
            make(&*store, step).await;
            lost += usize::from(lossy.has_lost());
        }
        assert!(
            lost >= [STEPS, 9, 5, 1, 0, 0][usize::from(nth) - 1],
            "write {nth} lost {lost} responses"
        );
        check_what_was_made(&*store).await;
    }
}

const STEPS: usize = 14;

/// Makes one change of a store; each step needs the earlier ones.
async fn make(store: &dyn Store, step: usize) {
    let disabled = Consumer {
        revision: 2,
        ..consumer("ck")
    };
    let done = match step {
        0 => store.create_consumer(&consumer("ck")).await,
        1 => store.replace_consumer(&disabled).await,
        2 => store.delete_consumer(&disabled).await,
        3 => store.create_consumer(&consumer("ck")).await,
        4 => store.create_token(&token("ck", "t")).await,
        5 => store.replace_token(&changed_token("t")).await,
        6 => store.create_user(&user("u1", "Jane")).await,
        7 => {
            store
                .replace_user(&User {
                    revision: 2,
                    ..user("u1", "Joan")
                })
                .await
        }
        8 => store.create_request_token(&request_token("ck", "r")).await,
        9 => {
            store
                .replace_request_token(&authorized(request_token("ck", "r")))
                .await
        }
        10 => {
            store
                .exchange_request_token(&used(), &token("ck", "exchanged"))
                .await
        }
        11 => store.create_session(&session("cookie")).await,
        12 => {
            store.count_attempt(&counter(), MINUTE).await.unwrap();
            store.count_attempt(&counter(), MINUTE).await.map(drop)
        }
        _ => store.delete_token(&changed_token("t")).await,
    };
    done.unwrap_or_else(|error| panic!("step {step}: {error:?}"));
}

async fn check_what_was_made(store: &dyn Store) {
    assert_eq!(store.consumers(None, 9).await.unwrap(), [consumer("ck")]);
    assert_eq!(store.token(&name("t")).await.unwrap(), None);
    let (ck, jane) = (key("ck"), user_id("jane doe"));
    for holder in [TokenHolder::Consumer(&ck), TokenHolder::User(&jane)] {
        assert_eq!(
            store.tokens(holder, None, 9).await.unwrap(),
            [token("ck", "exchanged")]
        );
    }
    assert_eq!(named(store, "jane").await, None);
    assert_eq!(
        named(store, "joan").await,
        Some(User {
            revision: 2,
            ..user("u1", "Joan")
        })
    );
    assert_eq!(store.request_token(&name("r")).await.unwrap(), Some(used()));
    assert_eq!(
        store.session(&session("cookie").id).await.unwrap(),
        Some(session("cookie"))
    );
    let attempts = store.count_attempt(&counter(), MINUTE).await.unwrap();
    assert!(
        (3..=4).contains(&attempts),
        "a lost response may count twice at most: {attempts}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_released_once_if_the_response_is_lost() {
    let server = RedisServer::start();
    let lossy = Lossy::before(server.port()).await;
    let mut bench = Bench::redis(lossy.url());
    bench.config.timeout = Duration::from_secs(5);
    let store = bench.open().await;
    for _ in 0..5 {
        store.count_attempt(&counter(), MINUTE).await.unwrap();
    }
    lossy.lose(1);
    store.take_attempts_back(&counter(), 1).await.unwrap();
    assert!(lossy.has_lost());
    assert_eq!(store.count_attempt(&counter(), MINUTE).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_change_is_notified() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let change = Change::Consumer(key("ck"));
    store.create_consumer(&consumer("ck")).await.unwrap();
    let _ok: String = server.run(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let told = Told::of(&store);
    let changed = Consumer {
        revision: 2,
        ..consumer("ck")
    };
    // Dropped before Redis responds.
    let abandoned =
        tokio::time::timeout(Duration::from_millis(100), store.replace_consumer(&changed)).await;
    assert!(abandoned.is_err(), "{abandoned:?}");
    assert!(told.take().contains(&change));
    let error = store.replace_consumer(&changed).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(told.take().contains(&change));
}

// === Crashes between two writes ===

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_reserved_and_no_more_is_free_for_that_user_and_for_others() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for username in ["jane", "joan"] {
        let _ok: String =
            server.run(&["SET", &format!("countersign:{{{username}}}:username"), "u1"]);
        assert_eq!(named(&*store, username).await, None);
    }
    store.create_user(&user("u1", "Jane")).await.unwrap();
    assert_eq!(named(&*store, "jane").await, Some(user("u1", "Jane")));
    store.create_user(&user("u2", "Joan")).await.unwrap();
    assert_eq!(named(&*store, "joan").await, Some(user("u2", "Joan")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_write_for_a_reserved_name_is_refused() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let _ok: String = server.run(&["SET", "countersign:{jane}:username", "slow"]);
    store.create_user(&user("quick", "Jane")).await.unwrap();
    // As if the slow process had reserved the name earlier, and writes its record only now.
    let _ok: String = server.run(&["SET", "countersign:{jane}:username", "slow"]);
    assert_eq!(
        store
            .create_user(&user("slow", "Jane"))
            .await
            .unwrap_err()
            .kind(),
        StoreErrorKind::AlreadyExists
    );
    assert_eq!(store.user(&user_id("slow")).await.unwrap(), None);
    let left: i64 = server.run(&["PTTL", "countersign:{slow}:barred:jane"]);
    assert!((1..=60_000).contains(&left), "the delay is {left} ms");
    store.create_user(&user("slow", "Other")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_leads_only_to_a_user_whose_record_has_it() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_user(&user("u1", "Jane")).await.unwrap();
    let _ok: String = server.run(&["SET", "countersign:{lost}:username", "u1"]);
    assert_eq!(named(&*store, "lost").await, None);
    store.create_user(&user("u2", "Lost")).await.unwrap();
    assert_eq!(named(&*store, "lost").await, Some(user("u2", "Lost")));
    assert_eq!(named(&*store, "jane").await, Some(user("u1", "Jane")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_an_index_without_a_record_is_left_out_and_pages_are_full() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for ghost in ["a", "b", "d"] {
        let _added: u64 = server.run(&["ZADD", "countersign:users", "0", ghost]);
        let _added: u64 = server.run(&["ZADD", "countersign:{ck}:tokens", "0", ghost]);
        let _added: u64 = server.run(&[
            "ZADD",
            "countersign:{jane%20doe}:user-tokens",
            "0",
            &format!("{ghost} ck"),
        ]);
    }
    for name in ["c", "e"] {
        store.create_user(&user(name, name)).await.unwrap();
        store.create_token(&token("ck", name)).await.unwrap();
    }
    assert_eq!(
        store.users(None, 2).await.unwrap(),
        [user("c", "c"), user("e", "e")]
    );
    let (ck, jane) = (key("ck"), user_id("jane doe"));
    for holder in [TokenHolder::Consumer(&ck), TokenHolder::User(&jane)] {
        assert_eq!(
            store.tokens(holder, None, 2).await.unwrap(),
            [token("ck", "c"), token("ck", "e")]
        );
        assert_eq!(
            store.tokens(holder, Some(&name("b")), 9).await.unwrap(),
            [token("ck", "c"), token("ck", "e")]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_who_is_still_in_the_index_is_not_listed() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_user(&user("u1", "Jane")).await.unwrap();
    store
        .replace_user(&User {
            status: UserStatus::Deleted,
            revision: 2,
            ..user("u1", "Jane")
        })
        .await
        .unwrap();
    let _added: u64 = server.run(&["ZADD", "countersign:users", "0", "u1"]);
    assert!(store.users(None, 9).await.unwrap().is_empty());
}

// === Deletions ===

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_with_a_hundred_thousand_tokens_is_deleted_within_the_deadline() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    let fill = "for at = 1, 100000 do local t = string.format('t%06d', at)
        redis.call('SET', 'countersign:{ck}:token:' .. t, string.rep('x', 300))
        redis.call('ZADD', 'countersign:{ck}:tokens', 0, t) end";
    let _filled: Option<u64> = server.run(&["EVAL", fill, "0"]);
    let _ok: String = server.run(&["CONFIG", "RESETSTAT"]);
    // Each of these meets the store's own deadline.
    store.delete_consumer(&consumer("ck")).await.unwrap();
    let anew = Consumer {
        generation: Generation::from_number(8),
        ..consumer("ck")
    };
    store.create_consumer(&anew).await.unwrap();
    assert!(
        store
            .tokens(TokenHolder::Consumer(&key("ck")), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let mut left = 100_000;
    crate::support::redis::wait_until("some tokens are removed", || {
        left = server.run::<u64>(&["DBSIZE"]);
        left < 99_000
    });
    // While the others are removed.
    store.credentials(&key("ck"), None).await.unwrap();
    let removals = server.command_counts()["unlink"];
    assert!(
        removals >= 100_000 - left,
        "{removals} commands removed {} tokens",
        100_000 - left
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_put_aside_and_issued_anew_is_not_removed() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    let _added: u64 = server.run(&["ZADD", "countersign:{ck}:aside:1", "0", "t", "0", "gone"]);
    let _added: u64 = server.run(&["ZADD", "countersign:aside", "0", "ck 1"]);
    // Deleting any consumer resumes the removal of leftover tokens.
    store.create_consumer(&consumer("other")).await.unwrap();
    store.delete_consumer(&consumer("other")).await.unwrap();
    crate::support::redis::wait_until("the leftover tokens are removed", || {
        server.run::<i64>(&["EXISTS", "countersign:aside", "countersign:{ck}:aside:1"]) == 0
    });
    assert_eq!(
        store.token(&name("t")).await.unwrap(),
        Some(token("ck", "t"))
    );
    let found = store
        .credentials(&key("ck"), Some(&name("t")))
        .await
        .unwrap();
    assert_eq!(found.token.as_deref(), Some(&token("ck", "t")));
    assert_eq!(
        store
            .tokens(TokenHolder::User(&user_id("jane doe")), None, 9)
            .await
            .unwrap(),
        [token("ck", "t")]
    );
}

// === Format of the records ===

#[tokio::test(flavor = "multi_thread")]
async fn redis_deletes_expired_records() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store
        .create_request_token(&request_token("ck", "r"))
        .await
        .unwrap();
    store.create_session(&session("cookie")).await.unwrap();
    store.count_attempt(&counter(), MINUTE).await.unwrap();
    store.count_attempt(&counter(), 10 * MINUTE).await.unwrap();
    store.take_attempts_back(&counter(), 1).await.unwrap();
    for round in ["new", "changed"] {
        for (pattern, secs) in [
            ("countersign:{ck}:request:r", 1200),
            ("countersign:{r}:request-owner", 1200),
            ("countersign:*:session", 3600),
            ("countersign:*:attempts", 60),
            ("countersign:*:taken-back:*", 60),
        ] {
            let names: Vec<String> = server.run(&["KEYS", pattern]);
            let [name] = names.as_slice() else {
                panic!("{round} {pattern}: {names:?}")
            };
            let left: i64 = server.run(&["PTTL", name]);
            let whole = secs * 1000;
            assert!(
                (whole - 20_000..=whole).contains(&left),
                "{round} {name}: {left} of {whole} ms are left"
            );
        }
        store
            .replace_request_token(&authorized(request_token("ck", "r")))
            .await
            .ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_hash_nor_a_verifier_is_in_the_dump() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_user(&user("u1", "Jane")).await.unwrap();
    store
        .create_request_token(&authorized(request_token("ck", "r")))
        .await
        .unwrap();
    store
        .create_session(&session("the-cookie-of-a-browser"))
        .await
        .unwrap();
    let _ok: String = server.run(&["SAVE"]);
    let dump = std::fs::read(server.directory().join("dump.rdb")).unwrap();
    let contains = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    assert!(
        contains(b"screen_name"),
        "the dump has no records in the expected format"
    );
    for secret in [
        PASSWORD_HASH.as_bytes(),
        VERIFIER,
        b"temporary-secret",
        b"the-cookie-of-a-browser",
    ] {
        assert!(!contains(secret), "{}", String::from_utf8_lossy(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_the_release_before_are_read() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    for record in ["countersign:{ck}:consumer", "countersign:{ck}:token:t"] {
        let written: String = server.run(&["GET", record]);
        let mut fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&written).unwrap();
        fields.insert("version".into(), 1.into());
        for new in [
            "mark",
            "verified",
            "generation",
            "consumer_generation",
            "user_generation",
        ] {
            fields.remove(new);
        }
        let _ok: String = server.run(&["SET", record, &serde_json::to_string(&fields).unwrap()]);
    }
    let _deleted: i64 = server.run(&[
        "DEL",
        "countersign:{ck}:tokens",
        "countersign:{jane%20doe}:user-tokens",
    ]);
    let old = Consumer {
        verified: false,
        generation: Generation::default(),
        ..consumer("ck")
    };
    let mut old_token = token("ck", "t");
    old_token.consumer_generation = Generation::default();
    let found = store
        .credentials(&key("ck"), Some(&name("t")))
        .await
        .unwrap();
    assert_eq!(
        (found.consumer.as_deref(), found.token.as_deref()),
        (Some(&old), Some(&old_token))
    );
    assert_eq!(
        store.token(&name("t")).await.unwrap(),
        Some(old_token.clone())
    );
    old_token.revision = 2;
    store.replace_token(&old_token).await.unwrap();
    store
        .replace_consumer(&Consumer { revision: 2, ..old })
        .await
        .unwrap();
}

fn changed_token(token_name: &str) -> countersign::model::AccessToken {
    let mut changed = token("ck", token_name);
    changed.revision = 2;
    changed
}

fn used() -> RequestToken {
    RequestToken {
        state: RequestTokenState::Used,
        revision: 3,
        ..request_token("ck", "r")
    }
}

async fn named(store: &dyn Store, username: &str) -> Option<User> {
    store
        .user_named(&Username::new(username).unwrap())
        .await
        .unwrap()
}

fn counter() -> AttemptCounter {
    AttemptCounter::new("test", b"subject")
}

const MINUTE: Duration = Duration::from_secs(60);
