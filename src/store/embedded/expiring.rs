//! Entries that expire: temporary credentials, sessions and counters of attempts.
//!
//! | table | key | value |
//! |---|---|---|
//! | `expiring` | kind, name | expiry in milliseconds, bytes |
//! | `expiries` | expiry in milliseconds, kind, name | nothing |
//!
//! Each row of one table has a row in the other.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::error::{WriteError, already_exists};
use crate::clock::UnixTime;
use crate::store::StoreError;
use crate::store::error::conflict;

/// The kind of an entry. Names are unique within a kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum EntryKind {
    /// Temporary credentials, named by their token.
    RequestToken = 1,
    /// A session, named by its id.
    Session = 2,
    /// A number of attempts, named by the bytes of its counter.
    Attempts = 3,
}

/// Bytes that are kept until a time.
#[derive(Clone, Debug)]
pub(super) struct ExpiringEntry {
    pub(super) expires_at: UnixTime,
    pub(super) bytes: Vec<u8>,
}

impl ExpiringEntry {
    fn of((expiry, bytes): (u64, &[u8])) -> Self {
        Self {
            expires_at: UnixTime::from_millis(expiry),
            bytes: bytes.to_vec(),
        }
    }
}

/// Creates the tables that are not in the file yet.
pub(super) fn create_tables(transaction: &WriteTransaction) -> Result<(), WriteError> {
    transaction.open_table(EXPIRING)?;
    transaction.open_table(EXPIRIES)?;
    Ok(())
}

/// Finds an entry, even if it has expired.
pub(super) fn find(
    transaction: &ReadTransaction,
    kind: EntryKind,
    name: &[u8],
) -> Result<Option<ExpiringEntry>, redb::Error> {
    find_in(&transaction.open_table(EXPIRING)?, kind, name)
}

/// Lists up to `limit` entries of a kind after the name `after`, in the order of their names.
pub(super) fn page(
    transaction: &ReadTransaction,
    kind: EntryKind,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, ExpiringEntry)>, redb::Error> {
    let kind = kind as u8;
    let start = after.map_or(Bound::Included((kind, &b""[..])), |after| {
        Bound::Excluded((kind, after))
    });
    let end = Bound::Excluded((kind + 1, &b""[..]));
    let entries = transaction.open_table(EXPIRING)?;
    let page = entries.range::<(u8, &[u8])>((start, end))?.take(limit);
    page.map(|row| {
        let (key, value) = row?;
        Ok((key.value().1.to_vec(), ExpiringEntry::of(value.value())))
    })
    .collect()
}

/// Creates an entry.
pub(super) fn create(
    transaction: &WriteTransaction,
    kind: EntryKind,
    name: &[u8],
    entry: &ExpiringEntry,
) -> Result<(), WriteError> {
    match stored(transaction, kind, name)? {
        None => put(transaction, kind, name, entry),
        Some(_) => Err(already_exists().into()),
    }
}

/// Updates an entry whose bytes are still `before`.
pub(super) fn update(
    transaction: &WriteTransaction,
    kind: EntryKind,
    name: &[u8],
    before: &[u8],
    entry: &ExpiringEntry,
) -> Result<(), WriteError> {
    match stored(transaction, kind, name)? {
        Some(stored) if stored.bytes == before => put(transaction, kind, name, entry),
        _ => Err(conflict().into()),
    }
}

/// Creates an entry or replaces the one that is there.
pub(super) fn put(
    transaction: &WriteTransaction,
    kind: EntryKind,
    name: &[u8],
    entry: &ExpiringEntry,
) -> Result<(), WriteError> {
    delete(transaction, kind, name)?;
    let expiry = entry.expires_at.as_millis();
    transaction
        .open_table(EXPIRING)?
        .insert((kind as u8, name), (expiry, entry.bytes.as_slice()))?;
    transaction
        .open_table(EXPIRIES)?
        .insert((expiry, kind as u8, name), ())?;
    Ok(())
}

/// Deletes an entry, if it is there.
pub(super) fn delete(
    transaction: &WriteTransaction,
    kind: EntryKind,
    name: &[u8],
) -> Result<(), WriteError> {
    let mut entries = transaction.open_table(EXPIRING)?;
    let Some(entry) = entries.remove((kind as u8, name))? else {
        return Ok(());
    };
    let (expiry, _) = entry.value();
    transaction
        .open_table(EXPIRIES)?
        .remove((expiry, kind as u8, name))?;
    Ok(())
}

/// Replaces the bytes of an entry if they are still `before`; its expiry stays.
pub(super) fn replace(
    transaction: &WriteTransaction,
    kind: EntryKind,
    name: &[u8],
    before: &[u8],
    bytes: &[u8],
) -> Result<(), WriteError> {
    match stored(transaction, kind, name)? {
        Some(entry) if entry.bytes == before => {
            let bytes = bytes.to_vec();
            put(transaction, kind, name, &ExpiringEntry { bytes, ..entry })
        }
        _ => Err(conflict().into()),
    }
}

/// Changes an entry to the one that `work` returns with its result; `None` leaves it unchanged.
pub(super) fn change<T>(
    transaction: &WriteTransaction,
    kind: EntryKind,
    name: &[u8],
    work: impl FnOnce(Option<ExpiringEntry>) -> Result<(Option<ExpiringEntry>, T), StoreError>,
) -> Result<T, WriteError> {
    let (entry, outcome) = work(stored(transaction, kind, name)?)?;
    if let Some(entry) = entry {
        put(transaction, kind, name, &entry)?;
    }
    Ok(outcome)
}

/// Returns whether any entry has expired at `now`.
pub(super) fn has_expired(
    transaction: &ReadTransaction,
    now: UnixTime,
) -> Result<bool, redb::Error> {
    let expiries = transaction.open_table(EXPIRIES)?;
    let first = expiries.first()?;
    Ok(first.is_some_and(|(key, _)| key.value().0 <= now.as_millis()))
}

/// Deletes up to `limit` entries that have expired at `now`.
pub(super) fn sweep(
    transaction: &WriteTransaction,
    now: UnixTime,
    limit: usize,
) -> Result<(), WriteError> {
    let mut entries = transaction.open_table(EXPIRING)?;
    let mut expiries = transaction.open_table(EXPIRIES)?;
    for _ in 0..limit {
        let Some((key, _)) = expiries.first()? else {
            break;
        };
        let (expiry, kind, name) = key.value();
        if expiry > now.as_millis() {
            break;
        }
        entries.remove((kind, name))?;
        drop(key);
        expiries.pop_first()?;
    }
    Ok(())
}

fn stored(
    transaction: &WriteTransaction,
    kind: EntryKind,
    name: &[u8],
) -> Result<Option<ExpiringEntry>, WriteError> {
    Ok(find_in(&transaction.open_table(EXPIRING)?, kind, name)?)
}

fn find_in(
    entries: &impl ReadableTable<EntryName, EntryValue>,
    kind: EntryKind,
    name: &[u8],
) -> Result<Option<ExpiringEntry>, redb::Error> {
    let entry = entries.get((kind as u8, name))?;
    Ok(entry.map(|entry| ExpiringEntry::of(entry.value())))
}

/// The kind and the name of an entry.
type EntryName = (u8, &'static [u8]);

/// The expiry in milliseconds and the bytes of an entry.
type EntryValue = (u64, &'static [u8]);

const EXPIRING: TableDefinition<'static, EntryName, EntryValue> = TableDefinition::new("expiring");
const EXPIRIES: TableDefinition<'static, (u64, u8, &[u8]), ()> = TableDefinition::new("expiries");
