//! The gate in front of Redis: it is closed while no answer of Redis may count.
//!
//! A call enters before it is sent, and its answer counts only if the gate has not closed since. So
//! an answer that a demoted primary gave is void from the moment at which this process learns of
//! the failover, even if it is on its way already.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::error::CommandError;

/// The gate.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The reasons for which it is closed, and above them the number of times that it closed.
    state: AtomicU64,
    closed: Notify,
}

/// The proof that the gate was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage(u64);

/// A reason for which the gate is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closure {
    /// The primary was replaced or restarted, and recent changes are not in it yet.
    Recovering = 1,
    /// A majority of the Sentinels is unreachable.
    Isolated = 2,
}

// === impl Gate ===

impl Gate {
    /// Fails while the gate is closed.
    pub(super) fn enter(&self) -> Result<Passage, CommandError> {
        let state = self.state.load(Ordering::SeqCst);
        if state & ALL_REASONS == 0 {
            Ok(Passage(state))
        } else {
            Err(closed(state))
        }
    }

    /// Fails if the gate has closed since `passage`.
    pub(super) fn confirm(&self, passage: Passage) -> Result<(), CommandError> {
        let state = self.state.load(Ordering::SeqCst);
        if state == passage.0 {
            Ok(())
        } else {
            Err(closed(state))
        }
    }

    /// Closes the gate, and voids every passage.
    pub(super) fn close(&self, reason: Closure) {
        let close = |state: u64| Some(state.wrapping_add(ONE_CLOSING) | reason as u64);
        // Never fails: the closure always returns a value.
        let _ = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, close);
        self.closed.notify_one();
    }

    /// Returns when the gate closes, or has closed since the last return. For one task alone.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    /// Removes a reason; the last one opens the gate.
    pub(super) fn open(&self, reason: Closure) {
        self.state.fetch_and(!(reason as u64), Ordering::SeqCst);
    }
}

fn closed(state: u64) -> CommandError {
    if state & Closure::Isolated as u64 != 0 {
        CommandError::Isolated
    } else {
        CommandError::Recovering
    }
}

const ALL_REASONS: u64 = 3;
const ONE_CLOSING: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_open_without_a_reason_and_names_the_one_it_has() {
        let gate = Gate::default();
        assert!(gate.enter().is_ok());
        gate.close(Closure::Recovering);
        assert_eq!(gate.enter(), Err(CommandError::Recovering));
        gate.close(Closure::Isolated);
        assert_eq!(gate.enter(), Err(CommandError::Isolated));
        gate.open(Closure::Isolated);
        assert_eq!(gate.enter(), Err(CommandError::Recovering));
        gate.open(Closure::Recovering);
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn a_passage_is_void_once_the_gate_has_closed_even_if_it_is_open_again() {
        let gate = Gate::default();
        let passage = gate.enter().unwrap();
        assert_eq!(gate.confirm(passage), Ok(()));
        gate.close(Closure::Recovering);
        gate.open(Closure::Recovering);
        assert_eq!(gate.confirm(passage), Err(CommandError::Recovering));
    }
}
