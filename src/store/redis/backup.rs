//! The [`BackupStore`] part of the Redis store.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::RedisStore;
use crate::store::{BackupStore, RestorableRecord, SealedRecord, StoreError, UnusableRecord};

#[async_trait]
impl BackupStore for RedisStore {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn seal_digest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
        self.records.seal_digest(digest)
    }

    fn open_digest(&self, sealed: &[u8]) -> Result<[u8; 32], UnusableRecord> {
        self.records.open_digest(sealed)
    }

    fn open_record(&self, record: &SealedRecord) -> Result<RestorableRecord, UnusableRecord> {
        self.records.open_exported(record)
    }

    /// Replaces the markers of the epoch (`epoch`). Every claim compares the one of a single
    /// server; in a Cluster, the probe of each replica does, so this waits until all have done so.
    async fn raise_fence(&self) -> Result<(), StoreError> {
        let marked = self.client.mark_restored().await;
        marked.map_err(|error| error.during("raising the fence"))?;
        if self.client.is_cluster() {
            sleep(PROBED_BY_ALL).await;
        }
        Ok(())
    }
}

/// Longer than the interval at which each replica of a Cluster compares the markers, a second.
const PROBED_BY_ALL: Duration = Duration::from_secs(2);
