//! Deletions, and lists of tokens.

use std::sync::Arc;
use std::time::Duration;

use countersign::model::{AccessToken, Consumer, Generation, Token};
use countersign::store::{Store, StoreErrorKind, TokenHolder};

use super::{on_every_store, race};
use crate::store::bench::{consumer, key, name, token, user_id};
use crate::support::process::eventually;

on_every_store! {
    tokens_are_listed_by_their_consumer_and_by_their_user
    tokens_are_listed_in_pages_in_the_order_of_their_names
    a_user_of_many_consumers_sees_all_of_his_tokens
    a_token_is_deleted_whatever_its_revision_and_its_name_is_free
    a_token_of_another_is_not_deleted
    the_key_of_a_deleted_consumer_is_free
    a_deletion_needs_the_revision_that_was_read
    of_racing_deletions_one_succeeds
    a_consumer_that_is_created_anew_sees_no_old_token
    a_deletion_of_many_tokens_takes_no_longer
    the_tokens_of_a_deleted_consumer_are_removed_in_the_end
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
    store.replace_token(&changed).await.unwrap();
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

async fn a_user_of_many_consumers_sees_all_of_his_tokens(store: Arc<dyn Store>) {
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
                .credentials(&key("ck"), Some(&name("t")))
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

async fn a_token_of_another_is_not_deleted(store: Arc<dyn Store>) {
    store.create_token(&token("ck", "t")).await.unwrap();
    store.delete_token(&token("mallory", "t")).await.unwrap();
    assert_eq!(
        store.token(&name("t")).await.unwrap(),
        Some(token("ck", "t"))
    );
    assert_eq!(of(&store, "jane doe").await, ["t"]);
}

async fn the_key_of_a_deleted_consumer_is_free(store: Arc<dyn Store>) {
    for ck in ["ck", "other"] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    store.delete_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(store.consumer(&key("ck")).await.unwrap(), None);
    assert_eq!(
        store.credentials(&key("ck"), None).await.unwrap().consumer,
        None
    );
    assert_eq!(
        store.consumers(None, 10).await.unwrap(),
        [consumer("other")]
    );
    assert_eq!(
        store
            .delete_consumer(&consumer("ck"))
            .await
            .unwrap_err()
            .kind(),
        StoreErrorKind::Conflict
    );
    let anew = Consumer {
        generation: Generation::from_number(8),
        ..consumer("ck")
    };
    store.create_consumer(&anew).await.unwrap();
    assert_eq!(
        store.consumers(None, 10).await.unwrap(),
        [anew, consumer("other")]
    );
}

async fn a_deletion_needs_the_revision_that_was_read(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store
        .replace_consumer(&Consumer {
            revision: 2,
            ..consumer("ck")
        })
        .await
        .unwrap();
    for revision in [0, 1, 3] {
        let stale = Consumer {
            revision,
            ..consumer("ck")
        };
        assert_eq!(
            store.delete_consumer(&stale).await.unwrap_err().kind(),
            StoreErrorKind::Conflict
        );
    }
    assert!(store.consumer(&key("ck")).await.unwrap().is_some());
    store
        .delete_consumer(&Consumer {
            revision: 2,
            ..consumer("ck")
        })
        .await
        .unwrap();
}

async fn of_racing_deletions_one_succeeds(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    let outcomes = race(10, &store, |store, _| async move {
        store.delete_consumer(&consumer("ck")).await.is_ok()
    });
    assert_eq!(
        outcomes
            .await
            .iter()
            .filter(|succeeded| **succeeded)
            .count(),
        1
    );
}

async fn a_consumer_that_is_created_anew_sees_no_old_token(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "old")).await.unwrap();
    store.delete_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(of_consumer(&store, "ck").await, [""; 0]);
    // A caller that looked the consumer up before the deletion creates this token.
    store.create_token(&token("ck", "late")).await.unwrap();
    store.create_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(of_consumer(&store, "ck").await, [""; 0]);
    store.create_token(&token("ck", "new")).await.unwrap();
    assert_eq!(of_consumer(&store, "ck").await, ["new"]);
    for old in ["old", "late"] {
        gone(&store, old).await;
        store.create_token(&token("ck", old)).await.unwrap();
    }
    assert_eq!(of_consumer(&store, "ck").await, ["late", "new", "old"]);
}

async fn a_deletion_of_many_tokens_takes_no_longer(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    let kept = race(8, &store, |store, worker| async move {
        for at in 0..125 {
            store
                .create_token(&token("ck", &format!("t{worker}-{at}")))
                .await
                .unwrap();
        }
    });
    kept.await;
    assert_eq!(
        store
            .tokens(TokenHolder::Consumer(&key("ck")), None, 2000)
            .await
            .unwrap()
            .len(),
        1000
    );
    store.delete_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(of_consumer(&store, "ck").await, [""; 0]);
    store.create_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(of_consumer(&store, "ck").await, [""; 0]);
}

async fn the_tokens_of_a_deleted_consumer_are_removed_in_the_end(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    for at in 0..230 {
        store
            .create_token(&token("ck", &format!("t{at}")))
            .await
            .unwrap();
    }
    store.create_token(&token("other", "theirs")).await.unwrap();
    store.delete_consumer(&consumer("ck")).await.unwrap();
    for at in 0..230 {
        gone(&store, &format!("t{at}")).await;
    }
    assert_eq!(of(&store, "jane doe").await, ["theirs"]);
}

async fn gone(store: &Arc<dyn Store>, token: &str) {
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

async fn of_consumer(store: &Arc<dyn Store>, consumer_key: &str) -> Vec<String> {
    names(
        store
            .tokens(TokenHolder::Consumer(&key(consumer_key)), None, 50)
            .await
            .unwrap(),
    )
}

async fn of(store: &Arc<dyn Store>, user: &str) -> Vec<String> {
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
