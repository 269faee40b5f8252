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

mod backup;
mod cache;
mod census;
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
mod paced_scan;
mod record;
mod redis;
mod rekey;
mod scan;
mod seal;

use async_trait::async_trait;

pub use backup::{
    BackupStore, ExportDigest, ExportHeader, RestorableRecord, UnreadableCounts, UnusableRecord,
};
pub use cache::CachedStore;
pub use census::{RecordCensus, UnreadableRecord, count_records};
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
pub use master_key::{ReplacementKeys, new_master_key};
pub use open::{is_configuration_mistake, master_key_file, open, read_connection_files, read_keys};
pub use outage::OutageStore;
pub(crate) use paced_scan::patiently;
pub use record::RecordKind;
pub use redis::{ProviderConsumer, ProviderConsumers};
pub use rekey::{RekeyProgress, RekeySummary, rekey, rekey_dry_run};
pub use scan::{RecordScan, ResealOutcome, ScanCursor, ScanPage, SealedRecord};

/// A whole store: the sum of its parts.
pub trait Store:
    CheckStore
    + ConsumerStore
    + TokenStore
    + UserStore
    + RequestTokenStore
    + SessionStore
    + AttemptStore
    + BackupStore
    + RecordScan
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
        + BackupStore
        + RecordScan
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

    /// Checks that `keys` open the records of the store.
    ///
    /// # Errors
    /// [`WrongMasterKey`](StoreErrorKind::WrongMasterKey) if they do not open its canary, have other
    /// bytes for a known id, or lack a key that records may need.
    fn check_keys(&self, keys: &ReplacementKeys) -> Result<(), StoreError>;

    /// Seals and opens records with `keys` from now on. [`check_keys`](Self::check_keys) must have
    /// passed them.
    fn use_keys(&self, keys: ReplacementKeys);

    /// Closes the store cleanly: everything that a clean end promises to keep is durable on return.
    /// No call may follow.
    async fn close(&self) -> Result<(), StoreError>;
}
