//! The table of consumers.

use redb::{TableDefinition, WriteTransaction};

use super::incarnations;
use super::records::{self, RecordTable};
use super::tokens;
use crate::store::embedded::error::WriteError;

/// The consumers' records, by consumer key.
pub(in crate::store::embedded) const CONSUMERS: RecordTable = TableDefinition::new("consumers");

/// Creates the table if it is not in the file yet.
pub(super) fn create_tables(transaction: &WriteTransaction) -> Result<(), WriteError> {
    transaction.open_table(CONSUMERS)?;
    Ok(())
}

/// Creates a consumer, in an incarnation without tokens.
pub(in crate::store::embedded) fn create_consumer(
    transaction: &WriteTransaction,
    key: &str,
    bytes: &[u8],
) -> Result<(), WriteError> {
    records::create(transaction, CONSUMERS, key, bytes)?;
    // A token that was issued while the consumer was being deleted is in the current incarnation.
    if tokens::has_any(transaction, key)? {
        incarnations::end_current(transaction, key)?;
    }
    Ok(())
}

/// Deletes a consumer whose bytes are still `before`, and ends its incarnation.
pub(in crate::store::embedded) fn delete_consumer(
    transaction: &WriteTransaction,
    key: &str,
    before: &[u8],
) -> Result<(), WriteError> {
    records::check_unchanged(transaction, CONSUMERS, key, before)?;
    transaction.open_table(CONSUMERS)?.remove(key)?;
    incarnations::end_current(transaction, key)
}
