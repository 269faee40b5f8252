//! Nonces in memory: sharded, so that claims rarely wait for each other, and forgotten a second
//! at a time.
//!
//! A shard keeps its claims by timestamp: claims with one timestamp expire together, and a nonce
//! has one timestamp. So forgetting costs next to nothing, and a claim takes about 50 bytes.
//!
//! The embedded store keeps its nonces here, and decides by the horizon whether a claim must also be
//! in its file. A store that has no file has a horizon in the far future.

mod keyed_hash;
mod shard;
mod stored_claim;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use self::keyed_hash::KeyedHash;
pub(super) use self::stored_claim::StoredClaim;

use self::shard::{LockedShard, Shard};
use super::error::closed;
use super::nonce::NonceId;
use crate::clock::UnixTime;
use crate::store::StoreError;

/// The remembered claims, the fence up to which nothing must be remembered, and the horizon up to
/// which it is enough to remember a claim here.
pub(super) struct NonceMemory {
    shards: Box<[Shard]>,
    fence: AtomicU64,
    /// Never later than the horizon in the file.
    horizon: AtomicU64,
    is_closed: AtomicBool,
}

/// The outcome of a claim in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemoryClaim {
    /// The nonce is fresh.
    Fresh,
    /// The nonce is fresh once it is in the file: it is dated after the horizon.
    FreshOnceDurable,
    /// The nonce was claimed before, by another check.
    Replayed,
    /// The timestamp is not after the fence.
    Fenced { not_before: u64 },
}

/// The claims that a clean end writes into the file, and the fence that belongs to them.
pub(super) struct ClaimSnapshot {
    pub(super) fence: u64,
    pub(super) claims: Vec<StoredClaim>,
}

// === impl NonceMemory ===

impl NonceMemory {
    /// Remembers `claims` and refuses timestamps up to `fence`; `horizon` is the one in the file.
    pub(super) fn new(fence: u64, horizon: u64, claims: &[StoredClaim]) -> Self {
        let hasher = KeyedHash::random();
        let nonces = Self {
            shards: (0..SHARDS).map(|_| Shard::new(hasher)).collect(),
            fence: AtomicU64::new(fence),
            horizon: AtomicU64::new(horizon),
            is_closed: AtomicBool::new(false),
        };
        for claim in claims {
            nonces.shard_of(claim.id).lock().insert(claim);
        }
        nonces
    }

    /// Claims a nonce, and forgets a few claims that have expired at `now`.
    ///
    /// The fence is `not_before` or the memory's own, whichever is later.
    pub(super) fn claim(
        &self,
        claim: &StoredClaim,
        now: UnixTime,
        not_before: u64,
    ) -> Result<MemoryClaim, StoreError> {
        let mut shard = self.shard_of(claim.id).lock();
        // Under the lock, so that a claim is either in the snapshot of `close` or refused here.
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        self.forget(&mut shard, now, FORGOTTEN_PER_CLAIM);
        let not_before = self.fence.load(Ordering::SeqCst).max(not_before);
        if claim.timestamp <= not_before {
            return Ok(MemoryClaim::Fenced { not_before });
        }
        if claim.expires_at <= now {
            let not_before = claim.timestamp;
            return Ok(MemoryClaim::Fenced { not_before });
        }
        Ok(match shard.insert(claim) {
            Some(check_id) if check_id != claim.check_id => MemoryClaim::Replayed,
            // The horizon is read under the lock too, for `lower_horizon`.
            _ if claim.timestamp <= self.horizon() => MemoryClaim::Fresh,
            _ => MemoryClaim::FreshOnceDurable,
        })
    }

    /// Moves the fence forward: refuses every timestamp up to this second.
    pub(super) fn raise_fence(&self, fence: u64) {
        self.fence.fetch_max(fence, Ordering::SeqCst);
    }

    /// Returns the horizon: a claim dated up to this second may be in memory alone.
    pub(super) fn horizon(&self) -> u64 {
        self.horizon.load(Ordering::SeqCst)
    }

    /// Moves the horizon forward, after it was written into the file.
    pub(super) fn raise_horizon(&self, horizon: u64) {
        self.horizon.fetch_max(horizon, Ordering::SeqCst);
    }

    /// Moves the horizon back, before it is written into the file. Returns the claims that are
    /// dated after it: they may be in memory alone, and must be durable before the file has this
    /// horizon.
    pub(super) fn lower_horizon(&self, horizon: u64) -> Vec<StoredClaim> {
        self.horizon.store(horizon, Ordering::SeqCst);
        let mut claims = self.claims();
        claims.retain(|claim| claim.timestamp > horizon);
        claims
    }

    /// Forgets claims that have expired at `now`, in every shard, and locks no shard for long.
    pub(super) fn forget_expired(&self, now: UnixTime) {
        for shard in &self.shards {
            self.forget(&mut shard.lock(), now, FORGOTTEN_PER_TICK);
        }
    }

    /// Counts the remembered claims.
    pub(super) fn len(&self) -> u64 {
        self.shards.iter().map(Shard::len).sum()
    }

    /// Refuses every claim from now on, and returns the claims to write into the file.
    pub(super) fn close(&self) -> ClaimSnapshot {
        self.is_closed.store(true, Ordering::SeqCst);
        let claims = self.claims();
        ClaimSnapshot {
            fence: self.fence.load(Ordering::SeqCst),
            claims,
        }
    }

    fn claims(&self) -> Vec<StoredClaim> {
        let mut claims = Vec::new();
        for shard in &self.shards {
            claims.extend(shard.lock().claims());
        }
        claims
    }

    /// Forgets at most `limit` seconds of expired claims.
    ///
    /// The fence rises before they are gone, under the lock that a claim of the same nonce needs.
    /// So that claim meets either the remembered nonce or the fence.
    fn forget(&self, shard: &mut LockedShard<'_>, now: UnixTime, limit: usize) {
        for _ in 0..limit {
            let Some(timestamp) = shard.oldest_expired(now) else {
                return;
            };
            self.fence.fetch_max(timestamp, Ordering::SeqCst);
            shard.forget_oldest();
        }
    }

    fn shard_of(&self, id: NonceId) -> &Shard {
        &self.shards[usize::from(id.0[0]) % SHARDS]
    }
}

impl fmt::Debug for NonceMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceMemory")
            .field("nonces", &self.len())
            .finish_non_exhaustive()
    }
}

/// The number of shards: many more than threads.
const SHARDS: usize = 64;

/// Seconds of expired claims that one claim forgets: more than the one that it adds, so that they
/// do not pile up.
const FORGOTTEN_PER_CLAIM: usize = 2;

/// Seconds of expired claims that a tick forgets in one shard: many more than pass between two
/// ticks.
const FORGOTTEN_PER_TICK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_remembered_until_it_expires_also_beside_earlier_ones_of_its_second() {
        for order in [[10, 20], [20, 10]] {
            let nonces = NonceMemory::new(0, HORIZON, &[]);
            for secs in order {
                assert_eq!(claim(&nonces, secs, 5, 0), MemoryClaim::Fresh);
            }
            nonces.forget_expired(UnixTime::from_secs(19));
            assert_eq!(
                claim(&nonces, 20, 5, 19),
                MemoryClaim::Replayed,
                "{order:?}"
            );
            nonces.forget_expired(UnixTime::from_secs(20));
            assert_eq!(nonces.len(), 0);
            assert_eq!(
                claim(&nonces, 30, 5, 20),
                MemoryClaim::Fenced { not_before: 5 }
            );
        }
    }

    #[test]
    fn remembered_claims_are_counted_and_given_back() {
        let nonces = NonceMemory::new(0, HORIZON, &[]);
        for timestamp in 1..=100 {
            assert_eq!(
                claim(&nonces, timestamp + 100, timestamp, 0),
                MemoryClaim::Fresh
            );
        }
        assert_eq!(nonces.len(), 100);
        nonces.forget_expired(UnixTime::from_secs(150));
        assert_eq!(nonces.len(), 50);
        let snapshot = nonces.close();
        assert_eq!((snapshot.claims.len(), snapshot.fence), (50, 50));
        let again = NonceMemory::new(snapshot.fence, HORIZON, &snapshot.claims);
        assert_eq!(again.len(), 50);
        assert_eq!(claim(&again, 200, 100, 150), MemoryClaim::Replayed);
    }

    #[test]
    fn only_claims_dated_after_a_lower_horizon_must_be_durable() {
        let nonces = NonceMemory::new(0, HORIZON, &[]);
        for timestamp in [19, 20, 21] {
            claim(&nonces, 100, timestamp, 0);
        }
        let to_write = nonces.lower_horizon(20);
        assert!(to_write.iter().map(|claim| claim.timestamp).eq([21]));
    }

    #[test]
    fn claims_are_spread_over_all_shards() {
        let nonces = NonceMemory::new(0, HORIZON, &[]);
        for first in 0..=u8::MAX {
            let claim = StoredClaim {
                id: NonceId([first; 16]),
                check_id: [0; 16],
                timestamp: 1,
                expires_at: UnixTime::from_secs(100),
            };
            nonces.claim(&claim, UnixTime::from_secs(0), 0).unwrap();
        }
        assert!(nonces.shards.iter().all(|shard| shard.len() > 0));
    }

    /// Claims a nonce that is unique to `expires_at`, by a check that is unique to `now`. All share
    /// one shard, so that claims with one timestamp share their second.
    fn claim(nonces: &NonceMemory, expires_at: u64, timestamp: u64, now: u64) -> MemoryClaim {
        let mut id = [0; 16];
        id[1..9].copy_from_slice(&expires_at.to_be_bytes());
        id[9..].copy_from_slice(&timestamp.to_be_bytes()[1..]);
        let claim = StoredClaim {
            id: NonceId(id),
            check_id: u128::from(now).to_be_bytes(),
            timestamp,
            expires_at: UnixTime::from_secs(expires_at),
        };
        nonces.claim(&claim, UnixTime::from_secs(now), 0).unwrap()
    }

    const HORIZON: u64 = 1000;
}
