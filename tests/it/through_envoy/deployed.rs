//! The routes of deploy/envoy for Countersign's own endpoints.

use crate::support::envoy::{Deadlines, NEWEST, OLDEST, Shape};
use crate::support::http::{Request, Response};
use crate::support::stack::{Parts, Stack, StoreKind};

/// Countersign verifies requests to its own endpoints, and they never reach the upstream.
#[tokio::test(flavor = "multi_thread")]
async fn requests_to_countersign_itself_are_not_checked_in_front() {
    let stack = deployed(NEWEST).await;
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
    let stack = deployed(NEWEST).await;
    for name in ["x_consumer_id", "X_Anything"] {
        let response = stack
            .send(&stack.alice.sign(&Request::get("/photos")).with(name, "1"))
            .await;
        assert_eq!(response.status, 400, "{response:?}");
    }
    assert_eq!(stack.upstream.received().len(), 0);
}

/// A denial of Countersign keeps its body, and a denial without a body has its id in a header.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_envoy_itself_says_so() {
    for envoy in [NEWEST, OLDEST] {
        let mut stack = deployed(envoy).await;
        for target in ["/photos%2F1", "//photos", "/photos/%2e%2E/1"] {
            let refused = stack.send(&Request::get(target)).await;
            assert_says(
                &refused,
                400,
                "without empty and dot segments",
                "direct_response",
            );
        }
        let underscore = Request::get("/photos").with("x_consumer_id", "1");
        let refused = stack.send(&underscore).await;
        assert_says(&refused, 400, "Bad Request", "http1.unexpected_underscore");
        let long = Request::new("POST", "/photos").with("Content-Type", "text/plain");
        let refused = stack.send(&long.with_body(&"x".repeat(1_100_000))).await;
        assert_says(
            &refused,
            413,
            "max_request_bytes",
            "request_payload_too_large",
        );

        let denied = stack
            .denies(&Request::get("/photos"), 401, "parameter_absent")
            .await;
        let id = denied.json()["decision_id"].clone();
        assert_eq!(denied.header("x-countersign-decision-id"), id.as_str());
        let headed = stack.send(&Request::new("HEAD", "/photos")).await;
        assert_eq!((headed.status, &*headed.body), (401, ""), "{headed:?}");
        let id = headed.header("x-countersign-decision-id").unwrap();
        let shown = stack.countersign.admin_text(&["denials", id]).await;
        assert!(shown.contains("HEAD "), "{shown}");

        stack.countersign.kill();
        let failed = stack.send(&Request::get("/photos")).await;
        assert_says(&failed, 503, "could not be verified", "ext_authz_error");
    }
}

fn assert_says(response: &Response, status: u16, detail: &str, details: &str) {
    assert_eq!(response.status, status, "{response:?}");
    let content_type = response.header("content-type");
    assert_eq!(
        content_type,
        Some("application/problem+json"),
        "{response:?}"
    );
    let body = response.json();
    assert_eq!(
        (&body["status"], &body["type"]),
        (&status.into(), &"about:blank".into())
    );
    assert!(body["detail"].as_str().unwrap().contains(detail), "{body}");
    assert_eq!(body["response_code_details"], details, "{body}");
}

async fn deployed(envoy: &'static str) -> Stack {
    let (shape, store) = (Shape::Deploy, StoreKind::Embedded);
    Stack::start(Parts {
        envoy,
        shape,
        store,
        deadlines: Deadlines::Patient,
    })
    .await
}
