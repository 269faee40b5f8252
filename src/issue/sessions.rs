//! Who is logged in with which browser, to decide about a consumer.

use super::{DirectoryUser, IssueError, Issuer};
use crate::model::Session;
use crate::store::StoreErrorKind;

impl Issuer {
    /// Notes that a user logged in with the browser that has this cookie, for `authorize.session_ttl`.
    ///
    /// # Security
    /// `cookie` must be new and unguessable: one that was there before the log-in may be somebody else's too.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn open_session(&self, user: &DirectoryUser, cookie: &[u8]) -> Result<Session, IssueError> {
        let _ = (user, cookie);
        Err(unbuilt().into())
    }

    /// Who is logged in with that cookie: nobody whose session is over, or who was disabled, deleted, or had all tokens
    /// revoked or the password changed since.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn session(&self, cookie: &[u8]) -> Result<Option<Session>, IssueError> {
        let _ = cookie;
        Err(unbuilt().into())
    }

    /// Ends the session of that cookie.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn close_session(&self, cookie: &[u8]) -> Result<(), IssueError> {
        let _ = cookie;
        Err(unbuilt().into())
    }
}

fn unbuilt() -> crate::store::StoreError {
    crate::store::StoreError::new(StoreErrorKind::Unusable, "not built yet")
}
