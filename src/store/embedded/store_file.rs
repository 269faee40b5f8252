//! The open store file: a redb database whose every commit is durable.

use std::sync::{PoisonError, RwLock};

use redb::{Database, ReadTransaction, ReadableDatabase as _, WriteTransaction};

use super::error::{WriteError, closed, failed};
use crate::store::StoreError;

/// The store file, until it is closed.
pub(super) struct StoreFile {
    /// `None` after the file was closed.
    database: RwLock<Option<Database>>,
}

impl StoreFile {
    /// Returns the file behind an open database.
    pub(super) const fn new(database: Database) -> Self {
        Self {
            database: RwLock::new(Some(database)),
        }
    }

    /// Returns an error if the file is closed.
    pub(super) fn check_open(&self) -> Result<(), StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.as_ref().map(|_| ()).ok_or_else(closed)
    }

    /// Reads committed data, all of it as of one moment.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database
            .as_ref()
            .ok_or_else(closed)?
            .begin_read()
            .map_err(|error| failed(error.into()))?;
        work(&transaction).map_err(failed)
    }

    /// Commits the changes of `work` durably, or changes nothing if it returns an error.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database
            .as_ref()
            .ok_or_else(closed)?
            .begin_write()
            .map_err(|error| failed(error.into()))?;
        let value = work(&transaction)?;
        transaction.commit().map_err(|error| failed(error.into()))?;
        Ok(value)
    }

    /// Closes the file. Does nothing if it is closed.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        database
            .map_or(Ok(()), Database::close)
            .map_err(|error| failed(error.into()))
    }

    /// Blocks every read and write until the returned guard is dropped, like a disk that does not
    /// respond.
    #[cfg(test)]
    pub(super) fn block(&self) -> impl Drop {
        self.database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
