//! The rotation of master keys: every record under another key of the file is sealed with the first
//! one.
//!
//! It counts the records by key, seals those under other keys, and counts again, until no readable
//! record is under another key. A record that is created or changed meanwhile is sealed with the
//! first key of the replica that writes it. The canary is last: it is the proof of the key for
//! replicas that start.
//!
//! It keeps no state: a rotation that was interrupted is begun again, and finds only the rest.

use super::census::{RecordCensus, count_records};
use super::paced_scan::{PacedScan, patiently};
use super::record::RecordKind;
use super::scan::{ResealOutcome, SealedRecord};
use super::{Store, StoreError, StoreErrorKind};

/// The progress of a rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RekeyProgress {
    /// The number of records that were read in this pass.
    pub scanned: u64,
    /// The number of records to seal; 0 until they are counted.
    pub total: u64,
    /// The number of records that were sealed.
    pub resealed: u64,
}

/// The result of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RekeySummary {
    /// The records before.
    pub before: RecordCensus,
    /// The records after; the same in a dry run.
    pub after: RecordCensus,
    /// The number of records that were sealed with the first key.
    pub resealed: u64,
}

/// Counts the records by master key, and changes nothing.
///
/// # Errors
/// If the store does not answer for several seconds.
pub async fn rekey_dry_run(
    store: &dyn Store,
    mut report: impl FnMut(RekeyProgress) + Send,
) -> Result<RekeySummary, StoreError> {
    let census = count_records(store, |scanned| {
        report(RekeyProgress {
            scanned,
            ..RekeyProgress::default()
        });
    })
    .await?;
    Ok(RekeySummary {
        before: census.clone(),
        after: census,
        resealed: 0,
    })
}

/// Seals every readable record with the first master key.
///
/// # Errors
/// If the store does not answer for several seconds, or other replicas seal records with another
/// first key all the time. What was sealed stays.
pub async fn rekey(
    store: &dyn Store,
    mut report: impl FnMut(RekeyProgress) + Send,
) -> Result<RekeySummary, StoreError> {
    let mut progress = RekeyProgress::default();
    let before = count(store, &mut progress, &mut report).await?;
    let mut after = before.clone();
    for _ in 0..MAX_PASSES {
        if after.under_old_keys() == 0 {
            return Ok(RekeySummary {
                before,
                after,
                resealed: progress.resealed,
            });
        }
        progress.total = progress.resealed + after.under_old_keys();
        reseal_all(store, &mut progress, &mut report).await?;
        after = count(store, &mut progress, &mut report).await?;
    }
    Err(StoreError::new(StoreErrorKind::Conflict, SEALING).because(
        "other replicas seal records with another key; put the same line first in the master key file of every replica",
    ))
}

async fn count(
    store: &dyn Store,
    progress: &mut RekeyProgress,
    report: &mut (impl FnMut(RekeyProgress) + Send),
) -> Result<RecordCensus, StoreError> {
    count_records(store, |scanned| {
        progress.scanned = scanned;
        report(*progress);
    })
    .await
}

/// Seals all records under other keys once, the canary last.
async fn reseal_all(
    store: &dyn Store,
    progress: &mut RekeyProgress,
    report: &mut (impl FnMut(RekeyProgress) + Send),
) -> Result<(), StoreError> {
    let (mut scan, mut canaries) = (PacedScan::new(store), Vec::new());
    progress.scanned = 0;
    while let Some(page) = scan.next_page().await? {
        progress.scanned += page.len() as u64;
        let (canary, records) = under_old_keys(store, page);
        canaries.extend(canary);
        progress.resealed += reseal(store, &records).await?;
        report(*progress);
    }
    progress.resealed += reseal(store, &canaries).await?;
    report(*progress);
    Ok(())
}

/// Returns the canary and the other records of a page that another key of the file than the first
/// one seals.
fn under_old_keys(
    store: &dyn Store,
    page: Vec<SealedRecord>,
) -> (Vec<SealedRecord>, Vec<SealedRecord>) {
    let keys = store.master_key_ids();
    let old = keys.get(1..).unwrap_or_default();
    let is_old = |record: &SealedRecord| {
        let id = record.key_id();
        id.is_some_and(|id| old.iter().any(|key| **key == *id))
    };
    let records = page.into_iter().filter(is_old);
    records.partition(|record| record.kind == RecordKind::Canary)
}

async fn reseal(store: &dyn Store, records: &[SealedRecord]) -> Result<u64, StoreError> {
    if records.is_empty() {
        return Ok(0);
    }
    let outcomes = patiently(|| store.reseal(records)).await?;
    let done = outcomes
        .iter()
        .filter(|one| **one == ResealOutcome::Resealed);
    Ok(done.count() as u64)
}

const SEALING: &str = "sealing the records with the first master key";

/// The number of passes: one suffices unless the servers or the records change meanwhile.
const MAX_PASSES: u32 = 8;
