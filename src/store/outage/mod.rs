//! A store for checks that works through an outage of the store behind it
//! (`nonce.on_store_failure = "local"`).
//!
//! # Security
//! During an outage a request may pass once at each replica, because no replica knows the nonces of
//! the others. Requests that were signed before the outage are refused, except those of callers
//! whose clock is ahead by more than the time since. Every check that passes this way is marked
//! ([`ClaimOutcome::FreshHere`]).
//!
//! Only an outage counts: the circuit breaker is open, or no connection can be made. A store that
//! answers, even with an error, decides; and so does one that is slow for a moment.

mod local_nonces;

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use self::local_nonces::LocalNonces;
use super::{
    CallerRecords, CheckStore, ClaimOutcome, NonceClaim, StoreError, StoreFuture, boxed_answer,
};
use crate::clock::Clock;
use crate::model::{ConsumerKey, Token};

/// A store that claims nonces in this process while the store behind it is unavailable.
#[derive(Debug)]
pub struct OutageStore {
    store: Arc<dyn CheckStore>,
    nonces: Arc<LocalNonces>,
}

// === impl OutageStore ===

impl OutageStore {
    /// Puts an outage store in front of `store`. A task writes claims to it after an outage, on the
    /// current runtime.
    pub fn new(store: Arc<dyn CheckStore>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let nonces = Arc::new(LocalNonces::new(Arc::clone(&store), clock));
        tokio::spawn(settle_until_dropped(Arc::downgrade(&nonces)));
        Arc::new(Self { store, nonces })
    }

    async fn claim(&self, claim: &NonceClaim<'_>) -> Result<ClaimOutcome, StoreError> {
        match self.store.claim_nonce(claim).await {
            Ok(ClaimOutcome::Fresh) => self.nonces.confirm(claim),
            Err(error) if error.is_outage() => self.nonces.claim(claim, error),
            decided => decided,
        }
    }
}

impl CheckStore for OutageStore {
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        self.store.caller_records(consumer, token)
    }

    fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        boxed_answer(self.claim(claim))
    }

    fn clock_lead(&self) -> Duration {
        self.store.clock_lead()
    }

    fn for_this_runtime(self: Arc<Self>) -> Option<Arc<dyn CheckStore>> {
        let store = Arc::clone(&self.store).for_this_runtime()?;
        let nonces = Arc::clone(&self.nonces);
        Some(Arc::new(Self { store, nonces }))
    }
}

async fn settle_until_dropped(nonces: Weak<LocalNonces>) {
    loop {
        sleep(PAUSE).await;
        let Some(nonces) = nonces.upgrade() else {
            return;
        };
        nonces.settle().await;
    }
}

/// The pause between two attempts to write claims to the store.
const PAUSE: Duration = Duration::from_millis(500);
