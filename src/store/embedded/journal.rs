//! The claims that must be in the file before they are answered, many in one commit, and the horizon.
//!
//! Whoever brings a claim while no commit runs starts one; who comes while one runs is in the next. So a lone claim
//! costs one `fsync`, and a thousand at once cost two. Every commit moves the horizon too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::disk::Disk;
use super::nonces::{Nonces, Remembered};
use crate::clock::{Clock, UnixTime};
use crate::store::nonce::NonceId;
use crate::store::{StoreError, StoreErrorKind};

/// Writes claims and the horizon into the file.
pub(super) struct Journal {
    disk: Arc<Disk>,
    clock: Arc<dyn Clock>,
    nonces: Arc<Nonces>,
    queue: Mutex<Queue>,
    /// Whether anything was claimed since the horizon was last moved: an idle store writes nothing.
    claimed: AtomicBool,
    failing: AtomicBool,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    committing: bool,
}

struct Waiting {
    /// `None` waits for the horizon alone.
    claim: Option<(NonceId, Remembered)>,
    done: oneshot::Sender<Result<(), StoreErrorKind>>,
}

// === impl Journal ===

impl Journal {
    /// The journal of `nonces` on `disk`.
    pub(super) fn new(disk: Arc<Disk>, clock: Arc<dyn Clock>, nonces: Arc<Nonces>) -> Self {
        Self {
            disk,
            clock,
            nonces,
            queue: Mutex::default(),
            claimed: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        }
    }

    /// Notes that somebody claims, so that the horizon is kept ahead of the clock.
    pub(super) fn note_claim(&self) {
        // Written only where it changes, so that claims do not take it from each other's caches.
        if !self.claimed.load(Ordering::Relaxed) {
            self.claimed.store(true, Ordering::Relaxed);
        }
    }

    /// Returns once the claim is durable.
    pub(super) async fn keep(
        self: &Arc<Self>,
        claim: (NonceId, Remembered),
    ) -> Result<(), StoreError> {
        self.commit(Some(claim)).await
    }

    /// Moves the horizon to where it belongs, if anybody claimed since it was last moved or the clock was set back.
    ///
    /// A failure is logged and left: claims that the horizon would have covered wait for commits of their own.
    pub(super) async fn advance(self: &Arc<Self>) {
        let claimed = self.claimed.swap(false, Ordering::Relaxed);
        if claimed || is_set_back(self.nonces.horizon(), self.clock.now()) {
            let _logged = self.commit(None).await;
        }
    }

    /// Whether the last commit worked.
    pub(super) fn check_writable(&self) -> Result<(), StoreError> {
        if self.failing.load(Ordering::Relaxed) {
            Err(unwritten(StoreErrorKind::Unavailable))
        } else {
            Ok(())
        }
    }

    async fn commit(
        self: &Arc<Self>,
        claim: Option<(NonceId, Remembered)>,
    ) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        if self.enqueue(Waiting { claim, done }) {
            let journal = Arc::clone(self);
            tokio::task::spawn_blocking(move || journal.commit_all());
        }
        // A commit that panicked dropped its senders: nothing is known to be durable then.
        outcome
            .await
            .unwrap_or(Err(StoreErrorKind::Unavailable))
            .map_err(unwritten)
    }

    /// Whether nobody commits, so that the caller has to.
    fn enqueue(&self, waiting: Waiting) -> bool {
        let mut queue = self.queue();
        queue.waiting.push(waiting);
        !std::mem::replace(&mut queue.committing, true)
    }

    /// Takes all that wait; when nobody does, the next to come commits.
    fn dequeue(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        queue.committing = !queue.waiting.is_empty();
        std::mem::take(&mut queue.waiting)
    }

    /// Commits until nobody waits any more.
    fn commit_all(&self) {
        let unless_panicked = Abandoned(self);
        loop {
            let group = self.dequeue();
            if group.is_empty() {
                break;
            }
            let outcome = self.commit_group(&group);
            for waiting in group {
                // Nobody listens any more when a deadline has passed.
                let _ = waiting.done.send(outcome);
            }
        }
        std::mem::forget(unless_panicked);
    }

    /// Commits the claims of a group and the horizon. Only one runs at a time, so nobody else moves the horizon.
    fn commit_group(&self, group: &[Waiting]) -> Result<(), StoreErrorKind> {
        let now = self.clock.now();
        let before = self.nonces.horizon();
        let mut claims: Vec<_> = group.iter().filter_map(|waiting| waiting.claim).collect();
        let horizon = if is_set_back(before, now) {
            claims.extend(self.nonces.lower_horizon(horizon_at(now)));
            horizon_at(now)
        } else {
            before.max(horizon_at(now))
        };
        let outcome = self.disk.remember(&claims, horizon, now).map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store file can not be written"
            );
            error.kind()
        });
        // After a failure the file still has the horizon from before.
        self.nonces
            .raise_horizon(if outcome.is_ok() { horizon } else { before });
        self.failing.store(outcome.is_err(), Ordering::Relaxed);
        outcome
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the next claim start a commit when this one panicked; those that wait learn it by their dropped senders.
struct Abandoned<'j>(&'j Journal);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.committing = false;
        queue.waiting.clear();
        self.0.failing.store(true, Ordering::Relaxed);
    }
}

/// The horizon that belongs to a time.
pub(super) const fn horizon_at(now: UnixTime) -> u64 {
    now.as_secs().saturating_add(AHEAD_SECS)
}

/// Whether a horizon is so far ahead of the clock that the clock must have been set back. Left there, it would become the
/// fence after an unclean stop, and refuse everybody until the clock reaches it again.
const fn is_set_back(horizon: u64, now: UnixTime) -> bool {
    horizon > horizon_at(now).saturating_add(SET_BACK_SECS)
}

fn unwritten(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "writing the store file")
        .because("the file can not be written; see the log")
}

/// How far ahead of the clock the horizon is kept: what an unclean stop costs honest callers, in seconds.
const AHEAD_SECS: u64 = 2;

/// How far the clock must be set back for the horizon to follow: more than a clock that is being adjusted wobbles.
const SET_BACK_SECS: u64 = 10;
