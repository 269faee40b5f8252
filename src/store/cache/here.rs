//! The cache as the checks of one thread ask it: copies are everybody's, what they lack is asked of the store of that thread.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use super::CachedStore;
use crate::clock::UnixTime;
use crate::model::{ConsumerKey, Token};
use crate::store::{Changes, CheckStore, Claim, Credentials, NonceClaim, StoreError};

/// The shared copies in front of the store of one thread.
#[derive(Debug)]
pub(super) struct CachedHere {
    cache: Arc<CachedStore>,
    store: Arc<dyn CheckStore>,
}

// === impl CachedHere ===

impl CachedHere {
    /// `cache` in front of `store`, which is the store behind it for one thread.
    pub(super) fn new(cache: Arc<CachedStore>, store: Arc<dyn CheckStore>) -> Self {
        Self { cache, store }
    }
}

#[async_trait]
impl CheckStore for CachedHere {
    fn known(&self, consumer: &str, token: Option<&str>, now: UnixTime) -> Option<Credentials> {
        self.cache.known(consumer, token, now)
    }

    async fn credentials(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<Credentials, StoreError> {
        self.cache.look_up(&*self.store, consumer, token).await
    }

    fn claim_at_once(&self, claim: &NonceClaim<'_>) -> Option<Result<Claim, StoreError>> {
        self.store.claim_at_once(claim)
    }

    // Written out, so that the store's own future is returned and not put into another.
    fn claim_nonce<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        claim: &'life1 NonceClaim<'life2>,
    ) -> Pin<Box<dyn Future<Output = Result<Claim, StoreError>> + Send + 'async_trait>>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
    {
        self.store.claim_nonce(claim)
    }

    fn changes(&self) -> &Changes {
        self.store.changes()
    }
}
