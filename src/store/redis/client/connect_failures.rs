//! The failed attempts to connect, of which bb8 tells nobody.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bb8_redis::bb8;
use tokio::sync::Notify;
use tracing::debug;

use crate::store::redis::error::CommandError;

/// The failed attempts to connect. bb8 itself reports only that there is no connection.
#[derive(Clone, Default)]
pub(super) struct ConnectFailures(Arc<LastFailure>);

#[derive(Default)]
struct LastFailure {
    error: Mutex<Option<CommandError>>,
    next: Notify,
}

impl ConnectFailures {
    /// Returns the error of the last failed attempt.
    pub(super) fn last(&self) -> CommandError {
        self.0
            .error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .unwrap_or(CommandError::Timeout)
    }

    /// Returns when the next attempt fails; counts from the call, not from the first poll.
    pub(super) fn next(&self) -> impl Future<Output = ()> {
        self.0.next.notified()
    }
}

impl bb8::ErrorSink<CommandError> for ConnectFailures {
    fn sink(&self, error: CommandError) {
        // The pool reports a broken connection that it removes with this error; no attempt to
        // connect failed.
        if error != CommandError::ConnectionBroken {
            debug!(cause = %error, "cannot connect to Redis");
            *self.0.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            self.0.next.notify_waiters();
        }
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<CommandError>> {
        Box::new(self.clone())
    }
}

impl fmt::Debug for ConnectFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectFailures").finish_non_exhaustive()
    }
}
