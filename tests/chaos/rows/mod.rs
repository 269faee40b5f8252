//! The rows, one file for each kind of fault.

mod clocks;
mod cluster;
mod dns;
mod embedded;
mod envoy;
mod network;
mod outages;
mod overload;
mod refusals;
mod restarts;
mod sentinel;
mod signals;
mod stalls;
mod tls;

use std::time::Duration;

use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::run::Run;
use crate::support::redis::RedisServer;

/// Returns every row, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    [
        restarts::rows(),
        stalls::rows(),
        refusals::rows(),
        outages::rows(),
        network::rows(),
        clocks::rows(),
        embedded::rows(),
        sentinel::rows(),
        cluster::rows(),
        tls::rows(),
        dns::rows(),
        envoy::rows(),
        signals::rows(),
        overload::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Lets the traffic run for so many seconds.
pub(crate) async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Starts two replicas under traffic on a new Redis with these options.
async fn on_redis(options: &[&str], config: &str) -> (RedisServer, Run) {
    let redis = RedisServer::start_with(options);
    let replicas = Replica::pair(Settings::of(&redis.url(), config)).await;
    (redis, Run::start(replicas).await)
}

/// Runs a command on Redis without blocking the traffic, and ignores its answer.
async fn command(redis: &RedisServer, words: &[&str]) {
    let (url, words): (_, Vec<String>) = (
        redis.url(),
        words.iter().map(|&word| word.to_owned()).collect(),
    );
    let sent = tokio::task::spawn_blocking(move || {
        let mut command = ::redis::Cmd::new();
        command.arg(words);
        let mut connection = ::redis::Client::open(url)?.get_connection()?;
        command.query::<()>(&mut connection)
    });
    // Some of these commands are refused or never answered: that is the fault.
    let _ = sent.await.unwrap();
}

/// Persistence that survives the end of the process.
const AOF: [&str; 2] = ["--appendonly", "yes"];

/// The fence, which refuses every timestamp from before a loss of nonces.
const FENCE: &str = "store.fence_on_restart = true\n";

/// No fence: what Redis loses can be replayed.
const NO_FENCE: &str = "store.fence_on_restart = false\n";
