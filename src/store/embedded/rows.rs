//! Decodes the rows that a query of the tables returns.

use super::tables::RecordRow;
use crate::model::ValueError;
use crate::store::{StoreError, StoreErrorKind};

/// Decodes rows: the name by `name`, the record by `decode`.
pub(super) fn decode_rows<K, T>(
    rows: Vec<RecordRow>,
    name: impl Fn(String) -> Result<K, ValueError>,
    decode: impl Fn(&K, &[u8]) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let unreadable =
        |error| StoreError::new(StoreErrorKind::Unreadable, "listing records").because(error);
    rows.into_iter()
        .map(|(row_name, bytes)| decode(&name(row_name).map_err(unreadable)?, &bytes))
        .collect()
}
