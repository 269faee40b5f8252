//! The table `canary`: one record, which proves that the master key is the one that the file was
//! written with.

use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};
use tokio::sync::Semaphore;
use tracing::info;

use super::blocking::{blocking, in_time};
use super::error::{WriteError, failed};
use super::store_file::StoreFile;
use super::tables::{self, RecordTable};
use crate::store::record::{CanarySeal, Records};
use crate::store::{StoreError, StoreErrorKind};

/// Compares the master keys with the canary of the file, and writes one into a new file. Seals a
/// canary under an older key anew with the first one.
pub(super) fn prove_key(
    transaction: &WriteTransaction,
    records: &Records,
) -> Result<(), WriteError> {
    let mut table = transaction.open_table(CANARY)?;
    let stored = table.get(KEY)?.map(|canary| canary.value().to_vec());
    let own = records.own_canary()?;
    if records.prove_key(stored.as_deref().unwrap_or(&own))? == CanarySeal::OlderKey
        || stored.is_none()
    {
        table.insert(KEY, &*own)?;
    }
    Ok(())
}

/// Reads the canary of the file.
pub(super) fn stored(transaction: &ReadTransaction) -> Result<Option<Vec<u8>>, redb::Error> {
    let canary = transaction.open_table(CANARY)?.get(KEY)?;
    Ok(canary.map(|canary| canary.value().to_vec()))
}

/// Replaces the canary if it still has the bytes `before`.
pub(super) fn replace(
    transaction: &WriteTransaction,
    before: &[u8],
    bytes: &[u8],
) -> Result<(), WriteError> {
    tables::update(transaction, CANARY, KEY, before, bytes)
}

/// The reader of the canary.
pub(super) struct CanaryReader {
    records: Arc<Records>,
    file: Arc<StoreFile>,
    /// One place, so that a disk that does not respond holds one thread.
    place: Arc<Semaphore>,
}

// === impl CanaryReader ===

impl CanaryReader {
    /// Returns a reader of the canary in `file`.
    pub(super) fn new(records: Arc<Records>, file: Arc<StoreFile>) -> Self {
        Self {
            records,
            file,
            place: Arc::new(Semaphore::new(1)),
        }
    }

    /// Reads the canary from the file and opens it, as a check reads and opens records. After the
    /// master keys were replaced, seals it anew.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let place = Arc::clone(&self.place).try_acquire_owned();
        let place = place.map_err(|_| {
            StoreError::new(StoreErrorKind::Unavailable, READING)
                .because("the disk has not responded to the last reading yet")
        })?;
        let (file, records) = (Arc::clone(&self.file), Arc::clone(&self.records));
        let read = move || {
            let _place = place;
            read(&file, &records)
        };
        in_time(READING, blocking(READING, read)).await
    }
}

fn read(file: &StoreFile, records: &Records) -> Result<(), StoreError> {
    let own = records.own_canary()?;
    let canary = file.read(stored)?;
    let absent = || failed(redb::Error::Corrupted("it has no canary".into()));
    let seal = records.prove_key(&canary.ok_or_else(absent)?)?;
    if seal == CanarySeal::OlderKey && !records.is_canary_settled() {
        file.write(|transaction| prove_key(transaction, records))?;
        info!("the first master key is new; it seals records from now on");
    }
    records.settle_canary(&own);
    Ok(())
}

const READING: &str = "reading the canary";

const CANARY: RecordTable = TableDefinition::new("canary");

/// The key of the only row.
const KEY: &str = "canary";
