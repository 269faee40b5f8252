//! The errors of the store file.

use crate::store::{StoreError, StoreErrorKind};

/// The reason for which a write transaction is rolled back.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The contract of the store forbids the change.
    Refused(StoreError),
    /// The store file failed.
    Failed(redb::Error),
}

// === impl WriteError ===

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl<E: Into<redb::Error>> From<E> for WriteError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<WriteError> for StoreError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(error) => error,
            WriteError::Failed(error) => failed(error),
        }
    }
}

/// Returns the error for a new record whose name is in use.
pub(super) fn already_exists() -> StoreError {
    StoreError::new(StoreErrorKind::AlreadyExists, "creating a record")
}

/// Returns the error for an access to the file while its disk fails.
pub(super) fn faulty(cause: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, USE_OF_FILE).because(cause)
}

/// Returns the error for a failure of the database in the file.
pub(super) fn failed(error: redb::Error) -> StoreError {
    let is_damaged = matches!(error, redb::Error::Corrupted(_));
    let kind = if is_damaged {
        StoreErrorKind::Unreadable
    } else {
        StoreErrorKind::Unavailable
    };
    StoreError::new(kind, USE_OF_FILE).because(error)
}

/// Returns the error for a file that cannot be opened as it is.
pub(super) fn unusable(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, "opening the store file").because(problem)
}

const USE_OF_FILE: &str = "using the store file";
