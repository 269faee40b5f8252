//! Outages of Redis with the settings that trade safety for availability.

use tokio::time::Instant;

use crate::row::Row;
use crate::rows::{AOF, on_redis, pause};
use crate::run::Evidence;

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "outage-local",
            "Redis is down for 6 s, `nonce.on_store_failure = \"local\"`",
            "valid requests pass after some seconds; a replay may pass once at the other replica",
            || Box::pin(local()),
        )
        .recovers_within(3.0),
    ]
}

/// A replay may pass until Redis has the nonces of the outage.
async fn local() -> Evidence {
    let (mut redis, mut run) = on_redis(&AOF, LOCAL).await;
    run.fault_begins();
    redis.kill();
    pause(6.0).await;
    redis.restart();
    run.fault_ends();
    run.excuse_until(Instant::now() + std::time::Duration::from_secs(1));
    run.finish(5.0).await.passes(0.5, 4.5..6.0)
}

const LOCAL: &str = "nonce.on_store_failure = \"local\"\ncache.max_stale_age = \"10m\"\n";
