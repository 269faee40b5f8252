//! Two replicas behind `deploy/envoy` are restarted one after the other under load, and no request
//! fails.

use super::replicas::{Pair, Way};
use crate::support::envoy::{NEWEST, OLDEST};
use crate::support::load::{Load, callers};
use crate::support::process::{START, eventually};
use crate::support::program::Countersign;

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_costs_no_request() {
    for version in [NEWEST, OLDEST] {
        let mut pair = Pair::start(version, Way::Direct).await;
        pair.both_are_healthy().await;
        let callers = callers(&pair.alice, &pair.kept).await;
        let load = Load::start(pair.envoy.address, &callers);
        serves(&pair.kept).await;
        serves(&pair.lost).await;
        pair.lost.restart().await;
        serves(&pair.lost).await;
        pair.kept.restart().await;
        serves(&pair.kept).await;
        let sent = load.stop().await;
        assert_eq!(sent.refused, 0, "{version}: {sent:?}");
        assert_eq!(pair.upstream.received().len(), sent.allowed, "{version}");
    }
}

/// Waits until a replica answers checks of the load; a restarted one begins to count anew.
async fn serves(replica: &Countersign) {
    eventually("the replica answers checks", START, async || {
        (replica.metric(ALLOWED).await > 0).then_some(())
    })
    .await;
}

const ALLOWED: &str = r#"countersign_decisions_total{result="allow",reason="ok"}"#;
