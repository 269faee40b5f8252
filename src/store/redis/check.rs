//! The [`CheckStore`] part of the Redis store, shared or with connections of its own for one
//! runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::RedisStore;
use super::caller_lookup::CallerLookup;
use super::nonces::NonceClaims;
use crate::model::{ConsumerKey, Token};
use crate::store::{
    CallerRecords, CheckStore, ClaimOutcome, NonceClaim, StoreFuture, boxed_answer,
};

impl CheckStore for RedisStore {
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        boxed_answer(self.callers.caller_records(consumer, token))
    }

    fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        boxed_answer(self.nonces.claim(claim))
    }

    fn clock_lead(&self) -> Duration {
        self.client.clock_lead()
    }

    fn for_this_runtime(self: Arc<Self>) -> Option<Arc<dyn CheckStore>> {
        Some(Arc::new(RuntimeStore::of(self)))
    }
}

/// The store over connections that the current runtime serves, so that a check wakes no other
/// thread.
struct RuntimeStore {
    /// The shared store, whose client probes Redis for all runtimes.
    shared: Arc<RedisStore>,
    nonces: NonceClaims,
    callers: CallerLookup,
}

// === impl RuntimeStore ===

impl RuntimeStore {
    fn of(shared: Arc<RedisStore>) -> Self {
        let client = shared.client.for_this_runtime();
        Self {
            nonces: NonceClaims::new(Arc::clone(&client)),
            callers: CallerLookup::new(client, Arc::clone(&shared.records)),
            shared,
        }
    }
}

impl CheckStore for RuntimeStore {
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        boxed_answer(self.callers.caller_records(consumer, token))
    }

    fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        boxed_answer(self.nonces.claim(claim))
    }

    fn clock_lead(&self) -> Duration {
        self.shared.client.clock_lead()
    }
}

impl fmt::Debug for RuntimeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeStore").finish_non_exhaustive()
    }
}
