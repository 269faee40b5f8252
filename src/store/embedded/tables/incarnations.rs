//! The incarnations of consumer keys.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::store::embedded::error::WriteError;

/// Creates the tables that are not in the file yet.
pub(super) fn create_tables(transaction: &WriteTransaction) -> Result<(), WriteError> {
    transaction.open_table(INCARNATIONS)?;
    transaction.open_table(ENDED_INCARNATIONS)?;
    Ok(())
}

/// Returns whether any incarnation has ended and may still have tokens.
pub(in crate::store::embedded) fn has_ended(
    transaction: &ReadTransaction,
) -> Result<bool, redb::Error> {
    Ok(transaction
        .open_table(ENDED_INCARNATIONS)?
        .first()?
        .is_some())
}

/// Reads the current incarnation of a consumer key.
pub(super) fn current(transaction: &WriteTransaction, consumer: &str) -> Result<u64, WriteError> {
    Ok(number_in(&transaction.open_table(INCARNATIONS)?, consumer)?)
}

/// Reads the current incarnation of a consumer key as of a moment.
pub(super) fn current_as_of(
    transaction: &ReadTransaction,
    consumer: &str,
) -> Result<u64, redb::Error> {
    number_in(&transaction.open_table(INCARNATIONS)?, consumer)
}

/// Ends the current incarnation of a consumer key and begins the next.
pub(super) fn end_current(
    transaction: &WriteTransaction,
    consumer: &str,
) -> Result<(), WriteError> {
    let ended = current(transaction, consumer)?;
    transaction
        .open_table(ENDED_INCARNATIONS)?
        .insert((consumer, ended), ())?;
    transaction
        .open_table(INCARNATIONS)?
        .insert(consumer, ended + 1)?;
    Ok(())
}

/// Reads the first incarnation that has ended: its consumer key and its number.
pub(super) fn first_ended(
    transaction: &WriteTransaction,
) -> Result<Option<(String, u64)>, WriteError> {
    let ended = transaction.open_table(ENDED_INCARNATIONS)?;
    let first = ended.first()?.map(|(key, _)| {
        let (consumer, number) = key.value();
        (consumer.to_owned(), number)
    });
    Ok(first)
}

/// Deletes the note of an incarnation that has ended, when it no longer has tokens.
pub(super) fn delete_ended(
    transaction: &WriteTransaction,
    consumer: &str,
    number: u64,
) -> Result<(), WriteError> {
    transaction
        .open_table(ENDED_INCARNATIONS)?
        .remove((consumer, number))?;
    Ok(())
}

fn number_in(
    incarnations: &impl ReadableTable<&'static str, u64>,
    consumer: &str,
) -> Result<u64, redb::Error> {
    let number = incarnations.get(consumer)?;
    Ok(number.map_or(0, |number| number.value()))
}

const INCARNATIONS: TableDefinition<'static, &str, u64> = TableDefinition::new("incarnations");
const ENDED_INCARNATIONS: TableDefinition<'static, (&str, u64), ()> =
    TableDefinition::new("ended_incarnations");
