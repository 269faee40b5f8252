//! Consumers, their secrets and keys.

use super::*;
use crate::issue::{ConsumerAttributes, etag};
use crate::model::ConsumerStatus;
use crate::oauth::SignatureMethod;

#[tokio::test]
async fn an_update_changes_only_the_given_attributes() {
    let world = World::new().await;
    let before = world.consumer().await;
    world.pass(Duration::from_secs(5));
    let change = |consumer: &mut ConsumerAttributes| {
        consumer.name = "Scanner".to_owned();
        consumer.scopes = texts(["read"]);
    };
    let changed = world
        .issuer
        .update_consumer(&key(), &change, None, &ADMIN)
        .await
        .unwrap();
    assert_eq!(changed.name.as_str(), "Scanner");
    assert_eq!(changed.scopes.to_string(), "read");
    assert_eq!(changed.revision, before.revision + 1);
    let expected = Consumer {
        name: changed.name.clone(),
        scopes: changed.scopes.clone(),
        updated_at: NOW.plus(Duration::from_secs(5)),
        revision: 2,
        ..before
    };
    assert_eq!(changed, expected);
    assert_eq!(world.store.consumer(&key()).await.unwrap(), Some(expected));
}

#[tokio::test]
async fn an_update_neither_enables_a_consumer_nor_removes_its_keys() {
    let world = World::new().await;
    world.consumer().await;
    world
        .issuer
        .add_rsa_public_key(&key(), RSA, &ADMIN)
        .await
        .unwrap();
    world.pass(Duration::from_secs(5));
    let before = world.issuer.disable_consumer(&key(), &ADMIN).await.unwrap();
    world.pass(Duration::from_secs(5));
    let change = |consumer: &mut ConsumerAttributes| consumer.name = "Scanner".to_owned();
    let changed = world
        .issuer
        .update_consumer(&key(), &change, None, &ADMIN)
        .await
        .unwrap();
    let expected = Consumer {
        name: changed.name.clone(),
        updated_at: NOW.plus(Duration::from_secs(10)),
        revision: before.revision + 1,
        ..before
    };
    assert_eq!(changed, expected);
}

#[tokio::test]
async fn the_methods_of_a_consumer_without_a_secret_stay_those_of_its_keys() {
    let world = World::new().await;
    let keyless = ConsumerDraft {
        consumer_secret: None,
        no_shared_secret: true,
        rsa_public_keys: vec![RSA.to_owned()],
        ..printer()
    };
    world
        .issuer
        .create_consumer(&keyless, &ADMIN)
        .await
        .unwrap();
    let update = async |method: &str| {
        let change = |consumer: &mut ConsumerAttributes| {
            consumer.signature_methods = vec![method.to_owned()];
        };
        world
            .issuer
            .update_consumer(&key(), &change, None, &ADMIN)
            .await
    };
    assert!(update("RSA-SHA256").await.is_ok());
    assert_eq!(
        problems(update("HMAC-SHA1").await),
        ["signature_methods[0] HMAC-SHA1 needs a shared secret, and the consumer has none"]
    );
}

#[tokio::test]
async fn an_updated_consumer_is_held_to_the_rules_of_a_new_one() {
    let world = World::new().await;
    let before = world.consumer().await;
    let change = |consumer: &mut ConsumerAttributes| {
        consumer.name = String::new();
        consumer.profile.app_url = "ftp://example.com".to_owned();
        consumer.signature_methods = texts(["RSA-SHA256"]);
        consumer.callbacks = texts(["javascript:alert(1)"]);
        consumer.compat_profiles = texts(["raw-values", "plus-literal"]);
    };
    assert_eq!(
        problems(
            world
                .issuer
                .update_consumer(&key(), &change, None, &ADMIN)
                .await
        ),
        [
            "name must not be empty",
            "signature_methods[0] RSA-SHA256 needs rsa_public_keys",
            "callbacks[0] has a scheme that browsers execute or open locally",
            "app_url has a scheme that is not http or https",
            "compat_profiles must not hold both raw-values and plus-literal: raw-values signs a plus as it \
             is sent",
        ]
    );
    assert_eq!(world.issuer.consumer(&key()).await.unwrap(), before);
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let world = World::new().await;
    let before = world.consumer().await;
    world.pass(Duration::from_secs(5));
    let change = |consumer: &mut ConsumerAttributes| {
        consumer.name = "Printer".to_owned();
    };
    assert_eq!(
        world
            .issuer
            .update_consumer(&key(), &change, None, &ADMIN)
            .await
            .unwrap(),
        before
    );
}

#[tokio::test]
async fn an_etag_allows_only_the_record_that_was_read() {
    let world = World::new().await;
    let read = world.consumer().await;
    let read = etag(read.generation, read.revision);
    let rename = |name: &'static str| {
        move |consumer: &mut ConsumerAttributes| {
            consumer.name = name.to_owned();
        }
    };
    world
        .issuer
        .update_consumer(&key(), &rename("One"), Some(&read), &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world
            .issuer
            .update_consumer(&key(), &rename("Two"), Some(&read), &ADMIN)
            .await,
        IssueError::Conflict
    );
    assert_err!(
        world
            .issuer
            .delete_consumer(&key(), Some(&read), &ADMIN)
            .await,
        IssueError::Conflict
    );
    assert_eq!(
        world.issuer.consumer(&key()).await.unwrap().name.as_str(),
        "One"
    );
}

#[tokio::test]
async fn the_etag_of_a_deleted_consumer_is_not_that_of_the_next_one() {
    let world = World::new().await;
    let first = world.consumer().await;
    world
        .issuer
        .delete_consumer(&key(), None, &ADMIN)
        .await
        .unwrap();
    let second = world.consumer().await;
    assert_eq!(first.revision, second.revision);
    assert_ne!(
        etag(first.generation, first.revision),
        etag(second.generation, second.revision)
    );
}

#[tokio::test]
async fn two_updates_at_once_both_take_place() {
    let world = World::new().await;
    world.consumer().await;
    let rename = |consumer: &mut ConsumerAttributes| {
        consumer.name = "Scanner".to_owned();
    };
    let describe = |consumer: &mut ConsumerAttributes| {
        consumer.profile.description = "Scans".to_owned();
    };
    let key = key();
    let (one, two) = tokio::join!(
        world.issuer.update_consumer(&key, &rename, None, &ADMIN),
        world.issuer.update_consumer(&key, &describe, None, &ADMIN)
    );
    one.and(two).unwrap();
    let consumer = world.issuer.consumer(&key).await.unwrap();
    assert_eq!(
        (
            consumer.name.as_str(),
            consumer.profile.description.as_str(),
            consumer.revision
        ),
        ("Scanner", "Scans", 3)
    );
}

#[tokio::test]
async fn a_deleted_consumer_is_gone_and_so_are_its_tokens() {
    let world = World::new().await;
    world.consumer().await;
    let old = world.token(None).await;
    world
        .issuer
        .delete_consumer(&key(), None, &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world.issuer.consumer(&key()).await,
        IssueError::UnknownConsumer(_)
    );
    assert_err!(
        world.issuer.delete_consumer(&key(), None, &ADMIN).await,
        IssueError::UnknownConsumer(_)
    );
    world.consumer().await;
    let found = world
        .issuer
        .introspect_token(&old.token)
        .await
        .unwrap()
        .token;
    assert!(found.is_none_or(|shown| shown.state == crate::model::TokenState::Revoked));
}

#[tokio::test]
async fn the_same_consumer_may_be_created_twice_where_that_is_allowed() {
    let world = World::new().await;
    let first = world.consumer().await;
    assert_err!(
        world.issuer.create_consumer(&printer(), &ADMIN).await,
        IssueError::ConsumerExists(_)
    );
    let again = ConsumerDraft {
        allow_existing: true,
        ..printer()
    };
    let second = world.issuer.create_consumer(&again, &ADMIN).await.unwrap();
    assert!(second.existed);
    assert_eq!(second.record, first);

    for differing in [
        ConsumerDraft {
            attributes: ConsumerAttributes {
                name: "Scanner".to_owned(),
                ..again.attributes.clone()
            },
            ..again.clone()
        },
        ConsumerDraft {
            attributes: ConsumerAttributes {
                verified: true,
                ..again.attributes.clone()
            },
            ..again.clone()
        },
        ConsumerDraft {
            attributes: ConsumerAttributes {
                scopes: texts(["read"]),
                ..again.attributes.clone()
            },
            ..again.clone()
        },
        ConsumerDraft {
            consumer_secret: Some(secret("another")),
            ..again.clone()
        },
        ConsumerDraft {
            consumer_secret: None,
            ..again.clone()
        },
        ConsumerDraft {
            rsa_public_keys: texts([RSA]),
            ..again.clone()
        },
    ] {
        assert_err!(
            world.issuer.create_consumer(&differing, &ADMIN).await,
            IssueError::ConsumerExists(_)
        );
    }
    assert_eq!(world.issuer.consumer(&key()).await.unwrap(), first);
}

#[tokio::test]
async fn a_validated_consumer_is_not_created() {
    let world = World::new().await;
    let draft = ConsumerDraft {
        validate_only: true,
        ..printer()
    };
    assert!(
        !world
            .issuer
            .create_consumer(&draft, &ADMIN)
            .await
            .unwrap()
            .existed
    );
    assert_err!(
        world.issuer.consumer(&key()).await,
        IssueError::UnknownConsumer(_)
    );
    world.consumer().await;
    assert_err!(
        world.issuer.create_consumer(&draft, &ADMIN).await,
        IssueError::ConsumerExists(_)
    );
    let draft = ConsumerDraft {
        allow_existing: true,
        ..draft
    };
    assert!(
        world
            .issuer
            .create_consumer(&draft, &ADMIN)
            .await
            .unwrap()
            .existed
    );
}

#[tokio::test]
async fn a_disabled_consumer_keeps_its_revision_when_it_is_disabled_again() {
    let world = World::new().await;
    world.consumer().await;
    for _ in 0..2 {
        let disabled = world.issuer.disable_consumer(&key(), &ADMIN).await.unwrap();
        assert_eq!(
            (disabled.status, disabled.revision),
            (ConsumerStatus::Disabled, 2)
        );
    }
}

#[tokio::test]
async fn the_secret_before_is_accepted_for_the_overlap_and_no_older_one() {
    let world = World::new().await;
    world.consumer().await;
    let hour = Duration::from_secs(3600);
    let one = world
        .issuer
        .rotate_consumer_secret(&key(), Some(&secret("one")), hour, &ADMIN)
        .await
        .unwrap();
    assert_eq!(one.secrets[0].secret, secret("one"));
    assert_eq!(
        (one.secrets[0].expires_at, one.secrets[1].expires_at),
        (None, Some(NOW.plus(hour)))
    );
    assert_eq!(one.secrets[1].secret, secret("kd94hf93k423kf44"));

    let two = world
        .issuer
        .rotate_consumer_secret(&key(), None, hour, &ADMIN)
        .await
        .unwrap();
    assert_eq!(
        (two.secrets.len(), &two.secrets[1].secret),
        (2, &secret("one"))
    );

    let three = world
        .issuer
        .rotate_consumer_secret(&key(), None, Duration::ZERO, &ADMIN)
        .await
        .unwrap();
    assert_eq!(three.secrets.len(), 1);
    assert_ne!(three.secrets[0].secret, two.secrets[0].secret);
}

#[tokio::test]
async fn a_refused_rotation_names_the_fields() {
    let world = World::new().await;
    let before = world.consumer().await;
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let rotate = |new: &'static str, overlap| {
        let issuer = world.issuer.clone();
        async move {
            issuer
                .rotate_consumer_secret(&key(), Some(&secret(new)), overlap, &ADMIN)
                .await
        }
    };
    assert_eq!(
        problems(rotate("a\n", days(91)).await),
        [
            "consumer_secret has a control character, perhaps a line break at its end",
            "overlap must be at most 90 days",
        ]
    );
    assert_eq!(
        problems(rotate("kd94hf93k423kf44", days(1)).await),
        ["consumer_secret is the current secret: pass another one"]
    );
    assert_eq!(world.issuer.consumer(&key()).await.unwrap(), before);
    assert!(rotate("new", days(90)).await.is_ok());
}

#[tokio::test]
async fn an_rsa_key_is_added_once_and_removed_by_its_fingerprint() {
    let world = World::new().await;
    world.consumer().await;
    for _ in 0..2 {
        let added = world
            .issuer
            .add_rsa_public_key(&key(), RSA, &ADMIN)
            .await
            .unwrap();
        assert_eq!((added.rsa_public_keys.len(), added.revision), (1, 2));
    }
    assert_eq!(
        problems(
            world
                .issuer
                .add_rsa_public_key(&key(), "no key", &ADMIN)
                .await
        )[0]
        .split(' ')
        .next(),
        Some("rsa_public_key.pem")
    );
    let fingerprint = world.issuer.consumer(&key()).await.unwrap().rsa_public_keys[0].fingerprint();
    let unchanged = world
        .issuer
        .remove_rsa_public_key(&key(), &"0".repeat(64), &ADMIN)
        .await
        .unwrap();
    assert_eq!(unchanged.revision, 2);
    let removed = world
        .issuer
        .remove_rsa_public_key(&key(), &fingerprint, &ADMIN)
        .await
        .unwrap();
    assert!(removed.rsa_public_keys.is_empty());
}

#[tokio::test]
async fn the_last_rsa_key_stays_where_it_is_needed() {
    let world = World::new().await;
    let only = ConsumerDraft {
        consumer_secret: None,
        no_shared_secret: true,
        rsa_public_keys: texts([RSA]),
        attributes: ConsumerAttributes {
            signature_methods: texts(["RSA-SHA256"]),
            ..printer().attributes
        },
        ..printer()
    };
    let consumer = world
        .issuer
        .create_consumer(&only, &ADMIN)
        .await
        .unwrap()
        .record;
    let fingerprint = consumer.rsa_public_keys[0].fingerprint();
    let remove = || {
        world
            .issuer
            .remove_rsa_public_key(&consumer.key, &fingerprint, &ADMIN)
    };
    assert_eq!(
        problems(remove().await),
        [
            "fingerprint names the only key of a consumer without a secret, which could never sign again: add another key or rotate the secret first"
        ]
    );
    world
        .issuer
        .rotate_consumer_secret(&consumer.key, None, Duration::ZERO, &ADMIN)
        .await
        .unwrap();
    assert_eq!(
        problems(remove().await),
        [
            "fingerprint names the only RSA key, which RSA-SHA256 in signature_methods needs: remove that method first"
        ]
    );
    let any = |consumer: &mut ConsumerAttributes| {
        consumer.signature_methods = Vec::new();
    };
    world
        .issuer
        .update_consumer(&consumer.key, &any, None, &ADMIN)
        .await
        .unwrap();
    let left = remove().await.unwrap();
    assert!(left.allows(SignatureMethod::HmacSha256) && !left.allows(SignatureMethod::RsaSha256));
}

const RSA: &str = include_str!("rsa_public.pem");
