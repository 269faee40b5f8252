//! The recovery after a failover or a restart: no call passes until this process has made its
//! recent changes again that Redis lost.
//!
//! ```text
//!            the primary was replaced, or restarted with changes to make again, or lost its data
//!   open ─────────────────────────────────────────────────────────────────────▶ closed
//!    ▲                                                                            │
//!    └── every recent change is stored, and the replicas had time to do the same ─┘
//! ```
//!
//! After a failover the gate stays closed for at least [`SETTLING`], since other replicas learn of
//! it at slightly different times: until then a revocation that another replica made may be
//! missing, and another replica may still claim nonces at the demoted primary. When the gate opens,
//! the fence, if it is on, moves to that moment. A restart is noticed before the first claim of any
//! replica, so the fence of that moment suffices.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::gate::{Closure, Gate};
use super::recent_changes::{RecentChange, RecentChanges};

/// The state of the recovery, shared by all connections.
#[derive(Default)]
pub(super) struct Recovery {
    gate: Gate,
    changes: RecentChanges,
    round: Mutex<RecoveryRound>,
    begun: Notify,
}

/// A recovery, or the end of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RecoveryRound {
    /// The number of failovers and restarts so far.
    number: u64,
    /// The earliest time at which the gate may open.
    pub(super) settled_at: Option<Instant>,
    /// True after a failover: until they learned of it, other replicas may have claimed nonces that
    /// are lost, so the fence has to move.
    pub(super) is_failover: bool,
    is_due: bool,
}

// === impl Recovery ===

impl Recovery {
    /// Returns the gate that this closes.
    pub(super) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Returns the changes to make again.
    pub(super) const fn changes(&self) -> &RecentChanges {
        &self.changes
    }

    /// Begins after a failover: every change may be missing, those of other replicas too.
    pub(super) fn begin_after_failover(&self) {
        let mut round = self.round();
        round.number += 1;
        round.settled_at = Some(Instant::now() + SETTLING);
        round.is_failover = true;
        self.close(&mut round);
    }

    /// Begins after a restart if there are changes to make again, and after a loss of all data.
    /// Other replicas do the same: until each had the time, a token that one of them made again may
    /// lack the revocation that another made.
    pub(super) fn begin_after_restart(&self, lost_everything: bool) {
        let mut round = self.round();
        round.number += 1;
        if lost_everything || !self.changes.is_empty() {
            round.settled_at = Some(Instant::now() + SETTLING);
            self.close(&mut round);
        }
    }

    /// Begins after a failover within a Cluster, if there are changes to make again. The gate stays
    /// open: most slots have the same primary as before, and after a planned failover so have all
    /// records.
    pub(super) fn begin_beside_calls(&self) {
        let mut round = self.round();
        round.number += 1;
        if !self.changes.is_empty() {
            round.settled_at = Some(Instant::now() + SETTLING_IN_CLUSTER);
            round.is_due = true;
            self.begun.notify_waiters();
        }
    }

    /// Returns the number of failovers and restarts so far. A change counts only if it is the same
    /// before the change is sent and while it is remembered.
    pub(super) fn mark(&self) -> u64 {
        self.round().number
    }

    /// Remembers changes that were sent at this mark; returns `false`, and remembers nothing, if
    /// there was a failover or restart since.
    pub(super) fn remember(&self, mark: u64, made: impl IntoIterator<Item = RecentChange>) -> bool {
        let round = self.round();
        let is_current = round.number == mark;
        if is_current {
            made.into_iter()
                .for_each(|change| self.changes.remember(change));
        }
        drop(round);
        is_current
    }

    /// Returns the recovery that is due, as soon as there is one.
    pub(super) async fn due(&self) -> RecoveryRound {
        loop {
            let begun = self.begun.notified();
            let round = *self.round();
            if round.is_due {
                return round;
            }
            begun.await;
        }
    }

    /// Ends a recovery and opens the gate, unless another one has begun; `before` runs just before
    /// the gate opens.
    pub(super) fn end(&self, ended: RecoveryRound, before: impl FnOnce()) {
        let mut round = self.round();
        if *round == ended {
            (round.is_due, round.is_failover) = (false, false);
            before();
            self.gate.open(Closure::Recovering);
        }
    }

    /// Forgets old changes, while Redis is up and the gate open.
    pub(super) fn forget_old_changes(&self) {
        if self.gate.enter().is_ok() {
            self.changes.forget_old();
        }
    }

    fn close(&self, round: &mut RecoveryRound) {
        round.is_due = true;
        self.gate.close(Closure::Recovering);
        self.begun.notify_waiters();
    }

    fn round(&self) -> MutexGuard<'_, RecoveryRound> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

/// The shortest time between a failover and the next call: longer than the interval at which every
/// replica asks the Sentinels, and short enough that checks pass again within a second.
const SETTLING: Duration = Duration::from_millis(600);

/// The same within a Cluster, where each replica learns of a failover by its own probe, once a
/// second.
const SETTLING_IN_CLUSTER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Token;
    use crate::store::redis::recent_changes::ChangeKind;

    #[test]
    fn a_restart_closes_the_gate_only_if_there_are_changes_to_make_again() {
        let recovery = Recovery::default();
        recovery.begin_after_restart(false);
        assert!(recovery.gate().enter().is_ok());
        recovery.changes().remember(change());
        recovery.begin_after_restart(false);
        assert!(recovery.gate().enter().is_err());
    }

    #[test]
    fn a_loss_of_everything_closes_the_gate_in_any_case() {
        let recovery = Recovery::default();
        recovery.begin_after_restart(true);
        assert!(recovery.gate().enter().is_err());
    }

    #[test]
    fn every_failover_and_restart_has_another_mark() {
        let recovery = Recovery::default();
        let first = recovery.mark();
        recovery.begin_after_restart(false);
        let second = recovery.mark();
        recovery.begin_after_failover();
        assert!(first != second && second != recovery.mark());
    }

    #[test]
    fn a_change_that_a_restart_overtook_is_not_remembered() {
        let recovery = Recovery::default();
        let mark = recovery.mark();
        recovery.begin_after_restart(false);
        assert!(!recovery.remember(mark, [change()]));
        assert!(recovery.changes().is_empty());
        assert!(recovery.remember(recovery.mark(), [change()]));
        assert!(!recovery.changes().is_empty());
    }

    #[tokio::test]
    async fn a_failover_within_a_cluster_makes_changes_again_beside_calls() {
        let recovery = Recovery::default();
        recovery.changes().remember(change());
        recovery.begin_beside_calls();
        assert!(recovery.gate().enter().is_ok());
        recovery.end(recovery.due().await, || {});
    }

    #[tokio::test]
    async fn the_gate_opens_when_the_last_of_several_recoveries_ends() {
        let recovery = Arc::new(Recovery::default());
        recovery.begin_after_failover();
        let first = recovery.due().await;
        recovery.begin_after_failover();
        recovery.end(first, || panic!("not the last one"));
        assert!(recovery.gate().enter().is_err());
        recovery.end(recovery.due().await, || {});
        assert!(recovery.gate().enter().is_ok());
    }

    fn change() -> RecentChange {
        RecentChange::new(ChangeKind::Token(Token::new("t").unwrap()), 1, [1])
    }
}
