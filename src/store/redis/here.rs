//! The store as the checks of one thread ask it: over connections of its own, which no other thread has to be woken for.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::RedisStore;
use super::claims::RedisNonces;
use super::lookups::Lookups;
use crate::model::{ConsumerKey, Token};
use crate::store::{Changes, CheckStore, Claim, Credentials, NonceClaim, StoreError};

/// The store of one thread.
pub(super) struct RedisHere {
    store: Arc<RedisStore>,
    claims: RedisNonces,
    lookups: Lookups,
}

// === impl RedisHere ===

impl RedisHere {
    /// `store`, for the runtime from which this is called.
    pub(super) fn of(store: Arc<RedisStore>) -> Self {
        let client = store.client.here();
        let claims = RedisNonces::new(Arc::clone(&client));
        let lookups = Lookups::new(client, Arc::clone(&store.records));
        Self {
            store,
            claims,
            lookups,
        }
    }
}

#[async_trait]
impl CheckStore for RedisHere {
    async fn credentials(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<Credentials, StoreError> {
        self.lookups.credentials(consumer, token).await
    }

    async fn claim_nonce(&self, claim: &NonceClaim<'_>) -> Result<Claim, StoreError> {
        self.claims.claim_nonce(claim).await
    }

    fn changes(&self) -> &Changes {
        self.store.changes()
    }
}

impl fmt::Debug for RedisHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisHere").finish_non_exhaustive()
    }
}
