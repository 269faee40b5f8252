//! The operations that all tables of records share.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::store::embedded::error::{WriteError, already_exists};
use crate::store::error::conflict;

/// A table of records.
pub(in crate::store::embedded) type RecordTable =
    TableDefinition<'static, &'static str, &'static [u8]>;

/// The key of a record and the record.
pub(in crate::store::embedded) type RecordRow = (String, Vec<u8>);

/// Reads the record with that key.
pub(in crate::store::embedded) fn record(
    transaction: &ReadTransaction,
    table: RecordTable,
    key: &str,
) -> Result<Option<Vec<u8>>, redb::Error> {
    let bytes = transaction.open_table(table)?.get(key)?;
    Ok(bytes.map(|bytes| bytes.value().to_vec()))
}

/// Lists up to `limit` records after the key `after`, in the order of their keys.
pub(in crate::store::embedded) fn page(
    transaction: &ReadTransaction,
    table: RecordTable,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<RecordRow>, redb::Error> {
    let table = transaction.open_table(table)?;
    let rows = table.range::<&str>((after_key(after), Bound::Unbounded))?;
    rows.take(limit)
        .map(|row| {
            let (key, bytes) = row?;
            Ok((key.value().to_owned(), bytes.value().to_vec()))
        })
        .collect()
}

/// Updates a record whose bytes are still `before`.
pub(in crate::store::embedded) fn update(
    transaction: &WriteTransaction,
    table: RecordTable,
    key: &str,
    before: &[u8],
    bytes: &[u8],
) -> Result<(), WriteError> {
    check_unchanged(transaction, table, key, before)?;
    transaction.open_table(table)?.insert(key, bytes)?;
    Ok(())
}

/// Creates a record.
pub(super) fn create(
    transaction: &WriteTransaction,
    table: RecordTable,
    key: &str,
    bytes: &[u8],
) -> Result<(), WriteError> {
    if transaction.open_table(table)?.insert(key, bytes)?.is_some() {
        return Err(already_exists().into());
    }
    Ok(())
}

/// Returns an error unless the bytes of a record are still `before`.
pub(super) fn check_unchanged(
    transaction: &WriteTransaction,
    table: RecordTable,
    key: &str,
    before: &[u8],
) -> Result<(), WriteError> {
    let table = transaction.open_table(table)?;
    let is_unchanged = table
        .get(key)?
        .is_some_and(|stored| stored.value() == before);
    if is_unchanged {
        Ok(())
    } else {
        Err(conflict().into())
    }
}

/// Reads the record with that key as a row of a list.
pub(super) fn row(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<RecordRow>, redb::Error> {
    let bytes = table.get(key)?;
    Ok(bytes.map(|bytes| (key.to_owned(), bytes.value().to_vec())))
}

/// Returns the start of a range that follows `after`.
pub(super) fn after_key(after: Option<&str>) -> Bound<&str> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}
