//! The nonces in memory: sharded, so that claims seldom wait for each other, and forgotten a second at a time.
//!
//! A shard keeps its claims by their timestamps, since what has one timestamp expires together, and one nonce has one
//! timestamp. So forgetting costs next to nothing, and a claim some 50 bytes.
//!
//! Whether a claim must also be in the file is left to the module `journal`.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::UnixTime;
use crate::store::nonce::NonceId;
use crate::store::{NonceClaim, StoreError, StoreErrorKind};

/// The claims that are remembered, the fence up to which they need not be, and the horizon up to which it is enough that
/// they are remembered here.
pub(super) struct Nonces {
    shards: Box<[Mutex<Shard>]>,
    /// How many each shard remembers, to be read without its lock.
    lens: Box<[AtomicU64]>,
    fence: AtomicU64,
    /// Never later than the one in the file.
    horizon: AtomicU64,
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

struct Shard {
    by_timestamp: BTreeMap<u64, Second>,
    /// When the first of them expires, the oldest; the others are looked at after it.
    due_at: UnixTime,
    hasher: Keyed,
}

/// The claims of one timestamp.
struct Second {
    /// When the last of them expires.
    expires_at: UnixTime,
    check_ids: HashMap<NonceId, [u8; 16], Keyed>,
}

/// Hashes ids, which are hashes already, under a key that nobody outside knows: a client can choose nonces whose ids have
/// much in common, and is not to choose where they are kept.
#[derive(Clone, Copy)]
struct Keyed {
    key: u64,
    hash: u64,
}

// === impl Nonces ===

impl Nonces {
    /// Remembers `claims` from before, and refuses timestamps up to `fence`; `horizon` is what the file says.
    pub(super) fn new(fence: u64, horizon: u64, claims: Vec<(NonceId, Remembered)>) -> Self {
        let hasher = Keyed {
            key: RandomState::new().hash_one(fence),
            hash: 0,
        };
        let nonces = Self {
            shards: std::iter::repeat_with(|| Mutex::new(Shard::new(hasher)))
                .take(SHARDS)
                .collect(),
            lens: std::iter::repeat_with(AtomicU64::default)
                .take(SHARDS)
                .collect(),
            fence: AtomicU64::new(fence),
            horizon: AtomicU64::new(horizon),
            closed: AtomicBool::new(false),
        };
        for (id, claim) in claims {
            let at = shard_of(id);
            lock(&nonces.shards[at]).insert(id, claim);
            nonces.change_len(at, 1);
        }
        nonces
    }

    /// Claims a nonce, and forgets a few that have expired.
    pub(super) fn claim(&self, id: NonceId, claim: &NonceClaim<'_>) -> Result<Verdict, StoreError> {
        let at = shard_of(id);
        let mut shard = lock(&self.shards[at]);
        // Under the lock, so that a claim is either in what `close` takes or refused here.
        if self.closed.load(Ordering::SeqCst) {
            return Err(
                StoreError::new(StoreErrorKind::Unavailable, "claiming a nonce")
                    .because("the store is closed"),
            );
        }
        self.forget(at, &mut shard, claim.now, FORGOTTEN_PER_CLAIM);
        let not_before = self.fence.load(Ordering::SeqCst).max(claim.not_before);
        if claim.timestamp <= not_before {
            return Ok(Verdict::Fenced { not_before });
        }
        if claim.expires_at <= claim.now {
            return Ok(Verdict::Fenced {
                not_before: claim.timestamp,
            });
        }
        // Under the lock too, for `lower_horizon`.
        let is_safe_here = claim.timestamp <= self.horizon();
        let fresh = if is_safe_here {
            Verdict::Fresh
        } else {
            Verdict::FreshOnceDurable
        };
        Ok(match shard.insert(id, Remembered::of(claim)) {
            Some(check_id) if check_id == claim.check_id => fresh,
            Some(_) => Verdict::Replayed,
            None => {
                self.change_len(at, 1);
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
        for (at, shard) in self.shards.iter().enumerate() {
            self.forget(at, &mut lock(shard), now, FORGOTTEN_PER_TICK);
        }
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> u64 {
        self.lens
            .iter()
            .map(|len| len.load(Ordering::Relaxed))
            .sum()
    }

    /// Refuses every claim from now on; says what is to be kept.
    pub(super) fn close(&self) -> Kept {
        self.closed.store(true, Ordering::SeqCst);
        Kept {
            fence: self.fence.load(Ordering::SeqCst),
            claims: self.remembered(|_| true),
        }
    }

    fn remembered(&self, wanted: impl Fn(&Remembered) -> bool) -> Vec<(NonceId, Remembered)> {
        let mut found = Vec::new();
        for shard in &self.shards {
            for (
                &timestamp,
                Second {
                    expires_at,
                    check_ids,
                },
            ) in &lock(shard).by_timestamp
            {
                let claims = check_ids.iter().map(|(&id, &check_id)| {
                    (
                        id,
                        Remembered {
                            check_id,
                            timestamp,
                            expires_at: *expires_at,
                        },
                    )
                });
                found.extend(claims.filter(|(_, claim)| wanted(claim)));
            }
        }
        found
    }

    /// Forgets at most `limit` seconds of expired claims. The fence rises before they are gone, under the lock that a claim
    /// of the same nonce needs, so that it finds one or the other.
    fn forget(&self, at: usize, shard: &mut Shard, now: UnixTime, limit: usize) {
        for _ in 0..limit {
            if shard.due_at > now {
                return;
            }
            let Some(oldest) = shard.by_timestamp.first_entry() else {
                return;
            };
            self.fence.fetch_max(*oldest.key(), Ordering::SeqCst);
            let forgotten = oldest.remove().check_ids.len();
            self.change_len(at, -i64::try_from(forgotten).unwrap_or(i64::MAX));
            shard.find_due();
        }
    }

    /// Only under the lock of the shard.
    fn change_len(&self, at: usize, by: i64) {
        let len = self.lens[at].load(Ordering::Relaxed);
        self.lens[at].store(len.saturating_add_signed(by), Ordering::Relaxed);
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
        Self {
            check_id: claim.check_id,
            timestamp: claim.timestamp,
            expires_at: claim.expires_at,
        }
    }
}

// === impl Shard ===

impl Shard {
    const fn new(hasher: Keyed) -> Self {
        Self {
            by_timestamp: BTreeMap::new(),
            due_at: NEVER,
            hasher,
        }
    }

    /// Remembers a claim, unless its id is known: then by which check.
    fn insert(&mut self, id: NonceId, claim: Remembered) -> Option<[u8; 16]> {
        let new_second = || Second {
            expires_at: claim.expires_at,
            check_ids: HashMap::with_hasher(self.hasher),
        };
        let second = self
            .by_timestamp
            .entry(claim.timestamp)
            .or_insert_with(new_second);
        let check_ids = match second.check_ids.entry(id) {
            Entry::Occupied(known) => return Some(*known.get()),
            Entry::Vacant(free) => free,
        };
        check_ids.insert(claim.check_id);
        let is_first = second.check_ids.len() == 1;
        if is_first || second.expires_at < claim.expires_at {
            second.expires_at = second.expires_at.max(claim.expires_at);
            self.find_due();
        }
        None
    }

    fn find_due(&mut self) {
        self.due_at = self
            .by_timestamp
            .first_key_value()
            .map_or(NEVER, |(_, oldest)| oldest.expires_at);
    }
}

// === impl Keyed ===

impl BuildHasher for Keyed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for Keyed {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    /// Both halves of a product depend on every bit of the key and of what is hashed.
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.hash ^ word ^ self.key) * u128::from(MIXER);
        self.hash = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

fn shard_of(id: NonceId) -> usize {
    usize::from(id.0[0]) % SHARDS
}

/// Nothing that runs under these locks leaves a shard half-changed when it panics.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shards: many more than threads.
const SHARDS: usize = 64;

/// Seconds of expired claims that one claim forgets: more than the one that it adds, so that they do not pile up.
const FORGOTTEN_PER_CLAIM: usize = 2;

/// Seconds of expired claims of one shard that a tick forgets: many more than pass between two.
const FORGOTTEN_PER_TICK: usize = 64;

/// When nothing expires.
const NEVER: UnixTime = UnixTime::from_millis(u64::MAX);

/// Odd, and without a pattern.
const MIXER: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::ConsumerKey;

    #[test]
    fn a_claim_is_kept_as_long_as_it_wants_though_others_of_its_second_want_less() {
        for order in [[10, 20], [20, 10]] {
            let nonces = Nonces::new(0, HORIZON, Vec::new());
            for secs in order {
                assert_eq!(claim(&nonces, secs, 5, 0), Verdict::Fresh);
            }
            nonces.forget_expired(UnixTime::from_secs(19));
            assert_eq!(claim(&nonces, 20, 5, 19), Verdict::Replayed, "{order:?}");
            nonces.forget_expired(UnixTime::from_secs(20));
            assert_eq!(nonces.len(), 0);
            assert_eq!(claim(&nonces, 30, 5, 20), Verdict::Fenced { not_before: 5 });
        }
    }

    #[test]
    fn what_was_remembered_is_counted_and_given_back() {
        let nonces = Nonces::new(0, HORIZON, Vec::new());
        for timestamp in 1..=100 {
            assert_eq!(
                claim(&nonces, timestamp + 100, timestamp, 0),
                Verdict::Fresh
            );
        }
        assert_eq!(nonces.len(), 100);
        nonces.forget_expired(UnixTime::from_secs(150));
        assert_eq!(nonces.len(), 50);
        let kept = nonces.close();
        assert_eq!((kept.claims.len(), kept.fence), (50, 50));
        let again = Nonces::new(kept.fence, HORIZON, kept.claims);
        assert_eq!(again.len(), 50);
        assert_eq!(claim(&again, 200, 100, 150), Verdict::Replayed);
    }

    #[test]
    fn ids_that_were_chosen_alike_are_kept_apart_and_where_depends_on_the_key() {
        for shift in [0, 20, 40, 54] {
            let places = |key: u64| {
                let hash = |at: u64| {
                    Keyed { key, hash: 0 }
                        .hash_one(NonceId((u128::from(at << shift)).to_be_bytes()))
                };
                (0..1024).map(|at| hash(at) % 1024).collect::<Vec<_>>()
            };
            let (one, other) = (places(0x0123_4567_89AB_CDEF), places(0xFEDC_BA98_7654_3210));
            assert_ne!(one, other);
            assert!(
                one.into_iter().collect::<HashSet<_>>().len() > 500,
                "shifted by {shift}"
            );
        }
    }

    /// A claim whose nonce is the second at which it expires, by a check of its own.
    fn claim(nonces: &Nonces, expires_at: u64, timestamp: u64, now: u64) -> Verdict {
        let consumer = ConsumerKey::new("ck").unwrap();
        let nonce = expires_at.to_be_bytes();
        let claim = NonceClaim {
            consumer: &consumer,
            token: None,
            timestamp,
            nonce: &nonce,
            check_id: now.to_be_bytes().repeat(2).try_into().unwrap(),
            now: UnixTime::from_secs(now),
            expires_at: UnixTime::from_secs(expires_at),
            not_before: 0,
        };
        // One shard for all, so that they share their second.
        let mut id = NonceId::of(&claim);
        id.0[0] = 0;
        nonces.claim(id, &claim).unwrap()
    }

    const HORIZON: u64 = 1000;
}
