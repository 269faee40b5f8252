//! The circuit breaker: while Redis is down, calls fail at once instead of each waiting for its
//! deadline.
//!
//! ```text
//!           several calls in a row fail              a probe succeeds
//!  closed ───────────────────────────────▶ open ──────────────────────▶ closed
//! ```
//!
//! While it is open, only the probe in the background contacts Redis. A call that fails although
//! another call was answered since it was sent shows a fault of its connection, not of Redis: it
//! does not count. Neither does a timeout that this thread saw late: it did not look at its sockets
//! either, where the answer may be.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use super::error::CommandError;

/// The circuit breaker.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    is_open: AtomicBool,
    failures: AtomicU32,
    /// The number of answered calls, over any connection.
    answers: AtomicU64,
    cause: Mutex<Option<CommandError>>,
    opened: Notify,
}

/// The time at which a call was sent, as the number of calls that had been answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendTime(u64);

// === impl CircuitBreaker ===

impl CircuitBreaker {
    /// Fails while the circuit is open.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if !self.is_open() {
            return Ok(());
        }
        let cause = self
            .cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Err(CommandError::Unavailable(Box::new(
            cause.unwrap_or(CommandError::Timeout),
        )))
    }

    /// Returns `true` if the circuit is open.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Returns the current time, to be taken before a call is sent.
    pub(super) fn send_time(&self) -> SendTime {
        SendTime(self.answers.load(Ordering::Relaxed))
    }

    /// Notes that a call was answered.
    pub(super) fn note_answer(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that `calls` failed together in a way that other calls would too, unless another call
    /// was answered since they were `sent`.
    pub(super) fn note_failure(&self, sent: SendTime, error: &CommandError, calls: u32) {
        if self.send_time().0 != sent.0 {
            return;
        }
        if self
            .failures
            .fetch_add(calls, Ordering::Relaxed)
            .saturating_add(calls)
            >= FAILURES_TO_OPEN
        {
            self.open(error);
        }
    }

    /// Opens the circuit.
    pub(super) fn open(&self, error: &CommandError) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        if !self.is_open.swap(true, Ordering::SeqCst) {
            warn!(cause = %error, "Redis is unavailable; retrying");
            self.opened.notify_one();
        }
    }

    /// Closes the circuit.
    pub(super) fn close(&self) {
        self.note_answer();
        if self.is_open.swap(false, Ordering::SeqCst) {
            info!("Redis is available again");
        }
    }

    /// Returns when the circuit opens.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }
}

/// Returns `true` for a timeout that this thread saw so late that it says nothing about Redis.
pub(super) fn is_overdue(error: &CommandError, deadline: Instant) -> bool {
    *error == CommandError::Timeout && deadline.elapsed() > LATE
}

/// The delay from which a timer is late. A thread with time to spare looks at it within
/// milliseconds.
const LATE: Duration = Duration::from_millis(10);

/// The number of failed calls in a row that opens the circuit.
const FAILURES_TO_OPEN: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_the_circuit_and_an_answer_between_them_does_not() {
        let breaker = CircuitBreaker::default();
        for _ in 0..2 {
            breaker.note_failure(breaker.send_time(), &CommandError::Timeout, 2);
            assert_eq!(breaker.check(), Ok(()));
            breaker.note_answer();
        }
        breaker.note_failure(breaker.send_time(), &CommandError::Timeout, 1);
        breaker.note_failure(breaker.send_time(), &CommandError::Timeout, 2);
        assert_eq!(
            breaker.check(),
            Err(CommandError::Unavailable(Box::new(CommandError::Timeout)))
        );
        breaker.close();
        assert_eq!(breaker.check(), Ok(()));
        breaker.note_failure(breaker.send_time(), &CommandError::Timeout, 2);
        assert_eq!(breaker.check(), Ok(()), "the count starts again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_that_was_seen_late_says_nothing_about_redis() {
        let deadline = Instant::now();
        assert!(!is_overdue(&CommandError::Timeout, deadline));
        tokio::time::advance(2 * LATE).await;
        assert!(is_overdue(&CommandError::Timeout, deadline));
        assert!(!is_overdue(&CommandError::ConnectionBroken, deadline));
    }

    #[test]
    fn failures_of_calls_sent_before_an_answer_do_not_count() {
        let breaker = CircuitBreaker::default();
        let sent = breaker.send_time();
        breaker.note_answer();
        breaker.note_failure(sent, &CommandError::Timeout, 1000);
        assert_eq!(breaker.check(), Ok(()));
        breaker.note_failure(breaker.send_time(), &CommandError::Timeout, 3);
        assert!(breaker.is_open());
    }
}
