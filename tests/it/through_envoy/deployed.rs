//! What deploy/envoy adds to deciding.

use serde_json::Value;

use crate::envoy::{Deadlines, NEWEST, OLDEST, Shape};
use crate::http::Request;
use crate::stack::{Parts, Stack, StoreKind};

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_says_what_was_decided_and_nothing_that_was_signed() {
    for envoy in [NEWEST, OLDEST] {
        let mut stack = deployed(envoy).await;
        stack.allows(&stack.alice.signing().in_query(&Request::get("/photos?size=original"))).await;
        let line = stack.envoy.access().await;
        let said = ["path", "decision", "consumer", "user"].map(|field| line[field].clone());
        assert_eq!(said, ["/photos", "allow", "Printer", "alice"].map(Value::from), "{line}");
        assert!(!line.to_string().contains("oauth_"), "{line}");

        let wrong = stack.alice.sign(&Request::get("/photos")).with_changed("Host", |_| "evil.example".to_owned());
        let refused = stack.denies(&wrong, 401, "signature_invalid").await;
        let line = stack.envoy.access().await;
        assert_eq!((&line["decision"], &line["problem"]), (&"deny".into(), &"signature_mismatch".into()), "{line}");
        assert_eq!(line["decision_id"], refused.json()["decision_id"]);
        assert_eq!((&line["consumer"], &line["user"]), (&Value::Null, &Value::Null), "nobody was proven");
    }
}

/// Countersign checks what is signed for itself, and the upstream is not reached that way.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_for_countersign_itself_is_not_checked_in_front() {
    let stack = deployed(NEWEST).await;
    let signed = stack.alice.sign(&Request::new("POST", "/oauth/request_token"));
    assert_eq!(stack.send(&signed).await.status, 503, "nobody listens there yet");
    assert_eq!(stack.upstream.received().len(), 0);
    let elsewhere = Request { target: "/oauth".to_owned(), ..signed };
    stack.denies(&elsewhere, 401, "signature_invalid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_with_an_underscore_is_refused() {
    let stack = deployed(NEWEST).await;
    for name in ["x_consumer_id", "X_Anything"] {
        let response = stack.send(&stack.alice.sign(&Request::get("/photos")).with(name, "1")).await;
        assert_eq!(response.status, 400, "{response:?}");
    }
    assert_eq!(stack.upstream.received().len(), 0);
}

async fn deployed(envoy: &'static str) -> Stack {
    let (shape, store, deadlines) = (Shape::Deploy, StoreKind::Embedded, Deadlines::Patient);
    Stack::start(Parts { envoy, shape, store, deadlines }).await
}
