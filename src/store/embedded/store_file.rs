//! The open store file: a redb database whose every commit is durable.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};

use redb::{Database, ReadTransaction, ReadableDatabase as _, WriteTransaction};
use tokio::sync::Notify;

use super::disk_fault::{DiskFault, ErrorCount, needs_reopening, text_of};
use super::error::{WriteError, failed, faulty};
use super::open_file::{OpenedFile, Reopener};
use crate::store::StoreError;
use crate::store::error::closed;

/// The store file, until it is closed.
pub(super) struct StoreFile {
    state: RwLock<FileState>,
    /// `None` for a file in memory, which never fails.
    reopener: Option<Mutex<Reopener>>,
    fault: DiskFault,
}

enum FileState {
    Open(Database),
    /// The disk failed, and the file is not open again yet.
    Failed,
    Closed,
}

impl StoreFile {
    /// Returns the file that was opened.
    pub(super) fn new(opened: OpenedFile) -> Self {
        Self {
            state: RwLock::new(FileState::Open(opened.database)),
            reopener: opened.reopener.map(Mutex::new),
            fault: DiskFault::default(),
        }
    }

    /// Returns an error if the file is closed or its disk fails.
    pub(super) fn check_usable(&self) -> Result<(), StoreError> {
        if self.is_closed() {
            return Err(closed());
        }
        self.fault
            .cause()
            .map_or(Ok(()), |cause| Err(faulty(&cause)))
    }

    /// Returns whether the file is in memory alone.
    pub(super) const fn is_in_memory(&self) -> bool {
        self.reopener.is_none()
    }

    /// Returns whether the file is closed.
    pub(super) fn is_closed(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        matches!(*state, FileState::Closed)
    }

    /// Returns whether the file must be reopened or written before it is usable.
    pub(super) fn has_fault(&self) -> bool {
        self.fault.cause().is_some()
    }

    /// Returns a signal that wakes one waiter when the disk fails.
    pub(super) fn fault_signal(&self) -> Arc<Notify> {
        self.fault.raised()
    }

    /// Begins a fault that no read or write of this file reported.
    pub(super) fn report_fault(&self, cause: &str) {
        self.fault.raise_with(cause);
    }

    /// Ends a fault after the file was written, unless there was an error since `errors`.
    pub(super) fn end_fault(&self, errors: ErrorCount) {
        self.fault.end(errors);
    }

    /// Reads committed data, all of it as of one moment.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            Ok(work(&transaction)?)
        })
    }

    /// Commits the changes of `work` durably, or changes nothing if it returns an error.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    /// Opens the file again after its disk failed. Returns the number of errors before that.
    ///
    /// Nothing that was acknowledged is lost: every commit was durable, and a commit that failed is
    /// in the file completely or not at all. Reads and writes fail in the meantime, and wait for
    /// nothing.
    pub(super) fn reopen(&self) -> Result<ErrorCount, StoreError> {
        let Some(reopener) = &self.reopener else {
            return Ok(self.fault.errors());
        };
        // One at a time: the lock on the file keeps other processes out, but not this one.
        let mut reopener = reopener.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = self.fault.errors();
        if reopener.reopened_after == Some(errors) {
            return Ok(errors);
        }
        self.release()?;
        let database = reopener.reopen().inspect_err(|error| {
            self.fault.raise_with(&text_of(error));
        })?;
        let mut state = self.state_to_change();
        if matches!(*state, FileState::Closed) {
            return Err(closed());
        }
        *state = FileState::Open(database);
        reopener.reopened_after = Some(errors);
        Ok(errors)
    }

    /// Closes the file. Does nothing if it is closed.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let before = std::mem::replace(&mut *self.state_to_change(), FileState::Closed);
        match before {
            FileState::Open(database) => database.close().map_err(|error| failed(error.into())),
            FileState::Failed | FileState::Closed => Ok(()),
        }
    }

    /// Gives up the database that failed.
    ///
    /// # Errors
    /// If the file is closed.
    fn release(&self) -> Result<(), StoreError> {
        let mut state = self.state_to_change();
        if matches!(*state, FileState::Closed) {
            return Err(closed());
        }
        let before = std::mem::replace(&mut *state, FileState::Failed);
        drop(state);
        // Its close returns the error that is known already.
        drop(before);
        Ok(())
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let outcome = match &*state {
            FileState::Open(database) => work(database),
            FileState::Failed => return Err(faulty(&self.fault.cause().unwrap_or_default())),
            FileState::Closed => return Err(closed()),
        };
        outcome.map_err(|error| self.report(error))
    }

    fn report(&self, error: WriteError) -> StoreError {
        if let WriteError::Failed(error) = &error
            && needs_reopening(error)
        {
            self.fault.raise(error);
        }
        match (&error, self.fault.cause()) {
            (WriteError::Failed(redb::Error::PreviousIo), Some(cause)) => faulty(&cause),
            _ => error.into(),
        }
    }

    fn state_to_change(&self) -> RwLockWriteGuard<'_, FileState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks every read and write until the returned guard is dropped, like a disk that does not
    /// respond.
    #[cfg(test)]
    pub(super) fn block(&self) -> impl Drop {
        self.state_to_change()
    }
}
