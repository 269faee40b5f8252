//! The cache on one runtime: it shares the entries with all others, and reads through that
//! runtime's own store.

use std::sync::Arc;
use std::time::Duration;

use super::CachedStore;
use crate::model::{ConsumerKey, Token};
use crate::store::{CallerRecords, CheckStore, ClaimOutcome, NonceClaim, StoreFuture};

/// The shared cache in front of the store of one runtime.
#[derive(Debug)]
pub(super) struct RuntimeCache {
    cache: Arc<CachedStore>,
    store: Arc<dyn CheckStore>,
}

// === impl RuntimeCache ===

impl RuntimeCache {
    /// Puts `cache` in front of `store`, which is the store behind it on one runtime.
    pub(super) fn new(cache: Arc<CachedStore>, store: Arc<dyn CheckStore>) -> Self {
        Self { cache, store }
    }
}

impl CheckStore for RuntimeCache {
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        self.cache.read_through(&*self.store, consumer, token)
    }

    fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        self.store.claim_nonce(claim)
    }

    fn clock_lead(&self) -> Duration {
        self.store.clock_lead()
    }
}
