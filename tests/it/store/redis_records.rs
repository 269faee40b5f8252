//! Records in Redis: lost answers, crashes between two writes, deletions and expiry.

use std::time::Duration;

use countersign::model::{
    Consumer, Generation, RequestToken, RequestTokenState, User, UserStatus, Username,
};
use countersign::store::{AttemptCounter, RecordChange, Store, StoreErrorKind, TokenHolder};

use super::bench::{
    Bench, PASSWORD_HASH, VERIFIER, authorized, consumer, key, name, request_token, session, token,
    user, user_id, with_redis,
};
use super::conformance::changes::Told;
use super::lossy_proxy::Lossy;
use crate::support::redis::RedisServer;

// === Lost answers ===

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_repeated_and_done_once() {
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

/// Makes one change of a store; each needs the ones before.
async fn make(store: &dyn Store, step: usize) {
    let disabled = Consumer {
        revision: 2,
        ..consumer("ck")
    };
    let done = match step {
        0 => store.create_consumer(&consumer("ck")).await,
        1 => store.update_consumer(&disabled).await,
        2 => store.delete_consumer(&disabled).await,
        3 => store.create_consumer(&consumer("ck")).await,
        4 => store.create_token(&token("ck", "t")).await,
        5 => store.update_token(&changed_token("t")).await,
        6 => store.create_user(&user("u1", "Jane")).await,
        7 => {
            store
                .update_user(&User {
                    revision: 2,
                    ..user("u1", "Joan")
                })
                .await
        }
        8 => store.create_request_token(&request_token("ck", "r")).await,
        9 => {
            store
                .update_request_token(&authorized(request_token("ck", "r")))
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
        "an attempt is counted at most twice if its answer is lost: {attempts}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_subtracted_once_though_the_answer_is_lost() {
    let server = RedisServer::start();
    let lossy = Lossy::before(server.port()).await;
    let mut bench = Bench::redis(lossy.url());
    bench.config.timeout = Duration::from_secs(5);
    let store = bench.open().await;
    for _ in 0..5 {
        store.count_attempt(&counter(), MINUTE).await.unwrap();
    }
    lossy.lose(1);
    store.uncount_attempts(&counter(), 1).await.unwrap();
    assert!(lossy.has_lost());
    assert_eq!(store.count_attempt(&counter(), MINUTE).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_may_have_been_made_is_announced_although_its_caller_gave_up() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let change = RecordChange::Consumer(key("ck"));
    store.create_consumer(&consumer("ck")).await.unwrap();
    let _ok: String = server.run(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let told = Told::of(&store);
    let changed = Consumer {
        revision: 2,
        ..consumer("ck")
    };
    // Dropped before Redis answers.
    let abandoned =
        tokio::time::timeout(Duration::from_millis(100), store.update_consumer(&changed)).await;
    assert!(abandoned.is_err(), "{abandoned:?}");
    assert!(told.take().contains(&change));
    let error = store.update_consumer(&changed).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(told.take().contains(&change));
}

// === Crashes between two writes ===

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_only_reserved_is_free_for_that_user_and_for_others() {
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
async fn a_user_whose_record_is_written_too_late_does_not_get_the_reserved_name() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    let _ok: String = server.run(&["SET", "countersign:{jane}:username", "slow"]);
    store.create_user(&user("quick", "Jane")).await.unwrap();
    // As if the slow user had reserved the name before, and the record is written only now.
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
    assert!(
        (1..=60_000).contains(&left),
        "the user is barred for {left} ms"
    );
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
async fn lists_skip_index_entries_without_a_record_and_pages_are_full() {
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
        .update_user(&User {
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
async fn a_consumer_with_a_hundred_thousand_tokens_is_deleted_within_the_deadline_and_delays_no_other_call()
 {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    let fill = "for at = 1, 100000 do local t = string.format('t%06d', at)
        redis.call('SET', 'countersign:{ck}:token:' .. t, string.rep('x', 300))
        redis.call('ZADD', 'countersign:{ck}:tokens', 0, t) end";
    let _filled: Option<u64> = server.run(&["EVAL", fill, "0"]);
    let _ok: String = server.run(&["CONFIG", "RESETSTAT"]);
    // The store's own deadline applies to each of these.
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
    // While the other tokens are being removed.
    store.caller_records(&key("ck"), None).await.unwrap();
    let removals = server.command_counts()["unlink"];
    assert!(
        removals >= 100_000 - left,
        "{removals} commands removed {} tokens",
        100_000 - left
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphaned_token_that_was_created_again_is_not_removed() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    let _added: u64 = server.run(&["ZADD", "countersign:{ck}:orphans:1", "0", "t", "0", "gone"]);
    let _added: u64 = server.run(&["ZADD", "countersign:orphans", "0", "ck 1"]);
    // The deletion of any consumer starts the removal of all orphans.
    store.create_consumer(&consumer("other")).await.unwrap();
    store.delete_consumer(&consumer("other")).await.unwrap();
    crate::support::redis::wait_until("the orphans are removed", || {
        server.run::<i64>(&[
            "EXISTS",
            "countersign:orphans",
            "countersign:{ck}:orphans:1",
        ]) == 0
    });
    assert_eq!(
        store.token(&name("t")).await.unwrap(),
        Some(token("ck", "t"))
    );
    let found = store
        .caller_records(&key("ck"), Some(&name("t")))
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

// === Storage ===

#[tokio::test(flavor = "multi_thread")]
async fn redis_removes_expired_records() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store
        .create_request_token(&request_token("ck", "r"))
        .await
        .unwrap();
    store.create_session(&session("cookie")).await.unwrap();
    store.count_attempt(&counter(), MINUTE).await.unwrap();
    store.count_attempt(&counter(), 10 * MINUTE).await.unwrap();
    store.uncount_attempts(&counter(), 1).await.unwrap();
    for round in ["new", "changed"] {
        for (pattern, secs) in [
            ("countersign:{ck}:request:r", 1200),
            ("countersign:{r}:request-owner", 1200),
            ("countersign:*:session", 3600),
            ("countersign:*:attempts", 60),
            ("countersign:*:uncounted:*", 60),
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
            .update_request_token(&authorized(request_token("ck", "r")))
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
        contains(b"countersign:{u1}:user"),
        "the dump does not contain the records"
    );
    for secret in [
        PASSWORD_HASH.as_bytes(),
        VERIFIER,
        b"temporary-secret",
        b"the-cookie-of-a-browser",
        b"screen_name",
    ] {
        assert!(!contains(secret), "{}", String::from_utf8_lossy(secret));
    }
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
