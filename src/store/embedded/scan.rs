//! The [`RecordScan`] part of the embedded store: one kind of record after the other, in the order
//! of their names.

use std::sync::Arc;

use async_trait::async_trait;
use redb::{ReadTransaction, WriteTransaction};

use super::blocking::blocking;
use super::error::WriteError;
use super::expiring::{self, EntryKind};
use super::tables::{self, CONSUMERS, RecordTable, TOKENS, USERS};
use super::{EmbeddedStore, canary};
use crate::store::record::{RecordKind, Records};
use crate::store::scan::{ResealOutcome, ScanCursor, ScanPage, ScanPosition, SealedRecord};
use crate::store::{RecordScan, StoreError, StoreErrorKind};

#[async_trait]
impl RecordScan for EmbeddedStore {
    async fn scan(&self, from: &ScanCursor, limit: usize) -> Result<ScanPage, StoreError> {
        let (file, from) = (Arc::clone(&self.file), from.clone());
        let limit = limit.max(1);
        blocking("scanning the records", move || {
            file.read(|transaction| page(transaction, &from, limit))
        })
        .await
    }

    async fn reseal(&self, listed: &[SealedRecord]) -> Result<Vec<ResealOutcome>, StoreError> {
        self.records.writer()?;
        let (file, records) = (Arc::clone(&self.file), Arc::clone(&self.records));
        let listed = listed.to_vec();
        blocking("sealing records again", move || {
            file.write(|transaction| {
                let resealed = listed.iter().map(|one| reseal(transaction, &records, one));
                resealed.collect()
            })
        })
        .await
    }

    fn master_key_ids(&self) -> Vec<Box<str>> {
        self.records.master_key_ids()
    }

    fn problem_of(&self, record: &SealedRecord) -> Option<String> {
        self.records
            .problem_of(record.kind, &record.name, &record.bytes)
    }

    fn note_census(&self, keys: &[Box<str>], under_old_keys: u64) {
        self.records.note_census(keys, under_old_keys);
    }

    fn is_census_wanted(&self) -> bool {
        self.records.is_census_wanted()
    }
}

/// The place of the records of a kind.
enum Section {
    Table(RecordTable),
    Expiring(EntryKind),
    Canary,
}

/// The name and the sealed bytes of a record.
type NamedRecord = (Vec<u8>, Vec<u8>);

impl Section {
    const fn of(kind: RecordKind) -> Self {
        match kind {
            RecordKind::Consumer => Self::Table(CONSUMERS),
            RecordKind::User => Self::Table(USERS),
            RecordKind::Token => Self::Table(TOKENS),
            RecordKind::RequestToken => Self::Expiring(EntryKind::RequestToken),
            RecordKind::Session => Self::Expiring(EntryKind::Session),
            RecordKind::Canary => Self::Canary,
        }
    }

    /// Lists names and sealed records after the name `after`.
    fn page(
        &self,
        transaction: &ReadTransaction,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<NamedRecord>, redb::Error> {
        match *self {
            Self::Table(table) => {
                // Names in tables are text.
                let after = after.and_then(|name| std::str::from_utf8(name).ok());
                let rows = tables::page(transaction, table, after, limit)?;
                let rows = rows.into_iter();
                Ok(rows.map(|(name, bytes)| (name.into(), bytes)).collect())
            }
            Self::Expiring(kind) => {
                let rows = expiring::page(transaction, kind, after, limit)?;
                let rows = rows.into_iter();
                Ok(rows.map(|(name, entry)| (name, entry.bytes)).collect())
            }
            Self::Canary if after.is_some() => Ok(Vec::new()),
            Self::Canary => {
                let stored = canary::stored(transaction)?.into_iter();
                Ok(stored.map(|bytes| (Vec::new(), bytes)).collect())
            }
        }
    }
}

fn page(
    transaction: &ReadTransaction,
    from: &ScanCursor,
    limit: usize,
) -> Result<ScanPage, redb::Error> {
    let (kind, after) = match &from.0 {
        ScanPosition::Start | ScanPosition::Server(_) => (ORDER[0], None),
        ScanPosition::Record { kind, name } => (*kind, name.as_deref()),
    };
    let rows = Section::of(kind).page(transaction, after, limit)?;
    let next = if rows.len() < limit {
        let mut later = ORDER.iter().skip_while(|other| **other != kind).skip(1);
        later.next().map(|kind| (*kind, None))
    } else {
        rows.last().map(|(name, _)| (kind, Some(name.clone())))
    };
    let records = rows.into_iter().map(|(name, bytes)| SealedRecord {
        kind,
        name,
        bytes,
        key: None,
    });
    Ok(ScanPage {
        records: records.collect(),
        next: next.map(|(kind, name)| ScanCursor(ScanPosition::Record { kind, name })),
    })
}

fn reseal(
    transaction: &WriteTransaction,
    records: &Records,
    listed: &SealedRecord,
) -> Result<ResealOutcome, WriteError> {
    let resealed = match records.resealed(listed.kind, &listed.name, &listed.bytes) {
        Ok(resealed) => resealed,
        Err(reason) => return Ok(ResealOutcome::Unreadable(reason)),
    };
    match replace(transaction, listed, &resealed) {
        Ok(()) => {
            records.note_resealed(listed.kind, &resealed);
            Ok(ResealOutcome::Resealed)
        }
        Err(WriteError::Refused(error)) if error.kind() == StoreErrorKind::Conflict => {
            Ok(ResealOutcome::Changed)
        }
        Err(error) => Err(error),
    }
}

fn replace(
    transaction: &WriteTransaction,
    listed: &SealedRecord,
    resealed: &[u8],
) -> Result<(), WriteError> {
    let (name, before) = (listed.name.as_slice(), listed.bytes.as_slice());
    match Section::of(listed.kind) {
        Section::Table(table) => {
            let name = String::from_utf8_lossy(name);
            tables::update(transaction, table, &name, before, resealed)
        }
        Section::Expiring(kind) => expiring::replace(transaction, kind, name, before, resealed),
        Section::Canary => canary::replace(transaction, before, resealed),
    }
}

/// The order of the scan: records before those that refer to them.
const ORDER: [RecordKind; 6] = [
    RecordKind::Consumer,
    RecordKind::User,
    RecordKind::Token,
    RecordKind::RequestToken,
    RecordKind::Session,
    RecordKind::Canary,
];
