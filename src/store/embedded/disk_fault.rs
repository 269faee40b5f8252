//! The fault of the store file: a read or write that its disk refused.
//!
//! After such an error redb refuses every access until the file is opened again. So a fault lasts
//! until the file was reopened and written.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The fault that the store file has, if any.
#[derive(Default)]
pub(super) struct DiskFault {
    state: Mutex<FaultState>,
    raised: Arc<Notify>,
}

#[derive(Default)]
struct FaultState {
    cause: Option<Arc<str>>,
    /// The number of errors so far.
    errors: u64,
}

/// The number of errors at some time: a fault has ended only if there was no other since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ErrorCount(u64);

// === impl DiskFault ===

impl DiskFault {
    /// Begins a fault, or counts one more error of it. Logs a cause that is new.
    pub(super) fn raise(&self, error: &redb::Error) {
        if let redb::Error::Io(error) = error {
            self.raise_with(&text_of(error));
        } else if matches!(error, redb::Error::PreviousIo) {
            // The error before it has the cause.
            self.raise_again();
        } else {
            self.raise_with(&error.to_string());
        }
    }

    /// Begins a fault with this cause.
    pub(super) fn raise_with(&self, cause: &str) {
        let is_new = {
            let mut state = self.state();
            state.errors += 1;
            let is_new = state.cause.as_deref() != Some(cause);
            if is_new {
                state.cause = Some(cause.into());
            }
            is_new
        };
        if is_new {
            tracing::warn!(
                cause,
                "cannot use the store file; checks fail until it can be written: free space on its disk, or repair the \
                 disk; retrying"
            );
        }
        self.raised.notify_one();
    }

    fn raise_again(&self) {
        let mut state = self.state();
        state.errors += 1;
        state.cause.get_or_insert_with(|| UNKNOWN.into());
        drop(state);
        self.raised.notify_one();
    }

    /// Returns the cause of the fault, or `None` without a fault.
    pub(super) fn cause(&self) -> Option<Arc<str>> {
        self.state().cause.clone()
    }

    /// Returns the number of errors so far.
    pub(super) fn errors(&self) -> ErrorCount {
        ErrorCount(self.state().errors)
    }

    /// Ends the fault, unless there was an error since `errors` were counted.
    pub(super) fn end(&self, errors: ErrorCount) {
        let mut state = self.state();
        if ErrorCount(state.errors) == errors && state.cause.take().is_some() {
            tracing::info!("the store file can be written again");
        }
    }

    /// Returns a signal that wakes one waiter at each error.
    pub(super) fn raised(&self) -> Arc<Notify> {
        Arc::clone(&self.raised)
    }

    fn state(&self) -> MutexGuard<'_, FaultState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the file must be opened again after this error.
pub(super) const fn needs_reopening(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::Io(_)
            | redb::Error::PreviousIo
            | redb::Error::Corrupted(_)
            | redb::Error::LockPoisoned(_)
    )
}

/// Returns the text of an error and of its sources.
pub(super) fn text_of(error: &(dyn Error + 'static)) -> String {
    let limit = error.downcast_ref::<io::Error>();
    if limit.is_some_and(|error| error.kind() == io::ErrorKind::FileTooLarge) {
        return format!("{error}: the limit on the size of files (ulimit -f) is too low");
    }
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources.fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}

const UNKNOWN: &str = "an earlier read or write failed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_ends_only_if_no_error_came_after_its_repair_began() {
        let fault = DiskFault::default();
        fault.raise(&redb::Error::Io(io::ErrorKind::StorageFull.into()));
        fault.raise(&redb::Error::PreviousIo);
        assert_eq!(fault.cause().as_deref(), Some("no storage space"));
        let before = fault.errors();
        fault.raise(&redb::Error::PreviousIo);
        fault.end(before);
        assert!(fault.cause().is_some());
        fault.end(fault.errors());
        assert_eq!(fault.cause(), None);
    }
}
