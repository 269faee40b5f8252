//! The stores of consumers, users, their credentials and nonces: the [`Store`] contract and its
//! implementations.
//!
//! - `redis`: one server or cluster, shared by every replica.
//! - `embedded`: one file, or memory, of one process.
//! - [`CachedStore`]: a cache in front of either, for checks.
//! - [`OutageStore`]: claims nonces in this process while Redis is unavailable, for checks.
//!
//! Records are sealed before they reach either (`master_key`, `seal`, `record`). Not found is
//! `Ok(None)`; an `Err` means that the store could not answer, and then the caller must conclude
//! nothing. Time comes in as an argument.
//!
//! To add a method: write its contract in `check` or `entities`, implement it in both stores, and
//! add its rule to the conformance suite in `tests/it/store/conformance/`, which runs every rule on
//! every store.

mod cache;
mod changes;
mod check;
mod data_dir;
mod embedded;
mod entities;
mod error;
mod health;
mod master_key;
mod nonce;
mod nonce_memory;
mod open;
mod outage;
mod record;
mod redis;
mod seal;

use async_trait::async_trait;

pub use cache::CachedStore;
pub use changes::{ChangeFeed, ChangeObserver, RecordChange};
pub use check::{
    CallerRecords, CheckStore, ClaimOutcome, NonceClaim, StoreFuture, boxed_answer, ready_answer,
};
pub use entities::{
    AttemptCounter, AttemptStore, ConsumerStore, RETENTION_AFTER_EXPIRY, RequestTokenStore,
    SessionStore, TokenHolder, TokenStore, UserStore,
};
pub use error::{StoreError, StoreErrorKind};
pub use health::{StoreHealth, StoreStatus};
pub use master_key::new_master_key;
pub use open::{is_configuration_mistake, open};
pub use outage::OutageStore;
pub use redis::{ProviderConsumer, ProviderConsumers};

/// A whole store: the sum of its parts.
pub trait Store:
    CheckStore
    + ConsumerStore
    + TokenStore
    + UserStore
    + RequestTokenStore
    + SessionStore
    + AttemptStore
    + StoreHealth
    + StoreLifecycle
{
}

impl<T> Store for T where
    T: CheckStore
        + ConsumerStore
        + TokenStore
        + UserStore
        + RequestTokenStore
        + SessionStore
        + AttemptStore
        + StoreHealth
        + StoreLifecycle
{
}

/// Announces changes as long as the store is open, and closes it.
#[async_trait]
pub trait StoreLifecycle: Send + Sync {
    /// Returns the feed that announces changes of consumers, tokens and users, also those that
    /// other replicas make.
    fn changes(&self) -> &ChangeFeed;

    /// Closes the store cleanly: everything that a clean end promises to keep is durable on return.
    /// No call may follow.
    async fn close(&self) -> Result<(), StoreError>;
}
