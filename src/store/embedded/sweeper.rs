//! The deletion of expired entries and of tokens whose consumer was deleted.

use super::store_file::StoreFile;
use super::{expiring, tables};
use crate::clock::UnixTime;
use crate::store::StoreError;
use crate::store::record::Records;

/// Deletes some entries that have expired at `now` and some tokens of deleted consumers. Writes
/// nothing if there are none.
pub(super) fn sweep(file: &StoreFile, records: &Records, now: UnixTime) -> Result<(), StoreError> {
    let is_due = file.read(|transaction| {
        Ok(tables::has_ended(transaction)? || expiring::has_expired(transaction, now)?)
    })?;
    if !is_due {
        return Ok(());
    }
    file.write(|transaction| {
        tables::sweep(transaction, records, TOKENS_PER_SWEEP)?;
        expiring::sweep(transaction, now, ENTRIES_PER_SWEEP)
    })
}

/// The most tokens of deleted consumers that one sweep deletes, so that no commit is slow.
const TOKENS_PER_SWEEP: usize = 500;

/// The most expired entries that one sweep deletes.
pub(super) const ENTRIES_PER_SWEEP: usize = 1024;
