//! Reports the state of the service to systemd, for units with `Type=notify` (`sd_notify(3)`).
//!
//! | state | when |
//! |---|---|
//! | `READY=1` | once: every listener is bound and checks can be answered; and after each reload |
//! | `RELOADING=1` | a reload begins |
//! | `STOPPING=1` | the drain begins |
//! | `STATUS=…` | the readiness changes |
//! | `WATCHDOG=1` | twice in each `WatchdogSec=`, from the runtime that accepts connections |
//!
//! Without the variable NOTIFY_SOCKET, which systemd sets, nothing is sent.

use std::convert::Infallible;
use std::future::pending;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::health::{HealthState, Readiness};

/// Reports every readiness, and answers the watchdog, until the future is dropped.
pub(super) async fn follow(health: watch::Receiver<HealthState>) -> Infallible {
    tokio::select! {
        never = report_readiness(health) => match never {},
        never = answer_watchdog() => match never {},
    }
}

/// A reload that systemd knows of; it ends when this is dropped, whether or not the new configuration
/// is in use.
pub(super) struct ReloadReport(());

impl ReloadReport {
    /// Reports that a reload begins.
    pub(super) fn begin() -> Self {
        // systemd compares the time with that of its own signal.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            send(&[NotifyState::Reloading, now]);
        }
        Self(())
    }
}

impl Drop for ReloadReport {
    fn drop(&mut self) {
        send(&[NotifyState::Ready]);
    }
}

/// Reports that the service drains.
pub(super) fn stopping() {
    send(&[
        NotifyState::Stopping,
        NotifyState::Status(status(Readiness::Draining)),
    ]);
}

async fn report_readiness(mut health: watch::Receiver<HealthState>) -> Infallible {
    let (mut is_started, mut last) = (false, None);
    loop {
        let readiness = health.borrow_and_update().readiness;
        if last.replace(readiness) != Some(readiness) {
            send(&[NotifyState::Status(status(readiness))]);
        }
        if readiness.is_ready() && !is_started {
            is_started = true;
            send(&[NotifyState::Ready]);
        }
        if health.changed().await.is_err() {
            return pending().await;
        }
    }
}

async fn answer_watchdog() -> Infallible {
    let Some(timeout) = sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero()) else {
        return pending().await;
    };
    let mut ticks = interval(timeout / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        send(&[NotifyState::Watchdog]);
    }
}

/// Returns the line that `systemctl status` shows.
const fn status(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Starting => "Waiting for the store",
        Readiness::Ready => "Answering checks",
        Readiness::StoreLost => "The store is unavailable: checks fail",
        Readiness::Degraded => "The store is unavailable: answering checks from the cache",
        Readiness::Draining => "Draining: finishing requests in flight",
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot report the state to the service manager");
    }
}
