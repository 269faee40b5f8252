//! A Redis that refuses commands: full, demoted, with another password or fewer permissions.

use std::time::Duration;

use tokio::time::Instant;

use crate::disk::Disk;
use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::{AOF, NO_FENCE, command, on_redis, pause};
use crate::run::{Evidence, Run};
use crate::support::process::Process;
use crate::support::redis::{RedisServer, free_port, wait_until};

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = of_writes();
    rows.extend(of_commands());
    rows
}

fn of_writes() -> Vec<Row> {
    vec![
        Row::new(
            "redis-full",
            "Redis is full for 3 s, `noeviction`",
            "503",
            || Box::pin(full()),
        ),
        Row::new(
            "redis-disk-full",
            "the disk of Redis is full for 3 s, `appendonly yes`",
            "503",
            || Box::pin(disk_full()),
        ),
        Row::new(
            "redis-full-lru",
            "Redis is full with `allkeys-lru`, no fence",
            "a warning at start; nonces and credentials are evicted",
            || Box::pin(full_lru()),
        )
        .admits(|admitted| {
            (admitted.replays, admitted.revoked) = (true, true);
            (admitted.refused, admitted.lost) = (true, true);
        })
        .never_recovers(),
        Row::new("redis-demoted", "`REPLICAOF` for 3 s", "503", || {
            Box::pin(demoted())
        }),
    ]
}

fn of_commands() -> Vec<Row> {
    vec![
        Row::new(
            "redis-client-kill",
            "`CLIENT KILL` ten times",
            "no error",
            || Box::pin(repeated(&["CLIENT", "KILL", "TYPE", "normal"])),
        ),
        Row::new(
            "redis-script-flush",
            "`SCRIPT FLUSH` ten times",
            "no error",
            || Box::pin(repeated(&["SCRIPT", "FLUSH"])),
        ),
        Row::new(
            "redis-password",
            "the password of Redis is changed for 3 s",
            "503",
            || Box::pin(password()),
        ),
        Row::new(
            "redis-acl-command",
            "the user of Redis lacks a needed command, each in turn",
            "not ready, and the missing command is named",
            || Box::pin(acl_without_commands()),
        ),
        Row::new(
            "redis-renamed",
            "`CONFIG`, `FLUSHALL`, `KEYS` and `DEBUG` are renamed",
            "works",
            || Box::pin(renamed()),
        ),
        Row::new(
            "redis-master-keys",
            "the second replica has another master key",
            "the second replica is not ready, and names `store.master_key_file`",
            || Box::pin(master_keys()),
        ),
    ]
}

async fn full() -> Evidence {
    let (redis, mut run) = on_redis(&AOF, "").await;
    run.fault_begins();
    command(&redis, &["CONFIG", "SET", "maxmemory", "1mb"]).await;
    pause(3.0).await;
    command(&redis, &["CONFIG", "SET", "maxmemory", "0"]).await;
    run.fault_ends();
    run.finish(3.0).await
}

/// The disk is a tmpfs in the mount namespace of the server.
async fn disk_full() -> Evidence {
    let disk = Disk::new("8m");
    let (port, directory) = (free_port(), disk.path());
    let mut command = disk.command("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "yes"]);
    command.args(["--dir", &directory]);
    let redis = Process::spawn("redis-server", &mut command);
    let store = format!("redis://127.0.0.1:{port}");
    wait_until("redis-server responds", || {
        let client = ::redis::Client::open(store.as_str()).unwrap();
        client.get_connection().is_ok()
    });
    let replicas = Replica::pair(Settings::of(&store, "")).await;
    let mut run = Run::start(replicas).await;
    run.fault_begins();
    disk.fill(redis.id());
    pause(3.0).await;
    disk.free(redis.id());
    run.fault_ends();
    run.finish(4.0).await
}

async fn full_lru() -> Evidence {
    let options = ["--maxmemory-policy", "allkeys-lru"];
    let (redis, mut run) = on_redis(&options, NO_FENCE).await;
    let info: String = redis.run(&["INFO", "memory"]);
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    run.fault_begins();
    command(&redis, &["CONFIG", "SET", "maxmemory", used.unwrap()]).await;
    run.fault_ends();
    let mut evidence = run.finish(5.0).await;
    let warned = run.replicas[0].log().contains("allkeys-lru");
    evidence.must(warned, "a warning about allkeys-lru");
    let stats: String = redis.run(&["INFO", "stats"]);
    let evicted = stats
        .lines()
        .find_map(|line| line.strip_prefix("evicted_keys:"))
        .unwrap_or_default();
    evidence.note(format!("{evicted} keys evicted"));
    evidence.must(evicted != "0", "Redis evicts keys");
    evidence
}

async fn demoted() -> Evidence {
    let (redis, mut run) = on_redis(&AOF, "").await;
    run.fault_begins();
    command(&redis, &["REPLICAOF", "127.0.0.1", "1"]).await;
    pause(3.0).await;
    command(&redis, &["REPLICAOF", "NO", "ONE"]).await;
    run.fault_ends();
    run.finish(3.0).await
}

async fn repeated(words: &[&str]) -> Evidence {
    let redis = RedisServer::start_with(&AOF);
    let store = format!("{}/3", redis.url());
    let mut run = Run::start(Replica::pair(Settings::of(&store, "")).await).await;
    run.fault_begins();
    for _ in 0..10 {
        command(&redis, words).await;
        pause(0.3).await;
    }
    run.fault_ends();
    run.finish(2.0).await.at_most(0)
}

/// Connections stay authenticated, so they are cut as well.
async fn password() -> Evidence {
    let (redis, mut run) = on_redis(&AOF, "").await;
    run.fault_begins();
    command(
        &redis,
        &[
            "ACL", "SETUSER", "keeper", "on", "nopass", "~*", "&*", "+@all",
        ],
    )
    .await;
    command(&redis, &["CONFIG", "SET", "requirepass", "changed"]).await;
    let keeper = || {
        let client = ::redis::Client::open(format!("redis://keeper:x@127.0.0.1:{}", redis.port()));
        client.unwrap().get_connection().unwrap()
    };
    let mut connection = keeper();
    let kill = ["CLIENT", "KILL", "USER", "default"];
    ::redis::Cmd::new()
        .arg(&kill)
        .query::<u64>(&mut connection)
        .unwrap();
    pause(3.0).await;
    let reset = ["CONFIG", "SET", "requirepass", ""];
    ::redis::Cmd::new()
        .arg(&reset)
        .query::<()>(&mut connection)
        .unwrap();
    run.fault_ends();
    run.finish(3.0).await
}

async fn acl_without_commands() -> Evidence {
    let mut evidence = Evidence::without_traffic();
    let mut named = Vec::new();
    for word in NEEDED {
        let (redis, denied) = (RedisServer::start(), format!("-{word}"));
        let rules = [
            "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", &denied,
        ];
        redis.run::<()>(&rules);
        let url = format!("redis://app:secret@127.0.0.1:{}", redis.port());
        let reason = reason_of_refusal(Settings::of(&url, ""), word).await;
        evidence.must(reason.is_some(), format!("not ready, and {word} named"));
        named.extend(reason.map(|()| word));
    }
    evidence.note(format!("named: {}", named.join(", ")));
    evidence
}

/// Waits until a replica says that it needs a word, and is not ready.
async fn reason_of_refusal(settings: Settings, word: &str) -> Option<()> {
    let replica = match Replica::try_start(settings).await {
        Ok(replica) => replica,
        Err(log) => return log.contains(word).then_some(()),
    };
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        let (status, text) = replica.readiness().await;
        if status == 503 && text.contains(word) {
            return Some(());
        }
        pause(0.1).await;
    }
    None
}

async fn renamed() -> Evidence {
    let mut options = AOF.to_vec();
    for word in ["CONFIG", "FLUSHALL", "KEYS", "DEBUG"] {
        options.extend(["--rename-command", word, ""]);
    }
    let (_redis, mut run) = on_redis(&options, "").await;
    run.fault_begins();
    run.fault_ends();
    run.finish(3.0).await.at_most(0)
}

async fn master_keys() -> Evidence {
    let redis = RedisServer::start_with(&AOF);
    let right = Replica::start(Settings::of(&redis.url(), "")).await;
    assert!(
        right.is_ready_within(Duration::from_secs(10)).await,
        "the first replica is ready"
    );
    let other = Replica::try_start(Settings::of(&redis.url(), "")).await;
    let (ready, text) = match &other {
        Ok(other) => {
            let ready = other.is_ready_within(Duration::from_secs(3)).await;
            (ready, other.readiness().await.1)
        }
        Err(log) => (false, log.clone()),
    };
    let mut run = Run::start(vec![right]).await;
    run.fault_begins();
    run.fault_ends();
    let mut evidence = run.finish(2.0).await;
    evidence.must(!ready, "the second replica is not ready");
    evidence.must(
        text.contains("store.master_key_file"),
        "the second replica names store.master_key_file",
    );
    let last = text.trim().lines().next_back().unwrap_or_default();
    evidence.note(format!("the second replica: {}", last.replace('|', "/")));
    evidence
}

/// Commands without which no check is possible. Redis does not name those that it refuses inside of
/// a script.
const NEEDED: [&str; 4] = ["evalsha", "eval", "get", "mget"];
