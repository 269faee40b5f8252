//! An attacker who can write to Redis: no record that they change, move or write lets anybody in,
//! and each is a failure of ours instead of an unknown caller.

use countersign::model::{AccessToken, Consumer, Token};
use countersign::store::{StoreErrorKind, TokenHolder};

use super::bench::{
    causes, consumer, key, name, request_token, session, token, user, user_id, with_redis,
};
use crate::support::redis::{RedisServer, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn no_changed_record_of_a_caller_is_believed() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    store.create_user(&user("jane doe", "Jane")).await.unwrap();
    for record in [CONSUMER, TOKEN, USER] {
        for change in CHANGES {
            let intact = server.copy(record);
            server.change(record, change);
            let looked_up = store.caller_records(&key("ck"), Some(&name("t"))).await;
            let error = looked_up.expect_err(change);
            assert_eq!(
                error.kind(),
                StoreErrorKind::Unreadable,
                "{record} {change}"
            );
            let said = format!("{} {error:?}", causes(&error));
            assert!(!said.contains("Printer"), "{said}");
            server.restore(record, &intact);
            let found = store.caller_records(&key("ck"), Some(&name("t"))).await;
            assert!(found.unwrap().token.is_some(), "{record} {change}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_is_believed_under_the_key_of_another_one() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for ck in ["ck", "mallory"] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    for (ck, t) in [("ck", "t"), ("ck", "u"), ("mallory", "m")] {
        store.create_token(&token(ck, t)).await.unwrap();
    }
    store.create_user(&user("jane doe", "Jane")).await.unwrap();
    store
        .create_request_token(&request_token("ck", "r"))
        .await
        .unwrap();
    for (from, to) in [
        ("countersign:{mallory}:consumer", CONSUMER),
        ("countersign:{mallory}:token:m", TOKEN),
        ("countersign:{ck}:token:u", TOKEN),
        ("countersign:{ck}:request:r", TOKEN),
        (USER, TOKEN),
        (TOKEN, CONSUMER),
        ("countersign:{canary}", TOKEN),
    ] {
        let intact = server.copy(to);
        let _copied: i64 = server.run(&["COPY", from, to, "REPLACE"]);
        let looked_up = store.caller_records(&key("ck"), Some(&name("t"))).await;
        let error = looked_up.expect_err(from);
        assert_eq!(error.kind(), StoreErrorKind::Unreadable, "{from} -> {to}");
        server.restore(to, &intact);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_or_an_index_that_points_elsewhere_gives_nobody_a_token() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for ck in ["ck", "mallory"] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    store.create_token(&token("ck", "t")).await.unwrap();
    let _ok: String = server.run(&["SET", "countersign:{t}:owner", "mallory"]);
    let _added: i64 = server.run(&["ZADD", "countersign:{mallory}:tokens", "0", "t"]);
    let _added: i64 = server.run(&["ZADD", "countersign:{joe}:user-tokens", "0", "t ck"]);
    assert_eq!(store.token(&name("t")).await.unwrap(), None);
    let (mallory, joe) = (key("mallory"), user_id("joe"));
    for holder in [TokenHolder::Consumer(&mallory), TokenHolder::User(&joe)] {
        assert_eq!(store.tokens(holder, None, 9).await.unwrap(), []);
    }
    let theirs = store.caller_records(&mallory, Some(&name("t"))).await;
    assert_eq!(theirs.unwrap().token, None);
    let _copied: i64 = server.run(&["COPY", TOKEN, "countersign:{mallory}:token:t"]);
    for error in [
        store.token(&name("t")).await.unwrap_err(),
        store
            .caller_records(&mallory, Some(&name("t")))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_installation_is_not_believed() {
    let ((ours, server), (theirs, other)) = (with_redis(), with_redis());
    let (store, foreign) = (ours.open().await, theirs.open().await);
    store.create_consumer(&consumer("ck")).await.unwrap();
    foreign.create_consumer(&consumer("ck")).await.unwrap();
    server.restore(CONSUMER, &other.copy(CONSUMER));
    let error = store.caller_records(&key("ck"), None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    let said = causes(&error);
    assert!(said.contains("is sealed with the master key"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_temporary_credentials_sessions_and_users_are_errors_and_no_absence() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store
        .create_request_token(&request_token("ck", "r"))
        .await
        .unwrap();
    store.create_session(&session("cookie")).await.unwrap();
    store.create_user(&user("u", "Jane")).await.unwrap();
    let sessions: Vec<String> = server.run(&["KEYS", "countersign:*:session"]);
    for change in CHANGES {
        server.change("countersign:{ck}:request:r", change);
        server.change(&sessions[0], change);
        server.change("countersign:{u}:user", change);
        let errors = [
            store.request_token(&name("r")).await.unwrap_err(),
            store.session(&session("cookie").id).await.unwrap_err(),
            store.user(&user_id("u")).await.unwrap_err(),
            store
                .user_named(&user("u", "Jane").username.unwrap())
                .await
                .unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), StoreErrorKind::Unreadable, "{change}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_is_not_updated() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    server.change(CONSUMER, TRUNCATE);
    let second = Consumer {
        revision: 2,
        ..consumer("ck")
    };
    let error = store.update_consumer(&second).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    let error = store.create_consumer(&consumer("ck")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::AlreadyExists);
}

// === Lists ===

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_member_is_skipped_and_counted_and_the_rest_is_listed() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for ck in ["a", "b", "c", "ck"] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    for t in ["t1", "t2", "t3"] {
        store.create_token(&token("ck", t)).await.unwrap();
    }
    for id in ["u1", "u2", "u3"] {
        store.create_user(&user(id, id)).await.unwrap();
    }
    assert_eq!(store.status().unreadable_records, 0);
    server.change("countersign:{a}:consumer", TRUNCATE);
    server.change("countersign:{b}:consumer", RETYPE);
    server.change("countersign:{ck}:token:t2", RETYPE);
    server.change("countersign:{u2}:user", TRUNCATE);
    for index in [
        "countersign:consumers",
        "countersign:users",
        "countersign:{ck}:tokens",
        "countersign:{jane%20doe}:user-tokens",
    ] {
        server.add_members(index);
    }
    let keys = |page: Vec<Consumer>| -> Vec<_> { page.into_iter().map(|it| it.key).collect() };
    let names =
        |page: Vec<AccessToken>| -> Vec<Token> { page.into_iter().map(|it| it.token).collect() };
    let all = store.consumers(None, 9).await.unwrap();
    assert_eq!(keys(all), [key("c"), key("ck")]);
    assert_eq!(store.status().unreadable_records, 2 + BAD_MEMBERS);
    assert_eq!(keys(store.consumers(None, 1).await.unwrap()), [key("c")]);
    let (ck, jane) = (key("ck"), user_id("jane doe"));
    for holder in [TokenHolder::Consumer(&ck), TokenHolder::User(&jane)] {
        let tokens = store.tokens(holder, None, 9).await.unwrap();
        assert_eq!(names(tokens), [name("t1"), name("t3")]);
    }
    let users = store.users(None, 9).await.unwrap();
    let ids: Vec<_> = users.into_iter().map(|user| user.id).collect();
    assert_eq!(ids, [user_id("u1"), user_id("u3")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_consumer_is_cleaned_up_although_its_tokens_were_changed() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    for t in ["t", "u"] {
        store.create_token(&token("ck", t)).await.unwrap();
    }
    server.change(TOKEN, RETYPE);
    server.change("countersign:{ck}:token:u", TRUNCATE);
    store.delete_consumer(&consumer("ck")).await.unwrap();
    wait_until("the orphans are removed", || {
        server.run::<i64>(&[
            "EXISTS",
            TOKEN,
            "countersign:{ck}:token:u",
            "countersign:orphans",
        ]) == 0
    });
}

// === Helpers ===

const CONSUMER: &str = "countersign:{ck}:consumer";
const TOKEN: &str = "countersign:{ck}:token:t";
const USER: &str = "countersign:{jane%20doe}:user";

/// The changes of a record: Lua that writes `KEYS[1]`, whose bytes are in `was`.
const CHANGES: [&str; 10] = [
    TRUNCATE,
    RETYPE,
    "redis.call('SET', KEYS[1], '')",
    "redis.call('SET', KEYS[1], '{\"version\":3,\"status\":\"active\"}')",
    "redis.call('SET', KEYS[1], was .. 'x')",
    "flip(1)",
    "flip(4)",
    "flip(20)",
    "flip(60)",
    "flip(#was)",
];

const TRUNCATE: &str = "redis.call('SET', KEYS[1], was:sub(1, #was - 1))";
const RETYPE: &str = "redis.call('DEL', KEYS[1]) redis.call('LPUSH', KEYS[1], 'x')";

/// The members that [`Attacker::add_members`] adds and that are no names.
const BAD_MEMBERS: u64 = 2;

/// The deeds of an attacker with `redis-cli`.
trait Attacker {
    fn change(&self, key: &str, change: &str);
    fn copy(&self, key: &str) -> String;
    fn restore(&self, key: &str, copy: &str);
    fn add_members(&self, index: &str);
}

impl Attacker for RedisServer {
    /// Changes a record by one of [`CHANGES`]; a record of another type was changed before.
    fn change(&self, key: &str, change: &str) {
        let script = format!(
            "local was = redis.pcall('GET', KEYS[1])
             if type(was) ~= 'string' or #was < 99 then was = ('x'):rep(99) end
             local function flip(at)
               local byte = string.char(bit.bxor(was:byte(at), 1))
               redis.call('SET', KEYS[1], was:sub(1, at - 1) .. byte .. was:sub(at + 1))
             end
             {change}
             return 'OK'"
        );
        let _ok: String = self.run(&["EVAL", &script, "1", key]);
    }

    /// Returns the bytes of a record in hexadecimal digits.
    fn copy(&self, key: &str) -> String {
        let script = "return (redis.call('GET', KEYS[1]):gsub('.', function(c) return ('%02x'):format(c:byte()) end))";
        self.run(&["EVAL", script, "1", key])
    }

    fn restore(&self, key: &str, copy: &str) {
        let script = "redis.call('SET', KEYS[1], (ARGV[1]:gsub('..', function(d) return string.char(tonumber(d, 16)) end))) return 'OK'";
        let _ok: String = self.run(&["EVAL", script, "1", key, copy]);
    }

    /// Adds members to an index: two that are no names, and one that has no record.
    fn add_members(&self, index: &str) {
        let script = "redis.call('ZADD', KEYS[1], 0, 'b\\255', 0, 'b\\0', 0, ARGV[1]) return 'OK'";
        let member = if index.ends_with(":user-tokens") {
            "ghost ck"
        } else {
            "ghost"
        };
        let _ok: String = self.run(&["EVAL", script, "1", index, member]);
    }
}
