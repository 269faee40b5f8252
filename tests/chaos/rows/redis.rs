//! Faults of one Redis.

use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::pause;
use crate::run::{Evidence, Run};
use crate::support::redis::RedisServer;

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "redis-kill-aof",
            "Redis with `appendonly yes` is killed, back after 2 s",
            "503 until it is back, then within a second as before",
            || Box::pin(kill_aof()),
        )
        .short(),
        Row::new(
            "redis-flushall",
            "`FLUSHALL`, fence on",
            "no replay; records are lost",
            || Box::pin(flush_all()),
        )
        .never_recovers()
        .admits(|allowance| (allowance.refused, allowance.lost) = (true, true)),
    ]
}

async fn kill_aof() -> Evidence {
    let mut redis = RedisServer::start_with(&["--appendonly", "yes"]);
    let replicas = Replica::pair(Settings::of(&redis.url(), "")).await;
    let mut run = Run::start(replicas).await;
    run.fault_begins();
    redis.kill();
    pause(2.0).await;
    redis.restart();
    run.fault_ends();
    run.finish(3.0).await
}

async fn flush_all() -> Evidence {
    let redis = RedisServer::start_with(&["--appendonly", "yes"]);
    let replicas = Replica::pair(Settings::of(&redis.url(), FENCE)).await;
    let mut run = Run::start(replicas).await;
    run.fault_begins();
    redis.run::<()>(&["FLUSHALL"]);
    run.fault_ends();
    run.finish(5.0).await
}

/// The fence, which refuses every timestamp from before a loss of nonces.
const FENCE: &str = "store.fence_on_restart = true\n";
