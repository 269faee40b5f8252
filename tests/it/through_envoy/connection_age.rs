//! `max_connection_age` behind Envoy under load: Envoy opens new connections, and no request fails.

use std::time::Duration;

use tokio::time::sleep;

use crate::support::envoy::{Deadlines, NEWEST, OLDEST, Shape};
use crate::support::load::{Load, callers};
use crate::support::stack::{Parts, Stack, StoreKind};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_at_its_age_costs_no_request() {
    for version in [NEWEST, OLDEST] {
        let stack = start(version).await;
        let callers = callers(&stack.alice, &stack.countersign).await;
        let load = Load::start(stack.envoy.address, &callers);
        sleep(DURATION).await;
        let sent = load.stop().await;
        assert_eq!(sent.refused, 0, "{version}: {sent:?}");
        assert_eq!(stack.upstream.received().len(), sent.allowed, "{version}");

        let ended = stack.countersign.metric(ENDED_AT_THEIR_AGE).await;
        assert!(ended >= 5, "{version}: only {ended} connections ended");
        assert_eq!(stack.countersign.metric(CUT_OFF).await, 0, "{version}");
        let counter = async |name: &str| stack.envoy.counter(&countersign(name)).await;
        let told = counter("upstream_cx_close_notify").await;
        assert!(told >= 3, "{version}: Envoy got {told} GOAWAYs with checks");
        // Retries would hide failures.
        assert_eq!(counter("upstream_rq_retry").await, 0, "{version}");
    }
}

/// Starts a stack whose check connections live for a second.
async fn start(envoy: &'static str) -> Stack {
    let parts = Parts {
        envoy,
        shape: Shape::Deploy,
        store: StoreKind::Embedded,
        deadlines: Deadlines::Patient,
    };
    Stack::start_in(&[("COUNTERSIGN_CHECK__MAX_CONNECTION_AGE", "1s")], parts).await
}

/// Returns the name of a counter of the cluster.
fn countersign(counter: &str) -> String {
    format!("cluster.countersign.{counter}")
}

const DURATION: Duration = Duration::from_secs(5);

const ENDED_AT_THEIR_AGE: &str =
    r#"countersign_connections_closed_total{listener="check",reason="age"}"#;

const CUT_OFF: &str =
    r#"countersign_connections_closed_total{listener="check",reason="age_grace"}"#;
