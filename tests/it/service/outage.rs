//! Outages of Redis that the configuration lets checks work through.

use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::value::Kind;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::replicas::check_request;
use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::process::eventually;
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_of_an_outage_is_accepted_once_and_is_known_everywhere_after_it() {
    let mut redis = RedisServer::start_with(&["--appendonly", "yes"]);
    let (here, there) = replicas(&redis, WORKS_ON).await;
    let (alice, mallory) = (here.caller("Printer").await, here.caller("Scanner").await);
    let before = alice.sign(&photos());
    for replica in [&here, &there] {
        assert_eq!(replica.check(&alice.sign(&photos())).await, ALLOWED);
        assert_eq!(replica.check(&mallory.sign(&photos())).await, ALLOWED);
    }
    assert_eq!(here.check(&before).await, ALLOWED);
    here.revoke(&mallory).await;
    there.refuses(&mallory, "signature_invalid").await;

    redis.kill();
    let local = here.passes_in_the_outage(&alice).await;
    assert_eq!(here.check(&local).await, denied("nonce_used"));
    let lost = here.check(&before).await;
    assert!(
        matches!(lost, Answer::Denied(_)),
        "a request from before: {lost:?}"
    );
    let revoked = here.check(&mallory.sign(&photos())).await;
    assert!(!matches!(revoked, Answer::Allowed { .. }), "{revoked:?}");
    assert_eq!(here.readyz().await, 200);
    let metrics = here.countersign.metrics().await;
    for what in ["nonce", "credentials"] {
        let series = format!("countersign_checks_degraded_total{{what=\"{what}\"}}");
        assert!(metrics.contains(&series), "{metrics}");
    }

    redis.restart();
    assert_eq!(here.check(&local).await, denied("nonce_used"));
    here.logs("wrote nonces of the outage to the store").await;
    for replica in [&here, &there] {
        replica.passes(&alice).await;
        assert_eq!(replica.check(&local).await, denied("nonce_used"));
    }
    here.refuses(&mallory, "signature_invalid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_nothing_with_a_nonce_passes_in_an_outage() {
    let mut redis = RedisServer::start_with(&["--appendonly", "yes"]);
    let (here, _there) = replicas(&redis, "").await;
    let alice = here.caller("Printer").await;
    assert_eq!(here.check(&alice.sign(&photos())).await, ALLOWED);
    redis.kill();
    for _ in 0..20 {
        let answer = here.check(&alice.sign(&photos())).await;
        assert_eq!(answer, Answer::Failed(Code::Unavailable));
    }
    redis.restart();
    here.passes(&alice).await;
}

/// A replica, and a client that acts as Envoy.
struct Replica {
    countersign: Countersign,
    checks: AuthorizationClient<Channel>,
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// An allow, with the marks of an outage.
    Allowed {
        nonce_check: String,
        credentials: String,
    },
    /// A denial with this problem.
    Denied(String),
    Failed(Code),
}

const ALLOWED: Answer = Answer::Allowed {
    nonce_check: String::new(),
    credentials: String::new(),
};

async fn replicas(redis: &RedisServer, config: &str) -> (Replica, Replica) {
    let config =
        format!("cache.max_age = \"1s\"\ncheck.timeout = \"5s\"\nstore.timeout = \"3s\"\n{config}");
    let here = Countersign::start(&redis.url(), &config).await;
    let there = here.beside().await;
    (Replica::of(here).await, Replica::of(there).await)
}

impl Replica {
    async fn of(countersign: Countersign) -> Self {
        let address = format!("http://{}", countersign.check);
        let connected = Endpoint::from_shared(address).unwrap().connect().await;
        Self {
            countersign,
            checks: AuthorizationClient::new(connected.unwrap()),
        }
    }

    /// Creates a consumer.
    async fn caller(&self, name: &str) -> Caller {
        let created = self
            .countersign
            .admin(&["consumer", "create", "--name", name])
            .await;
        let text = |field: &str| created[field].as_str().unwrap().to_owned();
        Caller {
            consumer_key: text("consumer_key"),
            consumer_secret: text("consumer_secret"),
            token: None,
        }
    }

    async fn revoke(&self, caller: &Caller) {
        let command = ["consumer", "delete", &caller.consumer_key, "--yes"];
        self.countersign.admin_text(&command).await;
    }

    async fn check(&self, request: &Request) -> Answer {
        let response = match self.checks.clone().check(check_request(request)).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Answer::Failed(status.code()),
        };
        let metadata = response.dynamic_metadata.unwrap_or_default();
        match response.http_response.unwrap() {
            HttpResponse::OkResponse(_) => Answer::Allowed {
                nonce_check: text(&metadata, "nonce_check"),
                credentials: text(&metadata, "credentials"),
            },
            HttpResponse::DeniedResponse(denied) => {
                let body: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
                Answer::Denied(body["oauth_problem"].as_str().unwrap().to_owned())
            }
            other @ HttpResponse::ErrorResponse(_) => panic!("{other:?}"),
        }
    }

    /// Sends new requests until one passes without Redis and with stale credentials; returns it.
    async fn passes_in_the_outage(&self, caller: &Caller) -> Request {
        let expected = Answer::Allowed {
            nonce_check: "local".to_owned(),
            credentials: "stale".to_owned(),
        };
        eventually("a request passes in the outage", PATIENCE, async || {
            let request = caller.sign(&photos());
            (self.check(&request).await == expected).then_some(request)
        })
        .await
    }

    async fn passes(&self, caller: &Caller) {
        eventually("a request passes", PATIENCE, async || {
            (self.check(&caller.sign(&photos())).await == ALLOWED).then_some(())
        })
        .await;
    }

    async fn refuses(&self, caller: &Caller, problem: &str) {
        eventually(problem, PATIENCE, async || {
            (self.check(&caller.sign(&photos())).await == denied(problem)).then_some(())
        })
        .await;
    }

    async fn logs(&self, words: &str) {
        self.countersign.logs(words).await;
    }

    async fn readyz(&self) -> u16 {
        Request::get("/readyz")
            .send(self.countersign.ops)
            .await
            .status
    }
}

fn photos() -> Request {
    Request::get("/photos")
}

fn denied(problem: &str) -> Answer {
    Answer::Denied(problem.to_owned())
}

fn text(metadata: &Struct, field: &str) -> String {
    match metadata
        .fields
        .get(field)
        .and_then(|value| value.kind.clone())
    {
        Some(Kind::StringValue(text)) => text,
        _ => String::new(),
    }
}

const WORKS_ON: &str = "nonce.on_store_failure = \"local\"\ncache.max_stale_age = \"10m\"\n";

/// The longest wait, for busy machines.
const PATIENCE: Duration = Duration::from_secs(30);
