//! Warm, allowed checks without sockets, for `scripts/instructions`, which counts their
//! instructions.
//!
//! Each request is signed with HMAC-SHA1 in its header and has a token, three query parameters and
//! ten headers. Consumer and token are cached, nonces are in memory, and every nonce is fresh. A
//! check runs from the bytes of the message to the bytes of the response. The argument is the
//! number of checks. The number of signed requests does not depend on it, so that two runs differ
//! by their checks alone.

#![expect(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]

use std::sync::Arc;

use countersign::clock::{Clock, CountingEntropy, Entropy, ManualClock, UnixTime};
use countersign::config::{Config, StoreConfig, StoreUrl};
use countersign::diagnostics::Diagnostics;
use countersign::issue::{
    Actor, ConsumerAttributes, ConsumerDraft, Expiry, Issuer, IssuerTerms, TokenDraft,
};
use countersign::model::Secret;
use countersign::oauth::{
    ParameterPlace, RequestDraft, RequestStamp, Scheme, SignatureMethod, Signer, SigningKey,
};
use countersign::server::ext_authz::CheckService;
use countersign::store::{self, CachedStore, Store};
use countersign::telemetry::Metrics;
use countersign::verify::Verifier;
use envoy_types::ext_authz::v3::pb::{
    Address, CheckRequest, CheckResponse, HeaderValue, HttpResponse,
};
use envoy_types::pb::envoy::config::core::v3::{self as core, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{self, HttpRequest, Peer};

use http::HeaderMap;
use prost::Message as _;

fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1);
    assert!(
        count < SIGNED,
        "the argument is the number of checks, at most {}",
        SIGNED - 1
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(check(count));
}

/// Runs `count` checks after a first one, which fills the cache and whose response is verified.
async fn check(count: usize) {
    let (service, headers) = (service().await, HeaderMap::new());
    let requests: Vec<_> = (0..SIGNED).map(request).collect();
    let first = service.check(&headers, &requests[0]).await.unwrap();
    expect_allowed(&first);
    for request in &requests[1..=count] {
        // A denial would have another length.
        assert_eq!(
            service.check(&headers, request).await.unwrap().len(),
            first.len()
        );
    }
}

fn expect_allowed(response: &[u8]) {
    let response = CheckResponse::decode(response).unwrap();
    assert_eq!(response.status.unwrap().code, 0);
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else {
        panic!("the first check was denied")
    };
    let names: Vec<_> = ok
        .headers
        .into_iter()
        .map(|option| option.header.unwrap().key)
        .collect();
    assert!(
        names.iter().any(|name| name == "x-authenticated-userid"),
        "{names:?}"
    );
}

/// Returns a service with the default configuration, a store in memory, and a clock that stands
/// still.
async fn service() -> CheckService {
    let config = Config::default();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UnixTime::from_secs(NOW)));
    let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
    let in_memory = StoreConfig {
        url: StoreUrl::Memory,
        ..config.store.clone()
    };
    let directory = std::env::temp_dir();
    let store = store::open(
        &in_memory,
        &directory,
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )
    .await
    .unwrap();
    issue(Arc::clone(&store), &clock, &entropy, &config).await;
    let metrics = Arc::new(Metrics::default());
    let cached = CachedStore::new(
        store,
        Arc::clone(&clock),
        &config.cache,
        Arc::clone(&metrics),
    );
    let diagnostics = Diagnostics::new(
        &config.diagnostics,
        Arc::clone(&clock),
        Arc::clone(&metrics),
    );
    let verifier = Verifier::new(cached, clock, &config.verify);
    CheckService::new(verifier, Arc::new(config), metrics, diagnostics, entropy)
}

async fn issue(
    store: Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    config: &Config,
) {
    let issuer = Issuer::new(
        store,
        Arc::clone(clock),
        Arc::clone(entropy),
        IssuerTerms::of(config),
        None,
    );
    let consumer = ConsumerDraft {
        consumer_key: Some(CONSUMER_KEY.to_owned()),
        consumer_secret: Some(Secret::new(CONSUMER_SECRET.as_bytes())),
        attributes: ConsumerAttributes {
            name: "Printer Example".to_owned(),
            scopes: vec!["read".to_owned(), "write".to_owned()],
            ..ConsumerAttributes::default()
        },
        ..ConsumerDraft::default()
    };
    issuer
        .create_consumer(&consumer, &Actor::ADMIN)
        .await
        .unwrap();
    let token = TokenDraft {
        token: Some(TOKEN.to_owned()),
        token_secret: Some(Secret::new(TOKEN_SECRET.as_bytes())),
        consumer_key: CONSUMER_KEY.to_owned(),
        user_id: Some("jane".to_owned()),
        scopes: vec!["read".to_owned()],
        expiry: Expiry::Never,
        ..TokenDraft::default()
    };
    issuer.create_token(&token, &Actor::ADMIN).await.unwrap();
}

/// Returns the check of the nth request.
fn request(n: usize) -> Vec<u8> {
    let nonce = format!("{n:032x}");
    let draft = RequestDraft {
        method: b"GET",
        scheme: Scheme::Https,
        authority: HOST.as_bytes(),
        target: TARGET.as_bytes(),
        content_type: None,
        body: b"",
        place: ParameterPlace::Header,
        stamp: RequestStamp {
            timestamp: NOW,
            nonce: nonce.as_bytes(),
        },
        realm: None,
        body_hash: false,
        extensions: &[],
    };
    let signer = Signer {
        consumer_key: CONSUMER_KEY.as_bytes(),
        token: Some(TOKEN.as_bytes()),
        method: SignatureMethod::HmacSha1,
        key: SigningKey::Secrets {
            consumer: CONSUMER_SECRET.as_bytes(),
            token: TOKEN_SECRET.as_bytes(),
        },
    };
    attributes(signer.sign(&draft).unwrap().authorization.unwrap()).encode_to_vec()
}

/// Returns a check as Envoy sends it with `encode_raw_headers`.
fn attributes(authorization: String) -> CheckRequest {
    let headers = HEADERS
        .map(|(name, value)| (name, value.to_owned()))
        .into_iter();
    let header = |(name, value): (&str, String)| HeaderValue {
        key: name.to_owned(),
        raw_value: value.into_bytes(),
        ..HeaderValue::default()
    };
    let http = HttpRequest {
        id: "13359530607844510314".to_owned(),
        method: "GET".to_owned(),
        header_map: Some(core::HeaderMap {
            headers: headers
                .chain([("authorization", authorization)])
                .map(header)
                .collect(),
        }),
        path: TARGET.to_owned(),
        host: HOST.to_owned(),
        scheme: "https".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        ..HttpRequest::default()
    };
    let request = attribute_context::Request {
        http: Some(http),
        ..attribute_context::Request::default()
    };
    let peer = |address: &str| Peer {
        address: Some(core::Address {
            address: Some(Address::SocketAddress(SocketAddress {
                address: address.to_owned(),
                ..SocketAddress::default()
            })),
        }),
        ..Peer::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(peer("192.0.2.17")),
            destination: Some(peer("10.1.2.3")),
            request: Some(request),
            ..AttributeContext::default()
        }),
    }
}

/// The number of requests that are signed, whatever the argument.
const SIGNED: usize = 1200;

const NOW: u64 = 1_700_000_000;
const HOST: &str = "photos.example.net";
const TARGET: &str = "/v1/albums/42/photos?size=original&page=3&order=taken%20at";
const CONSUMER_KEY: &str = "9b1c7d5e0f3a48c2b6d4e8f019a2b3c4";
const CONSUMER_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const TOKEN: &str = "4f8e2d6c0b1a39577593a1b0c2d4e6f8";
const TOKEN_SECRET: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";

/// The headers except `authorization`, which is the tenth.
const HEADERS: [(&str, &str); 9] = [
    (":authority", HOST),
    (":method", "GET"),
    (":path", TARGET),
    (":scheme", "https"),
    ("accept", "application/json"),
    ("user-agent", "printer/2.1 (linux; x86_64)"),
    ("x-forwarded-for", "192.0.2.17"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "1f0c6a3e-52d4-4e9b-8a71-0d2f5b7c9e46"),
];
