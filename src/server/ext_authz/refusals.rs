//! The log of refused checks: one line a second for all of them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts the refused checks of a thread, and logs their number now and then.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<Unlogged>);

#[derive(Debug, Default)]
struct Unlogged {
    refused: u64,
    logged_at: Option<Instant>,
}

impl RefusalLog {
    /// Notes a refused check.
    pub(super) fn note(&self) {
        if let Some(refused) = self.unlogged().note(Instant::now()) {
            tracing::warn!(
                refused,
                "overloaded: refused checks that could not be answered in time"
            );
        }
    }

    fn unlogged(&self) -> MutexGuard<'_, Unlogged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unlogged {
    /// Adds a refused check; returns the number to log, if it is time for a line.
    fn note(&mut self, now: Instant) -> Option<u64> {
        self.refused += 1;
        if self.logged_at.is_some_and(|last| now < last + INTERVAL) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.refused))
    }
}

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusal_is_logged_at_once_and_others_once_a_second() {
        let (mut log, start) = (Unlogged::default(), Instant::now());
        assert_eq!(log.note(start), Some(1));
        for _ in 0..1000 {
            assert_eq!(log.note(start + INTERVAL / 2), None);
        }
        assert_eq!(log.note(start + INTERVAL), Some(1001));
    }
}
