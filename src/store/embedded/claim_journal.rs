//! Group commits of the claims that must be in the file before they are acknowledged, and of the
//! horizon.
//!
//! A claim that arrives while no commit runs starts one; claims that arrive during a commit are in
//! the next. So a lone claim costs one `fsync`, and a thousand concurrent claims cost two. Every
//! commit also moves the horizon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::horizon::{horizon_at, is_set_back};
use super::store_file::StoreFile;
use crate::clock::Clock;
use crate::store::nonce_memory::{NonceMemory, StoredClaim};
use crate::store::{StoreError, StoreErrorKind};

/// The writer of claims and the horizon.
pub(super) struct ClaimJournal {
    file: Arc<StoreFile>,
    clock: Arc<dyn Clock>,
    nonces: Arc<NonceMemory>,
    queue: Mutex<CommitQueue>,
    /// True if there was a claim since the horizon was last moved. An idle store writes nothing.
    has_claims: AtomicBool,
    /// True from a commit that was to move the horizon back, and failed, to the next that succeeds.
    is_lowering: AtomicBool,
}

#[derive(Default)]
struct CommitQueue {
    requests: Vec<CommitRequest>,
    is_committing: bool,
}

struct CommitRequest {
    /// The claim to commit; `None` commits the horizon alone.
    claim: Option<StoredClaim>,
    outcome: oneshot::Sender<Result<(), StoreErrorKind>>,
}

// === impl ClaimJournal ===

impl ClaimJournal {
    /// Returns the journal that writes claims of `nonces` into `file`.
    pub(super) fn new(
        file: Arc<StoreFile>,
        clock: Arc<dyn Clock>,
        nonces: Arc<NonceMemory>,
    ) -> Self {
        Self {
            file,
            clock,
            nonces,
            queue: Mutex::default(),
            has_claims: AtomicBool::new(false),
            is_lowering: AtomicBool::new(false),
        }
    }

    /// Notes a claim, so that the horizon is kept ahead of the clock.
    pub(super) fn note_claim(&self) {
        // Only the first claim writes, so that threads do not take the cache line from each other.
        if !self.has_claims.load(Ordering::Relaxed) {
            self.has_claims.store(true, Ordering::Relaxed);
        }
    }

    /// Writes a claim and returns once it is durable.
    pub(super) async fn append(self: &Arc<Self>, claim: StoredClaim) -> Result<(), StoreError> {
        self.commit(Some(claim)).await
    }

    /// Moves the horizon to its place, if there were claims since it was last moved or the clock
    /// was set back.
    ///
    /// A failure is logged and not returned: until the horizon moves, claims dated after it wait
    /// for commits of their own.
    pub(super) async fn advance(self: &Arc<Self>) {
        let had_claims = self.has_claims.swap(false, Ordering::Relaxed);
        if had_claims || is_set_back(self.nonces.horizon(), self.clock.now()) {
            let _logged = self.commit(None).await;
        }
    }

    /// Writes the horizon, which shows that the file can be written.
    pub(super) async fn write_horizon(self: &Arc<Self>) -> Result<(), StoreError> {
        self.commit(None).await
    }

    async fn commit(self: &Arc<Self>, claim: Option<StoredClaim>) -> Result<(), StoreError> {
        let (sender, outcome) = oneshot::channel();
        let request = CommitRequest {
            claim,
            outcome: sender,
        };
        if self.enqueue(request) {
            let journal = Arc::clone(self);
            tokio::task::spawn_blocking(move || journal.commit_all());
        }
        // A commit that panics drops its senders; its claims may or may not be durable.
        outcome
            .await
            .unwrap_or(Err(StoreErrorKind::Unavailable))
            .map_err(not_written)
    }

    /// Adds a request, and returns whether no commit runs, so that the caller has to start one.
    fn enqueue(&self, request: CommitRequest) -> bool {
        let mut queue = self.queue();
        queue.requests.push(request);
        !std::mem::replace(&mut queue.is_committing, true)
    }

    /// Takes all requests; if there are none, the next request starts a commit.
    fn dequeue(&self) -> Vec<CommitRequest> {
        let mut queue = self.queue();
        queue.is_committing = !queue.requests.is_empty();
        std::mem::take(&mut queue.requests)
    }

    /// Commits until no request is left.
    fn commit_all(&self) {
        let on_panic = PanicGuard(self);
        loop {
            let group = self.dequeue();
            if group.is_empty() {
                break;
            }
            let outcome = self.commit_group(&group);
            for request in group {
                // The receiver is gone if its deadline has passed.
                let _ = request.outcome.send(outcome);
            }
        }
        std::mem::forget(on_panic);
    }

    /// Commits the claims of a group and the horizon. Only one commit runs at a time, so no other
    /// moves the horizon.
    fn commit_group(&self, group: &[CommitRequest]) -> Result<(), StoreErrorKind> {
        let now = self.clock.now();
        let (before, next) = (self.nonces.horizon(), horizon_at(now));
        let mut claims: Vec<_> = group.iter().filter_map(|request| request.claim).collect();
        let lowers = is_set_back(before, now) || self.is_lowering.load(Ordering::Relaxed);
        if lowers {
            claims.extend(self.nonces.lower_horizon(next.min(before)));
        }
        let horizon = if lowers { next } else { before.max(next) };
        let outcome = self.file.commit_claims(&claims, horizon, now);
        // After a failure the file has the horizon from before, or this one. Memory keeps the
        // earlier of the two: a later one could be later than that in the file.
        if outcome.is_ok() {
            self.nonces.raise_horizon(horizon);
        }
        self.is_lowering
            .store(lowers && outcome.is_err(), Ordering::Relaxed);
        outcome.map_err(|error| error.kind())
    }

    fn queue(&self) -> MutexGuard<'_, CommitQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the requests of a commit that panics, so that the next request starts another.
struct PanicGuard<'j>(&'j ClaimJournal);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.is_committing = false;
        queue.requests.clear();
        drop(queue);
        self.0.file.report_fault("a commit panicked");
    }
}

fn not_written(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "writing the store file")
        .because("the last commit failed; the log has the reason")
}
