//! Signals to a replica.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::{AOF, pause};
use crate::run::{Evidence, Load, Run, direct};
use crate::support::redis::RedisServer;

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "sighup",
            "SIGHUP to a replica ten times, each with another configuration",
            "reloads each, and no request fails",
            || Box::pin(reloaded()),
        ),
        Row::new(
            "sigterm",
            "SIGTERM to a replica, back after it ended",
            "drained, exit code 0",
            || Box::pin(drained("TERM")),
        ),
    ]
}

async fn reloaded() -> Evidence {
    let redis = RedisServer::start_with(&AOF);
    let replica = Replica::start(Settings::of(&redis.url(), "")).await;
    let load = Load {
        targets: direct(std::slice::from_ref(&replica)),
        ..Load::default()
    };
    let mut run = Run::start_with(vec![replica], load).await;
    run.fault_begins();
    let mut problems = Vec::new();
    for turn in 0..10 {
        let config = format!("check.timeout = \"{}ms\"\n", 170 + turn);
        problems.extend(run.replicas[0].reload(&config).await.err());
        pause(0.3).await;
    }
    run.fault_ends();
    let mut evidence = run.finish(3.0).await.at_most(0);
    let problem = problems.join("; ");
    evidence.must(problems.is_empty(), format!("ten reloads, not: {problem}"));
    evidence
}

/// Requests must pass while the replica waits for its load balancer, the pause of one second.
async fn drained(signal: &str) -> Evidence {
    let redis = RedisServer::start_with(&AOF);
    let config = "shutdown.delay = \"1s\"\nshutdown.timeout = \"3s\"\n";
    let replica = Replica::start(Settings::of(&redis.url(), config)).await;
    let load = Load {
        targets: direct(std::slice::from_ref(&replica)),
        ..Load::default()
    };
    let mut run = Run::start_with(vec![replica], load).await;
    run.fault_begins();
    let begun = Instant::now();
    run.replicas[0].signal(signal);
    pause(0.5).await;
    let (status, _) = run.replicas[0].readiness().await;
    let mut ended = None;
    while ended.is_none() && begun.elapsed() < Duration::from_secs(8) {
        ended = run.replicas[0].ended();
        sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed();
    run.replicas[0].restart().await;
    run.fault_ends();
    let mut evidence = run.finish(3.0).await;
    let ended = ended.unwrap_or_else(|| "still running".to_owned());
    evidence.note(format!("{ended} after {:.1} s", took.as_secs_f64()));
    evidence.must(
        ended == "exit status: 0",
        format!("exit code 0, not {ended}"),
    );
    evidence.must(
        took > Duration::from_millis(900),
        format!("waits for `shutdown.delay`, not {} ms", took.as_millis()),
    );
    evidence.must(
        status == 503,
        format!("`/readyz` 503 while it drains, not {status}"),
    );
    // During `shutdown.delay`.
    evidence.passes(1.0, 0.0..0.9)
}
