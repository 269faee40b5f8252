//! The six steps, each on a store in memory with a clock that stands still.

use std::path::Path;
use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::clock::{CountingEntropy, Entropy, ManualClock};
use crate::config::{Config, StoreUrl};
use crate::model::{ConsumerSecret, ConsumerStatus, Generation, TokenStatus, UserId};
use crate::oauth::{
    CompatProfile, OutgoingRequest, ParameterPlace, Rejection, RequestBody, RequestDraft,
    RequestStamp, RsaPrivateKey, RsaPublicKey, Scheme, Signer, SigningKey,
};
use crate::store::{Store, open};

// Step 1.

#[tokio::test]
async fn the_configured_number_of_parameters_is_the_limit() {
    let world = World::with(|config| config.verify.max_parameters = 9).await;
    for (target, is_allowed) in [("/?a=1", true), ("/?a=1&b=2&c=3&d=4&e=5", false)] {
        let outgoing = world.signed(target, NOW_SECS, SignatureMethod::HmacSha1, None);
        assert_eq!(
            world.reason(&outgoing, &demands()).await.is_none(),
            is_allowed
        );
        let at_endpoint = with_request(&outgoing, |request| {
            world.endpoint.read(&request, RULES).is_ok()
        });
        assert_eq!(at_endpoint, is_allowed);
    }
    assert_eq!(world.endpoint.limits(RULES).parameters, 9);
    assert_eq!(world.verifier.limits().parameters, 9);
}

#[tokio::test]
async fn the_size_that_a_route_accepts_is_the_limit() {
    let world = World::new().await;
    let outgoing = world.signed("/?a=12345", NOW_SECS, SignatureMethod::HmacSha1, None);
    let header = outgoing.authorization.as_ref().map_or(0, String::len);
    for (max_form_bytes, is_allowed) in [(header, true), (8, false)] {
        let demands = Demands {
            max_form_bytes,
            ..demands()
        };
        let reason = world.reason(&outgoing, &demands).await;
        assert_eq!(reason.is_none(), is_allowed, "{reason:?}");
    }
}

#[tokio::test]
async fn plaintext_needs_an_https_origin_and_a_timestamp_for_its_nonce() {
    let world = World::new().await;
    let plaintext = |more: &str| {
        let credentials = "oauth_consumer_key=\"key\", oauth_signature_method=\"PLAINTEXT\"";
        OutgoingRequest {
            authorization: Some(format!(
                "OAuth {credentials}, {more}oauth_signature=\"kd94hf93k423kf44%26\""
            )),
            ..world.signed("/", NOW_SECS, SignatureMethod::Plaintext, None)
        }
    };
    assert_eq!(world.reason(&plaintext(""), &demands()).await, None);
    assert_eq!(
        world
            .reason(&plaintext("oauth_nonce=\"n\", "), &demands())
            .await,
        Some(Reason::NonceWithoutTimestamp)
    );
    let http = Demands {
        https_is_configured: false,
        ..demands()
    };
    let Decision::Deny(denial) = world.check(&plaintext(""), &http).await else {
        panic!("PLAINTEXT was accepted without https");
    };
    assert_eq!(denial.reason, Reason::PlaintextWithoutHttps);
    assert_eq!(denial.signature_method, Some(SignatureMethod::Plaintext));
}

#[tokio::test]
async fn an_unsigned_request_is_anonymous_only_if_the_route_says_so() {
    let world = World::new().await;
    let unsigned = OutgoingRequest {
        authorization: None,
        ..world.signed("/", NOW_SECS, SignatureMethod::HmacSha1, None)
    };
    assert_eq!(
        world.reason(&unsigned, &demands()).await,
        Some(Reason::Unsigned)
    );
    let optional = Demands {
        require: Requirement::Optional,
        ..demands()
    };
    assert!(matches!(
        world.check(&unsigned, &optional).await,
        Decision::Anonymous
    ));
}

// Steps 2 and 3.

#[tokio::test]
async fn only_the_keys_of_the_caller_prove_a_request() {
    let world = World::new().await;
    for method in [SignatureMethod::HmacSha1, SignatureMethod::RsaSha256] {
        for token in [None, Some(TOKEN)] {
            let outgoing = world.signed("/", NOW_SECS, method, token);
            let Decision::Allow(allowance) = world.check(&outgoing, &demands()).await else {
                panic!("a proven request was refused: {method}");
            };
            assert_eq!(allowance.signature_method, method);
            assert!(allowance.credentials_in_header);
            assert_eq!(allowance.weakened, Weakened::default());
            let forged = OutgoingRequest {
                target: b"/?admin=1".to_vec(),
                ..world.signed("/", NOW_SECS, method, token)
            };
            let Decision::Deny(denial) = world.check(&forged, &demands()).await else {
                panic!("a forged request was allowed: {method}");
            };
            assert_eq!(
                denial.reason,
                Reason::Rejected(Rejection::SignatureMismatch)
            );
            let known = denial
                .known_consumer()
                .map(|consumer| consumer.key.as_str());
            assert_eq!(known, Some("key"));
            assert_eq!(denial.signature_method, Some(method));
        }
    }
}

#[tokio::test]
async fn unknown_credentials_prove_nothing() {
    let world = World::new().await;
    let renamed = |from: &str, to: &str, token| {
        let outgoing = world.signed("/", NOW_SECS, SignatureMethod::HmacSha1, token);
        OutgoingRequest {
            authorization: outgoing
                .authorization
                .map(|header| header.replace(&format!("\"{from}\""), &format!("\"{to}\""))),
            ..outgoing
        }
    };
    for (outgoing, reason) in [
        (renamed("key", "other", None), Reason::UnknownConsumer),
        (renamed(TOKEN, "other", Some(TOKEN)), Reason::UnknownToken),
        (
            world.signed("/", NOW_SECS, SignatureMethod::HmacSha512, None),
            Reason::MethodNotAllowed,
        ),
    ] {
        assert_eq!(world.reason(&outgoing, &demands()).await, Some(reason));
    }
}

#[tokio::test]
async fn proven_credentials_must_be_usable() {
    for (change, reason) in [
        (
            (|_, token| token.status = TokenStatus::Revoked) as fn(&mut Consumer, &mut AccessToken),
            Reason::TokenRevoked,
        ),
        (
            |_, token| token.expires_at = Some(NOW),
            Reason::TokenExpired,
        ),
        (
            |consumer, _| consumer.status = ConsumerStatus::Disabled,
            Reason::ConsumerDisabled,
        ),
    ] {
        let world = World::new().await;
        let (mut consumer, mut token) = (world.consumer.clone(), access_token());
        change(&mut consumer, &mut token);
        (consumer.revision, token.revision) = (2, 2);
        world.store.update_consumer(&consumer).await.unwrap();
        world.store.update_token(&token).await.unwrap();
        let outgoing = world.signed("/", NOW_SECS, SignatureMethod::HmacSha1, Some(TOKEN));
        let Decision::Deny(denial) = world.check(&outgoing, &demands()).await else {
            panic!("unusable credentials were accepted: {reason:?}");
        };
        assert_eq!(denial.reason, reason);
        assert_eq!(denial.signature_method, Some(SignatureMethod::HmacSha1));
        assert!(denial.identity.is_some());
    }
}

#[tokio::test]
async fn the_profiles_of_a_consumer_apply_but_for_those_of_the_query_at_an_endpoint() {
    for (profile, at_endpoint) in [
        (None, false),
        (Some(CompatProfile::SchemeAny), true),
        (Some(CompatProfile::PlusLiteral), false),
    ] {
        let world = World::new().await;
        let lenient = Consumer {
            compat: profile.into_iter().collect(),
            revision: 2,
            ..world.consumer.clone()
        };
        world.store.update_consumer(&lenient).await.unwrap();
        let method = SignatureMethod::HmacSha1;
        let plus_is_literal = profile == Some(CompatProfile::PlusLiteral);
        let deviating = if plus_is_literal {
            OutgoingRequest {
                target: b"/?a=1+2".to_vec(),
                ..world.signed("/?a=1%2B2", NOW_SECS, method, None)
            }
        } else {
            world.signed("/", NOW_SECS, method, None)
        };
        let authorization: Vec<_> = deviating
            .authorization
            .iter()
            .map(String::as_bytes)
            .collect();
        let mut request = received(&deviating, &authorization);
        if !plus_is_literal {
            request.scheme = Scheme::Http;
        }
        let decision = world.verifier.check(&request, &demands()).await.unwrap();
        let is_allowed = matches!(decision, Decision::Allow(_));
        assert_eq!(is_allowed, profile.is_some(), "{profile:?}");
        let signed = world.endpoint.read(&request, RULES).unwrap();
        let proven = world.endpoint.prove(signed, [1; 16]).await.unwrap();
        assert_eq!(proven.is_ok(), at_endpoint, "{profile:?}");
    }
}

#[tokio::test]
async fn a_consumer_without_the_two_legged_flow_needs_a_token() {
    let world = World::new().await;
    let three_legged = Consumer {
        flows: [Flow::ThreeLegged].into(),
        revision: 2,
        ..world.consumer.clone()
    };
    world.store.update_consumer(&three_legged).await.unwrap();
    let method = SignatureMethod::HmacSha1;
    let without = world.signed("/", NOW_SECS, method, None);
    assert_eq!(
        world.reason(&without, &demands()).await,
        Some(Reason::TokenRequired)
    );
    let with = world.signed("/", NOW_SECS, method, Some(TOKEN));
    assert_eq!(world.reason(&with, &demands()).await, None);
}

// Step 4.

#[tokio::test]
async fn the_window_ends_with_its_last_second_on_both_sides() {
    let world = World::new().await;
    let window = world.verifier.window.as_secs();
    for (timestamp, is_within) in [
        (NOW_SECS - window - 1, false),
        (NOW_SECS - window, true),
        (NOW_SECS + window, true),
        (NOW_SECS + window + 1, false),
        (NOW_SECS + 10 * window, false),
    ] {
        let outgoing = world.signed("/", timestamp, SignatureMethod::HmacSha1, None);
        let expected = (!is_within).then_some(Reason::TimestampRefused {
            sent: timestamp,
            earliest: NOW_SECS - window,
            latest: NOW_SECS + window,
            now: NOW_SECS,
        });
        assert_eq!(world.reason(&outgoing, &demands()).await, expected);
    }
}

// Step 5.

#[tokio::test]
async fn a_nonce_passes_once_and_a_retry_of_the_same_check_again() {
    let world = World::new().await;
    let outgoing = world.signed("/", NOW_SECS, SignatureMethod::HmacSha1, None);
    assert_eq!(world.reason(&outgoing, &demands()).await, None);
    assert_eq!(world.reason(&outgoing, &demands()).await, None);
    let another = Demands {
        check_id: [2; 16],
        ..demands()
    };
    assert_eq!(
        world.reason(&outgoing, &another).await,
        Some(Reason::NonceUsed)
    );
}

#[tokio::test]
async fn timestamps_up_to_not_before_are_refused() {
    let world = World::with(|config| config.verify.not_before = NOW_SECS).await;
    for (timestamp, is_fenced) in [(NOW_SECS, true), (NOW_SECS + 1, false)] {
        let outgoing = world.signed("/", timestamp, SignatureMethod::HmacSha1, None);
        let reason = world.reason(&outgoing, &demands()).await;
        let fenced = matches!(reason, Some(Reason::TimestampFenced { earliest, .. }) if earliest == NOW_SECS + 1);
        assert_eq!(fenced, is_fenced, "{reason:?}");
    }
}

// Step 6.

#[tokio::test]
async fn the_policy_of_the_route_decides_last() {
    let world = World::new().await;
    let (read, admin) = (
        Scopes::parse("read").unwrap(),
        Scopes::parse("admin").unwrap(),
    );
    for (token, demands, expected) in [
        (
            None,
            Demands {
                require: Requirement::User,
                ..demands()
            },
            Some(Reason::UserRequired),
        ),
        (
            Some(TOKEN),
            Demands {
                require: Requirement::User,
                scopes: &read,
                ..demands()
            },
            None,
        ),
        (
            Some(TOKEN),
            Demands {
                scopes: &admin,
                ..demands()
            },
            Some(Reason::ScopeMissing),
        ),
        (
            None,
            Demands {
                realm: Some("Photos"),
                ..demands()
            },
            Some(Reason::RealmMismatch),
        ),
    ] {
        let outgoing = world.signed("/", NOW_SECS, SignatureMethod::HmacSha1, token);
        assert_eq!(world.reason(&outgoing, &demands).await, expected);
    }
}

const RULES: EndpointRules = EndpointRules {
    https_is_configured: true,
    verifier_in_form: true,
};

/// A store with one consumer and one token, and the verifiers over it.
struct World {
    verifier: Verifier,
    endpoint: EndpointVerifier,
    store: Arc<dyn Store>,
    consumer: Consumer,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.store.url = StoreUrl::Memory;
        change(&mut config);
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
        let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
        let store = open(&config.store, Path::new("."), clock.clone(), entropy)
            .await
            .unwrap();
        let consumer = consumer();
        store.create_consumer(&consumer).await.unwrap();
        store.create_token(&access_token()).await.unwrap();
        let check_store: Arc<dyn CheckStore> = store.clone();
        Self {
            verifier: Verifier::new(check_store, clock.clone(), &config.verify),
            endpoint: EndpointVerifier::new(store.clone(), clock, &config.verify),
            store,
            consumer,
        }
    }

    /// Signs a GET whose nonce is unique to these arguments.
    fn signed(
        &self,
        target: &str,
        timestamp: u64,
        method: SignatureMethod,
        token: Option<&str>,
    ) -> OutgoingRequest {
        let nonce = format!("{method}{target}{token:?}");
        let signer = Signer {
            consumer_key: b"key",
            token: token.map(str::as_bytes),
            method,
            key: if method.is_rsa() {
                SigningKey::Rsa(&rsa_key().0)
            } else {
                SigningKey::Secrets {
                    consumer: SECRET,
                    token: token.map_or(b"", |_| TOKEN_SECRET),
                }
            },
        };
        let draft = RequestDraft {
            method: b"GET",
            scheme: Scheme::Https,
            authority: b"api.example.com",
            target: target.as_bytes(),
            content_type: None,
            body: b"",
            place: ParameterPlace::Header,
            stamp: RequestStamp {
                timestamp,
                nonce: nonce.as_bytes(),
            },
            realm: None,
            body_hash: false,
            extensions: &[],
        };
        signer.sign(&draft).unwrap()
    }

    async fn check(&self, outgoing: &OutgoingRequest, demands: &Demands<'_>) -> Decision {
        let authorization: Vec<_> = outgoing
            .authorization
            .iter()
            .map(String::as_bytes)
            .collect();
        let request = received(outgoing, &authorization);
        self.verifier.check(&request, demands).await.unwrap()
    }

    async fn reason(&self, outgoing: &OutgoingRequest, demands: &Demands<'_>) -> Option<Reason> {
        match self.check(outgoing, demands).await {
            Decision::Allow(_) => None,
            Decision::Anonymous => panic!("anonymous"),
            Decision::Deny(denial) => Some(denial.reason),
        }
    }
}

fn with_request<R>(outgoing: &OutgoingRequest, look: impl FnOnce(oauth::Request<'_>) -> R) -> R {
    let authorization: Vec<_> = outgoing
        .authorization
        .iter()
        .map(String::as_bytes)
        .collect();
    look(received(outgoing, &authorization))
}

fn received<'r>(
    outgoing: &'r OutgoingRequest,
    authorization: &'r [&'r [u8]],
) -> oauth::Request<'r> {
    oauth::Request {
        method: b"GET",
        scheme: Scheme::Https,
        authority: b"api.example.com",
        path_prefix: b"",
        target: &outgoing.target,
        authorization,
        content_type: &[],
        body: RequestBody::Whole(b""),
    }
}

fn demands() -> Demands<'static> {
    static NO_SCOPES: LazyLock<Scopes> = LazyLock::new(Scopes::default);
    Demands {
        require: Requirement::Consumer,
        scopes: &NO_SCOPES,
        realm: None,
        body_hash: BodyHashRule::Accept,
        untyped_body: UntypedBody::Refuse,
        max_form_bytes: 1 << 20,
        https_is_configured: true,
        check_id: [1; 16],
    }
}

/// A new RSA key of 2048 bits.
fn rsa_key() -> &'static (RsaPrivateKey, RsaPublicKey) {
    static KEY: LazyLock<(RsaPrivateKey, RsaPublicKey)> = LazyLock::new(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let private = pem("PRIVATE KEY", pair.as_der().unwrap().as_ref());
        let public = pem("RSA PUBLIC KEY", pair.public_key().as_ref());
        (
            RsaPrivateKey::from_pem(&private).unwrap(),
            RsaPublicKey::from_pem(&public).unwrap(),
        )
    });
    &KEY
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn consumer() -> Consumer {
    Consumer {
        secrets: vec![ConsumerSecret {
            secret: Secret::new(SECRET),
            expires_at: None,
        }],
        rsa_public_keys: vec![rsa_key().1.clone()],
        signature_methods: [
            SignatureMethod::HmacSha1,
            SignatureMethod::RsaSha256,
            SignatureMethod::Plaintext,
        ]
        .into(),
        scopes: Scopes::parse("read write").unwrap(),
        revision: 1,
        ..Consumer::example()
    }
}

fn access_token() -> AccessToken {
    AccessToken {
        token: Token::new(TOKEN).unwrap(),
        secret: Secret::new(TOKEN_SECRET),
        consumer_key: ConsumerKey::new("key").unwrap(),
        user_id: Some(UserId::new("jane").unwrap()),
        scopes: Scopes::parse("read").unwrap(),
        consumer_generation: Generation::default(),
        user_generation: Generation::default(),
        status: TokenStatus::Active,
        expires_at: None,
        created_at: NOW,
        revision: 1,
    }
}

const NOW_SECS: u64 = 1_700_000_000;

const NOW: UnixTime = UnixTime::from_secs(NOW_SECS);

const SECRET: &[u8] = b"kd94hf93k423kf44";

const TOKEN: &str = "nnch734d00sl2jdk";

const TOKEN_SECRET: &[u8] = b"pfkkdhi9sl3r4s00";
