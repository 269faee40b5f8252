//! A form is never verified without its whole body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::on_every_stack;
use crate::support::envoy::Shape;
use crate::support::http::{FORM, Request, Response, exchange};
use crate::support::stack::Stack;

on_every_stack!(
    a_form_up_to_the_limit_is_verified_and_a_larger_one_is_413,
    a_body_as_large_as_envoy_sends_passes_and_a_larger_one_is_413,
    a_form_in_chunks_is_verified_whole,
    a_form_behind_an_upgrade_is_refused,
    a_body_hash_is_compared_with_the_body,
    a_form_that_envoy_may_have_altered_is_refused,
);

async fn a_form_up_to_the_limit_is_verified_and_a_larger_one_is_413(stack: &Stack) {
    let largest = format!("a={}", "b".repeat(MAX_FORM_BYTES - 2));
    let signed = stack
        .alice
        .sign(&Request::form("POST", "/photos", &largest));
    assert_eq!(stack.allows(&signed).await.body.len(), MAX_FORM_BYTES);
    let larger = signed.with_body(&format!("{largest}b"));
    let refused = stack.send(&larger).await;
    let detail = refused.json()["detail"].clone();
    assert_eq!(refused.status, 413);
    assert!(
        detail.as_str().unwrap().contains("check.max_form_bytes"),
        "{detail}"
    );
    assert_eq!(stack.upstream.received().len(), 0);
}

async fn a_body_as_large_as_envoy_sends_passes_and_a_larger_one_is_413(stack: &Stack) {
    let text = |length| {
        let request = Request::new("POST", "/photos").with("Content-Type", "text/plain");
        stack.alice.sign(&request).with_body(&"b".repeat(length))
    };
    let received = stack.allows(&text(MAX_REQUEST_BYTES)).await;
    assert_eq!(received.body.len(), MAX_REQUEST_BYTES);
    assert_eq!(stack.send(&text(MAX_REQUEST_BYTES + 1)).await.status, 413);
    assert_eq!(stack.upstream.received().len(), 0);
}

async fn a_form_in_chunks_is_verified_whole(stack: &Stack) {
    let form = stack
        .alice
        .sign(&Request::form("POST", "/photos", "title=a&to=alice"));
    let received = in_chunks(stack, &form, &["title=a", "&to=alice"]).await;
    assert_eq!(received.status, 200, "{received:?}");
    assert_eq!(stack.upstream.received()[0].body, b"title=a&to=alice");

    let tampered = stack
        .alice
        .sign(&Request::form("POST", "/photos", "title=a"));
    let refused = in_chunks(stack, &tampered, &["title=a", "&to=mallory"]).await;
    assert_eq!(
        (refused.status, &refused.json()["oauth_problem"]),
        (401, &"signature_invalid".into())
    );
    assert_eq!(stack.upstream.received().len(), 0);
}

/// Envoy does not buffer such a request, and forwards the rest of the body unchecked.
async fn a_form_behind_an_upgrade_is_refused(stack: &Stack) {
    let form = Request::form("POST", "/photos", "").with("Upgrade", "websocket");
    let signed = stack.alice.sign(&form).with_body("to=mallory");
    let response = stack.send(&signed).await;
    assert!([401, 403, 413].contains(&response.status), "{response:?}");
    assert_eq!(stack.upstream.received().len(), 0);
}

async fn a_body_hash_is_compared_with_the_body(stack: &Stack) {
    let hash = STANDARD.encode(Sha1::digest(r#"{"to":"alice"}"#));
    let json = |body: &str| {
        Request::new("POST", "/photos")
            .with("Content-Type", "application/json")
            .with_body(body)
    };
    let signed = stack
        .alice
        .signing()
        .with("oauth_body_hash", &hash)
        .in_header(&json(r#"{"to":"alice"}"#));
    stack
        .denies(
            &signed.clone().with_body(r#"{"to":"mallory"}"#),
            401,
            "signature_invalid",
        )
        .await;
    stack.allows(&signed).await;
}

/// As text, a `!` may stand for a byte that is not UTF-8, and the upstream would receive another
/// form.
async fn a_form_that_envoy_may_have_altered_is_refused(stack: &Stack) {
    let signed = stack
        .alice
        .sign(&Request::form("POST", "/photos", "title=hello!"));
    match stack.parts.shape {
        Shape::Deploy => drop(stack.allows(&signed).await),
        Shape::Gateway | Shape::Tcp => drop(stack.denies(&signed, 413, "parameter_rejected").await),
    }
    stack
        .allows(
            &stack
                .alice
                .sign(&Request::form("POST", "/photos", "title=hello%21")),
        )
        .await;
}

/// Sends a request with its body replaced by these chunks.
async fn in_chunks(stack: &Stack, request: &Request, chunks: &[&str]) -> Response {
    let mut request = request.clone().with("Transfer-Encoding", "chunked");
    request.headers.retain(|(name, _)| name != "Content-Length");
    let chunks = chunks.iter().chain(&[""]);
    request.body = chunks
        .map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()))
        .collect();
    assert_eq!(request.header("Content-Type"), Some(FORM));
    Response::parse(&exchange(stack.envoy.address, &request.to_bytes()).await)
}

/// `check.max_form_bytes`.
const MAX_FORM_BYTES: usize = 64 * 1024;

/// `max_request_bytes` of every configuration here.
const MAX_REQUEST_BYTES: usize = 1_048_576;
