//! Everything at once: a client, Envoy, Countersign, its store, and an upstream.

use serde_json::Value;

use crate::support::caller::{Caller, now};
use crate::support::envoy::{Deadlines, Envoy, Peers, Shape};
use crate::support::http::{Request, Response};
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;
use crate::support::upstream::{Received, Upstream};

/// The parts of a stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) envoy: &'static str,
    pub(crate) shape: Shape,
    pub(crate) store: StoreKind,
    pub(crate) deadlines: Deadlines,
}

/// The store of Countersign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Embedded,
    Redis,
}

/// The running parts, with one consumer and one token of it.
pub(crate) struct Stack {
    pub(crate) parts: Parts,
    pub(crate) envoy: Envoy,
    pub(crate) countersign: Countersign,
    pub(crate) redis: Option<RedisServer>,
    pub(crate) upstream: Upstream,
    /// Alice, who uses the consumer Printer.
    pub(crate) alice: Caller,
    /// The expected `x-consumer-id`.
    pub(crate) consumer_id: String,
}

impl Stack {
    pub(crate) async fn start(parts: Parts) -> Self {
        Self::start_in(&[], parts).await
    }

    /// Starts the parts, with more environment variables for Countersign.
    pub(crate) async fn start_in(environment: &[(&str, &str)], parts: Parts) -> Self {
        Self::start_edited(environment, parts, |envoy| envoy).await
    }

    /// Starts the parts, with another configuration of Envoy too.
    pub(crate) async fn start_edited(
        environment: &[(&str, &str)],
        parts: Parts,
        edit: impl FnOnce(String) -> String,
    ) -> Self {
        let upstream = Upstream::start().await;
        let redis = match parts.store {
            StoreKind::Embedded => None,
            StoreKind::Redis => Some(RedisServer::start_with(&DURABLE)),
        };
        if let Some(redis) = &redis {
            mark_as_old(redis);
        }
        let store = redis
            .as_ref()
            .map_or_else(|| "embedded:countersign.redb".to_owned(), RedisServer::url);
        let countersign = Countersign::start_in(environment, &store, &config(parts)).await;
        let (check, deadlines) = (countersign.check, parts.deadlines);
        let http = countersign.http;
        let peers = Peers {
            countersign: check,
            http,
            upstream: upstream.address,
            deadlines,
        };
        let envoy = edit(parts.shape.configuration(peers));
        let (envoy, (alice, consumer_id)) =
            tokio::join!(Envoy::start_as(parts.envoy, &envoy), alice(&countersign));
        Self {
            parts,
            envoy,
            countersign,
            redis,
            upstream,
            alice,
            consumer_id,
        }
    }

    /// Sends a request to Envoy.
    pub(crate) async fn send(&self, request: &Request) -> Response {
        request.send(self.envoy.address).await
    }

    /// Sends a request that must be allowed, and returns it as the upstream received it.
    pub(crate) async fn allows(&self, request: &Request) -> Received {
        let response = self.send(request).await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (200, "ok"),
            "{request:?} got {response:?}"
        );
        let mut received = self.upstream.received();
        assert_eq!(received.len(), 1, "{request:?} arrived so often");
        received.remove(0)
    }

    /// Sends a request that must be denied, and checks the denial and that the upstream received
    /// nothing.
    pub(crate) async fn denies(&self, request: &Request, status: u16, problem: &str) -> Response {
        let response = self.send(request).await;
        assert_eq!(response.status, status, "{request:?} got {response:?}");
        assert_is_denial(&response, problem);
        assert_eq!(self.upstream.received().len(), 0, "{request:?} arrived");
        response
    }

    /// Returns the identity headers that the upstream must receive for Alice, and no others.
    pub(crate) fn headers_of_alice(&self) -> Vec<(String, String)> {
        let of_token = [
            ("x-authenticated-scope", "read"),
            ("x-authenticated-userid", "alice"),
        ];
        let mut headers = of_token
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        headers.extend(
            self.headers_of_consumer()
                .into_iter()
                .filter(|(name, _)| name != "x-authenticated-scope"),
        );
        headers
    }

    /// Returns the identity headers for the consumer Printer alone.
    pub(crate) fn headers_of_consumer(&self) -> Vec<(String, String)> {
        [
            ("x-authenticated-scope", "read write"),
            ("x-consumer-id", &self.consumer_id),
            ("x-consumer-username", "Printer"),
            ("x-credential-identifier", &self.alice.consumer_key),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

/// Asserts the parts that every denial has.
fn assert_is_denial(response: &Response, problem: &str) {
    let challenge = response
        .header("www-authenticate")
        .unwrap_or_else(|| panic!("no challenge in {response:?}"));
    assert!(
        challenge.starts_with(r#"OAuth realm="photos", oauth_problem=""#),
        "{challenge}"
    );
    assert!(
        challenge.contains(&format!(r#"oauth_problem="{problem}""#)),
        "{challenge}"
    );
    assert_eq!(
        response.header("cache-control"),
        Some("no-store"),
        "{response:?}"
    );
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json"),
        "{response:?}"
    );
    let body = response.json();
    assert_eq!(
        (&body["status"], &body["oauth_problem"]),
        (&response.status.into(), &problem.into()),
        "{body}"
    );
    for field in [
        "type",
        "title",
        "detail",
        "oauth_problem_advice",
        "decision_id",
    ] {
        assert!(
            body[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field} in {body}"
        );
    }
}

/// Returns the identity headers that the upstream received, in any spelling, by name.
pub(crate) fn identity(received: &Received) -> Vec<(String, String)> {
    let mut headers = received.read_as(&IDENTITY);
    headers.sort();
    headers
}

/// Creates the consumer Printer with a token of Alice; returns her and the consumer's id.
pub(crate) async fn alice(countersign: &Countersign) -> (Caller, String) {
    let text = |json: &Value, field: &str| json[field].as_str().unwrap().to_owned();
    let consumer = [
        "consumer",
        "create",
        "--name=Printer",
        "--scope=read",
        "--scope=write",
    ];
    let consumer = countersign.admin(&consumer).await;
    let consumer_key = text(&consumer, "consumer_key");
    let token = [
        "token",
        "create",
        "--consumer-key",
        &consumer_key,
        "--user-id=alice",
        "--scope=read",
    ];
    let token = countersign.admin(&token).await;
    let caller = Caller {
        consumer_key,
        consumer_secret: text(&consumer, "consumer_secret"),
        token: Some((text(&token, "token"), text(&token, "token_secret"))),
    };
    (caller, text(&consumer, "consumer_id"))
}

/// Returns the configuration file of Countersign.
pub(crate) fn config(parts: Parts) -> String {
    let deadlines = match parts.deadlines {
        Deadlines::Shipped => "",
        Deadlines::Patient => PATIENT,
    };
    let (retries, public) = match parts.shape {
        // Envoy supplies the rule.
        Shape::Deploy => (RETRIED, ""),
        Shape::Gateway | Shape::Tcp => ("", PUBLIC),
    };
    format!("{deadlines}{retries}{CONFIG}{public}")
}

/// The headers that identify the caller to an upstream.
pub(crate) const IDENTITY: [&str; 6] = [
    "x-anonymous-consumer",
    "x-authenticated-scope",
    "x-authenticated-userid",
    "x-consumer-id",
    "x-consumer-username",
    "x-credential-identifier",
];

/// Writes the marker of a Redis that lost no nonce of the timestamps in these tests: in a new one,
/// timestamps from before its start are refused.
fn mark_as_old(redis: &RedisServer) {
    let since = (now() - 600).to_string();
    let marker = ["HSET", "countersign:{epoch}", "id", "0", "run_id", ""];
    let rest = ["promoted_from", "", "since", &since, "why", "lost"];
    let _new: u32 = redis.run(&[marker.as_slice(), rest.as_slice()].concat());
}

/// Redis writes to disk before it responds, so that a test can kill and restart it.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

const PATIENT: &str = r#"
check.timeout = "5s"
store.timeout = "3s"
"#;

/// `deploy/envoy` repeats a check that was not answered.
const RETRIED: &str = "nonce.trust_envoy_request_id = true\n";

/// Every Envoy here sends whole bodies; the rest are the routes of the tests.
const CONFIG: &str = r#"
check.realm = "photos"
check.envoy_sends_whole_bodies = true

[[route]]
path_prefix = "/tls"
origin = "https://photos.example.net/api"

[[route]]
path_prefix = "/mine"
require = "user"

[[route]]
path_prefix = "/prints"
scopes = "write"

[[route]]
path_prefix = "/shadow"
mode = "shadow"
"#;

const PUBLIC: &str = r#"
[[route]]
path_prefix = "/public"
require = "optional"
"#;
