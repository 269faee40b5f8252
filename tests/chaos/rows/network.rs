//! Faults of the network between the replicas and Redis.

use std::time::Duration;

use crate::proxy::{Network, Proxy};
use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::{AOF, command, on_redis, pause};
use crate::run::{Evidence, Load, Run};
use crate::support::redis::RedisServer;

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    let bounded = "503, each within the deadline";
    vec![
        Row::new(
            "net-black-hole",
            "nothing arrives for 3 s, no connection ends",
            bounded,
            || Box::pin(broken(Network::Silent, 3.0)),
        ),
        Row::new(
            "net-reset",
            "every connection is reset for 3 s",
            bounded,
            || Box::pin(broken(Network::Resetting, 3.0)),
        ),
        Row::new(
            "net-slow",
            "5 to 15 ms in each direction for 3 s",
            "no error",
            || Box::pin(slow()),
        ),
        Row::new(
            "net-too-slow",
            "100 to 200 ms in each direction for 3 s",
            bounded,
            || Box::pin(broken(TOO_SLOW, 3.0)),
        ),
        Row::new(
            "net-loss-5",
            "a twentieth of the packets is lost for 3 s",
            "some 503; a seventh of the valid requests passes",
            || Box::pin(lossy()),
        ),
        Row::new(
            "net-loss-20",
            "a fifth of the packets is lost for 3 s",
            "many 503",
            || Box::pin(broken(Network::Lossy(0.2), 3.0)),
        ),
        Row::new(
            "net-channel",
            "the invalidation channel is cut, `cache.max_age = \"2s\"`",
            "a revocation takes effect within a second after `cache.max_age`",
            || Box::pin(channel()),
        )
        .admits(|admitted| admitted.revocation = Duration::from_secs(3)),
    ]
}

async fn broken(network: Network, seconds: f64) -> Evidence {
    broken_under(Load::default(), network, seconds).await
}

/// The delays take most of `check.timeout`; little traffic leaves the rest for a busy machine.
async fn slow() -> Evidence {
    let load = Load {
        rate: 100.0,
        ..Load::default()
    };
    broken_under(load, SLOW, 3.0).await.at_most(0)
}

async fn lossy() -> Evidence {
    let evidence = broken(Network::Lossy(0.05), 3.0).await;
    evidence.passes(1.0 / 7.0, 0.0..3.0)
}

async fn broken_under(load: Load, network: Network, seconds: f64) -> Evidence {
    let redis = RedisServer::start_with(&AOF);
    let proxy = Proxy::start(redis.port()).await;
    let store = format!("redis://{}", proxy.address);
    let replicas = Replica::pair(Settings::of(&store, "")).await;
    let mut run = Run::start_with(replicas, load).await;
    run.fault_begins();
    proxy.set(network);
    pause(seconds).await;
    proxy.set(Network::Sound);
    run.fault_ends();
    run.finish(3.0).await
}

/// Redis permits no channel to its users, which also ends the connections of the listeners.
async fn channel() -> Evidence {
    let (redis, mut run) = on_redis(&AOF, "cache.max_age = \"2s\"\n").await;
    run.fault_begins();
    command(&redis, &["ACL", "SETUSER", "default", "resetchannels"]).await;
    pause(6.0).await;
    command(&redis, &["ACL", "SETUSER", "default", "allchannels"]).await;
    run.fault_ends();
    run.finish(2.0).await
}

const SLOW: Network = Network::Slow(Duration::from_millis(5), Duration::from_millis(15));

const TOO_SLOW: Network = Network::Slow(Duration::from_millis(100), Duration::from_millis(200));
