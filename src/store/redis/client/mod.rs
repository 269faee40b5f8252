//! The client: each call has one deadline, uses a small set of shared connections, and is retried
//! if that is safe.
//!
//! Every command of the store may be sent twice: it reads, or it writes bytes that only this call
//! can have written, and recognizes them. So if a connection breaks, its calls are retried on
//! another one while their deadline lasts.

mod connect_failures;
mod primaries;
mod probe;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bb8_redis::bb8;
use bb8_redis::bb8::ManageConnection as _;
use redis::{Cmd, Value};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use self::connect_failures::ConnectFailures;
use super::circuit_breaker::{CircuitBreaker, SendTime, is_overdue};
use super::connection::{RedisConnection, RedisConnector};
use super::error::CommandError;
use super::gate::{Gate, Passage};
use super::inspection::ServerInspector;
use super::keys;
use super::recovery::Recovery;
use super::resolution::SystemResolver;
use super::scripts::ClaimGuard;
use super::servers::RedisServers;
use crate::config::StoreConfig;

/// A client with its pool of connections and a circuit breaker.
pub(super) struct RedisClient {
    pool: bb8::Pool<RedisConnector>,
    connector: RedisConnector,
    breaker: Arc<CircuitBreaker>,
    connect_failures: ConnectFailures,
    attempts: u32,
    stopped: Arc<AtomicBool>,
    recovery: Arc<Recovery>,
    heeds_gate: bool,
}

// === impl RedisClient ===

impl RedisClient {
    /// Connects, and starts the probe. If Redis is unreachable, the circuit starts open.
    ///
    /// # Errors
    /// If the server can never be used.
    pub(super) async fn open(
        servers: RedisServers,
        config: &StoreConfig,
        inspector: ServerInspector,
        recovery: Arc<Recovery>,
    ) -> Result<Arc<Self>, CommandError> {
        let connector = RedisConnector::new(
            servers,
            config.timeout,
            Arc::new(inspector),
            Arc::new(SystemResolver),
        );
        Self::open_with(connector, config.connections, recovery).await
    }

    /// Connects with a given connector.
    pub(super) async fn open_with(
        connector: RedisConnector,
        connections: u32,
        recovery: Arc<Recovery>,
    ) -> Result<Arc<Self>, CommandError> {
        let first = connector.connect().await;
        let client = Arc::new(Self::with(
            connector,
            connections.max(1),
            Arc::default(),
            recovery,
        ));
        match first {
            // The pool refuses it if it is already full.
            Ok(connection) => drop(client.pool.add(connection)),
            Err(error) if error.is_permanent() => return Err(error),
            Err(error) => client.breaker.open(&error),
        }
        client.work_in_background();
        Ok(client)
    }

    /// Returns a client with its own connections, which the current runtime serves, and the same
    /// circuit breaker.
    pub(super) fn for_this_runtime(&self) -> Arc<Self> {
        let client = Arc::new(Self::with(
            self.connector.clone(),
            CONNECTIONS_PER_RUNTIME,
            Arc::clone(&self.breaker),
            Arc::clone(&self.recovery),
        ));
        client.refresh_in_background();
        client
    }

    /// Returns the same client, except that its calls pass while the gate is closed.
    pub(super) fn past_gate(&self) -> Arc<Self> {
        Arc::new(Self {
            pool: self.pool.clone(),
            connector: self.connector.clone(),
            breaker: Arc::clone(&self.breaker),
            connect_failures: self.connect_failures.clone(),
            attempts: self.attempts,
            stopped: Arc::clone(&self.stopped),
            recovery: Arc::clone(&self.recovery),
            heeds_gate: false,
        })
    }

    fn with(
        connector: RedisConnector,
        connections: u32,
        breaker: Arc<CircuitBreaker>,
        recovery: Arc<Recovery>,
    ) -> Self {
        let connect_failures = ConnectFailures::default();
        let pool = bb8::Pool::builder()
            .max_size(connections)
            .min_idle(connections)
            .test_on_check_out(true)
            .retry_connection(false)
            .connection_timeout(connector.response_timeout().max(Duration::from_millis(1)))
            .max_lifetime(None)
            .idle_timeout(None)
            .error_sink(Box::new(connect_failures.clone()))
            .build_unchecked(connector.clone());
        Self {
            pool,
            connector,
            breaker,
            connect_failures,
            attempts: connections + 1,
            stopped: Arc::default(),
            recovery,
            heeds_gate: true,
        }
    }

    /// Runs a command that may be sent twice.
    pub(super) async fn call(&self, command: &Cmd) -> Result<Value, CommandError> {
        self.call_by(command, Instant::now() + self.timeout(), 1)
            .await
    }

    /// Runs a command that `calls` share, until `deadline`.
    pub(super) async fn call_by(
        &self,
        command: &Cmd,
        deadline: Instant,
        calls: usize,
    ) -> Result<Value, CommandError> {
        self.breaker.check()?;
        let passage = self.enter()?;
        let (sent, outcome) = self.attempt_until(deadline, command).await;
        match &outcome {
            Err(error) if is_overdue(error, deadline) => {}
            Err(error) if error.is_outage() => {
                let calls = u32::try_from(calls).unwrap_or(u32::MAX);
                self.breaker.note_failure(sent, error, calls);
            }
            Ok(_) | Err(_) => self.breaker.note_answer(),
        }
        self.look_again_after(outcome.as_ref().err());
        self.confirm(passage)?;
        outcome
    }

    /// Does work whose result counts only if the gate stays open.
    pub(super) async fn through_gate<T>(
        &self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        self.breaker.check()?;
        let passage = self.enter()?;
        let outcome = work.await;
        self.look_again_after(outcome.as_ref().err());
        self.confirm(passage)?;
        outcome
    }

    fn look_again_after(&self, error: Option<&CommandError>) {
        if error.is_some_and(CommandError::hints_at_failover) {
            self.servers().look_again();
        }
    }

    /// Fails while the circuit is open or the gate closed.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        self.breaker.check()?;
        self.enter().map(drop)
    }

    /// Passes the gate, if this client heeds it.
    fn enter(&self) -> Result<Option<Passage>, CommandError> {
        let gate = Some(self.recovery.gate()).filter(|_| self.heeds_gate);
        gate.map(Gate::enter).transpose()
    }

    fn confirm(&self, passage: Option<Passage>) -> Result<(), CommandError> {
        passage.map_or(Ok(()), |passage| self.recovery.gate().confirm(passage))
    }

    /// Returns `true` if commands must stay within one slot.
    pub(super) const fn is_cluster(&self) -> bool {
        self.servers().is_cluster()
    }

    /// Returns the servers behind the connections.
    pub(super) const fn servers(&self) -> &RedisServers {
        self.connector.servers()
    }

    /// Returns the connector of the connections.
    pub(super) const fn connector(&self) -> &RedisConnector {
        &self.connector
    }

    /// Checks that this process is not cut off with an old primary, if this client heeds the gate.
    pub(super) async fn confirm_primary(&self) -> Result<(), CommandError> {
        let passage = self.enter()?;
        if self.heeds_gate {
            self.servers().confirm().await?;
        }
        self.confirm(passage)
    }

    /// Returns the recovery that closes the gate.
    pub(super) const fn recovery(&self) -> &Arc<Recovery> {
        &self.recovery
    }

    /// Moves the fence to this moment, if it is on.
    pub(super) fn move_fence(&self) {
        self.connector.restarts().move_fence(self.clock_lead());
    }

    /// Returns the longest time that a call takes.
    pub(super) const fn timeout(&self) -> Duration {
        self.connector.response_timeout()
    }

    /// Returns the number of restarts and replacements of the server.
    pub(super) fn restarts_seen(&self) -> u64 {
        self.connector.restarts().count()
    }

    /// Returns the fence: timestamps up to this second are refused.
    pub(super) fn fence(&self) -> u64 {
        self.connector.restarts().fence()
    }

    /// Fails if the clocks of Redis and this host differ too much for any claim.
    pub(super) fn check_clocks(&self) -> Result<(), CommandError> {
        self.connector.inspector().skew().check()
    }

    /// Returns Redis' clock minus this host's, in milliseconds.
    pub(super) fn clock_skew_millis(&self) -> i64 {
        self.connector.inspector().skew().millis()
    }

    /// Returns the time by which Redis' clock is ahead of this host's.
    pub(super) fn clock_lead(&self) -> Duration {
        self.connector.inspector().skew().lead()
    }

    /// Returns what a claim has to find in Redis if it is made at the second `now`.
    ///
    /// # Errors
    /// If no server was inspected yet.
    pub(super) fn claim_guard(&self, now: u64) -> Result<ClaimGuard, CommandError> {
        let marker = if self.is_cluster() {
            None
        } else {
            let marker = self.connector.restarts().marker(keys::EPOCH);
            Some(marker.ok_or(CommandError::EpochChanged)?)
        };
        Ok(ClaimGuard {
            marker,
            now,
            max_skew: self.connector.inspector().skew().limit_secs(),
        })
    }

    /// Inspects the server again because a claim found something changed: the marker, or with
    /// `saw_skew` the clock.
    pub(super) async fn inspect_again(
        &self,
        deadline: Instant,
        saw_skew: bool,
    ) -> Result<(), CommandError> {
        let connection = self.check_out(deadline).await?;
        let inspected = self
            .connector
            .inspect(connection.link(), deadline, saw_skew);
        inspected.await.map(drop)
    }

    /// Stops the probe.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if the probe was stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Returns the outcome of the last attempt, and the time at which it was sent.
    async fn attempt_until(
        &self,
        deadline: Instant,
        command: &Cmd,
    ) -> (SendTime, Result<Value, CommandError>) {
        let mut attempt = 1;
        loop {
            let sent = self.breaker.send_time();
            let error = match self.attempt(command, deadline).await {
                Err(error) if error.is_worth_a_retry() && attempt < self.attempts => error,
                outcome => return (sent, outcome),
            };
            debug!(cause = %error, attempt, "retrying on another connection to Redis");
            attempt += 1;
            let pause = if matches!(error, CommandError::Unreachable(_)) {
                RECONNECT_PAUSE
            } else {
                Duration::ZERO
            };
            if timeout_at(deadline, sleep(pause)).await.is_err() {
                return (sent, Err(error));
            }
        }
    }

    async fn attempt(&self, command: &Cmd, deadline: Instant) -> Result<Value, CommandError> {
        self.check_out(deadline).await?.run(command, deadline).await
    }

    /// Clones a pooled connection and returns the original to the pool at once, so that concurrent
    /// calls share their round trips.
    ///
    /// bb8 keeps a caller waiting for a connection although the attempt to connect has already
    /// failed, so this listens for the failure too.
    async fn check_out(&self, deadline: Instant) -> Result<RedisConnection, CommandError> {
        let failed = self.connect_failures.next();
        tokio::select! {
            biased;
            checked_out = timeout_at(deadline, self.pool.get()) => {
                if let Ok(Ok(connection)) = checked_out {
                    return Ok(connection.clone());
                }
            }
            () = failed => {}
        }
        Err(CommandError::Unreachable(Box::new(
            self.connect_failures.last(),
        )))
    }
}

/// The number of connections of one runtime: one that carries the checks, and one for retries.
const CONNECTIONS_PER_RUNTIME: u32 = 2;

/// The pause before another attempt to connect within one call, so that a server that just
/// restarted is not flooded.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);
