//! Whether Redis is up, so that calls fail at once while it is down instead of each waiting for its deadline.
//!
//! ```text
//!        some calls in a row fail                  a probe succeeds
//!  up ────────────────────────────▶ down ──────────────────────────▶ up
//! ```
//!
//! While it is down only the probe in the background asks.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::{info, warn};

use super::fault::Fault;

/// Up or down.
#[derive(Debug, Default)]
pub(super) struct Health {
    down: AtomicBool,
    failures: AtomicU32,
    cause: Mutex<Option<Fault>>,
    went_down: Notify,
}

// === impl Health ===

impl Health {
    /// Fails while it is down.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if !self.is_down() {
            return Ok(());
        }
        let cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(Fault::Down(Box::new(cause.unwrap_or(Fault::Timeout))))
    }

    /// Whether it is down.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Notes that a call was answered.
    pub(super) fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that `calls` failed, together, in a way that others would too.
    pub(super) fn failed(&self, fault: &Fault, calls: u32) {
        if self.failures.fetch_add(calls, Ordering::Relaxed).saturating_add(calls) >= FAILURES_TO_GO_DOWN {
            self.go_down(fault);
        }
    }

    /// Says that it is down.
    pub(super) fn go_down(&self, fault: &Fault) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
        if !self.down.swap(true, Ordering::SeqCst) {
            warn!(cause = %fault, "Redis is unavailable; every check that needs it fails until it is back");
            self.went_down.notify_one();
        }
    }

    /// Says that it is up.
    pub(super) fn go_up(&self) {
        self.failures.store(0, Ordering::Relaxed);
        if self.down.swap(false, Ordering::SeqCst) {
            info!("Redis is available again");
        }
    }

    /// Returns when it goes down.
    pub(super) async fn went_down(&self) {
        self.went_down.notified().await;
    }
}

/// Failed calls in a row after which the others do not try any more.
const FAILURES_TO_GO_DOWN: u32 = 3;
