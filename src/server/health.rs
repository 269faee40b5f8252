//! Whether checks can be answered: asked of the store twice a second, told to gRPC health clients and to `/readyz`.
//!
//! | state | `grpc.health.v1` | `/readyz` |
//! |---|---|---|
//! | starting, the store has not answered yet | NOT_SERVING | 503 |
//! | ready | SERVING | 200 |
//! | the store is lost | NOT_SERVING | 503 |
//! | draining | NOT_SERVING | 503 |
//!
//! There are two names, `""` and `envoy.service.auth.v3.Authorization`; any other is NOT_FOUND.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::clock::{Clock, UnixTime};
use crate::store::{StoreError, StoreErrorKind, StoreHealth};
use crate::telemetry::Metrics;

/// Whether checks can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// The store has not answered yet.
    Starting,
    /// They can.
    Ready,
    /// The store does not answer any more.
    StoreLost,
    /// The service is about to end.
    Draining,
}

impl Readiness {
    /// Its name for people and probes.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::StoreLost => "store_unavailable",
            Self::Draining => "draining",
        }
    }

    fn status(self) -> ServingStatus {
        if self == Self::Ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    }
}

/// How it is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) readiness: Readiness,
    pub(super) since: UnixTime,
}

/// Knows, and tells everybody who asks or watches.
#[derive(Debug)]
pub(super) struct Health {
    clock: Arc<dyn Clock>,
    standing: watch::Sender<Standing>,
    reporter: HealthReporter,
}

impl Health {
    /// Starting.
    pub(super) async fn new(clock: Arc<dyn Clock>) -> Self {
        let standing = Standing {
            readiness: Readiness::Starting,
            since: clock.now(),
        };
        let health = Self {
            clock,
            standing: watch::Sender::new(standing),
            reporter: HealthReporter::new(),
        };
        health.report(Readiness::Starting).await;
        health
    }

    /// `grpc.health.v1.Health`, for each listener that offers it.
    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// For the ops listener.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Follows the store for as long as it is awaited.
    pub(super) async fn follow(&self, store: &dyn StoreHealth, metrics: &Metrics) -> Infallible {
        let mut ticks = interval(PING_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0;
        loop {
            ticks.tick().await;
            let answer = timeout(PING_LIMIT, store.ping())
                .await
                .unwrap_or_else(|_| Err(too_slow()));
            failures = if answer.is_ok() { 0 } else { failures + 1 };
            if let Err(error) = &answer {
                metrics.store_error(error.kind().label());
            }
            match answer {
                Ok(()) => self.found(Readiness::Ready, None).await,
                Err(error) if failures >= FAILURES => {
                    self.found(Readiness::StoreLost, Some(&error)).await
                }
                Err(_) => {}
            }
            metrics.store_up(self.standing.borrow().readiness == Readiness::Ready);
            let status = store.status();
            metrics.store_status(status.restarts_seen, status.nonces);
            metrics.cache_size(status.cache_entries, status.cache_bytes);
            metrics.changes(!status.cut_off, status.untold);
        }
    }

    /// Says that the service is about to end; final, once nothing follows the store any more.
    pub(super) async fn drain(&self) {
        self.changes_to(Readiness::Draining);
        self.report(Readiness::Draining).await;
    }

    /// Ends the streams of those who watch: they would hold their connections open.
    pub(super) async fn end_watches(&self) {
        let mut reporter = self.reporter.clone();
        for name in NAMES {
            reporter.clear_service_status(name).await;
        }
    }

    /// Tells everybody what is new, once.
    async fn found(&self, readiness: Readiness, error: Option<&StoreError>) {
        if !self.changes_to(readiness) {
            return;
        }
        self.report(readiness).await;
        match error {
            None => tracing::info!("the store answers: ready"),
            Some(error) => {
                let error: &dyn std::error::Error = error;
                tracing::warn!(error, "the store does not answer: not ready");
            }
        }
    }

    /// Whether that is news.
    fn changes_to(&self, readiness: Readiness) -> bool {
        let since = self.clock.now();
        self.standing.send_if_modified(|standing| {
            let is_new = standing.readiness != readiness;
            if is_new {
                *standing = Standing { readiness, since };
            }
            is_new
        })
    }

    async fn report(&self, readiness: Readiness) {
        for name in NAMES {
            self.reporter
                .set_service_status(name, readiness.status())
                .await;
        }
    }
}

fn too_slow() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "ping: no answer in time")
}

/// The names that health clients can ask for.
const NAMES: [&str; 2] = ["", "envoy.service.auth.v3.Authorization"];

/// With the two below, a lost store is told within 2 s.
const PING_EVERY: Duration = Duration::from_millis(500);

/// A store that needs longer can not answer checks either.
const PING_LIMIT: Duration = Duration::from_millis(500);

/// One call may fall on a connection that Redis has just closed; to flap for it would take away every replica at once.
const FAILURES: u32 = 2;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use async_trait::async_trait;
    use tokio::time::Instant;

    use super::*;
    use crate::clock::ManualClock;
    use crate::store::StoreStatus;

    #[tokio::test(start_paused = true)]
    async fn a_lost_store_is_told_within_three_seconds() {
        for how in [Ping::Fails, Ping::Hangs] {
            let (health, store, metrics) =
                (new().await, Pinged::new(Ping::Answers), Metrics::default());
            let mut standing = health.standing();
            let told = async {
                standing
                    .wait_for(|now| now.readiness == Readiness::Ready)
                    .await
                    .unwrap();
                let lost = Instant::now();
                store.set(how);
                standing
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
    async fn one_failed_ping_is_not_told() {
        let (health, store, metrics) = (
            new().await,
            Pinged::new(Ping::FailsOnce),
            Metrics::default(),
        );
        let followed = timeout(Duration::from_secs(5), health.follow(&store, &metrics));
        let mut standing = health.standing();
        let lost = standing.wait_for(|now| now.readiness == Readiness::StoreLost);
        tokio::select! { _ = followed => {}, _ = lost => panic!("told") }
        assert_eq!(health.standing().borrow().readiness, Readiness::Ready);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_comes_back_is_told() {
        let (health, store, metrics) = (new().await, Pinged::new(Ping::Fails), Metrics::default());
        let mut standing = health.standing();
        let story = async {
            standing
                .wait_for(|now| now.readiness == Readiness::StoreLost)
                .await
                .unwrap();
            store.set(Ping::Answers);
            standing
                .wait_for(|now| now.readiness == Readiness::Ready)
                .await
                .unwrap();
        };
        tokio::select! { () = story => {}, never = health.follow(&store, &metrics) => match never {} }
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_say_how_the_store_is() {
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
    async fn since_when_it_is_so_is_known() {
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1)));
        let (health, store, metrics) = (
            Health::new(clock.clone()).await,
            Pinged::new(Ping::Answers),
            Metrics::default(),
        );
        clock.advance(Duration::from_secs(1));
        let follow = || timeout(Duration::from_secs(2), health.follow(&store, &metrics));
        let _: Result<Infallible, _> = follow().await;
        let since = |secs| UnixTime::from_secs(secs);
        let ready = Standing {
            readiness: Readiness::Ready,
            since: since(2),
        };
        assert_eq!(*health.standing().borrow(), ready);
        clock.advance(Duration::from_secs(1));
        let _: Result<Infallible, _> = follow().await;
        assert_eq!(
            *health.standing().borrow(),
            ready,
            "what stays as it is, is so since it began"
        );
        health.drain().await;
        assert_eq!(
            *health.standing().borrow(),
            Standing {
                readiness: Readiness::Draining,
                since: since(3)
            }
        );
    }

    async fn new() -> Health {
        Health::new(Arc::new(ManualClock::at(UnixTime::from_secs(1)))).await
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
