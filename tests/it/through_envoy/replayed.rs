//! One signature, one request.

use futures_util::future::join_all;

use super::on_every_stack;
use crate::support::caller::now;
use crate::support::http::Request;
use crate::support::stack::Stack;

on_every_stack!(
    a_replay_is_refused,
    a_replay_with_the_ids_of_the_first_request_is_refused,
    a_future_dated_request_is_allowed_once,
    of_many_copies_at_once_exactly_one_is_allowed,
    a_denial_before_the_proof_claims_no_nonce,
);

async fn a_replay_is_refused(stack: &Stack) {
    let in_header = stack.alice.sign(&Request::get("/photos"));
    let in_query = stack.alice.signing().in_query(&Request::get("/photos"));
    let in_form = stack
        .alice
        .signing()
        .in_form(&Request::form("POST", "/photos", "a=1"));
    for signed in [in_header, in_query, in_form] {
        stack.allows(&signed).await;
        stack.denies(&signed, 401, "nonce_used").await;
        // A client's headers that imitate Envoy's own retry change nothing.
        stack
            .denies(
                &signed
                    .with("X-Request-Id", "1")
                    .with("X-Envoy-Attempt-Count", "2"),
                401,
                "nonce_used",
            )
            .await;
    }
}

/// Countersign recognizes a retry of Envoy by an id that no client can choose.
async fn a_replay_with_the_ids_of_the_first_request_is_refused(stack: &Stack) {
    let chosen = [
        ("X-Request-Id", "0b5e6a8e-1d3f-9c41-8d5b-3f2a1c0d9e8f"),
        ("X-Client-Trace-Id", "1"),
        (
            "Traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    let signed = chosen.into_iter().fold(
        stack.alice.sign(&Request::get("/photos")),
        |request, (name, value)| request.with(name, value),
    );
    stack.allows(&signed).await;
    stack.denies(&signed, 401, "nonce_used").await;
}

async fn a_future_dated_request_is_allowed_once(stack: &Stack) {
    let signed = stack
        .alice
        .signing()
        .at(now() + 200)
        .in_header(&Request::get("/photos"));
    stack.allows(&signed).await;
    stack.denies(&signed, 401, "nonce_used").await;
}

async fn of_many_copies_at_once_exactly_one_is_allowed(stack: &Stack) {
    let signed = stack.alice.sign(&Request::get("/photos"));
    let answers = join_all((0..COPIES).map(|_| stack.send(&signed))).await;
    let (allowed, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((allowed.len(), stack.upstream.received().len()), (1, 1));
    for answer in refused {
        assert!(
            answer.status == 401 && answer.json()["oauth_problem"] == "nonce_used",
            "{answer:?}"
        );
    }
}

async fn a_denial_before_the_proof_claims_no_nonce(stack: &Stack) {
    let signed = stack.alice.sign(&Request::get("/photos"));
    stack
        .denies(
            &Request {
                method: "PUT".to_owned(),
                ..signed.clone()
            },
            401,
            "signature_invalid",
        )
        .await;
    stack.allows(&signed).await;
}

const COPIES: usize = 100;
