//! Faults of a Cluster of three primaries with a replica each.

use std::process::{Command, Stdio};

use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::{FENCE, NO_FENCE, pause};
use crate::run::{Evidence, Run};
use crate::support::redis::Cluster;

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    // In a debug build, connecting to several servers holds a check thread.
    let bounded = |row: Row| row.answers_within(400);
    failures().into_iter().map(bounded).collect()
}

fn failures() -> Vec<Row> {
    vec![
        Row::new("cluster-kill", "a primary is killed", FAILS_OVER, || {
            Box::pin(killed(NO_FENCE))
        })
        .recovers_while_it_lasts(5.0),
        Row::new(
            "cluster-kill-fence",
            "a primary is killed, fence on",
            FAILS_OVER,
            || Box::pin(killed(FENCE)),
        )
        .recovers_while_it_lasts(5.0),
        Row::new(
            "cluster-freeze",
            "a primary is frozen for 8 s",
            FAILS_OVER,
            || Box::pin(frozen()),
        )
        .recovers_while_it_lasts(5.0),
        Row::new("cluster-reshard", "3,000 slots move", "no error", || {
            Box::pin(resharded())
        }),
        Row::new("cluster-failover", "`CLUSTER FAILOVER`", "no error", || {
            Box::pin(failed_over())
        }),
        Row::new(
            "cluster-restart",
            "all six servers are killed, back after 2 s",
            "passes again within 5 s of their return",
            || Box::pin(restarted()),
        )
        .recovers_within(5.0),
    ]
}

async fn start(config: &str) -> (Cluster, Run) {
    let cluster = Cluster::start();
    let replicas = Replica::pair(Settings::of(&cluster.url(), config)).await;
    (cluster, Run::start(replicas).await)
}

async fn killed(config: &str) -> Evidence {
    let (mut cluster, mut run) = start(config).await;
    run.fault_begins();
    cluster.nodes[0].kill();
    pause(8.0).await;
    run.fault_ends();
    run.finish(2.0).await
}

/// A replica of the frozen primary is promoted while the connections to the primary stay open.
async fn frozen() -> Evidence {
    let (cluster, mut run) = start(FENCE).await;
    run.fault_begins();
    cluster.nodes[0].stop();
    pause(8.0).await;
    cluster.nodes[0].cont();
    run.fault_ends();
    run.finish(4.0).await
}

async fn resharded() -> Evidence {
    let (cluster, mut run) = start(NO_FENCE).await;
    let id = |node: usize| cluster.nodes[node].run::<String>(&["CLUSTER", "MYID"]);
    let (from, to, at) = (id(0), id(1), cluster.nodes[0].port());
    run.fault_begins();
    let moved = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "reshard", &format!("127.0.0.1:{at}")]);
        command.args(["--cluster-from", &from, "--cluster-to", &to]);
        command.args(["--cluster-slots", "3000", "--cluster-yes"]);
        command.stdout(Stdio::null()).status().unwrap().success()
    });
    let moved = moved.await.unwrap();
    run.fault_ends();
    let mut evidence = run.finish(2.0).await.at_most(0);
    evidence.must(moved, "redis-cli moves the slots");
    evidence
}

async fn failed_over() -> Evidence {
    let (cluster, mut run) = start(NO_FENCE).await;
    run.fault_begins();
    let replica = cluster.nodes.iter().find(|node| {
        let info: String = node.run(&["INFO", "replication"]);
        info.contains("role:slave")
    });
    replica.unwrap().run::<()>(&["CLUSTER", "FAILOVER"]);
    pause(4.0).await;
    run.fault_ends();
    run.finish(2.0).await.at_most(0)
}

async fn restarted() -> Evidence {
    let (mut cluster, mut run) = start(NO_FENCE).await;
    for node in &cluster.nodes {
        node.run::<()>(&["CONFIG", "SET", "appendonly", "yes"]);
    }
    // Each server writes its records into the new file before it is killed.
    pause(1.0).await;
    run.fault_begins();
    cluster.nodes.iter_mut().for_each(|node| node.kill());
    pause(2.0).await;
    for node in &mut cluster.nodes {
        node.restart_with(&["--appendonly", "yes"]);
    }
    run.fault_ends();
    run.finish(8.0).await
}

const FAILS_OVER: &str = "its third of the slots passes again within 5 s";
