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

/// The claims that are remembered, the fence up to which they need not be, and the horizon up to which it is enough that
/// they are remembered here.
pub(super) struct Nonces {
    shards: Box<[Mutex<Shard>]>,
    fence: AtomicU64,
    /// Never later than the one in the file.
    horizon: AtomicU64,
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
    /// Fresh as soon as it is in the file: it is dated after the horizon.
    FreshOnceDurable,
    Replayed,
    Fenced {
        not_before: u64,
    },
}

#[derive(Default)]
struct Shard {
    claims: HashMap<NonceId, Remembered>,
    by_expiry: BinaryHeap<Reverse<(UnixTime, NonceId)>>,
}

// === impl Nonces ===

impl Nonces {
    /// Remembers `claims` from before, and refuses timestamps up to `fence`; `horizon` is what the file says.
    pub(super) fn new(fence: u64, horizon: u64, claims: Vec<(NonceId, Remembered)>) -> Self {
        let nonces = Self {
            shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            fence: AtomicU64::new(fence),
            horizon: AtomicU64::new(horizon),
            len: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        };
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
        // Under the lock too, for `lower_horizon`.
        let is_safe_here = claim.timestamp <= self.horizon();
        let fresh = if is_safe_here { Verdict::Fresh } else { Verdict::FreshOnceDurable };
        Ok(match shard.claims.entry(id) {
            Entry::Occupied(known) if known.get().check_id == claim.check_id => fresh,
            Entry::Occupied(_) => Verdict::Replayed,
            Entry::Vacant(_) => {
                shard.insert(id, Remembered::of(claim));
                self.len.fetch_add(1, Ordering::Relaxed);
                fresh
            }
        })
    }

    /// The horizon: a claim dated up to this second may be in memory alone.
    pub(super) fn horizon(&self) -> u64 {
        self.horizon.load(Ordering::SeqCst)
    }

    /// Moves the horizon, which is in the file already.
    pub(super) fn raise_horizon(&self, horizon: u64) {
        self.horizon.fetch_max(horizon, Ordering::SeqCst);
    }

    /// Moves the horizon back. What is dated after it may be in memory alone; it is given back, to be made durable before
    /// the file says so.
    pub(super) fn lower_horizon(&self, horizon: u64) -> Vec<(NonceId, Remembered)> {
        self.horizon.store(horizon, Ordering::SeqCst);
        self.remembered(|claim| claim.timestamp > horizon)
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
        Kept { fence: self.fence.load(Ordering::SeqCst), claims: self.remembered(|_| true) }
    }

    fn remembered(&self, wanted: impl Fn(&Remembered) -> bool) -> Vec<(NonceId, Remembered)> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            found.extend(shard.claims.iter().filter(|(_, claim)| wanted(claim)).map(|(id, claim)| (*id, *claim)));
        }
        found
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
