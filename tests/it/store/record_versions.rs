//! Two releases on one Redis: a record of a version that this one does not know is a failure of
//! ours, never an unknown caller, and stays as it is.

use countersign::store::{Store, StoreError, StoreErrorKind, TokenHolder};

use super::bench::{causes, consumer, key, name, token, user, user_id, with_redis};
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_the_next_version_is_neither_read_nor_replaced() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_user(&user("jane doe", "Jane")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    for record in [CONSUMER, TOKEN, USER] {
        let before = raw(&server, record);
        server.run::<i64>(&["SETRANGE", record, "0", "\u{5}"]);
        let newer = raw(&server, record);
        assert_ne!(newer, before);

        let looked_up = store.caller_records(&key("ck"), Some(&name("t"))).await;
        let said = unreadable(looked_up);
        assert!(said.contains("version 5"), "{said}");
        assert!(said.contains("run the release that wrote it"), "{said}");
        refuse_every_change(&*store, record).await;
        assert_eq!(raw(&server, record), newer, "{record} was changed");
        server.run::<i64>(&["SETRANGE", record, "0", "\u{4}"]);
    }
    let found = store.caller_records(&key("ck"), Some(&name("t"))).await;
    assert!(found.unwrap().token.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_skip_and_count_records_of_the_next_version() {
    let (bench, server) = with_redis();
    let store = bench.open().await;
    for ck in ["ck", "other"] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    server.run::<i64>(&["SETRANGE", CONSUMER, "0", "\u{5}"]);
    let listed = store.consumers(None, 9).await.unwrap();
    assert_eq!(listed, [consumer("other")]);
    assert_eq!(store.status().unreadable_records, 1);
}

/// Tries every change of a record that this release cannot read.
async fn refuse_every_change(store: &dyn Store, record: &str) {
    match record {
        CONSUMER => {
            let mut changed = consumer("ck");
            changed.revision += 1;
            unreadable(store.update_consumer(&changed).await);
            unreadable(store.delete_consumer(&consumer("ck")).await);
            let created = store.create_consumer(&consumer("ck")).await;
            assert_eq!(created.unwrap_err().kind(), StoreErrorKind::AlreadyExists);
        }
        TOKEN => {
            let mut changed = token("ck", "t");
            changed.revision += 1;
            unreadable(store.update_token(&changed).await);
            let created = store.create_token(&token("ck", "t")).await;
            assert_eq!(created.unwrap_err().kind(), StoreErrorKind::AlreadyExists);
            let holder = TokenHolder::Consumer(&key("ck"));
            assert_eq!(store.tokens(holder, None, 9).await.unwrap(), []);
        }
        _ => {
            let mut changed = user("jane doe", "Jane");
            changed.revision += 1;
            unreadable(store.update_user(&changed).await);
            unreadable(store.user(&user_id("jane doe")).await);
            let created = store.create_user(&user("jane doe", "Jane")).await;
            assert_eq!(created.unwrap_err().kind(), StoreErrorKind::AlreadyExists);
        }
    }
}

/// Returns the causes of a failure to read a record.
fn unreadable<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable, "{error}");
    causes(&error)
}

fn raw(server: &RedisServer, record: &str) -> Vec<u8> {
    server.run(&["GET", record])
}

const CONSUMER: &str = "countersign:{ck}:consumer";
const TOKEN: &str = "countersign:{ck}:token:t";
const USER: &str = "countersign:{jane%20doe}:user";
