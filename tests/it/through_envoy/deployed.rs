//! The routes of deploy/envoy for Countersign's own endpoints.

use crate::support::envoy::{Deadlines, NEWEST, Shape};
use crate::support::http::Request;
use crate::support::stack::{Parts, Stack, StoreKind};

/// Countersign verifies requests to its own endpoints, and they never reach the upstream.
#[tokio::test(flavor = "multi_thread")]
async fn requests_to_countersign_itself_are_not_checked_in_front() {
    let stack = deployed().await;
    let asking = stack
        .alice
        .without_token()
        .signing()
        .with("oauth_callback", "oob");
    let signed = asking.in_header(&Request::new("POST", "/oauth/request_token"));
    let answer = stack.send(&signed).await;
    assert_eq!(
        answer.status, 200,
        "a check at Envoy must not claim the nonce: {answer:?}"
    );
    assert_eq!(stack.upstream.received().len(), 0);
    let elsewhere = Request {
        target: "/oauth".to_owned(),
        ..signed
    }
    .with_body("");
    stack.denies(&elsewhere, 401, "signature_invalid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_with_an_underscore_is_refused() {
    let stack = deployed().await;
    for name in ["x_consumer_id", "X_Anything"] {
        let response = stack
            .send(&stack.alice.sign(&Request::get("/photos")).with(name, "1"))
            .await;
        assert_eq!(response.status, 400, "{response:?}");
    }
    assert_eq!(stack.upstream.received().len(), 0);
}

async fn deployed() -> Stack {
    let (envoy, shape, store) = (NEWEST, Shape::Deploy, StoreKind::Embedded);
    Stack::start(Parts {
        envoy,
        shape,
        store,
        deadlines: Deadlines::Patient,
    })
    .await
}
