//! The work in the background of a client: it probes Redis, replaces dead connections, and follows
//! the name of Redis.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join_all, try_join};
use redis::{Cmd, cmd};
use tokio::time::{Instant, sleep, timeout};

use super::RedisClient;
use crate::store::redis::circuit_breaker::CircuitBreaker;
use crate::store::redis::connection::RedisConnection;
use crate::store::redis::error::CommandError;
use crate::store::redis::keys;

impl RedisClient {
    /// Starts the work of a client of its own, on the current runtime.
    pub(super) fn work_in_background(self: &Arc<Self>) {
        tokio::spawn(probe_in_background(
            Arc::downgrade(self),
            Arc::clone(&self.breaker),
        ));
        self.refresh_in_background();
        tokio::spawn(follow_name_in_background(Arc::downgrade(self)));
    }

    /// Starts replacing dead connections, on the current runtime.
    pub(super) fn refresh_in_background(self: &Arc<Self>) {
        tokio::spawn(refresh_in_background(Arc::downgrade(self)));
    }

    /// Checks over one connection that the server can be used and takes writes. If not, the
    /// connection is replaced.
    async fn probe(&self) -> Result<(), CommandError> {
        let deadline = Instant::now() + self.timeout();
        let mut connection = self.check_out(deadline).await?;
        let link = connection.link().clone();
        let inspected = self.connector.inspect(&link, deadline, false);
        let outcome = try_join(inspected, connection.run(&probe_write(), deadline)).await;
        match &outcome {
            Ok(_) => self.recovery.forget_old_changes(),
            // One frozen node of a Cluster is no reason to give up the others.
            Err(CommandError::Timeout) if connection.is_to_cluster() => {}
            Err(_) => connection.mark_broken(),
        }
        outcome.map(drop)
    }

    /// Pings each connection, and replaces those that do not answer. A dead connection does not
    /// mean that Redis is down, so the circuit breaker does not count it.
    async fn refresh(&self) {
        let deadline = Instant::now() + self.timeout();
        let pings = self
            .connections()
            .into_iter()
            .map(|mut connection| async move {
                // A connection that does not answer marks itself broken.
                connection.run(&cmd("PING"), deadline).await
            });
        if join_all(pings).await.iter().any(Result::is_err) {
            // A broken connection leaves the pool when it is checked out.
            drop(self.connections());
        }
    }

    /// Returns every connection that is in the pool now, without waiting. All are held until the
    /// last is found, so none appears twice.
    fn connections(&self) -> Vec<RedisConnection> {
        let held: Vec<_> = std::iter::from_fn(|| self.pool.get().now_or_never()?.ok()).collect();
        held.iter()
            .map(|connection| RedisConnection::clone(connection))
            .collect()
    }

    /// Resolves the name of Redis again. If it has moved, other replicas may still claim nonces at
    /// the old server, as at a demoted primary.
    async fn follow_name(&self) {
        if self.connector.follow_name().await {
            self.recovery.begin_after_failover();
        }
    }

    /// Probes once and opens or closes the circuit accordingly.
    async fn probe_once(&self) {
        let sent = self.breaker.send_time();
        let probed = self.probe().await;
        self.look_again_after(probed.as_ref().err());
        match probed {
            Ok(()) => self.breaker.close(),
            Err(error) if error.is_outage() => self.breaker.note_failure(sent, &error, 1),
            // Redis answers and refuses; each call reports the reason itself.
            Err(_) => self.breaker.close(),
        }
    }
}

/// Probes until the client is stopped or dropped: rarely while Redis is up, often while it is down.
async fn probe_in_background(client: Weak<RedisClient>, breaker: Arc<CircuitBreaker>) {
    loop {
        match client.upgrade() {
            Some(client) if !client.is_stopped() => client.probe_once().await,
            _ => return,
        }
        if breaker.is_open() || timeout(PROBE_WHEN_UP, breaker.opened()).await.is_ok() {
            sleep(PROBE_WHEN_DOWN).await;
        }
    }
}

/// Replaces connections that died silently, until the client is stopped or dropped: a firewall
/// forgets an idle connection without closing it.
async fn refresh_in_background(client: Weak<RedisClient>) {
    loop {
        sleep(PROBE_WHEN_UP).await;
        match client.upgrade() {
            Some(client) if !client.is_stopped() => client.refresh().await,
            _ => return,
        }
    }
}

/// Resolves the name of Redis again and again, until the client is stopped or dropped.
async fn follow_name_in_background(client: Weak<RedisClient>) {
    loop {
        sleep(PROBE_WHEN_UP).await;
        match client.upgrade() {
            Some(client) if !client.is_stopped() => client.follow_name().await,
            _ => return,
        }
    }
}

fn probe_write() -> Cmd {
    let mut set = cmd("SET");
    set.arg(keys::PROBE).arg(1).arg("PX").arg(60_000);
    set
}

/// The interval at which a server that is up is probed and each connection pinged. A silent
/// replacement of the server, or the silent end of a connection, goes unnoticed for as long.
const PROBE_WHEN_UP: Duration = Duration::from_secs(1);

/// The interval at which a server that is down is probed.
const PROBE_WHEN_DOWN: Duration = Duration::from_millis(200);
