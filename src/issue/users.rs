//! Administration of users.

use super::{Actor, IssueError, Issuer};
use crate::model::{Secret, User, UserId, UserStatus, Username};
use crate::store::StoreErrorKind;

/// A user to be created.
#[derive(Clone, Debug, Default)]
pub struct UserDraft {
    /// The id; `None` makes one.
    pub user_id: Option<String>,
    /// The name to log in with.
    pub username: String,
    /// The password; `None` until one is set.
    pub password: Option<Secret>,
}

impl Issuer {
    /// Creates a user. An id of which only the standing was kept, or that was deleted, is taken over: its generation stays.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UserExists`], [`IssueError::Store`].
    pub async fn create_user(&self, draft: &UserDraft, actor: &Actor) -> Result<User, IssueError> {
        let _ = (draft, actor);
        Err(unbuilt().into())
    }

    /// The user of that id; a deleted one is unknown.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Store`].
    pub async fn user(&self, id: &UserId) -> Result<User, IssueError> {
        let _ = id;
        Err(unbuilt().into())
    }

    /// The user who logs in with that name.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Store`].
    pub async fn user_named(&self, username: &Username) -> Result<User, IssueError> {
        let _ = username;
        Err(unbuilt().into())
    }

    /// Users in the byte order of their ids, at most `limit`, only those after `after`.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn users(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<User>, IssueError> {
        let _ = (after, limit);
        Err(unbuilt().into())
    }

    /// Gives a user a new password.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownUser`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn set_password(&self, id: &UserId, password: &Secret, actor: &Actor) -> Result<User, IssueError> {
        let _ = (id, password, actor);
        Err(unbuilt().into())
    }

    /// Refuses a user's tokens and log-in, or lets them be used again; [`UserStatus::Deleted`] is not for here.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn set_user_status(&self, id: &UserId, status: UserStatus, actor: &Actor) -> Result<User, IssueError> {
        let _ = (id, status, actor);
        Err(unbuilt().into())
    }

    /// Deletes a user and revokes the user's tokens for good.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn delete_user(&self, id: &UserId, etag: Option<&str>, actor: &Actor) -> Result<(), IssueError> {
        let _ = (id, etag, actor);
        Err(unbuilt().into())
    }
}

fn unbuilt() -> crate::store::StoreError {
    crate::store::StoreError::new(StoreErrorKind::Unusable, "not built yet")
}
