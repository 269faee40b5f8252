//! Consumers: creation, lookup, update and lists.

use std::sync::Arc;

use countersign::model::{CompatSet, Consumer, ConsumerProfile, ConsumerStatus, Token};
use countersign::oauth::RsaPublicKey;
use countersign::store::{Store, StoreErrorKind};

use super::{on_every_store, race};
use crate::store::bench::{consumer, key, token};

on_every_store! {
    a_consumer_is_found_as_it_was_created
    a_consumer_without_secrets_is_found_without_secrets
    a_consumer_with_an_rsa_key_is_found_as_it_was_created
    an_absent_record_is_not_found
    a_taken_consumer_key_is_refused_and_nothing_is_changed
    of_racing_creations_one_succeeds
    an_update_needs_the_next_revision
    of_racing_updates_one_succeeds
    an_absent_record_cannot_be_updated
    consumers_are_listed_in_the_order_of_their_keys
    keys_of_any_visible_characters_are_distinct
    a_store_that_can_answer_responds_to_a_ping
}

async fn a_consumer_is_found_as_it_was_created(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    let found = store
        .caller_records(&key("ck"), Some(&Token::new("t").unwrap()))
        .await
        .unwrap();
    assert_eq!(found.consumer.as_deref(), Some(&consumer("ck")));
    assert_eq!(found.token.as_deref(), Some(&token("ck", "t")));
    let alone = store.caller_records(&key("ck"), None).await.unwrap();
    assert_eq!(
        (alone.consumer.as_deref(), alone.token.as_deref()),
        (Some(&consumer("ck")), None)
    );
}

async fn a_consumer_without_secrets_is_found_without_secrets(store: Arc<dyn Store>) {
    let bare = Consumer {
        secrets: Vec::new(),
        compat: CompatSet::NONE,
        ..consumer("ck")
    };
    store.create_consumer(&bare).await.unwrap();
    assert_eq!(
        store
            .caller_records(&bare.key, None)
            .await
            .unwrap()
            .consumer
            .as_deref(),
        Some(&bare)
    );
}

async fn a_consumer_with_an_rsa_key_is_found_as_it_was_created(store: Arc<dyn Store>) {
    let with_key = Consumer {
        rsa_public_keys: vec![rsa_key()],
        secrets: Vec::new(),
        ..consumer("ck")
    };
    store.create_consumer(&with_key).await.unwrap();
    assert_eq!(
        store
            .caller_records(&with_key.key, None)
            .await
            .unwrap()
            .consumer
            .as_deref(),
        Some(&with_key)
    );
}

async fn an_absent_record_is_not_found(store: Arc<dyn Store>) {
    let t = Token::new("t").unwrap();
    let found = store
        .caller_records(&key("nobody"), Some(&t))
        .await
        .unwrap();
    assert_eq!(
        (found.consumer.as_deref(), found.token.as_deref()),
        (None, None)
    );
    assert_eq!(store.token(&t).await.unwrap(), None);
    assert!(store.consumers(None, 10).await.unwrap().is_empty());
}

async fn a_taken_consumer_key_is_refused_and_nothing_is_changed(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    let other = Consumer {
        profile: ConsumerProfile {
            description: "another".into(),
            ..ConsumerProfile::default()
        },
        ..consumer("ck")
    };
    for again in [other, consumer("ck")] {
        let error = store.create_consumer(&again).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::AlreadyExists);
    }
    assert_eq!(
        store
            .caller_records(&key("ck"), None)
            .await
            .unwrap()
            .consumer
            .as_deref(),
        Some(&consumer("ck"))
    );
    assert_eq!(store.consumers(None, 10).await.unwrap(), [consumer("ck")]);
}

async fn of_racing_creations_one_succeeds(store: Arc<dyn Store>) {
    let outcomes = race(10, &store, |store, _| async move {
        store.create_consumer(&consumer("ck")).await.is_ok()
    })
    .await;
    assert_eq!(outcomes.iter().filter(|succeeded| **succeeded).count(), 1);
    let outcomes = race(10, &store, |store, at| async move {
        store
            .create_token(&token(if at % 2 == 0 { "ck" } else { "other" }, "t"))
            .await
            .is_ok()
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

async fn an_update_needs_the_next_revision(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    let change = |revision| Consumer {
        status: ConsumerStatus::Disabled,
        revision,
        ..consumer("ck")
    };
    for stale in [0, 1, 3, u64::MAX] {
        let error = store.update_consumer(&change(stale)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Conflict, "revision {stale}");
        assert_eq!(
            store
                .caller_records(&key("ck"), None)
                .await
                .unwrap()
                .consumer
                .as_deref(),
            Some(&consumer("ck"))
        );
    }
    store.update_consumer(&change(2)).await.unwrap();
    assert_eq!(
        store
            .caller_records(&key("ck"), None)
            .await
            .unwrap()
            .consumer
            .as_deref(),
        Some(&change(2))
    );
    assert_eq!(
        store.update_consumer(&change(2)).await.unwrap_err().kind(),
        StoreErrorKind::Conflict
    );
    store.update_consumer(&change(3)).await.unwrap();
}

async fn of_racing_updates_one_succeeds(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    let outcomes = race(10, &store, |store, at| async move {
        let change = Consumer {
            profile: ConsumerProfile {
                description: format!("change {at}"),
                ..ConsumerProfile::default()
            },
            revision: 2,
            ..consumer("ck")
        };
        store
            .update_consumer(&change)
            .await
            .map_err(|error| error.kind())
    })
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == Err(StoreErrorKind::Conflict))
            .count(),
        9
    );
}

async fn an_absent_record_cannot_be_updated(store: Arc<dyn Store>) {
    let error = store
        .update_consumer(&Consumer {
            revision: 2,
            ..consumer("ck")
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    let mut ghost = token("ck", "t");
    ghost.revision = 2;
    assert_eq!(
        store.update_token(&ghost).await.unwrap_err().kind(),
        StoreErrorKind::Conflict
    );
    assert_eq!(store.token(&ghost.token).await.unwrap(), None);
}

async fn consumers_are_listed_in_the_order_of_their_keys(store: Arc<dyn Store>) {
    for ck in ["b", "a", "Z", "~", "aa", "!"] {
        store.create_consumer(&consumer(ck)).await.unwrap();
    }
    let all = ["!", "Z", "a", "aa", "b", "~"];
    for limit in 1..=7 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.consumers(after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            listed.extend(page.iter().map(|consumer| consumer.key.to_string()));
        }
        assert_eq!(listed, all, "pages of {limit}");
    }
    assert_eq!(
        store.consumers(Some(&key("ab")), 1).await.unwrap(),
        [consumer("b")]
    );
    assert!(store.consumers(None, 0).await.unwrap().is_empty());
}

async fn keys_of_any_visible_characters_are_distinct(store: Arc<dyn Store>) {
    let odd = [
        "a",
        "a:token",
        "{a}",
        "a}",
        "%61",
        "a%3Atoken",
        "*",
        "[a-z]",
        "a/b",
        "a\"b",
        "a'b",
        "(a",
    ];
    for ck in odd {
        store.create_consumer(&consumer(ck)).await.unwrap();
        store
            .create_token(&token(ck, &format!("t{ck}")))
            .await
            .unwrap();
    }
    for ck in odd {
        let t = Token::new(format!("t{ck}")).unwrap();
        let found = store.caller_records(&key(ck), Some(&t)).await.unwrap();
        assert_eq!(
            (found.consumer.as_deref(), found.token.as_deref()),
            (Some(&consumer(ck)), Some(&token(ck, t.as_str())))
        );
    }
    assert_eq!(store.consumers(None, 100).await.unwrap().len(), odd.len());
}

async fn a_store_that_can_answer_responds_to_a_ping(store: Arc<dyn Store>) {
    store.ping().await.unwrap();
    assert_eq!(store.status().restarts_seen, 0);
    store.close().await.unwrap();
}

fn rsa_key() -> RsaPublicKey {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::KeyPair as _;
    use base64::Engine as _;

    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<_> = encoded
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    RsaPublicKey::from_pem(&format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    ))
    .unwrap()
}
