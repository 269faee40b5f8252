//! The readiness of the service: it makes a synthetic check in the store twice a second
//! ([`StoreHealth::ping`]), and reports to gRPC health clients and `/readyz`.
//!
//! | readiness | `grpc.health.v1` | `/readyz` |
//! |---|---|---|
//! | starting: the store has not responded yet | NOT_SERVING | 503 |
//! | ready | SERVING | 200 |
//! | store lost | NOT_SERVING | 503 |
//! | store lost, and checks work without it (`nonce.on_store_failure`) | SERVING | 200 |
//! | draining | NOT_SERVING | 503 |
//!
//! The service names are `""` and `envoy.service.auth.v3.Authorization`; any other is NOT_FOUND.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthReporter;

use super::health_service::ConnectionHealth;
use super::service_manager::ReloadReport;
use crate::clock::{Clock, UnixTime};
use crate::store::{StoreError, StoreErrorKind, StoreHealth};
use crate::telemetry::Metrics;

/// The readiness to answer checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// The store has not responded yet.
    Starting,
    /// Checks can be answered.
    Ready,
    /// The store no longer responds.
    StoreLost,
    /// The store no longer responds, and checks are answered without it.
    Degraded,
    /// The service is shutting down.
    Draining,
}

impl Readiness {
    /// Returns the name for probes.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::StoreLost => "store_unavailable",
            Self::Degraded => "store_unavailable_degraded",
            Self::Draining => "draining",
        }
    }

    /// Returns true if requests should be sent here.
    pub(super) const fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }

    fn status(self) -> ServingStatus {
        if self.is_ready() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    }
}

/// A readiness, its start and its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HealthState {
    pub(super) readiness: Readiness,
    pub(super) since: UnixTime,
    /// The error for which checks cannot be answered, with its causes.
    pub(super) cause: Option<Arc<str>>,
}

/// The monitor that follows the store and publishes the readiness.
#[derive(Debug)]
pub(super) struct HealthMonitor {
    clock: Arc<dyn Clock>,
    /// True if checks are answered in an outage of the store.
    works_in_outages: bool,
    /// True once the store was available. A service that never was ready has nothing cached.
    was_ready: AtomicBool,
    state: watch::Sender<HealthState>,
    reporter: HealthReporter,
}

impl HealthMonitor {
    /// Returns a monitor that reports [`Readiness::Starting`].
    pub(super) async fn new(clock: Arc<dyn Clock>, works_in_outages: bool) -> Self {
        let state = HealthState {
            readiness: Readiness::Starting,
            since: clock.now(),
            cause: None,
        };
        let health = Self {
            clock,
            works_in_outages,
            was_ready: AtomicBool::new(false),
            state: watch::Sender::new(state),
            reporter: HealthReporter::new(),
        };
        health.report(Readiness::Starting).await;
        health
    }

    /// Returns the service `grpc.health.v1.Health`.
    pub(super) fn service(&self) -> HealthServer<ConnectionHealth> {
        ConnectionHealth::serving(self.reporter.clone())
    }

    /// Returns a receiver of the current state.
    pub(super) fn state(&self) -> watch::Receiver<HealthState> {
        self.state.subscribe()
    }

    /// Reports a reload to the service manager, except before the first readiness and during the drain:
    /// its end would report that the service is ready.
    pub(super) fn reload_report(&self) -> Option<ReloadReport> {
        let is_draining = self.state.borrow().readiness == Readiness::Draining;
        let is_serving = self.was_ready.load(Ordering::Relaxed) && !is_draining;
        is_serving.then(ReloadReport::begin)
    }

    /// Makes synthetic checks and publishes the readiness, until the future is dropped.
    pub(super) async fn follow(&self, store: &dyn StoreHealth, metrics: &Metrics) -> Infallible {
        let mut ticks = interval(PING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0;
        loop {
            ticks.tick().await;
            let answer = ping(store, metrics).await;
            failures = if answer.is_ok() { 0 } else { failures + 1 };
            match answer {
                Ok(()) => {
                    self.was_ready.store(true, Ordering::Relaxed);
                    self.publish(Readiness::Ready, None).await;
                }
                Err(error) if failures >= MAX_FAILURES => {
                    self.publish(self.without_store(&error), Some(&error)).await;
                }
                Err(_) => {}
            }
            self.export(store, metrics);
        }
    }

    /// Returns the readiness without the store.
    fn without_store(&self, error: &StoreError) -> Readiness {
        let was_ready = self.was_ready.load(Ordering::Relaxed);
        if self.works_in_outages && was_ready && error.is_outage() {
            Readiness::Degraded
        } else {
            Readiness::StoreLost
        }
    }

    /// Exports the state of the store as metrics.
    fn export(&self, store: &dyn StoreHealth, metrics: &Metrics) {
        metrics.store_up(self.state.borrow().readiness == Readiness::Ready);
        let status = store.status();
        metrics.store_status(status.restarts_seen, status.nonces);
        metrics.store_clock_skew(status.clock_skew_millis);
        metrics.cache_size(status.cache_entries, status.cache_bytes);
        metrics.changes(!status.cut_off, status.untold);
        metrics.changes_remade(status.remade);
        metrics.unreadable_records(status.unreadable_records);
        metrics.records_under_old_keys(status.records_under_old_keys);
    }

    /// Publishes the drain. Final, once [`follow`](Self::follow) has ended.
    pub(super) async fn set_draining(&self) {
        self.set(Readiness::Draining, None);
        self.report(Readiness::Draining).await;
    }

    /// Publishes and logs a readiness that is new.
    async fn publish(&self, readiness: Readiness, error: Option<&StoreError>) {
        let cause = error.map(StoreError::with_causes);
        if !self.set(readiness, cause.as_deref()) {
            return;
        }
        self.report(readiness).await;
        match cause {
            None => tracing::info!("the store is available; ready"),
            Some(error) => {
                let ready = readiness.is_ready();
                tracing::warn!(error, ready, "the store cannot answer checks");
            }
        }
    }

    /// Sets the readiness and its cause; returns whether the readiness changed.
    fn set(&self, readiness: Readiness, cause: Option<&str>) -> bool {
        let (now, mut is_new) = (self.clock.now(), false);
        self.state.send_if_modified(|state| {
            is_new = state.readiness != readiness;
            let is_other = is_new || state.cause.as_deref() != cause;
            if is_other {
                state.cause = cause.map(Arc::from);
                state.readiness = readiness;
            }
            if is_new {
                state.since = now;
            }
            is_other
        });
        is_new
    }

    async fn report(&self, readiness: Readiness) {
        for name in NAMES {
            self.reporter
                .set_service_status(name, readiness.status())
                .await;
        }
    }
}

/// Makes a synthetic check, and counts an error.
async fn ping(store: &dyn StoreHealth, metrics: &Metrics) -> Result<(), StoreError> {
    let answer = timeout(PING_TIMEOUT, store.ping())
        .await
        .unwrap_or_else(|_| Err(too_slow()));
    answer.inspect_err(|error| metrics.store_error(error.kind().label()))
}

fn too_slow() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "a synthetic check")
        .because(format!("no response within {PING_TIMEOUT:?}"))
}

/// The service names of health checks.
const NAMES: [&str; 2] = ["", "envoy.service.auth.v3.Authorization"];

/// With the two limits below, a lost store is reported within two seconds: a tick, two checks that
/// time out, and the tick between them. The promise is three seconds, for busy machines.
const PING_INTERVAL: Duration = Duration::from_millis(500);

/// A slower store could not answer checks either.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

/// One check may use a connection that Redis has just closed, and a flap would make every replica
/// unready at once.
const MAX_FAILURES: u32 = 2;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU8;

    use async_trait::async_trait;
    use tokio::time::Instant;

    use super::*;
    use crate::clock::ManualClock;
    use crate::store::StoreStatus;

    #[tokio::test(start_paused = true)]
    async fn a_lost_store_is_reported_within_three_seconds() {
        for how in [Ping::Fails, Ping::Hangs] {
            let (health, store, metrics) =
                (new().await, Pinged::new(Ping::Answers), Metrics::default());
            let mut state = health.state();
            let told = async {
                state
                    .wait_for(|now| now.readiness == Readiness::Ready)
                    .await
                    .unwrap();
                let lost = Instant::now();
                store.set(how);
                state
                    .wait_for(|now| now.readiness == Readiness::StoreLost)
                    .await
                    .unwrap();
                lost.elapsed()
            };
            let told = tokio::select! { told = told => told, never = health.follow(&store, &metrics) => match never {} };
            assert!(told <= Duration::from_secs(3), "{how:?}: {told:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_failed_ping_is_not_reported() {
        let (health, store, metrics) = (
            new().await,
            Pinged::new(Ping::FailsOnce),
            Metrics::default(),
        );
        let followed = timeout(Duration::from_secs(5), health.follow(&store, &metrics));
        let mut state = health.state();
        let lost = state.wait_for(|now| now.readiness == Readiness::StoreLost);
        tokio::select! { _ = followed => {}, _ = lost => panic!("reported") }
        assert_eq!(health.state().borrow().readiness, Readiness::Ready);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_returns_is_reported() {
        let (health, store, metrics) = (new().await, Pinged::new(Ping::Fails), Metrics::default());
        let mut state = health.state();
        let story = async {
            state
                .wait_for(|now| now.readiness == Readiness::StoreLost)
                .await
                .unwrap();
            store.set(Ping::Answers);
            state
                .wait_for(|now| now.readiness == Readiness::Ready)
                .await
                .unwrap();
        };
        tokio::select! { () = story => {}, never = health.follow(&store, &metrics) => match never {} }
    }

    #[tokio::test(start_paused = true)]
    async fn the_state_names_the_cause_while_the_store_is_lost() {
        let (health, store, metrics) = (new().await, Pinged::new(Ping::Fails), Metrics::default());
        let follow = || timeout(Duration::from_secs(2), health.follow(&store, &metrics));
        let _: Result<Infallible, _> = follow().await;
        let cause = health.state().borrow().cause.clone();
        assert_eq!(
            cause.as_deref(),
            Some("a synthetic check failed: the store is unavailable: no response within 500ms")
        );
        store.set(Ping::Answers);
        let _: Result<Infallible, _> = follow().await;
        assert_eq!(health.state().borrow().cause, None);
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_report_the_state_of_the_store() {
        let (health, store, metrics) =
            (new().await, Pinged::new(Ping::Answers), Metrics::default());
        let _: Result<Infallible, _> =
            timeout(Duration::from_secs(1), health.follow(&store, &metrics)).await;
        let text = metrics.render();
        assert!(text.contains("countersign_store_up 1\n"), "{text}");
        assert!(
            text.contains("countersign_store_restarts_seen_total 3\n"),
            "{text}"
        );
        store.set(Ping::Fails);
        let _: Result<Infallible, _> =
            timeout(Duration::from_secs(2), health.follow(&store, &metrics)).await;
        assert!(metrics.render().contains("countersign_store_up 0\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_state_has_the_start_of_its_readiness() {
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1)));
        let (health, store, metrics) = (
            HealthMonitor::new(clock.clone(), false).await,
            Pinged::new(Ping::Answers),
            Metrics::default(),
        );
        clock.advance(Duration::from_secs(1));
        let follow = || timeout(Duration::from_secs(2), health.follow(&store, &metrics));
        let _: Result<Infallible, _> = follow().await;
        let since = |secs| UnixTime::from_secs(secs);
        let ready = HealthState {
            readiness: Readiness::Ready,
            since: since(2),
            cause: None,
        };
        assert_eq!(*health.state().borrow(), ready);
        clock.advance(Duration::from_secs(1));
        let _: Result<Infallible, _> = follow().await;
        assert_eq!(
            *health.state().borrow(),
            ready,
            "an unchanged readiness keeps its start"
        );
        health.set_draining().await;
        assert_eq!(
            *health.state().borrow(),
            HealthState {
                readiness: Readiness::Draining,
                since: since(3),
                cause: None,
            }
        );
    }

    async fn new() -> HealthMonitor {
        HealthMonitor::new(Arc::new(ManualClock::at(UnixTime::from_secs(1))), false).await
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(u8)]
    enum Ping {
        Answers,
        Fails,
        FailsOnce,
        Hangs,
    }

    /// A store that can only be pinged.
    #[derive(Debug)]
    struct Pinged(AtomicU8);

    impl Pinged {
        fn new(ping: Ping) -> Self {
            Self(AtomicU8::new(ping as u8))
        }

        fn set(&self, ping: Ping) {
            self.0.store(ping as u8, Ordering::SeqCst);
        }
    }

    #[async_trait]
    impl StoreHealth for Pinged {
        async fn ping(&self) -> Result<(), StoreError> {
            let now = self.0.load(Ordering::SeqCst);
            if now == Ping::Hangs as u8 {
                return std::future::pending().await;
            }
            if now == Ping::FailsOnce as u8 {
                self.set(Ping::Answers);
            }
            if now == Ping::Answers as u8 {
                Ok(())
            } else {
                Err(too_slow())
            }
        }

        fn status(&self) -> StoreStatus {
            StoreStatus {
                restarts_seen: 3,
                ..StoreStatus::default()
            }
        }
    }
}
