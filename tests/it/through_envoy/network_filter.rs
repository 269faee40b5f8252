//! Envoy's network filter checks a connection, not a request.

use crate::support::envoy::{Deadlines, NEWEST, OLDEST, Shape};
use crate::support::http::{Request, exchange};
use crate::support::stack::{Parts, Stack, StoreKind};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_an_http_request_is_denied_and_not_an_error() {
    for envoy in [NEWEST, OLDEST] {
        let stack = Stack::start(Parts {
            envoy,
            shape: Shape::Tcp,
            store: StoreKind::Embedded,
            deadlines: Deadlines::Shipped,
        })
        .await;
        let signed = stack.alice.sign(&Request::get("/shadow"));
        assert_eq!(exchange(stack.envoy.address, &signed.to_bytes()).await, b"");
        assert_eq!(stack.upstream.received().len(), 0);
        assert_eq!(stack.envoy.counter("ext_authz.tcp.denied").await, 1);
        assert_eq!(stack.envoy.counter("ext_authz.tcp.error").await, 0);
    }
}
