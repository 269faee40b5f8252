//! Consumers and tokens over gRPC, by the rules in `proto/`.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::ManualClock;
use countersign::issue::{Actor, ConsumerAttributes, ConsumerDraft, Expiry, TokenDraft};
use countersign::model::{ConsumerStatus, Secret};
use countersign::v1;
use prost_types::Timestamp;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::admin_server::{AdminServer, START, fields, issuer, reason};

#[tokio::test]
async fn a_secret_is_shown_once() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    let created = consumers
        .create_consumer(create("Printer"))
        .await
        .unwrap()
        .into_inner();
    let consumer = created.consumer.unwrap();
    assert_eq!(
        (consumer.consumer_key.len(), created.consumer_secret.len()),
        (32, 64)
    );
    assert_eq!(
        (consumer.name.as_str(), consumer.secret_count),
        ("Printer", 1)
    );
    assert_eq!(consumer.status(), v1::ConsumerStatus::Active);
    assert_eq!(consumer.flows, ["two-legged", "three-legged"]);
    assert_eq!(
        consumer.create_time,
        Some(Timestamp {
            seconds: 1_700_000_000,
            nanos: 0
        })
    );

    let read = consumers
        .get_consumer(get(&consumer.consumer_key))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(read, consumer);
    assert!(!format!("{read:?}").contains(&created.consumer_secret));
}

#[tokio::test]
async fn given_credentials_are_stored_unchanged() {
    let server = AdminServer::start().await;
    let mut request = with_key("dpf43f3p2l4k3l03");
    request.consumer_secret = "kd94hf93k423kf44".to_owned();
    let created = server
        .consumers()
        .await
        .create_consumer(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(created.consumer.unwrap().consumer_key, "dpf43f3p2l4k3l03");
    assert_eq!(created.consumer_secret, "kd94hf93k423kf44");

    let request = v1::CreateTokenRequest {
        token: Some(v1::Token {
            token: "nnch734d00sl2jdk".to_owned(),
            ..token_of("dpf43f3p2l4k3l03")
        }),
        token_secret: "pfkkdhi9sl3r4s00".to_owned(),
        ttl: None,
        ..Default::default()
    };
    let created = server
        .tokens()
        .await
        .create_token(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(created.token.unwrap().token, "nnch734d00sl2jdk");
    assert_eq!(created.token_secret, "pfkkdhi9sl3r4s00");
}

#[tokio::test]
async fn a_key_is_taken_once() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    let first = consumers
        .create_consumer(with_key("taken"))
        .await
        .unwrap()
        .into_inner()
        .consumer
        .unwrap();
    let mut request = with_key("taken");
    request.consumer.as_mut().unwrap().name = "Impostor".to_owned();
    let refused = consumers.create_consumer(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::AlreadyExists, "CONSUMER_EXISTS")
    );
    assert_eq!(
        refused
            .get_error_details()
            .resource_info()
            .unwrap()
            .resource_name,
        "taken"
    );
    assert_eq!(
        consumers
            .get_consumer(get("taken"))
            .await
            .unwrap()
            .into_inner(),
        first
    );
}

#[tokio::test]
async fn every_wrong_field_is_named_and_nothing_is_written() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    let request = v1::CreateConsumerRequest {
        consumer: Some(v1::Consumer {
            consumer_key: "with space".to_owned(),
            name: "line\nbreak".to_owned(),
            callbacks: vec!["https://example.com/#top".to_owned()],
            signature_methods: vec!["RSA-SHA1".to_owned()],
            rsa_public_keys: vec![v1::RsaPublicKey {
                pem: "no key".to_owned(),
                ..Default::default()
            }],
            compat_profiles: vec!["plus-figurative".to_owned()],
            ..Default::default()
        }),
        consumer_secret: "a\0b".to_owned(),
        ..Default::default()
    };
    let refused = consumers.create_consumer(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::InvalidArgument, "FIELD_VIOLATION")
    );
    assert_eq!(
        fields(&refused),
        [
            "consumer.consumer_key",
            "consumer.name",
            "consumer_secret",
            "consumer.rsa_public_keys[0]",
            "consumer.callbacks[0]",
            "consumer.compat_profiles[0]",
        ]
    );
    assert!(!refused.message().contains("a\0b"));
    let listed = consumers
        .list_consumers(v1::ListConsumersRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.consumers, []);
}

#[tokio::test]
async fn a_missing_field_of_a_consumer_is_named() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    assert_missing([
        (
            consumers
                .create_consumer(v1::CreateConsumerRequest::default())
                .await
                .unwrap_err(),
            "consumer",
        ),
        (
            consumers.create_consumer(create("")).await.unwrap_err(),
            "consumer.name",
        ),
        (
            consumers.get_consumer(get("")).await.unwrap_err(),
            "consumer_key",
        ),
        (
            consumers
                .disable_consumer(v1::DisableConsumerRequest::default())
                .await
                .unwrap_err(),
            "consumer_key",
        ),
        (
            consumers
                .enable_consumer(v1::EnableConsumerRequest::default())
                .await
                .unwrap_err(),
            "consumer_key",
        ),
    ]);
}

#[tokio::test]
async fn a_missing_field_of_a_token_is_named() {
    let server = AdminServer::start().await;
    let mut tokens = server.tokens().await;
    assert_missing([
        (
            tokens
                .create_token(v1::CreateTokenRequest::default())
                .await
                .unwrap_err(),
            "token",
        ),
        (
            tokens.create_token(issue(token_of(""))).await.unwrap_err(),
            "token.consumer_key",
        ),
        (
            tokens
                .get_token(v1::GetTokenRequest::default())
                .await
                .unwrap_err(),
            "token",
        ),
        (
            tokens
                .revoke_token(v1::RevokeTokenRequest::default())
                .await
                .unwrap_err(),
            "token",
        ),
    ]);
}

#[tokio::test]
async fn an_rsa_key_is_stored_with_its_fingerprint() {
    let server = AdminServer::start().await;
    let request = with_rsa_key(PUBLIC_KEY_2048);
    let created = server
        .consumers()
        .await
        .create_consumer(request)
        .await
        .unwrap()
        .into_inner();
    let consumer = created.consumer.unwrap();
    assert_eq!(
        (created.consumer_secret.as_str(), consumer.secret_count),
        ("", 0),
        "a consumer with a key gets no secret"
    );
    let [key] = &consumer.rsa_public_keys[..] else {
        panic!("{consumer:?}")
    };
    assert_eq!((key.pem.trim(), key.bits), (PUBLIC_KEY_2048.trim(), 2048));
    assert_eq!(
        key.fingerprint,
        "f14c9815f1cda8255396a35a755f6bbfae256ab9c90d77280d8c6ebb177446f6"
    );
}

#[tokio::test]
async fn a_short_rsa_key_is_refused() {
    let server = AdminServer::start().await;
    let refused = server
        .consumers()
        .await
        .create_consumer(with_rsa_key(PUBLIC_KEY_1024))
        .await
        .unwrap_err();
    assert_eq!(
        refused.message(),
        "consumer.rsa_public_keys[0] has 1024 bits, the minimum is 2048"
    );
}

#[tokio::test]
async fn consumers_are_listed_page_by_page() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    for key in ["c", "a", "e", "b", "d"] {
        consumers.create_consumer(with_key(key)).await.unwrap();
    }
    let mut pages = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = consumers
            .list_consumers(v1::ListConsumersRequest {
                page_size: 2,
                page_token,
            })
            .await
            .unwrap();
        let v1::ListConsumersResponse {
            consumers,
            next_page_token,
        } = page.into_inner();
        pages.push(
            consumers
                .into_iter()
                .map(|consumer| consumer.consumer_key)
                .collect::<Vec<_>>()
                .concat(),
        );
        page_token = next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, ["ab", "cd", "e"]);

    let exactly = v1::ListConsumersRequest {
        page_size: 5,
        page_token: String::new(),
    };
    let page = consumers
        .list_consumers(exactly)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (page.consumers.len(), page.next_page_token.as_str()),
        (5, ""),
        "the last page is not empty"
    );

    let negative = v1::ListConsumersRequest {
        page_size: -1,
        page_token: String::new(),
    };
    assert_eq!(
        fields(&consumers.list_consumers(negative).await.unwrap_err()),
        ["page_size"]
    );
}

#[tokio::test]
async fn a_disabled_consumer_stays_so_until_it_is_enabled() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    let created = consumers
        .create_consumer(with_key("k"))
        .await
        .unwrap()
        .into_inner()
        .consumer
        .unwrap();
    server.clock.advance(Duration::from_secs(60));

    let disable = || v1::DisableConsumerRequest {
        consumer_key: "k".to_owned(),
    };
    let disabled = consumers
        .disable_consumer(disable())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(disabled.status(), v1::ConsumerStatus::Disabled);
    assert_ne!(disabled.etag, created.etag);
    assert_eq!(disabled.update_time.unwrap().seconds, 1_700_000_060);
    assert_eq!(
        consumers
            .disable_consumer(disable())
            .await
            .unwrap()
            .into_inner(),
        disabled,
        "the second call changes nothing"
    );
    assert_eq!(
        consumers.get_consumer(get("k")).await.unwrap().into_inner(),
        disabled
    );

    let enabled = consumers
        .enable_consumer(v1::EnableConsumerRequest {
            consumer_key: "k".to_owned(),
        })
        .await;
    assert_eq!(
        enabled.unwrap().into_inner().status(),
        v1::ConsumerStatus::Active
    );
}

#[tokio::test]
async fn an_unknown_record_is_not_found() {
    let server = AdminServer::start().await;
    let (mut consumers, mut tokens) = (server.consumers().await, server.tokens().await);
    let unknown = || "unknown".to_owned();
    let revoke = v1::RevokeTokenRequest {
        token: unknown(),
        consumer_key: String::new(),
    };
    for (refused, expected) in [
        (
            consumers.get_consumer(get("unknown")).await.unwrap_err(),
            "CONSUMER_NOT_FOUND",
        ),
        (
            consumers
                .disable_consumer(v1::DisableConsumerRequest {
                    consumer_key: unknown(),
                })
                .await
                .unwrap_err(),
            "CONSUMER_NOT_FOUND",
        ),
        (
            tokens
                .create_token(issue(token_of("unknown")))
                .await
                .unwrap_err(),
            "CONSUMER_NOT_FOUND",
        ),
        (
            tokens
                .get_token(v1::GetTokenRequest { token: unknown() })
                .await
                .unwrap_err(),
            "TOKEN_NOT_FOUND",
        ),
        (
            tokens.revoke_token(revoke).await.unwrap_err(),
            "TOKEN_NOT_FOUND",
        ),
    ] {
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::NotFound, expected)
        );
        assert_eq!(
            refused
                .get_error_details()
                .resource_info()
                .unwrap()
                .resource_name,
            "unknown"
        );
    }
}

#[tokio::test]
async fn a_token_name_is_taken_once_among_all_consumers() {
    let server = AdminServer::start().await;
    let (mut consumers, mut tokens) = (server.consumers().await, server.tokens().await);
    consumers.create_consumer(with_key("one")).await.unwrap();
    consumers.create_consumer(with_key("other")).await.unwrap();
    let named = |key| {
        issue(v1::Token {
            token: "t".to_owned(),
            ..token_of(key)
        })
    };
    tokens.create_token(named("one")).await.unwrap();
    let refused = tokens.create_token(named("other")).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::AlreadyExists, "TOKEN_EXISTS")
    );
    let kept = tokens
        .get_token(v1::GetTokenRequest {
            token: "t".to_owned(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(kept.consumer_key, "one");
}

#[tokio::test]
async fn a_token_has_a_user_and_scopes_of_its_consumer() {
    let server = AdminServer::start().await;
    let mut request = with_key("k");
    request.consumer.as_mut().unwrap().scopes = vec!["read".to_owned(), "write".to_owned()];
    server
        .consumers()
        .await
        .create_consumer(request)
        .await
        .unwrap();

    let mut tokens = server.tokens().await;
    let scoped = |scope: &str| v1::Token {
        user_id: "alice".to_owned(),
        scopes: vec![scope.to_owned()],
        ..token_of("k")
    };
    let token = tokens
        .create_token(issue(scoped("read")))
        .await
        .unwrap()
        .into_inner()
        .token
        .unwrap();
    assert_eq!(
        (token.user_id.as_str(), token.scopes),
        ("alice", vec!["read".to_owned()])
    );
    let refused = tokens
        .create_token(issue(scoped("admin")))
        .await
        .unwrap_err();
    assert_eq!(
        refused.message(),
        "token.scopes has \"admin\", which its consumer does not have"
    );
}

#[tokio::test]
async fn a_token_expires_by_the_clock_of_the_server() {
    let server = AdminServer::start().await;
    server
        .consumers()
        .await
        .create_consumer(with_key("k"))
        .await
        .unwrap();
    let mut tokens = server.tokens().await;
    let hour = prost_types::Duration {
        seconds: 3600,
        nanos: 0,
    };
    let request = v1::CreateTokenRequest {
        ttl: Some(hour),
        ..issue(token_of("k"))
    };
    let token = tokens
        .create_token(request)
        .await
        .unwrap()
        .into_inner()
        .token
        .unwrap();
    assert_eq!(
        token.expire_time,
        Some(Timestamp {
            seconds: 1_700_003_600,
            nanos: 0
        })
    );

    let now = Some(Timestamp {
        seconds: 1_700_000_000,
        nanos: 0,
    });
    let refused = tokens
        .create_token(issue(v1::Token {
            expire_time: now,
            ..token_of("k")
        }))
        .await
        .unwrap_err();
    assert_eq!(
        refused.message(),
        "token.expire_time must end in the future"
    );
}

#[tokio::test]
async fn a_token_is_revoked_for_good_and_only_for_its_consumer() {
    let server = AdminServer::start().await;
    server
        .consumers()
        .await
        .create_consumer(with_key("k"))
        .await
        .unwrap();
    let mut tokens = server.tokens().await;
    let created = tokens
        .create_token(issue(token_of("k")))
        .await
        .unwrap()
        .into_inner()
        .token
        .unwrap();
    let revoke = |consumer: &str| v1::RevokeTokenRequest {
        token: created.token.clone(),
        consumer_key: consumer.to_owned(),
    };
    let refused = tokens.revoke_token(revoke("another")).await.unwrap_err();
    assert_eq!(reason(&refused), "TOKEN_NOT_FOUND");
    let revoked = tokens.revoke_token(revoke("k")).await.unwrap().into_inner();
    assert_eq!(revoked.status(), v1::TokenStatus::Revoked);
    assert_eq!(
        tokens.revoke_token(revoke("")).await.unwrap().into_inner(),
        revoked,
        "the second call changes nothing"
    );
}

#[tokio::test]
async fn of_many_changes_at_once_none_is_lost() {
    let issuer = issuer(Arc::new(ManualClock::at(START))).await;
    let consumer = issuer
        .create_consumer(&draft(), &Actor::ADMIN)
        .await
        .unwrap()
        .record;
    let disable = |_| {
        let (issuer, key) = (issuer.clone(), consumer.key.clone());
        tokio::spawn(async move { issuer.disable_consumer(&key, &Actor::ADMIN).await })
    };
    let changes: Vec<_> = (0..8).map(disable).collect();
    for changed in changes {
        assert_eq!(
            changed.await.unwrap().unwrap().status,
            ConsumerStatus::Disabled
        );
    }
    let kept = issuer.consumer(&consumer.key).await.unwrap();
    assert_eq!(
        (kept.status, kept.revision),
        (ConsumerStatus::Disabled, consumer.revision + 1)
    );
}

#[tokio::test]
async fn a_request_beyond_4_mebibytes_is_refused() {
    let server = AdminServer::start().await;
    let mut request = create("Printer");
    request.consumer_secret = "x".repeat(4 * 1024 * 1024);
    let refused = server
        .consumers()
        .await
        .create_consumer(request)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
}

#[tokio::test]
async fn every_change_leaves_one_audit_event_without_secrets() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(log.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(writer)
        .finish();
    // A second dispatcher keeps other threads from disabling the callsites for all.
    let _other = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);

    let issuer = issuer(Arc::new(ManualClock::at(START))).await;
    let secret = || Some(Secret::new(*b"kd94hf93k423kf44"));
    let consumer = ConsumerDraft {
        consumer_key: Some("k".to_owned()),
        consumer_secret: secret(),
        ..draft()
    };
    let consumer = issuer
        .create_consumer(&consumer, &Actor::ADMIN)
        .await
        .unwrap()
        .record;
    let token = TokenDraft {
        token: Some("t".to_owned()),
        token_secret: secret(),
        consumer_key: "k".to_owned(),
        user_id: None,
        scopes: Vec::new(),
        expiry: Expiry::Never,
        ..TokenDraft::default()
    };
    let token = issuer
        .create_token(&token, &Actor::ADMIN)
        .await
        .unwrap()
        .record;
    for _ in 0..2 {
        issuer
            .revoke_token(&token.token, None, &Actor::ADMIN)
            .await
            .unwrap();
        issuer
            .disable_consumer(&consumer.key, &Actor::ADMIN)
            .await
            .unwrap();
    }

    let log = fs::read_to_string(log.path()).unwrap();
    assert!(!log.contains("kd94hf93k423kf44"), "{log}");
    assert_eq!(
        audit_events(&log),
        [
            r#""admin" "consumer.create" "k" null"#,
            r#""admin" "token.create" "k" "t""#,
            r#""admin" "token.revoke" "k" "t""#,
            r#""admin" "consumer.disable" "k" null"#,
        ]
    );
}

fn assert_missing<const N: usize>(refusals: [(Status, &str); N]) {
    for (refused, field) in refusals {
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}: {refused}");
        assert_eq!(fields(&refused), [field]);
    }
}

/// Returns the audit events of a log, as actor, action, consumer and token.
fn audit_events(log: &str) -> Vec<String> {
    let events = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    events
        .filter(|event| event["target"] == "countersign::audit")
        .map(|event| {
            format!(
                "{} {} {} {}",
                event["actor"], event["action"], event["consumer_key"], event["token"]
            )
        })
        .collect()
}

fn draft() -> ConsumerDraft {
    ConsumerDraft {
        attributes: ConsumerAttributes {
            name: "Printer".to_owned(),
            ..ConsumerAttributes::default()
        },
        ..ConsumerDraft::default()
    }
}

fn create(name: &str) -> v1::CreateConsumerRequest {
    let consumer = v1::Consumer {
        name: name.to_owned(),
        ..Default::default()
    };
    v1::CreateConsumerRequest {
        consumer: Some(consumer),
        ..Default::default()
    }
}

fn with_key(key: &str) -> v1::CreateConsumerRequest {
    let mut request = create("Printer");
    request.consumer.as_mut().unwrap().consumer_key = key.to_owned();
    request
}

fn with_rsa_key(pem: &str) -> v1::CreateConsumerRequest {
    let mut request = create("Printer");
    request.no_shared_secret = true;
    request.consumer.as_mut().unwrap().rsa_public_keys = vec![v1::RsaPublicKey {
        pem: pem.to_owned(),
        ..Default::default()
    }];
    request
}

fn get(key: &str) -> v1::GetConsumerRequest {
    v1::GetConsumerRequest {
        name: Some(v1::get_consumer_request::Name::ConsumerKey(key.to_owned())),
    }
}

fn token_of(consumer: &str) -> v1::Token {
    v1::Token {
        consumer_key: consumer.to_owned(),
        ..Default::default()
    }
}

fn issue(token: v1::Token) -> v1::CreateTokenRequest {
    v1::CreateTokenRequest {
        token: Some(token),
        ..Default::default()
    }
}

pub(crate) const PUBLIC_KEY_2048: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAlARmY0nmmn4Rq0fX3HHx
2Rf/e/uvRBx5uIQ8YVzGZ7qh1dK9xWKwFoVQIinHqUT8HKbnPX4ceqSkernxTq5h
3ABm+N7grR7SAjsivgJ+BU2tLJ+YtuvxZ4Tdpaez8LrJLJ22+9e/x06B0iJ1Kbgy
R5P3cuVWeYY0ShaypPe5d4Y9tKWA4qtyu1B3SEq5NGnM1KiNg32xCDOiDI1RcuAO
Pg/L0z/JMvq7k4xZZVx/ZUFLauwHvX/2o0c3LEfv2/2Ad5FLmsMJ3wYQxP23ps1M
hFmbu/o2k5wVEvWyCETFotJFwlMVniQgJl4Q5PlAmlxwc5mscpnqQmEV/YgGuK4z
ZwIDAQAB
-----END PUBLIC KEY-----
";

const PUBLIC_KEY_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC+JD7KCN46hNxaCN4SH09fcNeP
vhoRTmD0PIX/UIWYzSV4IIR+NGuP8L/XGTuu/c2diuP6uCGJKcA+irBLsW4hEOGf
eyVhCsBd7xmhFB6Soygfhz3YC4qt+e/U7lwqBMOLXoXeGUnQZbKQFstXY8x1BUAC
EDz8yFBcgoUqv2isSwIDAQAB
-----END PUBLIC KEY-----
";
