//! A Redis that keeps its connections and does not answer.

use tokio::time::Instant;

use crate::row::Row;
use crate::rows::{AOF, command, on_redis, pause};
use crate::run::Evidence;

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    let bounded = "503, each within the deadline";
    vec![
        Row::new(
            "redis-freeze-1s",
            "Redis is frozen (SIGSTOP) for 1 s",
            bounded,
            || Box::pin(freeze(1.0)),
        )
        .short(),
        Row::new(
            "redis-freeze-5s",
            "Redis is frozen for 5 s",
            bounded,
            || Box::pin(freeze(5.0)),
        ),
        Row::new("redis-pause", "`CLIENT PAUSE` of 2 s", bounded, || {
            Box::pin(asked(&["CLIENT", "PAUSE", "2000"], 2.0))
        }),
        Row::new("redis-sleep", "`DEBUG SLEEP` of 3 s", bounded, || {
            Box::pin(asked(&["DEBUG", "SLEEP", "3"], 0.0))
        }),
        Row::new(
            "redis-busy",
            "a script runs for 8 s, `BUSY` after 5 s",
            bounded,
            || Box::pin(asked(&["EVAL", BUSY, "0"], 0.0)),
        ),
        Row::new(
            "redis-stalls",
            "Redis stalls ten times for 120 ms",
            "interruptions, between which a third of the valid requests pass",
            || Box::pin(stalls()),
        ),
    ]
}

async fn freeze(seconds: f64) -> Evidence {
    let (redis, mut run) = on_redis(&AOF, "").await;
    run.fault_begins();
    redis.stop();
    pause(seconds).await;
    redis.cont();
    run.fault_ends();
    run.finish(3.0).await
}

/// A command that stops the server, and the time that it lasts beyond its answer.
async fn asked(words: &[&str], lasts: f64) -> Evidence {
    let (redis, mut run) = on_redis(&DEBUG, "").await;
    run.fault_begins();
    command(&redis, words).await;
    pause(lasts).await;
    run.fault_ends();
    run.finish(3.0).await
}

async fn stalls() -> Evidence {
    let (redis, mut run) = on_redis(&DEBUG, "").await;
    run.fault_begins();
    let begun = Instant::now();
    for _ in 0..10 {
        command(&redis, &["DEBUG", "SLEEP", "0.12"]).await;
        pause(0.4).await;
    }
    let lasted = begun.elapsed().as_secs_f64();
    run.fault_ends();
    run.finish(2.0).await.passes(0.33, 0.0..lasted)
}

const DEBUG: [&str; 4] = ["--appendonly", "yes", "--enable-debug-command", "yes"];

/// A script that takes eight seconds.
const BUSY: &str = "local begun = redis.call('TIME')[1] + 0 \
                    while redis.call('TIME')[1] - begun < 8 do end";
