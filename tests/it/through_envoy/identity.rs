//! Identity headers at the upstream come from Countersign only.

use super::on_every_stack;
use crate::support::envoy::{Envoy, Peers, Shape};
use crate::support::http::Request;
use crate::support::scripted::WsgiUpstream;
use crate::support::stack::{IDENTITY, Stack, identity};

on_every_stack!(
    identity_headers_of_a_signed_request_are_replaced,
    identity_headers_of_an_unsigned_request_are_removed,
    a_wsgi_upstream_reads_no_spoofed_variable,
);

async fn identity_headers_of_a_signed_request_are_replaced(stack: &Stack) {
    for spell in SPELLINGS {
        let spoofed = IDENTITY
            .iter()
            .fold(Request::get("/photos"), |request, name| {
                request.with(&spell(name), "spoofed")
            });
        let received = stack.allows(&stack.alice.sign(&spoofed)).await;
        assert_eq!(identity(&received), stack.headers_of_alice());
        let twice = spoofed
            .with("X-Anonymous-Consumer", "true")
            .with("x-consumer-id", "spoofed");
        let received = stack
            .allows(&stack.alice.without_token().sign(&twice))
            .await;
        assert_eq!(identity(&received), stack.headers_of_consumer());
    }
}

async fn identity_headers_of_an_unsigned_request_are_removed(stack: &Stack) {
    for spell in SPELLINGS {
        let spoofed = IDENTITY
            .iter()
            .fold(Request::get("/public"), |request, name| {
                request.with(&spell(name), "spoofed")
            });
        let received = stack.allows(&spoofed).await;
        assert_eq!(
            identity(&received),
            [("x-anonymous-consumer".to_owned(), "true".to_owned())]
        );
    }
}

async fn a_wsgi_upstream_reads_no_spoofed_variable(stack: &Stack) {
    let wsgi = WsgiUpstream::start().await;
    let (countersign, deadlines) = (stack.countersign.check, stack.parts.deadlines);
    let peers = Peers {
        countersign,
        http: stack.countersign.http,
        upstream: wsgi.address,
        deadlines,
    };
    let envoy = Envoy::start(stack.parts.envoy, stack.parts.shape, peers).await;
    let underscored =
        |request: Request, name: &&str| request.with(&name.replace('-', "_"), "spoofed");
    let mixed = |request: Request, name: &&str| {
        request.with(&name.replacen('-', "_", 1).to_uppercase(), "spoofed")
    };
    let spoofed = |target: &str| {
        IDENTITY.iter().fold(
            IDENTITY.iter().fold(Request::get(target), underscored),
            mixed,
        )
    };

    // The spoofing works without Envoy and Countersign.
    let reached = spoofed("/photos").send(wsgi.address).await.json();
    assert_eq!(reached["HTTP_X_CONSUMER_ID"], "spoofed,spoofed");

    let signed = stack
        .alice
        .sign(&spoofed("/photos"))
        .send(envoy.address)
        .await;
    let unsigned = spoofed("/public").send(envoy.address).await;
    if stack.parts.shape == Shape::Deploy {
        assert_eq!(
            (signed.status, unsigned.status),
            (400, 400),
            "Envoy refuses underscores"
        );
        return;
    }
    assert_eq!(
        (signed.status, unsigned.status),
        (200, 200),
        "{signed:?} {unsigned:?}"
    );
    assert_eq!(
        variables(&signed.json()),
        as_variables(&stack.headers_of_alice())
    );
    assert_eq!(
        variables(&unsigned.json()),
        [("HTTP_X_ANONYMOUS_CONSUMER".to_owned(), "true".to_owned())]
    );
}

/// The spellings of a name that are equal to HTTP, or to a server that replaces every other
/// character by `_`.
const SPELLINGS: [fn(&str) -> String; 4] = [str::to_owned, str::to_uppercase, capitalized, dotted];

fn dotted(name: &str) -> String {
    name.replace('-', ".")
}

fn capitalized(name: &str) -> String {
    let words = name
        .split('-')
        .map(|word| word[..1].to_uppercase() + &word[1..]);
    words.collect::<Vec<_>>().join("-")
}

/// Returns the identity headers that the upstream read.
fn variables(environ: &serde_json::Value) -> Vec<(String, String)> {
    let mut names = IDENTITY.map(variable);
    names.sort();
    let read = names
        .into_iter()
        .filter_map(|name| Some((environ[&name].as_str()?.to_owned(), name)));
    read.map(|(value, name)| (name, value)).collect()
}

fn as_variables(headers: &[(String, String)]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (variable(name), value.clone()))
        .collect()
}

fn variable(name: &str) -> String {
    format!("HTTP_{}", name.to_uppercase().replace('-', "_"))
}
