//! Calls to Redis: each under one deadline, over a small set of shared connections, tried again where that is safe.
//!
//! Every command that the store sends may be sent twice: it reads, or it writes what only this call can have written
//! and recognises it. So a call whose connection breaks is made again on another while its deadline lasts.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bb8_redis::bb8;
use bb8_redis::bb8::ManageConnection as _;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use redis::{Cmd, Value, cmd};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::debug;

use super::address::Address;
use super::connection::{Connection, Connector};
use super::fault::Fault;
use super::health::{Health, Sent};
use super::keys;
use super::server::Servers;
use crate::clock::Clock;
use crate::config::StoreConfig;

/// A client that knows whether Redis is up.
pub(super) struct Client {
    pool: bb8::Pool<Connector>,
    connector: Connector,
    health: Arc<Health>,
    refusals: Refusals,
    attempts: u32,
    stopped: AtomicBool,
}

// === impl Client ===

impl Client {
    /// Connects, and starts the probe. When Redis can not be reached it starts as down.
    ///
    /// # Errors
    /// When what answers will never do.
    pub(super) async fn open(
        address: Address,
        config: &StoreConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Fault> {
        let servers = Arc::new(Servers::new(clock, config.fence_on_restart));
        let connector = Connector::new(address, config.timeout, servers);
        let first = connector.connect().await;
        let client = Arc::new(Self::with(
            connector,
            config.connections.max(1),
            Arc::default(),
        ));
        match first {
            // A full pool has no use for it, and then it is not needed.
            Ok(connection) => drop(client.pool.add(connection)),
            Err(fault) if fault.is_permanent() => return Err(fault),
            Err(fault) => client.health.go_down(&fault),
        }
        tokio::spawn(watch(Arc::downgrade(&client), Arc::clone(&client.health)));
        tokio::spawn(keep_fresh(Arc::downgrade(&client)));
        Ok(client)
    }

    /// The same client with connections of its own, which are served by the runtime from which this is called.
    pub(super) fn here(&self) -> Arc<Self> {
        let client = Arc::new(Self::with(
            self.connector.clone(),
            CONNECTIONS_HERE,
            Arc::clone(&self.health),
        ));
        tokio::spawn(keep_fresh(Arc::downgrade(&client)));
        client
    }

    fn with(connector: Connector, connections: u32, health: Arc<Health>) -> Self {
        let refusals = Refusals::default();
        let pool = bb8::Pool::builder()
            .max_size(connections)
            .min_idle(connections)
            .test_on_check_out(true)
            .retry_connection(false)
            .connection_timeout(connector.response_timeout().max(Duration::from_millis(1)))
            .max_lifetime(None)
            .idle_timeout(None)
            .error_sink(Box::new(refusals.clone()))
            .build_unchecked(connector.clone());
        Self {
            pool,
            connector,
            health,
            refusals,
            attempts: connections + 1,
            stopped: AtomicBool::new(false),
        }
    }

    /// Runs a command that may be sent twice.
    pub(super) async fn call(&self, command: &Cmd) -> Result<Value, Fault> {
        self.call_by(command, Instant::now() + self.timeout(), 1)
            .await
    }

    /// The same until `deadline`, for as many calls as share the command.
    pub(super) async fn call_by(
        &self,
        command: &Cmd,
        deadline: Instant,
        calls: usize,
    ) -> Result<Value, Fault> {
        self.check()?;
        let (sent, outcome) = self.attempt_until(deadline, command).await;
        match &outcome {
            Err(fault) if fault.is_outage() => {
                self.health
                    .failed(sent, fault, u32::try_from(calls).unwrap_or(u32::MAX));
            }
            Ok(_) | Err(_) => self.health.answered(),
        }
        outcome
    }

    /// Fails while Redis is known to be down.
    pub(super) fn check(&self) -> Result<(), Fault> {
        self.health.check()
    }

    /// Whether commands must stay within one slot.
    pub(super) const fn is_cluster(&self) -> bool {
        self.connector.is_cluster()
    }

    /// Asks whether Redis takes writes, by writing.
    pub(super) async fn ping(&self) -> Result<(), Fault> {
        self.call(&probe_write()).await.map(drop)
    }

    /// The longest that a call takes.
    pub(super) const fn timeout(&self) -> Duration {
        self.connector.response_timeout()
    }

    /// How often Redis was found restarted or replaced.
    pub(super) fn restarts_seen(&self) -> u64 {
        self.connector.servers().restarts_seen()
    }

    /// Timestamps up to this second are refused.
    pub(super) fn fence(&self) -> u64 {
        self.connector.servers().fence()
    }

    /// Ends the probe.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the probe was ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// What came of the last attempt, and when that was sent.
    async fn attempt_until(
        &self,
        deadline: Instant,
        command: &Cmd,
    ) -> (Sent, Result<Value, Fault>) {
        let mut attempt = 1;
        loop {
            let sent = self.health.sending();
            let fault = match self.attempt(command, deadline).await {
                Err(fault) if fault.is_worth_a_retry() && attempt < self.attempts => fault,
                outcome => return (sent, outcome),
            };
            debug!(cause = %fault, attempt, "trying another connection to Redis");
            attempt += 1;
            let pause = if matches!(fault, Fault::Unreachable(_)) {
                RECONNECT_PAUSE
            } else {
                Duration::ZERO
            };
            if timeout_at(deadline, sleep(pause)).await.is_err() {
                return (sent, Err(fault));
            }
        }
    }

    async fn attempt(&self, command: &Cmd, deadline: Instant) -> Result<Value, Fault> {
        self.check_out(deadline).await?.run(command, deadline).await
    }

    /// A clone of a pooled connection: it goes back at once, so that concurrent calls share their round trips.
    ///
    /// bb8 lets a caller wait for a connection whose attempt has failed already, so the failure is listened for too.
    async fn check_out(&self, deadline: Instant) -> Result<Connection, Fault> {
        let refused = self.refusals.next();
        tokio::select! {
            biased;
            checked_out = timeout_at(deadline, self.pool.get()) => {
                if let Ok(Ok(connection)) = checked_out {
                    return Ok(connection.clone());
                }
            }
            () = refused => {}
        }
        Err(Fault::Unreachable(Box::new(self.refusals.last())))
    }

    /// Asks a connection what the server is now and whether it takes writes; one that fails is replaced.
    async fn probe(&self) -> Result<(), Fault> {
        let deadline = Instant::now() + self.timeout();
        let mut connection = self.check_out(deadline).await?;
        let asked = async {
            let infos = connection.inspect(deadline).await?;
            self.connector.servers().observe(&infos);
            connection.run(&probe_write(), deadline).await
        };
        let outcome = asked.await;
        if outcome.is_err() {
            connection.mark_broken();
        }
        outcome.map(drop)
    }

    /// Asks each connection whether it still leads anywhere, and has those replaced that do not. That says nothing about
    /// Redis, so nobody is told.
    async fn refresh(&self) {
        let deadline = Instant::now() + self.timeout();
        let asked = self
            .connections()
            .into_iter()
            .map(|mut connection| async move {
                // It marks itself broken when it does not answer.
                connection.run(&cmd("PING"), deadline).await
            });
        if join_all(asked).await.iter().any(Result::is_err) {
            // A broken one leaves the pool when it is checked out.
            drop(self.connections());
        }
    }

    /// Every connection that is in the pool now. None comes twice, since all are held until the last is found; nobody
    /// waits meanwhile.
    fn connections(&self) -> Vec<Connection> {
        let held: Vec<_> = std::iter::from_fn(|| self.pool.get().now_or_never()?.ok()).collect();
        held.iter()
            .map(|connection| Connection::clone(connection))
            .collect()
    }

    /// Probes once and notes what came of it.
    async fn look(&self) {
        let sent = self.health.sending();
        match self.probe().await {
            Ok(()) => self.health.go_up(),
            Err(fault) if fault.is_outage() => self.health.failed(sent, &fault, 1),
            // It answers and refuses: calls learn the reason from it themselves.
            Err(_) => self.health.go_up(),
        }
    }
}

/// Probes until the client is gone: seldom while Redis is up, often while it is down.
async fn watch(client: Weak<Client>, health: Arc<Health>) {
    loop {
        match client.upgrade() {
            Some(client) if !client.stopped.load(Ordering::Relaxed) => client.look().await,
            _ => return,
        }
        if health.is_down() || timeout(PROBE_WHEN_UP, health.went_down()).await.is_ok() {
            sleep(PROBE_WHEN_DOWN).await;
        }
    }
}

/// Finds connections that died unnoticed, until the client is gone: a firewall forgets an idle one and says so to nobody.
async fn keep_fresh(client: Weak<Client>) {
    loop {
        sleep(PROBE_WHEN_UP).await;
        match client.upgrade() {
            Some(client) if !client.is_stopped() => client.refresh().await,
            _ => return,
        }
    }
}

fn probe_write() -> Cmd {
    let mut set = cmd("SET");
    set.arg(keys::PROBE).arg(1).arg("PX").arg(60_000);
    set
}

/// The attempts to connect that failed: bb8 says only that there is no connection.
#[derive(Clone, Default)]
struct Refusals(Arc<RefusalsInner>);

#[derive(Default)]
struct RefusalsInner {
    last: Mutex<Option<Fault>>,
    next: Notify,
}

impl Refusals {
    /// Why the last one failed.
    fn last(&self) -> Fault {
        self.0
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .unwrap_or(Fault::Timeout)
    }

    /// Returns when the next one fails; counts from the call, not from the first poll.
    fn next(&self) -> impl Future<Output = ()> {
        self.0.next.notified()
    }
}

impl bb8::ErrorSink<Fault> for Refusals {
    fn sink(&self, fault: Fault) {
        // A broken connection is put out of the pool by this error; that is no attempt that failed.
        if fault != Fault::Broken {
            debug!(cause = %fault, "no connection to Redis");
            *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            self.0.next.notify_waiters();
        }
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<Fault>> {
        Box::new(self.clone())
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

/// Connections of one runtime for the claims of its checks: one that carries them, and one to try again on.
const CONNECTIONS_HERE: u32 = 2;

/// The pause before another attempt to connect within one call: a server that was just restarted is not hammered.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);

/// How often a server that is up is asked what it is, and each connection whether it answers: how long a silent
/// replacement, and the silent end of a connection, go unnoticed.
const PROBE_WHEN_UP: Duration = Duration::from_secs(1);

/// How often a server that is down is asked whether it is back.
const PROBE_WHEN_DOWN: Duration = Duration::from_millis(200);
