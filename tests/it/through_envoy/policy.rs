//! Route policy, from the configuration or from Envoy.

use super::on_every_stack;
use crate::support::http::Request;
use crate::support::stack::{Stack, identity};

on_every_stack!(
    an_optional_route_lets_the_unsigned_through_as_anonymous,
    an_optional_route_refuses_wrong_signatures,
    a_route_can_demand_a_user,
    a_route_can_demand_scopes,
    an_origin_is_what_clients_sign,
    a_shadowed_route_lets_everything_pass_and_identifies_only_the_proven,
);

async fn an_optional_route_lets_the_unsigned_through_as_anonymous(stack: &Stack) {
    for path in ["/public", "/public/photos?page=1"] {
        let received = stack
            .allows(&Request::get(path).with("Authorization", "Basic YTpi"))
            .await;
        assert_eq!(
            identity(&received),
            [("x-anonymous-consumer".to_owned(), "true".to_owned())]
        );
        assert_eq!(received.header("authorization"), Some("Basic YTpi"));
    }
    stack
        .denies(&Request::get("/publication"), 401, "parameter_absent")
        .await;
    let received = stack
        .allows(&stack.alice.sign(&Request::get("/public")))
        .await;
    assert_eq!(identity(&received), stack.headers_of_alice());
}

async fn an_optional_route_refuses_wrong_signatures(stack: &Stack) {
    let signed = stack.alice.sign(&Request::get("/public/1"));
    let tampered = Request {
        target: "/public/2".to_owned(),
        ..signed
    };
    stack.denies(&tampered, 401, "signature_invalid").await;
    stack
        .denies(
            &Request::get("/public?oauth_token=x"),
            400,
            "parameter_absent",
        )
        .await;
}

async fn a_route_can_demand_a_user(stack: &Stack) {
    let request = Request::get("/mine");
    stack
        .denies(
            &stack.alice.without_token().sign(&request),
            403,
            "permission_denied",
        )
        .await;
    stack.allows(&stack.alice.sign(&request)).await;
}

async fn a_route_can_demand_scopes(stack: &Stack) {
    let request = Request::new("POST", "/prints");
    stack
        .denies(&stack.alice.sign(&request), 403, "permission_denied")
        .await;
    stack
        .allows(&stack.alice.without_token().sign(&request))
        .await;
}

async fn an_origin_is_what_clients_sign(stack: &Stack) {
    let outside = Request::get("/api/tls/photos?page=1")
        .with_changed("Host", |_| "photos.example.net".to_owned());
    let inside = Request {
        target: "/tls/photos?page=1".to_owned(),
        ..Request::get("")
    };
    let signed = stack
        .alice
        .signing()
        .for_scheme("https")
        .in_header(&outside);
    let arriving = inside
        .clone()
        .with("Authorization", signed.header("Authorization").unwrap());
    stack.allows(&arriving).await;
    stack
        .denies(&stack.alice.sign(&inside), 401, "signature_invalid")
        .await;
}

async fn a_shadowed_route_lets_everything_pass_and_identifies_only_the_proven(stack: &Stack) {
    let signed = stack.alice.sign(&Request::get("/shadow/1"));
    let tampered = Request {
        target: "/shadow/2".to_owned(),
        ..signed.clone()
    };
    for request in [Request::get("/shadow"), tampered] {
        let received = stack
            .allows(&request.with("X-Consumer-Username", "spoofed"))
            .await;
        assert_eq!(identity(&received), []);
    }
    let received = stack.allows(&signed).await;
    assert_eq!(identity(&received), stack.headers_of_alice());
    assert!(received.header("authorization").is_some());
}
