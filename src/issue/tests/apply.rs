//! Declarative administration of consumers.

use std::pin::pin;

use futures_util::FutureExt as _;

use super::*;
use crate::issue::{ApplyOutcome, ExpectedState, WantedConsumer, etag};
use crate::model::{ConsumerId, ConsumerStatus};

#[tokio::test]
async fn a_consumer_is_created_once_and_an_equal_one_stays_unchanged() {
    let world = World::new().await;
    let created = apply(&world, &wanted()).await.unwrap();
    assert_eq!(created.previous, None);
    assert_eq!(
        created.consumer.secrets[0].secret,
        secret("kd94hf93k423kf44")
    );
    world.pass(Duration::from_secs(5));
    for again in [
        wanted(),
        WantedConsumer {
            consumer_secret: None,
            ..wanted()
        },
    ] {
        let outcome = apply(&world, &again).await.unwrap();
        assert!(outcome.is_unchanged() && !outcome.secret_changed());
        assert_eq!(stored(&world).await, created.consumer);
    }
}

#[tokio::test]
async fn every_attribute_is_set_and_the_state_and_the_secret_only_if_they_are_given() {
    let world = World::new().await;
    let before = apply(&world, &wanted()).await.unwrap().consumer;
    world.issuer.disable_consumer(&key(), &ADMIN).await.unwrap();
    let mut other = WantedConsumer {
        consumer_secret: None,
        rsa_public_keys: vec![RSA.to_owned()],
        ..wanted()
    };
    other.attributes.scopes = texts(["read"]);
    other.attributes.callbacks = Vec::new();
    let changed = apply(&world, &other).await.unwrap();
    assert!(!changed.secret_changed());
    let consumer = stored(&world).await;
    assert_eq!(changed.consumer, consumer);
    assert_eq!(
        (
            consumer.status,
            &consumer.secrets,
            consumer.scopes.to_string()
        ),
        (ConsumerStatus::Disabled, &before.secrets, "read".to_owned())
    );
    assert_eq!(
        (consumer.callbacks.len(), consumer.rsa_public_keys.len()),
        (0, 1)
    );
    assert_eq!(
        (&consumer.id, consumer.generation, consumer.revision),
        (&before.id, before.generation, before.revision + 2)
    );

    let active = WantedConsumer {
        status: Some(ConsumerStatus::Active),
        rsa_public_keys: Vec::new(),
        ..wanted()
    };
    let restored = apply(&world, &active).await.unwrap().consumer;
    assert!(restored.is_active() && restored.rsa_public_keys.is_empty());
}

#[tokio::test]
async fn another_secret_replaces_the_current_one_after_the_overlap() {
    let world = World::new().await;
    apply(&world, &wanted()).await.unwrap();
    let hour = Duration::from_secs(3600);
    let rotated = WantedConsumer {
        consumer_secret: Some(secret("next")),
        secret_overlap: hour,
        ..wanted()
    };
    let outcome = apply(&world, &rotated).await.unwrap();
    assert!(outcome.secret_changed());
    let secrets = stored(&world).await.secrets;
    assert_eq!(
        (&secrets[0].secret, secrets[1].expires_at),
        (&secret("next"), Some(NOW.plus(hour)))
    );
    // The overlap of the first call goes on.
    world.pass(Duration::from_secs(5));
    assert!(apply(&world, &rotated).await.unwrap().is_unchanged());

    let consumer = world
        .issuer
        .expire_previous_secret(&key(), &ADMIN)
        .await
        .unwrap();
    assert_eq!(consumer.secrets, secrets[..1]);
    let again = world.issuer.expire_previous_secret(&key(), &ADMIN).await;
    assert_eq!(again.unwrap().revision, consumer.revision);
}

#[tokio::test]
async fn a_check_changes_nothing_and_lists_every_mistake() {
    let world = World::new().await;
    let check = WantedConsumer {
        validate_only: true,
        ..wanted()
    };
    apply(&world, &check).await.unwrap();
    assert_eq!(world.store.consumer(&key()).await.unwrap(), None);
    let mut wrong = WantedConsumer {
        consumer_secret: None,
        secret_overlap: Duration::from_secs(91 * 86_400),
        ..wanted()
    };
    wrong.attributes.name = String::new();
    wrong.attributes.signature_methods = texts(["RSA-SHA1"]);
    assert_eq!(
        problems(apply(&world, &wrong).await),
        [
            "consumer_secret is missing, and so are rsa_public_keys: without either the consumer could never sign",
            "secret_overlap must be at most 90 days",
            "name must not be empty",
            "signature_methods[0] RSA-SHA1 needs rsa_public_keys",
        ]
    );
}

#[tokio::test]
async fn a_new_consumer_has_a_generated_secret_or_a_key() {
    let world = World::new().await;
    let with_key = WantedConsumer {
        consumer_secret: None,
        rsa_public_keys: vec![RSA.to_owned()],
        ..wanted()
    };
    let consumer = apply(&world, &with_key).await.unwrap().consumer;
    assert_eq!(consumer.secrets, []);
    let without_any = WantedConsumer {
        rsa_public_keys: Vec::new(),
        ..with_key
    };
    assert!(apply(&world, &without_any).await.is_err());
    let generated = WantedConsumer {
        consumer_key: ConsumerKey::new("other").unwrap(),
        generate_secret: true,
        ..without_any
    };
    let consumer = apply(&world, &generated).await.unwrap().consumer;
    assert_eq!(consumer.secrets[0].secret.expose().len(), 64);
}

#[tokio::test]
async fn an_etag_permits_one_state() {
    let world = World::new().await;
    let of_none = WantedConsumer {
        expected: ExpectedState::Etag("stale".to_owned()),
        ..wanted()
    };
    assert_err!(apply(&world, &of_none).await, IssueError::Conflict);
    let consumer = apply(&world, &wanted()).await.unwrap().consumer;
    assert_err!(apply(&world, &of_none).await, IssueError::Conflict);
    let current = WantedConsumer {
        expected: ExpectedState::Etag(etag(consumer.generation, consumer.revision)),
        ..wanted()
    };
    apply(&world, &current).await.unwrap();
}

#[tokio::test]
async fn a_consumer_that_appears_is_not_changed_by_a_caller_who_saw_none() {
    let world = World::new().await;
    let new = WantedConsumer {
        expected: ExpectedState::Absent,
        ..wanted()
    };
    apply(&world, &new).await.unwrap();
    let before = stored(&world).await;
    // Not even an equal one.
    assert_err!(apply(&world, &new).await, IssueError::Conflict);
    let mut other = new;
    other.attributes.name = "Other".to_owned();
    assert_err!(apply(&world, &other).await, IssueError::Conflict);
    assert_eq!(stored(&world).await, before);
}

#[tokio::test]
async fn a_consumer_is_found_by_its_id() {
    let world = World::new().await;
    let consumer = world.consumer().await;
    for at in 0..205 {
        let draft = ConsumerDraft {
            consumer_key: Some(format!("a{at}")),
            ..printer()
        };
        world.issuer.create_consumer(&draft, &ADMIN).await.unwrap();
    }
    let found = world.issuer.consumer_by_id(&consumer.id).await.unwrap();
    assert_eq!(found, consumer);
    let unknown = ConsumerId::new("unknown").unwrap();
    assert_err!(
        world.issuer.consumer_by_id(&unknown).await,
        IssueError::UnknownConsumerId(_)
    );
}

#[tokio::test]
async fn only_one_search_by_id_reads_the_consumers_at_a_time() {
    let world = World::new().await;
    let consumer = world.consumer().await;
    let turn = world.issuer.search.lock().await;
    let other = world.issuer.clone();
    let mut found = pin!(other.consumer_by_id(&consumer.id));
    assert!(found.as_mut().now_or_never().is_none());
    drop(turn);
    assert_eq!(found.await.unwrap(), consumer);
}

fn wanted() -> WantedConsumer {
    let ConsumerDraft {
        consumer_secret,
        attributes,
        ..
    } = printer();
    WantedConsumer {
        consumer_key: key(),
        expected: ExpectedState::Any,
        status: None,
        consumer_secret,
        secret_overlap: Duration::ZERO,
        generate_secret: false,
        rsa_public_keys: Vec::new(),
        attributes,
        validate_only: false,
    }
}

async fn apply(world: &World, wanted: &WantedConsumer) -> Result<ApplyOutcome, IssueError> {
    world.issuer.apply_consumer(wanted, &ADMIN).await
}

async fn stored(world: &World) -> Consumer {
    world.store.consumer(&key()).await.unwrap().unwrap()
}

const RSA: &str = include_str!("rsa_public.pem");
