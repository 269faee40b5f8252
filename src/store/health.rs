//! The state of a store, for readiness and metrics.

use async_trait::async_trait;

use super::StoreError;

/// Reports the state of a store.
#[async_trait]
pub trait StoreHealth: Send + Sync {
    /// Makes a synthetic check: looks up a caller, opens a sealed record, and claims a nonce, or
    /// checks that one could be claimed if a claim would leave a trace. A store that answers this
    /// can answer checks.
    ///
    /// # Errors
    /// The error that a check would end with;
    /// [`WrongMasterKey`](super::StoreErrorKind::WrongMasterKey) if this replica could not read the
    /// records of the others.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Returns counters and states for metrics and readiness; never blocks and never contacts the
    /// store.
    fn status(&self) -> StoreStatus;
}

/// Counters and states of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// The number of restarts and replacements of the server behind the store. Each one may have
    /// lost nonces, and opens a window for replays.
    pub restarts_seen: u64,
    /// The clock of the server behind the store minus this host's, in milliseconds; 0 if there is
    /// none.
    pub clock_skew_millis: i64,
    /// The number of nonces in this process; 0 if another process keeps them.
    pub nonces: u64,
    /// The loss of the feed: this process misses the changes that other replicas make.
    pub cut_off: bool,
    /// The number of changes that could not be announced to the other replicas.
    pub untold: u64,
    /// The number of changes that the store acknowledged and lost, and this process made again.
    pub remade: u64,
    /// The number of records and index entries that lists skipped because they cannot be read.
    pub unreadable_records: u64,
    /// The number of records that other master keys than the first one seal, at the last count;
    /// `None` before the first count with these keys.
    pub records_under_old_keys: Option<u64>,
    /// The number of cached records in this process.
    pub cache_entries: u64,
    /// The size of the cached records, in bytes.
    pub cache_bytes: u64,
}
