//! The [`BackupStore`] part of the embedded store.

use std::sync::Arc;

use async_trait::async_trait;

use super::{EmbeddedStore, meta_table};
use crate::store::{BackupStore, RestorableRecord, SealedRecord, StoreError, UnusableRecord};

#[async_trait]
impl BackupStore for EmbeddedStore {
    fn kind(&self) -> &'static str {
        if self.file.is_in_memory() {
            "memory"
        } else {
            "embedded"
        }
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

    /// Writes the fence before it takes effect, so that it survives a crash.
    async fn raise_fence(&self) -> Result<(), StoreError> {
        let fence = self.clock.now().as_secs();
        let nonces = Arc::clone(&self.nonces);
        self.change("raising the fence", None, move |file| {
            meta_table::raise_fence(file, fence)
        })
        .await?;
        nonces.raise_fence(fence);
        Ok(())
    }
}
