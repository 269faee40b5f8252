//! Passwords: what they are checked with, and how guessing is slowed down.

use super::{DirectoryUser, IssueError, Issuer, Login};
use crate::store::StoreErrorKind;

impl Issuer {
    /// Whose name and password these are, after as many wrong ones as `[password]` allows; asks the directory.
    ///
    /// May take its time: a user with many wrong passwords is answered later.
    ///
    /// # Errors
    /// [`IssueError::PasswordRefused`], [`IssueError::TooManyAttempts`], [`IssueError::UserDisabled`],
    /// [`IssueError::Directory`], [`IssueError::Store`].
    pub async fn log_in(&self, login: &Login) -> Result<DirectoryUser, IssueError> {
        let _ = (login, &self.directory);
        Err(crate::store::StoreError::new(StoreErrorKind::Unusable, "not built yet").into())
    }
}
