//! Decodes the rows that a query of the tables returns.

use super::tables::RecordRow;
use crate::model::ValueError;
use crate::store::StoreError;
use crate::store::record::{RecordKind, Records, unreadable};

/// The query of a list: the name after which it starts, and its greatest length.
pub(super) struct ListQuery<'q> {
    pub(super) records: &'q Records,
    pub(super) kind: RecordKind,
    pub(super) after: Option<&'q str>,
    pub(super) limit: usize,
}

/// A decoder of a record and its name.
pub(super) type RecordDecoder<K, T> = fn(&Records, &K, &[u8]) -> Result<T, StoreError>;

// === impl ListQuery ===

impl ListQuery<'_> {
    /// Reads pages until the list is complete, and decodes them. Rows that cannot be read are
    /// skipped.
    pub(super) fn run<K: std::fmt::Display, T>(
        &self,
        read: impl Fn(Option<&str>, usize) -> Result<Vec<RecordRow>, StoreError>,
        name: fn(String) -> Result<K, ValueError>,
        decode: RecordDecoder<K, T>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut list, mut after) = (Vec::new(), self.after.map(str::to_owned));
        loop {
            let wanted = self.limit - list.len();
            let rows = read(after.as_deref(), wanted)?;
            let is_last = rows.len() < wanted;
            after = rows.last().map(|(name, _)| name.clone());
            for (row_name, bytes) in rows {
                list.extend(self.decode(row_name, &bytes, name, decode)?);
            }
            if is_last || list.len() == self.limit {
                return Ok(list);
            }
        }
    }

    fn decode<K: std::fmt::Display, T>(
        &self,
        row_name: String,
        bytes: &[u8],
        name: fn(String) -> Result<K, ValueError>,
        decode: RecordDecoder<K, T>,
    ) -> Result<Option<T>, StoreError> {
        let name = name(row_name).map_err(unreadable);
        match name {
            Ok(name) => {
                let read = decode(self.records, &name, bytes);
                self.records.listed(self.kind, Some(&name), read)
            }
            Err(error) => self.records.listed(self.kind, None, Err(error)),
        }
    }
}
