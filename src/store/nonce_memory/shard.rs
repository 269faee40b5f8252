//! One shard of the remembered claims.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::StoredClaim;
use super::keyed_hash::KeyedHash;
use crate::clock::UnixTime;
use crate::store::nonce::NonceId;

/// A part of the remembered claims, behind a lock of its own.
pub(super) struct Shard {
    claims: Mutex<ShardClaims>,
    /// The number of claims, to be read without the lock.
    len: AtomicU64,
}

/// A shard whose lock is held.
pub(super) struct LockedShard<'s> {
    claims: MutexGuard<'s, ShardClaims>,
    len: &'s AtomicU64,
}

struct ShardClaims {
    by_timestamp: BTreeMap<u64, SecondClaims>,
    /// The expiry of the oldest second. Later seconds wait for it.
    due_at: UnixTime,
    hasher: KeyedHash,
}

/// The claims with one timestamp.
struct SecondClaims {
    /// The expiry of the last of them.
    expires_at: UnixTime,
    check_ids: HashMap<NonceId, CheckId, KeyedHash>,
}

type CheckId = [u8; 16];

// === impl Shard ===

impl Shard {
    /// Returns an empty shard, whose maps hash with `hasher`.
    pub(super) const fn new(hasher: KeyedHash) -> Self {
        Self {
            claims: Mutex::new(ShardClaims {
                by_timestamp: BTreeMap::new(),
                due_at: NEVER,
                hasher,
            }),
            len: AtomicU64::new(0),
        }
    }

    /// Locks the shard. A panic under the lock never leaves a shard half-changed, so poison is
    /// ignored.
    pub(super) fn lock(&self) -> LockedShard<'_> {
        LockedShard {
            claims: self.claims.lock().unwrap_or_else(PoisonError::into_inner),
            len: &self.len,
        }
    }

    /// Counts the claims without locking.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }
}

// === impl LockedShard ===

impl LockedShard<'_> {
    /// Remembers a claim. If its nonce is remembered already, changes nothing and returns the check
    /// that claimed it.
    pub(super) fn insert(&mut self, claim: &StoredClaim) -> Option<CheckId> {
        let earlier = self.claims.insert(claim);
        if earlier.is_none() {
            self.set_len(self.len().saturating_add(1));
        }
        earlier
    }

    /// Returns the oldest timestamp, if all its claims have expired at `now`.
    pub(super) fn oldest_expired(&self, now: UnixTime) -> Option<u64> {
        if self.claims.due_at > now {
            return None;
        }
        let (timestamp, _) = self.claims.by_timestamp.first_key_value()?;
        Some(*timestamp)
    }

    /// Forgets the claims with the oldest timestamp.
    pub(super) fn forget_oldest(&mut self) {
        if let Some((_, second)) = self.claims.by_timestamp.pop_first() {
            let forgotten = u64::try_from(second.check_ids.len()).unwrap_or(u64::MAX);
            self.set_len(self.len().saturating_sub(forgotten));
            self.claims.update_due();
        }
    }

    /// Lists the claims.
    pub(super) fn claims(&self) -> impl Iterator<Item = StoredClaim> {
        let seconds = self.claims.by_timestamp.iter();
        seconds.flat_map(|(&timestamp, second)| second.claims(timestamp))
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    fn set_len(&self, len: u64) {
        self.len.store(len, Ordering::Relaxed);
    }
}

// === impl ShardClaims ===

impl ShardClaims {
    fn insert(&mut self, claim: &StoredClaim) -> Option<CheckId> {
        let second = self
            .by_timestamp
            .entry(claim.timestamp)
            .or_insert_with(|| SecondClaims::new(claim.expires_at, self.hasher));
        match second.check_ids.entry(claim.id) {
            Entry::Occupied(earlier) => return Some(*earlier.get()),
            Entry::Vacant(vacant) => vacant.insert(claim.check_id),
        };
        let is_first = second.check_ids.len() == 1;
        if is_first || second.expires_at < claim.expires_at {
            second.expires_at = second.expires_at.max(claim.expires_at);
            self.update_due();
        }
        None
    }

    fn update_due(&mut self) {
        self.due_at = self
            .by_timestamp
            .first_key_value()
            .map_or(NEVER, |(_, oldest)| oldest.expires_at);
    }
}

// === impl SecondClaims ===

impl SecondClaims {
    fn new(expires_at: UnixTime, hasher: KeyedHash) -> Self {
        Self {
            expires_at,
            check_ids: HashMap::with_hasher(hasher),
        }
    }

    fn claims(&self, timestamp: u64) -> impl Iterator<Item = StoredClaim> {
        self.check_ids
            .iter()
            .map(move |(&id, &check_id)| StoredClaim {
                id,
                check_id,
                timestamp,
                expires_at: self.expires_at,
            })
    }
}

/// The expiry of an empty shard.
const NEVER: UnixTime = UnixTime::from_millis(u64::MAX);
