//! The nonces in memory: sharded, so that claims seldom wait for each other, and forgotten a few at a time.
//!
//! Whether a claim must also be in the file is left to the module `journal`.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::UnixTime;
use crate::store::nonce::NonceId;
use crate::store::{NonceClaim, StoreError, StoreErrorKind};

/// The claims that are remembered, and the fence behind which they need not be.
pub(super) struct Nonces {
    shards: Box<[Mutex<Shard>]>,
    fence: AtomicU64,
    len: AtomicU64,
    closed: AtomicBool,
}

/// What is remembered of a claim beside its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) check_id: [u8; 16],
    pub(super) timestamp: u64,
    pub(super) expires_at: UnixTime,
}

/// What became of a claim, in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fresh,
    Replayed,
    Fenced { not_before: u64 },
}

#[derive(Default)]
struct Shard {
    claims: HashMap<NonceId, Remembered>,
    by_expiry: BinaryHeap<Reverse<(UnixTime, NonceId)>>,
}

// === impl Nonces ===

impl Nonces {
    /// Remembers `claims` from before, and refuses timestamps up to `fence`.
    pub(super) fn new(fence: u64, claims: Vec<(NonceId, Remembered)>) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        let nonces =
            Self { shards, fence: AtomicU64::new(fence), len: AtomicU64::new(0), closed: AtomicBool::new(false) };
        for (id, claim) in claims {
            nonces.shard(id).insert(id, claim);
            nonces.len.fetch_add(1, Ordering::Relaxed);
        }
        nonces
    }

    /// Claims a nonce, and forgets a few that have expired.
    pub(super) fn claim(&self, id: NonceId, claim: &NonceClaim<'_>) -> Result<Verdict, StoreError> {
        let mut shard = self.shard(id);
        // Under the lock, so that a claim is either in what `close` takes or refused here.
        if self.closed.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "claiming a nonce").because("the store is closed"));
        }
        self.forget(&mut shard, claim.now, FORGOTTEN_PER_CLAIM);
        let not_before = self.fence.load(Ordering::SeqCst).max(claim.not_before);
        if claim.timestamp <= not_before {
            return Ok(Verdict::Fenced { not_before });
        }
        if claim.expires_at <= claim.now {
            return Ok(Verdict::Fenced { not_before: claim.timestamp });
        }
        Ok(match shard.claims.entry(id) {
            Entry::Occupied(known) if known.get().check_id == claim.check_id => Verdict::Fresh,
            Entry::Occupied(_) => Verdict::Replayed,
            Entry::Vacant(_) => {
                shard.insert(id, Remembered::of(claim));
                self.len.fetch_add(1, Ordering::Relaxed);
                Verdict::Fresh
            }
        })
    }

    /// Forgets what has expired at `now`, in every shard, without holding any for long.
    pub(super) fn forget_expired(&self, now: UnixTime) {
        for shard in &self.shards {
            self.forget(&mut lock(shard), now, FORGOTTEN_PER_TICK);
        }
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// Refuses every claim from now on; says what is to be kept.
    pub(super) fn close(&self) -> Kept {
        self.closed.store(true, Ordering::SeqCst);
        let mut claims = Vec::new();
        for shard in &self.shards {
            claims.extend(lock(shard).claims.iter().map(|(id, claim)| (*id, *claim)));
        }
        Kept { fence: self.fence.load(Ordering::SeqCst), claims }
    }

    /// Forgets at most `limit` expired claims. The fence rises before a claim is gone, under the lock that a claim of
    /// the same nonce needs, so that it finds one or the other.
    fn forget(&self, shard: &mut Shard, now: UnixTime, limit: usize) {
        for _ in 0..limit {
            let Some(Reverse((expires_at, id))) = shard.by_expiry.peek().copied() else { return };
            if expires_at > now {
                return;
            }
            shard.by_expiry.pop();
            if let Some(claim) = shard.claims.get(&id) {
                self.fence.fetch_max(claim.timestamp, Ordering::SeqCst);
                shard.claims.remove(&id);
                self.len.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn shard(&self, id: NonceId) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(id.0[0]) % SHARDS])
    }
}

/// What a closing store keeps.
pub(super) struct Kept {
    pub(super) fence: u64,
    pub(super) claims: Vec<(NonceId, Remembered)>,
}

// === impl Remembered ===

impl Remembered {
    /// What is remembered of `claim`.
    pub(super) const fn of(claim: &NonceClaim<'_>) -> Self {
        Self { check_id: claim.check_id, timestamp: claim.timestamp, expires_at: claim.expires_at }
    }
}

// === impl Shard ===

impl Shard {
    fn insert(&mut self, id: NonceId, claim: Remembered) {
        self.by_expiry.push(Reverse((claim.expires_at, id)));
        self.claims.insert(id, claim);
    }
}

/// Nothing that runs under these locks leaves a shard half-changed when it panics.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shards: many more than threads.
const SHARDS: usize = 64;

/// Expired claims that one claim forgets: more than the one that it adds, so that they do not pile up.
const FORGOTTEN_PER_CLAIM: usize = 4;

/// Expired claims of one shard that a tick forgets.
const FORGOTTEN_PER_TICK: usize = 1024;
