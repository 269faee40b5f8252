//! Deletions of consumers, and the removal of their tokens.

use std::sync::Arc;

use countersign::model::{Consumer, Generation};
use countersign::store::{Store, StoreErrorKind, TokenHolder};

use super::tokens::{gone, of, of_consumer};
use super::{on_every_store, race};
use crate::store::bench::{consumer, key, token};

on_every_store! {
    a_deleted_consumer_is_gone_and_its_key_is_free
    a_deletion_needs_the_revision_that_was_read
    of_racing_deletions_one_succeeds
    a_consumer_that_is_created_again_has_no_old_token
    a_deletion_takes_the_same_time_with_many_tokens
    the_tokens_of_a_deleted_consumer_are_removed_in_the_end
}

async fn a_deleted_consumer_is_gone_and_its_key_is_free(store: Arc<dyn Store>) {
    for ck in ["ck", "other"] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    store.delete_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(store.consumer(&key("ck")).await.unwrap(), None);
    assert_eq!(
        store
            .caller_records(&key("ck"), None)
            .await
            .unwrap()
            .consumer,
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
        .update_consumer(&Consumer {
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

async fn a_consumer_that_is_created_again_has_no_old_token(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "old")).await.unwrap();
    store.delete_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(of_consumer(&store, "ck").await, [""; 0]);
    // Issued by a call that had looked the consumer up before the deletion.
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

async fn a_deletion_takes_the_same_time_with_many_tokens(store: Arc<dyn Store>) {
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
