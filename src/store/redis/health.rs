//! Whether Redis is up, so that calls fail at once while it is down instead of each waiting for its deadline.
//!
//! ```text
//!        some calls in a row fail                  a probe succeeds
//!  up ────────────────────────────▶ down ──────────────────────────▶ up
//! ```
//!
//! While it is down only the probe in the background asks. A call that fails although another was answered since
//! it was sent says something about its connection and nothing about Redis: it does not count.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::{info, warn};

use super::fault::Fault;

/// Up or down.
#[derive(Debug, Default)]
pub(super) struct Health {
    down: AtomicBool,
    failures: AtomicU32,
    /// How many calls were answered, over any connection.
    answers: AtomicU64,
    cause: Mutex<Option<Fault>>,
    went_down: Notify,
}

/// When a call was sent: after how many answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent(u64);

// === impl Health ===

impl Health {
    /// Fails while it is down.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if !self.is_down() {
            return Ok(());
        }
        let cause = self
            .cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Err(Fault::Down(Box::new(cause.unwrap_or(Fault::Timeout))))
    }

    /// Whether it is down.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// To be asked when a call is sent.
    pub(super) fn sending(&self) -> Sent {
        Sent(self.answers.load(Ordering::Relaxed))
    }

    /// Notes that a call was answered.
    pub(super) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that `calls` failed, together, in a way that others would too; unless another was answered since they were
    /// `sent`.
    pub(super) fn failed(&self, sent: Sent, fault: &Fault, calls: u32) {
        if self.sending().0 != sent.0 {
            return;
        }
        if self
            .failures
            .fetch_add(calls, Ordering::Relaxed)
            .saturating_add(calls)
            >= FAILURES_TO_GO_DOWN
        {
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
        self.answered();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_fail_in_a_row_say_that_it_is_down_and_an_answer_between_them_that_it_is_not() {
        let health = Health::default();
        for _ in 0..2 {
            health.failed(health.sending(), &Fault::Timeout, 2);
            assert_eq!(health.check(), Ok(()));
            health.answered();
        }
        health.failed(health.sending(), &Fault::Timeout, 1);
        health.failed(health.sending(), &Fault::Timeout, 2);
        assert_eq!(health.check(), Err(Fault::Down(Box::new(Fault::Timeout))));
        health.go_up();
        assert_eq!(health.check(), Ok(()));
        health.failed(health.sending(), &Fault::Timeout, 2);
        assert_eq!(health.check(), Ok(()), "they are counted anew");
    }

    #[test]
    fn calls_that_were_sent_before_another_was_answered_say_nothing_however_many_fail() {
        let health = Health::default();
        let sent = health.sending();
        health.answered();
        health.failed(sent, &Fault::Timeout, 1000);
        assert_eq!(health.check(), Ok(()));
        health.failed(health.sending(), &Fault::Timeout, 3);
        assert!(health.is_down());
    }
}
