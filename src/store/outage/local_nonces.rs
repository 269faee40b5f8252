//! The nonces that this process claims itself during an outage of the store.
//!
//! ```text
//!            outage begins       store answers      every claim is in the store
//!  inactive ──────────────▶ outage ──────────▶ settling ──────────────────────▶ inactive
//!                             ▲                   │ outage begins
//!                             └───────────────────┘
//! ```
//!
//! - At the beginning of an outage the **fence** rises to a little after the clock: the nonces of
//!   earlier requests are in the store, where nobody can look, so those requests are refused.
//! - In an outage and until every claim of it has settled, each claim is also made in memory, even
//!   if the store answered it: so of two checks with one nonce, before and after the moment at
//!   which the store answers again, one passes.
//! - Once the store answers, the claims are made there too, so that other replicas refuse replays
//!   of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tracing::{info, warn};

use crate::clock::{Clock, UnixTime};
use crate::model::{ConsumerKey, Token};
use crate::store::nonce_memory::{MemoryClaim, NonceMemory, StoredClaim};
use crate::store::{CheckStore, ClaimOutcome, NonceClaim, StoreError};

/// The nonces of an outage.
#[derive(Debug)]
pub(super) struct LocalNonces {
    /// The store, to which the claims are written after the outage.
    store: Arc<dyn CheckStore>,
    clock: Arc<dyn Clock>,
    /// False if there is no outage and no claim has to settle: then a check costs no lock.
    is_active: AtomicBool,
    outage: Mutex<Outage>,
    memory: NonceMemory,
}

#[derive(Debug, Default)]
struct Outage {
    /// The fence of the outage; `None` if the store answers.
    fence: Option<u64>,
    /// The claims that the store does not have.
    unwritten: Vec<OwnedClaim>,
    /// The time of the last claim that the store did not answer.
    last_failure: UnixTime,
}

/// A claim that outlives its check.
#[derive(Clone, Debug)]
struct OwnedClaim {
    consumer: ConsumerKey,
    token: Option<Token>,
    timestamp: u64,
    nonce: Box<[u8]>,
    check_id: [u8; 16],
    expires_at: UnixTime,
}

// === impl LocalNonces ===

impl LocalNonces {
    /// Returns a memory for outages of `store`.
    pub(super) fn new(store: Arc<dyn CheckStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            is_active: AtomicBool::new(false),
            outage: Mutex::default(),
            memory: NonceMemory::new(0, u64::MAX, &[]),
        }
    }

    /// Claims a nonce that the store could not claim because of `error`.
    pub(super) fn claim(
        &self,
        claim: &NonceClaim<'_>,
        error: StoreError,
    ) -> Result<ClaimOutcome, StoreError> {
        let fence = {
            let mut outage = self.outage();
            if outage.unwritten.len() >= MOST_CLAIMS || claim.nonce.len() > LONGEST_NONCE {
                return Err(error);
            }
            outage.last_failure = claim.now;
            *outage
                .fence
                .get_or_insert_with(|| self.begin(claim.now, &error))
        };
        let stored = StoredClaim::of(claim);
        let not_before = claim.not_before.max(fence);
        Ok(match self.memory.claim(&stored, claim.now, not_before)? {
            MemoryClaim::Fresh | MemoryClaim::FreshOnceDurable => {
                self.outage().unwritten.push(OwnedClaim::of(claim));
                ClaimOutcome::FreshHere
            }
            MemoryClaim::Replayed => ClaimOutcome::Replayed,
            MemoryClaim::Fenced { not_before } => ClaimOutcome::Fenced { not_before },
        })
    }

    /// Confirms a claim that the store made: refuses it if the nonce was claimed here.
    pub(super) fn confirm(&self, claim: &NonceClaim<'_>) -> Result<ClaimOutcome, StoreError> {
        if !self.is_active.load(Ordering::SeqCst) {
            return Ok(ClaimOutcome::Fresh);
        }
        self.note_answer();
        let outcome = self.memory.claim(&StoredClaim::of(claim), claim.now, 0)?;
        Ok(match outcome {
            MemoryClaim::Fresh | MemoryClaim::FreshOnceDurable => ClaimOutcome::Fresh,
            MemoryClaim::Replayed => ClaimOutcome::Replayed,
            MemoryClaim::Fenced { not_before } => ClaimOutcome::Fenced { not_before },
        })
    }

    /// Forgets expired claims, and writes claims to the store if it answers.
    pub(super) async fn settle(&self) {
        let now = self.clock.now();
        self.memory.forget_expired(now);
        if !self.is_active.load(Ordering::SeqCst) {
            return;
        }
        while self.write_some().await {}
        let outage = self.outage();
        let is_over = outage.fence.is_none() && outage.unwritten.is_empty();
        if is_over && now.since(outage.last_failure) >= SETTLING {
            self.is_active.store(false, Ordering::SeqCst);
        }
    }

    /// Returns the fence of an outage that begins at `now`.
    fn begin(&self, now: UnixTime, error: &StoreError) -> u64 {
        // Before the first claim in memory, so that no check that the store answers later misses it.
        self.is_active.store(true, Ordering::SeqCst);
        // Other replicas accepted requests by their own clocks.
        let latest = now.plus(self.store.clock_lead());
        let fence = latest.as_secs().saturating_add(AHEAD_SECS);
        warn!(
            error = error as &dyn std::error::Error,
            not_before = fence,
            "claiming nonces in this process while the store is unavailable: a request may pass once at each replica"
        );
        fence
    }

    fn note_answer(&self) {
        self.outage().fence = None;
    }

    /// Writes some claims to the store. Returns `true` if there may be more to write now.
    async fn write_some(&self) -> bool {
        let batch: Vec<_> = {
            let mut outage = self.outage();
            let rest = outage.unwritten.len().saturating_sub(BATCH);
            outage.unwritten.split_off(rest)
        };
        if batch.is_empty() {
            return false;
        }
        let count = batch.len();
        let now = self.clock.now();
        let written = join_all(batch.iter().map(|claim| claim.write(&*self.store, now))).await;
        let (failed, replayed) = (keep_failed(batch, &written), count_replayed(&written));
        if replayed > 0 {
            warn!(
                replayed,
                "requests that passed here during the outage also passed at other replicas"
            );
        }
        let all_written = failed.is_empty();
        if failed.len() < count {
            self.note_answer();
        }
        self.outage().unwritten.extend(failed);
        if all_written {
            info!(claims = count, "wrote nonces of the outage to the store");
        }
        all_written
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep_failed(
    batch: Vec<OwnedClaim>,
    written: &[Result<ClaimOutcome, StoreError>],
) -> Vec<OwnedClaim> {
    let claims = batch.into_iter().zip(written);
    claims
        .filter(|(_, written)| written.is_err())
        .map(|(claim, _)| claim)
        .collect()
}

fn count_replayed(written: &[Result<ClaimOutcome, StoreError>]) -> usize {
    let replayed =
        |written: &&Result<ClaimOutcome, StoreError>| matches!(written, Ok(ClaimOutcome::Replayed));
    written.iter().filter(replayed).count()
}

// === impl OwnedClaim ===

impl OwnedClaim {
    fn of(claim: &NonceClaim<'_>) -> Self {
        Self {
            consumer: claim.consumer.clone(),
            token: claim.token.cloned(),
            timestamp: claim.timestamp,
            nonce: claim.nonce.into(),
            check_id: claim.check_id,
            expires_at: claim.expires_at,
        }
    }

    /// Claims the nonce in `store`. A claim that has expired is fenced.
    async fn write(
        &self,
        store: &dyn CheckStore,
        now: UnixTime,
    ) -> Result<ClaimOutcome, StoreError> {
        let claim = NonceClaim {
            consumer: &self.consumer,
            token: self.token.as_ref(),
            timestamp: self.timestamp,
            nonce: &self.nonce,
            check_id: self.check_id,
            now,
            expires_at: self.expires_at,
            not_before: 0,
        };
        store.claim_nonce(&claim).await
    }
}

/// Seconds between the clock and the fence of an outage that begins, for callers whose clocks are a
/// little ahead.
const AHEAD_SECS: u64 = 2;

/// The most claims of one outage. Further checks fail. With nonces of the usual 32 bytes they take
/// about 60 MB, with the longest ones 90 MB.
const MOST_CLAIMS: usize = 250_000;

/// The longest nonce that is claimed here, in bytes: four times the usual length.
const LONGEST_NONCE: usize = 128;

/// The claims that are written to the store together.
const BATCH: usize = 256;

/// The time after the last failure in which claims are still compared: longer than any check takes.
const SETTLING: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::clock::ManualClock;
    use crate::model::ConsumerKey;
    use crate::store::{CallerRecords, StoreErrorKind, StoreFuture, ready_answer};

    #[tokio::test]
    async fn a_nonce_that_is_too_long_is_not_claimed() {
        let bench = Bench::new();
        let _fenced = bench.claim_locally(NOW, 1);
        let longest = bench.claim_nonce_of(LONGEST_NONCE);
        assert_eq!(longest, Some(ClaimOutcome::FreshHere));
        assert_eq!(bench.claim_nonce_of(LONGEST_NONCE + 1), None);
    }

    #[tokio::test]
    async fn a_nonce_is_claimed_once_in_an_outage_and_after_it() {
        let bench = Bench::new();
        assert_eq!(
            bench.claim_locally(NOW, 1),
            fenced(),
            "signed before the outage"
        );
        assert_eq!(bench.claim_locally(NOW + 3, 1), ClaimOutcome::FreshHere);
        assert_eq!(bench.claim_locally(NOW + 3, 2), ClaimOutcome::Replayed);
        assert_eq!(
            bench.claim_locally(NOW + 3, 1),
            ClaimOutcome::FreshHere,
            "the same check"
        );
        // The store answers again, before the claim was written to it.
        assert_eq!(bench.confirm(NOW + 3, 3), ClaimOutcome::Replayed);
        assert_eq!(bench.confirm(NOW + 4, 3), ClaimOutcome::Fresh);
        assert_eq!(
            bench.claim_locally(NOW + 4, 4),
            ClaimOutcome::Replayed,
            "the store had answered"
        );
    }

    #[tokio::test]
    async fn claims_of_an_outage_are_written_to_the_store_and_then_left_to_it() {
        let bench = Bench::new();
        assert_eq!(bench.claim_locally(NOW + 3, 1), ClaimOutcome::FreshHere);
        bench.store.is_down.store(true, Ordering::SeqCst);
        bench.nonces.settle().await;
        assert_eq!(bench.nonces.outage().unwritten.len(), 1);
        bench.store.is_down.store(false, Ordering::SeqCst);
        bench.nonces.settle().await;
        assert_eq!(*bench.store.claimed.lock().unwrap(), [(NOW + 3, [1; 16])]);
        assert!(bench.nonces.is_active.load(Ordering::SeqCst));
        bench.clock.advance(SETTLING);
        bench.nonces.settle().await;
        assert!(!bench.nonces.is_active.load(Ordering::SeqCst));
        assert_eq!(bench.confirm(NOW + 5, 1), ClaimOutcome::Fresh);
    }

    #[tokio::test]
    async fn every_outage_has_its_own_fence() {
        let bench = Bench::new();
        assert_eq!(bench.claim_locally(NOW + 3, 1), ClaimOutcome::FreshHere);
        bench.clock.advance(Duration::from_secs(30));
        assert_eq!(bench.confirm(NOW + 29, 2), ClaimOutcome::Fresh);
        let not_before = NOW + 32;
        assert_eq!(
            bench.claim_locally(NOW + 31, 3),
            ClaimOutcome::Fenced { not_before }
        );
    }

    struct Bench {
        clock: Arc<ManualClock>,
        store: Arc<Scripted>,
        nonces: LocalNonces,
    }

    impl Bench {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at(UnixTime::from_secs(NOW)));
            let store = Arc::new(Scripted::default());
            let nonces = LocalNonces::new(Arc::clone(&store) as _, Arc::clone(&clock) as _);
            Self {
                clock,
                store,
                nonces,
            }
        }

        fn claim_locally(&self, timestamp: u64, check: u8) -> ClaimOutcome {
            let consumer = ConsumerKey::new("ck").unwrap();
            let claim = self.nonce_claim(&consumer, timestamp, check);
            self.nonces.claim(&claim, outage()).unwrap()
        }

        fn claim_nonce_of(&self, len: usize) -> Option<ClaimOutcome> {
            let consumer = ConsumerKey::new("ck").unwrap();
            let nonce = vec![b'n'; len];
            let claim = NonceClaim {
                nonce: &nonce,
                ..self.nonce_claim(&consumer, self.clock.now().as_secs() + 10, 1)
            };
            self.nonces.claim(&claim, outage()).ok()
        }

        fn confirm(&self, timestamp: u64, check: u8) -> ClaimOutcome {
            let consumer = ConsumerKey::new("ck").unwrap();
            let claim = self.nonce_claim(&consumer, timestamp, check);
            self.nonces.confirm(&claim).unwrap()
        }

        fn nonce_claim<'c>(
            &self,
            consumer: &'c ConsumerKey,
            timestamp: u64,
            check: u8,
        ) -> NonceClaim<'c> {
            NonceClaim {
                consumer,
                token: None,
                timestamp,
                nonce: b"n",
                check_id: [check; 16],
                now: self.clock.now(),
                expires_at: UnixTime::from_secs(timestamp + 360),
                not_before: 0,
            }
        }
    }

    /// A store that notes claims, unless it is down.
    #[derive(Debug, Default)]
    struct Scripted {
        is_down: AtomicBool,
        claimed: Mutex<Vec<(u64, [u8; 16])>>,
    }

    impl CheckStore for Scripted {
        fn caller_records<'a>(
            &'a self,
            _consumer: &'a ConsumerKey,
            _token: Option<&'a Token>,
        ) -> StoreFuture<'a, CallerRecords> {
            ready_answer(Err(outage()))
        }

        fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
            if self.is_down.load(Ordering::SeqCst) {
                return ready_answer(Err(outage()));
            }
            let noted = (claim.timestamp, claim.check_id);
            self.claimed.lock().unwrap().push(noted);
            ready_answer(Ok(ClaimOutcome::Fresh))
        }

        fn clock_lead(&self) -> Duration {
            Duration::ZERO
        }
    }

    fn outage() -> StoreError {
        StoreError::new(StoreErrorKind::Unavailable, "claiming a nonce").in_outage(true)
    }

    const fn fenced() -> ClaimOutcome {
        ClaimOutcome::Fenced {
            not_before: NOW + 2,
        }
    }

    const NOW: u64 = 1_700_000_000;
}
