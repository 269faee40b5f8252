//! A disk that is full for a while, below the embedded store of the real program.
//!
//! The limit on the size of files (`ulimit -f`) acts as the disk: it can be lowered and raised while
//! the program runs, without root.

use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::replicas::check_request;
use crate::support::caller::{Caller, now};
use crate::support::http::Request;
use crate::support::process::eventually;
use crate::support::program::Countersign;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_reported_and_its_end_needs_no_restart() {
    let mut world = World::start().await;
    let get = Request::get("/photos");
    let before = [
        world.alice.sign(&get),
        world.alice.signing().at(now() + 200).in_header(&get),
    ];
    for request in &before {
        assert_eq!(world.check(request).await, Ok(Allowed));
    }

    world.countersign.limit_files(Some(4096));
    let ahead = world.alice.signing().at(now() + 100).in_header(&get);
    assert_eq!(world.check(&ahead).await, Err(Code::Unavailable));
    world.becomes_ready(false).await;
    world.countersign.logs("File too large").await;
    let log = world.countersign.log();
    assert_eq!(log.matches("cannot use the store file").count(), 1, "{log}");
    world.fails_to_create("Lost").await;

    let freed = Instant::now();
    world.countersign.limit_files(None);
    world.becomes_ready(true).await;
    let took = freed.elapsed();
    // A busy machine may take longer than the second that is promised.
    assert!(took < Duration::from_secs(15), "ready after {took:?}");
    for request in &before {
        assert_eq!(world.check(request).await, Ok(Replayed));
    }
    for request in [
        world.alice.sign(&get),
        world.alice.signing().at(now() + 100).in_header(&get),
    ] {
        assert_eq!(world.check(&request).await, Ok(Allowed));
        assert_eq!(world.check(&request).await, Ok(Replayed));
    }

    world.countersign.restart_killed().await;
    world.connect().await;
    let ahead = world.alice.signing().at(now() + 100).in_header(&get);
    assert_eq!(
        world.check(&ahead).await,
        Ok(Allowed),
        "the consumer is kept"
    );
    assert_eq!(world.check(&before[1]).await, Ok(Replayed));
}

/// The program with a consumer, and a client that acts as Envoy.
struct World {
    countersign: Countersign,
    checks: AuthorizationClient<Channel>,
    alice: Caller,
}

/// An answer that is no failure.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Allowed,
    Replayed,
}

use Answer::{Allowed, Replayed};

impl World {
    async fn start() -> Self {
        let config = "check.timeout = \"5s\"\n";
        let countersign = Countersign::start("embedded:countersign.redb", config).await;
        let consumer = countersign
            .admin(&["consumer", "create", "--name=Printer"])
            .await;
        let text = |field: &str| consumer[field].as_str().unwrap().to_owned();
        let alice = Caller {
            consumer_key: text("consumer_key"),
            consumer_secret: text("consumer_secret"),
            token: None,
        };
        let checks = client(&countersign).await;
        Self {
            countersign,
            checks,
            alice,
        }
    }

    async fn connect(&mut self) {
        self.checks = client(&self.countersign).await;
    }

    async fn check(&self, request: &Request) -> Result<Answer, Code> {
        let answered = self.checks.clone().check(check_request(request)).await;
        let response = answered.map_err(|status| status.code())?.into_inner();
        match response.http_response.unwrap() {
            HttpResponse::OkResponse(_) => Ok(Allowed),
            HttpResponse::DeniedResponse(denied) => {
                assert!(denied.body.contains("nonce_used"), "{}", denied.body);
                Ok(Replayed)
            }
            other @ HttpResponse::ErrorResponse(_) => panic!("{other:?}"),
        }
    }

    async fn becomes_ready(&self, ready: bool) {
        let status = if ready { 200 } else { 503 };
        eventually("readiness", PATIENCE, async || {
            let answer = Request::get("/readyz").send(self.countersign.ops).await;
            (answer.status == status).then_some(())
        })
        .await;
    }

    /// Tries to create a consumer, which must fail.
    async fn fails_to_create(&self, name: &str) {
        let failure = self
            .countersign
            .admin_failure(&["consumer", "create", "--name", name])
            .await;
        assert!(failure.contains("unavailable"), "{failure}");
    }
}

async fn client(countersign: &Countersign) -> AuthorizationClient<Channel> {
    let address = format!("http://{}", countersign.check);
    let connected = Endpoint::from_shared(address).unwrap().connect().await;
    AuthorizationClient::new(connected.unwrap())
}

/// The longest wait, for busy machines.
const PATIENCE: Duration = Duration::from_secs(20);
