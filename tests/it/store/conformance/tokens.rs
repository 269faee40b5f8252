//! Tokens: creation, lookup, update, lists and deletion.

use std::sync::Arc;
use std::time::Duration;

use countersign::model::{AccessToken, Token, TokenStatus};
use countersign::store::{Store, StoreErrorKind, TokenHolder};

use super::on_every_store;
use crate::store::bench::{consumer, key, name, token, user_id};
use crate::support::process::eventually;

on_every_store! {
    a_token_is_found_only_under_its_consumer
    a_taken_token_name_is_refused_for_every_consumer
    a_token_is_revoked_by_an_update
    tokens_are_listed_by_their_consumer_and_by_their_user
    tokens_are_listed_in_pages_in_the_order_of_their_names
    all_tokens_of_a_user_are_listed_across_consumers
    a_token_is_deleted_whatever_its_revision_and_its_name_is_free
    a_token_of_another_consumer_is_not_deleted
}

async fn a_token_is_found_only_under_its_consumer(store: Arc<dyn Store>) {
    for ck in ["alice", "mallory"] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    store.create_token(&token("alice", "t")).await.unwrap();
    let t = Token::new("t").unwrap();
    let found = store
        .caller_records(&key("mallory"), Some(&t))
        .await
        .unwrap();
    assert_eq!(
        (found.consumer.as_deref(), found.token.as_deref()),
        (Some(&consumer("mallory")), None)
    );
    assert_eq!(store.token(&t).await.unwrap(), Some(token("alice", "t")));
}

async fn a_taken_token_name_is_refused_for_every_consumer(store: Arc<dyn Store>) {
    for ck in ["alice", "mallory"] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    store.create_token(&token("alice", "t")).await.unwrap();
    for ck in ["alice", "mallory"] {
        let error = store.create_token(&token(ck, "t")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::AlreadyExists);
    }
    let t = Token::new("t").unwrap();
    assert_eq!(store.token(&t).await.unwrap(), Some(token("alice", "t")));
    assert_eq!(
        store
            .caller_records(&key("mallory"), Some(&t))
            .await
            .unwrap()
            .token
            .as_deref(),
        None
    );
}

async fn a_token_is_revoked_by_an_update(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    let mut revoked = token("ck", "t");
    revoked.status = TokenStatus::Revoked;
    assert_eq!(
        store.update_token(&revoked).await.unwrap_err().kind(),
        StoreErrorKind::Conflict
    );
    revoked.revision = 2;
    store.update_token(&revoked).await.unwrap();
    assert_eq!(
        store
            .caller_records(&key("ck"), Some(&revoked.token))
            .await
            .unwrap()
            .token
            .as_deref(),
        Some(&revoked.clone())
    );
    assert_eq!(
        store.token(&revoked.token).await.unwrap(),
        Some(revoked.clone())
    );
    let mut stolen = token("mallory", "t");
    stolen.revision = 3;
    assert_eq!(
        store.update_token(&stolen).await.unwrap_err().kind(),
        StoreErrorKind::Conflict
    );
}

async fn tokens_are_listed_by_their_consumer_and_by_their_user(store: Arc<dyn Store>) {
    store.create_token(&token("ck", "a")).await.unwrap();
    store
        .create_token(&of_user("ck", "b", Some("u")))
        .await
        .unwrap();
    store.create_token(&of_user("ck", "c", None)).await.unwrap();
    store
        .create_token(&of_user("ck2", "d", Some("u")))
        .await
        .unwrap();
    assert_eq!(of_consumer(&store, "ck").await, ["a", "b", "c"]);
    assert_eq!(of_consumer(&store, "ck2").await, ["d"]);
    assert_eq!(of_consumer(&store, "c").await, [""; 0]);
    assert_eq!(of(&store, "u").await, ["b", "d"]);
    assert_eq!(of(&store, "jane doe").await, ["a"]);
    assert_eq!(of(&store, "nobody").await, [""; 0]);
    let listed = store
        .tokens(TokenHolder::User(&user_id("jane doe")), None, 5)
        .await
        .unwrap();
    assert_eq!(listed, [token("ck", "a")]);
    let mut changed = token("ck", "a");
    changed.revision = 2;
    store.update_token(&changed).await.unwrap();
    assert_eq!(
        store
            .tokens(TokenHolder::Consumer(&key("ck")), None, 1)
            .await
            .unwrap(),
        [changed]
    );
}

async fn tokens_are_listed_in_pages_in_the_order_of_their_names(store: Arc<dyn Store>) {
    for t in ["b", "a", "a!", "Z", "~", "aa", "a~", "%20"] {
        store.create_token(&token("ck", t)).await.unwrap();
    }
    let all = ["%20", "Z", "a", "a!", "aa", "a~", "b", "~"];
    let (ck, user) = (key("ck"), user_id("jane doe"));
    for holder in [TokenHolder::Consumer(&ck), TokenHolder::User(&user)] {
        for limit in 1..=9 {
            let (mut listed, mut after): (Vec<String>, Option<Token>) = (Vec::new(), None);
            loop {
                let page = store.tokens(holder, after.as_ref(), limit).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some(last.token.clone());
                listed.extend(page.iter().map(|token| token.token.to_string()));
            }
            assert_eq!(listed, all, "{holder:?} in pages of {limit}");
        }
        assert_eq!(
            store.tokens(holder, Some(&name("ab")), 1).await.unwrap(),
            [token("ck", "a~")]
        );
        assert!(store.tokens(holder, None, 0).await.unwrap().is_empty());
    }
}

async fn all_tokens_of_a_user_are_listed_across_consumers(store: Arc<dyn Store>) {
    for at in 0..9 {
        store
            .create_token(&token(&format!("ck{at}"), &format!("t{}", 9 - at)))
            .await
            .unwrap();
    }
    assert_eq!(
        of(&store, "jane doe").await,
        ["t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"]
    );
}

async fn a_token_is_deleted_whatever_its_revision_and_its_name_is_free(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    let mut stale = token("ck", "t");
    stale.revision = 77;
    for _ in 0..2 {
        store.delete_token(&stale).await.unwrap();
        assert_eq!(store.token(&name("t")).await.unwrap(), None);
        assert_eq!(
            store
                .caller_records(&key("ck"), Some(&name("t")))
                .await
                .unwrap()
                .token,
            None
        );
        assert_eq!(of_consumer(&store, "ck").await, [""; 0]);
        assert_eq!(of(&store, "jane doe").await, [""; 0]);
    }
    store.create_token(&token("other", "t")).await.unwrap();
    assert_eq!(of(&store, "jane doe").await, ["t"]);
    assert_eq!(of_consumer(&store, "ck").await, [""; 0]);
}

async fn a_token_of_another_consumer_is_not_deleted(store: Arc<dyn Store>) {
    store.create_token(&token("ck", "t")).await.unwrap();
    store.delete_token(&token("mallory", "t")).await.unwrap();
    assert_eq!(
        store.token(&name("t")).await.unwrap(),
        Some(token("ck", "t"))
    );
    assert_eq!(of(&store, "jane doe").await, ["t"]);
}

/// Waits until a token is removed.
pub(super) async fn gone(store: &Arc<dyn Store>, token: &str) {
    let token = name(token);
    eventually(
        "the token is removed",
        Duration::from_secs(20),
        async || store.token(&token).await.unwrap().is_none().then_some(()),
    )
    .await;
}

fn of_user(consumer_key: &str, name: &str, user: Option<&str>) -> AccessToken {
    let mut token = token(consumer_key, name);
    token.user_id = user.map(user_id);
    token
}

/// Returns the names of a consumer's tokens.
pub(super) async fn of_consumer(store: &Arc<dyn Store>, consumer_key: &str) -> Vec<String> {
    names(
        store
            .tokens(TokenHolder::Consumer(&key(consumer_key)), None, 50)
            .await
            .unwrap(),
    )
}

/// Returns the names of a user's tokens.
pub(super) async fn of(store: &Arc<dyn Store>, user: &str) -> Vec<String> {
    names(
        store
            .tokens(TokenHolder::User(&user_id(user)), None, 50)
            .await
            .unwrap(),
    )
}

fn names(tokens: Vec<AccessToken>) -> Vec<String> {
    tokens
        .into_iter()
        .map(|token| token.token.to_string())
        .collect()
}
