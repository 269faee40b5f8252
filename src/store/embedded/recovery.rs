//! The start and the end of a store file's use, and the commit of claims in between.
//!
//! A file is marked as in use from [`StoreFile::begin`] to [`StoreFile::finish`]. The next start
//! sees by that mark whether the process before it could write down its nonces.

use super::error::WriteError;
use super::horizon::horizon_at;
use super::store_file::StoreFile;
use super::{canary, expiring, meta_table, nonce_table, tables};
use crate::clock::UnixTime;
use crate::store::StoreError;
use crate::store::nonce_memory::{ClaimSnapshot, StoredClaim};
use crate::store::record::Records;

/// The state from which a store starts.
pub(super) struct Recovery {
    /// True if the previous process closed the file, or the file is new.
    pub(super) is_clean: bool,
    /// The latest timestamp that is refused.
    pub(super) fence: u64,
    /// The horizon that is in the file now.
    pub(super) horizon: u64,
    /// The claims in the file that are dated after the fence.
    pub(super) claims: Vec<StoredClaim>,
}

impl StoreFile {
    /// Begins to use the file and marks it as not closed.
    ///
    /// # Errors
    /// Among others, if the master key is not the one that the file was written with. The file is
    /// unchanged then.
    pub(super) fn begin(&self, records: &Records, now: UnixTime) -> Result<Recovery, StoreError> {
        self.write(|transaction| {
            let state = meta_table::read(transaction)?;
            canary::prove_key(transaction, records)?;
            let fence = if state.is_clean {
                state.fence
            } else {
                state.fence.max(state.horizon).max(now.as_secs())
            };
            let horizon = horizon_at(now);
            meta_table::mark_in_use(transaction, fence, horizon)?;
            tables::create_all(transaction)?;
            expiring::create_tables(transaction)?;
            Ok(Recovery {
                is_clean: state.is_clean,
                fence,
                horizon,
                claims: nonce_table::after(transaction, fence)?,
            })
        })
    }

    /// Writes the horizon and `claims` in one commit, and deletes some claims that have expired at
    /// `now`.
    pub(super) fn commit_claims(
        &self,
        claims: &[StoredClaim],
        horizon: u64,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            nonce_table::insert(transaction, claims)?;
            nonce_table::delete_expired(transaction, now, EXPIRED_PER_COMMIT)?;
            meta_table::set_horizon(transaction, horizon)
        })
    }

    /// Writes the nonces of a clean end, marks the file as clean, and closes it. Does nothing if it
    /// is closed.
    pub(super) fn finish(&self, snapshot: &ClaimSnapshot) -> Result<(), StoreError> {
        if self.is_closed() {
            return Ok(());
        }
        if self.has_fault() {
            self.reopen()?;
        }
        self.write(|transaction| {
            nonce_table::replace_all(transaction, &snapshot.claims)?;
            meta_table::mark_clean(transaction, snapshot.fence)?;
            Ok::<_, WriteError>(())
        })?;
        self.close()
    }
}

/// The most expired claims that one commit deletes, so that no commit is slow.
const EXPIRED_PER_COMMIT: usize = 1024;
