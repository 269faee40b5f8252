//! The scheme of `deploy/envoy` is the listener's, whatever a client claims.

use std::net::SocketAddr;

use crate::support::envoy::{Deadlines, NEWEST, OLDEST, Shape};
use crate::support::http::{HOST, Request};
use crate::support::stack::{Parts, Stack, StoreKind};

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_for_https_is_refused_on_a_plaintext_listener() {
    for envoy in [NEWEST, OLDEST] {
        let stack = deployed(envoy).await;
        let request = Request::get("/photos");
        let for_https = || {
            stack
                .alice
                .signing()
                .for_scheme("https")
                .in_header(&request)
        };
        let claimed = over_h2c(stack.envoy.address, "https", &for_https()).await;
        assert_eq!(claimed, 401, "{envoy}: `:scheme`");
        let claimed = Request {
            target: format!("https://{HOST}/photos"),
            ..for_https()
        };
        // Envoy itself refuses this one.
        assert_eq!(stack.send(&claimed).await.status, 403, "{envoy}: URL");
        let claimed = for_https().with("X-Forwarded-Proto", "https");
        assert_eq!(stack.send(&claimed).await.status, 401, "{envoy}: header");
        assert_eq!(stack.upstream.received().len(), 0, "{envoy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_claims_another_scheme_is_checked_for_the_listeners() {
    let stack = deployed(NEWEST).await;
    for claimed in ["http", "https"] {
        let signed = stack.alice.sign(&Request::get("/photos"));
        assert_eq!(
            over_h2c(stack.envoy.address, claimed, &signed).await,
            200,
            "{claimed}"
        );
    }
    assert_eq!(stack.upstream.received().len(), 2);
}

/// Sends a request over HTTP/2 without TLS, and returns the status of the response.
async fn over_h2c(to: SocketAddr, scheme: &str, request: &Request) -> u16 {
    let stream = tokio::net::TcpStream::connect(to).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sent = http::Request::builder().uri(format!("{scheme}://{HOST}{}", request.target));
    for (name, value) in &request.headers {
        if name != "Host" {
            sent = sent.header(name, value);
        }
    }
    let mut sender = sender.ready().await.unwrap();
    let (response, _) = sender.send_request(sent.body(()).unwrap(), true).unwrap();
    response.await.unwrap().status().as_u16()
}

async fn deployed(envoy: &'static str) -> Stack {
    Stack::start(Parts {
        envoy,
        shape: Shape::Deploy,
        store: StoreKind::Embedded,
        deadlines: Deadlines::Patient,
    })
    .await
}
