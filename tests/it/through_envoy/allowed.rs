//! Correctly signed requests pass, with the parameters in any place, and the upstream receives the
//! identity of the caller.

use super::on_every_stack;
use crate::support::http::Request;
use crate::support::stack::{Stack, identity};

on_every_stack!(
    a_request_signed_in_its_header_is_allowed,
    a_request_signed_in_its_query_is_allowed,
    a_request_signed_in_its_form_is_allowed,
    every_hmac_method_is_allowed,
    a_request_signed_without_a_token_is_the_consumers_own,
    the_path_is_signed_as_it_stands,
    the_query_is_signed_as_a_form_is,
);

async fn a_request_signed_in_its_header_is_allowed(stack: &Stack) {
    for method in ["GET", "DELETE", "PUT", "POST"] {
        let request = stack
            .alice
            .sign(&Request::new(method, "/photos?size=original"));
        let received = stack.allows(&request).await;
        assert_eq!(
            (received.method.as_str(), received.target.as_str()),
            (method, "/photos?size=original")
        );
        assert_eq!(identity(&received), stack.headers_of_alice());
        assert_eq!(received.header("authorization"), None);
    }
    for method in ["PUT", "POST", "DELETE"] {
        let request = stack.alice.sign(&Request::form(
            method,
            "/photos",
            "title=summer+time&tag=%C3%A9t%C3%A9&tag=",
        ));
        let received = stack.allows(&request).await;
        assert_eq!(received.body, b"title=summer+time&tag=%C3%A9t%C3%A9&tag=");
        assert_eq!(identity(&received), stack.headers_of_alice());
        assert_eq!(received.header("authorization"), None);
    }
    let json = Request::new("POST", "/photos")
        .with("Content-Type", "application/json")
        .with_body(r#"{"a":"é!"}"#);
    assert_eq!(
        stack.allows(&stack.alice.sign(&json)).await.body,
        r#"{"a":"é!"}"#.as_bytes()
    );
}

async fn a_request_signed_in_its_query_is_allowed(stack: &Stack) {
    for method in ["GET", "DELETE", "PUT", "POST"] {
        let signed = stack
            .alice
            .signing()
            .in_query(&Request::new(method, "/photos?size=original"));
        let received = stack.allows(&signed).await;
        assert_eq!(received.target, signed.target);
        assert_eq!(identity(&received), stack.headers_of_alice());
    }
    // The header of another scheme stays.
    let signed = stack
        .alice
        .signing()
        .in_query(&Request::get("/photos").with("Authorization", "Bearer for-the-upstream"));
    assert_eq!(
        stack.allows(&signed).await.header("authorization"),
        Some("Bearer for-the-upstream")
    );
}

async fn a_request_signed_in_its_form_is_allowed(stack: &Stack) {
    for method in ["POST", "PUT", "DELETE"] {
        let signed = stack.alice.signing().in_form(&Request::form(
            method,
            "/photos?size=original",
            "title=a%2Bb",
        ));
        let received = stack.allows(&signed).await;
        assert_eq!(received.body, signed.body.as_bytes());
        assert_eq!(identity(&received), stack.headers_of_alice());
    }
}

async fn every_hmac_method_is_allowed(stack: &Stack) {
    for method in ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512"] {
        let signed = stack
            .alice
            .signing()
            .with_method(method)
            .in_header(&Request::get("/photos"));
        assert_eq!(
            identity(&stack.allows(&signed).await),
            stack.headers_of_alice()
        );
    }
}

async fn a_request_signed_without_a_token_is_the_consumers_own(stack: &Stack) {
    let received = stack
        .allows(&stack.alice.without_token().sign(&Request::get("/photos")))
        .await;
    assert_eq!(identity(&received), stack.headers_of_consumer());
}

async fn the_path_is_signed_as_it_stands(stack: &Stack) {
    for path in [
        "/",
        "/a%20b",
        "/caf%C3%A9",
        "/caf%c3%a9",
        "/a;v=1,2",
        "/a:@!$&'()*+,b",
        "/%25",
    ] {
        let received = stack.allows(&stack.alice.sign(&Request::get(path))).await;
        assert_eq!(received.target, path);
    }
}

async fn the_query_is_signed_as_a_form_is(stack: &Stack) {
    for query in [
        "a=1&a=1&a=0",
        "b=%3D%253D&a",
        "q=a+b%20c%2Bd",
        "%C3%A9=%e2%82%ac",
        "a=&&b=",
        "%20=dog&.=ape",
    ] {
        let received = stack
            .allows(&stack.alice.sign(&Request::get(&format!("/photos?{query}"))))
            .await;
        assert_eq!(received.target, format!("/photos?{query}"));
    }
}
