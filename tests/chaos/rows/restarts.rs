//! Restarts of Redis, and losses of its data.

use std::time::Duration;

use tokio::time::Instant;

use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::{AOF, FENCE, NO_FENCE, command, on_redis, pause};
use crate::run::Evidence;
use crate::support::redis::{RedisServer, free_port, wait_until};

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = restarts();
    rows.extend(losses());
    rows
}

fn restarts() -> Vec<Row> {
    vec![
        Row::new(
            "redis-kill-aof",
            "Redis with `appendonly yes` is killed and back after 2 s, no fence",
            "503 until it is back",
            || Box::pin(kill_aof(NO_FENCE)),
        ),
        Row::new(
            "redis-kill-aof-fence",
            "the same with the fence",
            "503, then timestamps from before the restart are refused",
            || Box::pin(kill_aof(FENCE)),
        )
        .recovers_within(2.5)
        .short(),
        Row::new(
            "redis-kill-rdb",
            "Redis with a snapshot that is 2 s old is killed, no fence",
            "replays of what the snapshot lacks; no change of the last minute is lost",
            || Box::pin(kill_rdb(NO_FENCE)),
        )
        .admits(|admitted| admitted.replays = true),
        Row::new(
            "redis-kill-rdb-fence",
            "the same with the fence",
            REPEATED,
            || Box::pin(kill_rdb(FENCE)),
        )
        .admits(|admitted| admitted.refused = true)
        .recovers_within(2.5)
        .short(),
        Row::new(
            "redis-kill-empty",
            "Redis without persistence is killed and back",
            REPEATED,
            || Box::pin(kill_empty()),
        )
        .admits(|admitted| admitted.refused = true)
        .recovers_within(2.5),
        Row::new(
            "redis-loading",
            "Redis restarts and loads its data for some seconds",
            "503 until it is loaded",
            || Box::pin(loading()),
        )
        .recovers_within(2.5),
        Row::new(
            "redis-absent",
            "Redis is down when both replicas start, and starts 2 s later",
            "the replicas start, are not ready, and then serve",
            || Box::pin(absent()),
        ),
    ]
}

fn losses() -> Vec<Row> {
    vec![
        Row::new("redis-flushall", "`FLUSHALL`", REPEATED, || {
            Box::pin(flush_all())
        })
        .admits(|admitted| admitted.refused = true)
        .recovers_within(2.5)
        .short(),
        Row::new(
            "redis-flush-nonces",
            "somebody deletes nonces one by one",
            "not noticed: they can be replayed",
            || Box::pin(flush_nonces()),
        )
        .admits(|admitted| admitted.replays = true)
        .recovers_within(3.0),
        Row::new(
            "redis-swapped",
            "Redis is replaced by a copy of its records from before",
            REPEATED,
            || Box::pin(swapped()),
        )
        .admits(|admitted| admitted.refused = true)
        .recovers_within(2.5),
    ]
}

async fn kill_aof(config: &str) -> Evidence {
    let (mut redis, mut run) = on_redis(&AOF, config).await;
    run.fault_begins();
    redis.kill();
    pause(2.0).await;
    redis.restart();
    run.fault_ends();
    run.finish(4.0).await
}

async fn kill_rdb(config: &str) -> Evidence {
    let (mut redis, mut run) = on_redis(&[], config).await;
    redis.run::<()>(&["SAVE"]);
    pause(2.0).await;
    run.fault_begins();
    redis.kill();
    pause(0.5).await;
    redis.restart();
    run.fault_ends();
    run.finish(5.0).await
}

async fn kill_empty() -> Evidence {
    let (mut redis, mut run) = on_redis(&[], FENCE).await;
    run.fault_begins();
    redis.kill();
    pause(0.5).await;
    redis.restart();
    run.fault_ends();
    run.finish(4.0).await
}

async fn flush_all() -> Evidence {
    let (redis, mut run) = on_redis(&AOF, FENCE).await;
    run.fault_begins();
    command(&redis, &["FLUSHALL"]).await;
    run.fault_ends();
    run.finish(5.0).await
}

/// Deletes what has an expiry: the nonces, and nothing else that a run creates.
async fn flush_nonces() -> Evidence {
    let (redis, mut run) = on_redis(&AOF, FENCE).await;
    run.fault_begins();
    let delete = "for _, key in ipairs(redis.call('KEYS', '*')) do \
                  if redis.call('PTTL', key) > 0 then redis.call('DEL', key) end end";
    command(&redis, &["EVAL", delete, "0"]).await;
    run.fault_ends();
    run.finish(5.0).await
}

/// The copy is a snapshot of the first Redis, on the same port.
async fn swapped() -> Evidence {
    let (mut redis, mut run) = on_redis(&[], FENCE).await;
    redis.run::<()>(&["SAVE"]);
    pause(1.0).await;
    let snapshot = redis.directory().join("dump.rdb");
    run.fault_begins();
    redis.kill();
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(snapshot, copy.path().join("dump.rdb")).unwrap();
    let directory = copy.path().display().to_string();
    let _other = RedisServer::start_on(redis.port(), &["--dir", &directory]);
    run.fault_ends();
    run.finish(5.0).await
}

async fn loading() -> Evidence {
    let (mut redis, mut run) = on_redis(&AOF, "").await;
    let fill = "for n = 1, 3000 do redis.call('SET', 'filler' .. n, n) end";
    command(&redis, &["EVAL", fill, "0"]).await;
    command(&redis, &["BGREWRITEAOF"]).await;
    pause(0.5).await;
    run.fault_begins();
    redis.kill();
    // Each key takes a millisecond, and connections are served meanwhile.
    redis.restart_with(&[
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    let url = redis.url();
    let loaded = tokio::task::spawn_blocking(move || {
        wait_until("Redis has loaded", || {
            let client = ::redis::Client::open(url.as_str()).unwrap();
            let connection = client.get_connection();
            connection.is_ok_and(|mut connection| {
                let asked = ::redis::cmd("GET")
                    .arg("filler1")
                    .query::<String>(&mut connection);
                asked.is_ok()
            })
        });
    });
    loaded.await.unwrap();
    run.fault_ends();
    run.finish(4.0).await
}

async fn absent() -> Evidence {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let replicas = Replica::pair(Settings::of(&url, "")).await;
    let mut evidence = Evidence::without_traffic();
    for replica in &replicas {
        let (status, text) = replica.readiness().await;
        evidence.note(format!("`/readyz` {status} before: {}", text.trim()));
        evidence.must(status == 503, "not ready before Redis is up");
    }
    pause(2.0).await;
    let _redis = RedisServer::start_on(port, &AOF);
    let begun = Instant::now();
    for replica in &replicas {
        let patience = Duration::from_secs(10);
        let ready = replica.is_ready_within(patience).await;
        let took = begun.elapsed().as_secs_f64();
        evidence.note(format!("ready after {took:.1} s"));
        evidence.must(
            ready && took < 3.0,
            format!("ready within 3 s, not after {took:.1} s"),
        );
    }
    evidence
}

/// The replicas repeat the changes of the last minute, and a row creates its credentials in it. Until
/// a replica notices the loss, it does not know the credentials that it has not cached.
const REPEATED: &str = "no replay; no change of the last minute is lost";
